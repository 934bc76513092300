import assert from "node:assert/strict";
import { createResponse } from "../../../lib/sip/message/message.ts";
import { messageText, messageTitle } from "../../../lib/sip/message/message_text.ts";
import { wireRequest } from "../../support/sip_wire_messages.ts";

Deno.test("a message in the log: whole, and as a title with its Call-ID", () => {
  const request = wireRequest({ body: "x" });
  const callId = request.headers.get("Call-ID");
  assert.equal(messageText(request).split("\n").length, 10);
  assert.equal(messageTitle(request), `${request.method}, Call-ID ${callId}`);
  assert.equal(messageTitle(createResponse(request, 486)), `486 ${request.method}, Call-ID ${callId}`);
});

Deno.test("a title is one short line, whatever the peer wrote", () => {
  const request = wireRequest({ body: "" });
  request.headers.set("Call-ID", "x".repeat(5000));
  request.headers.delete("CSeq");
  assert.ok(messageTitle(request).length < 450);
  request.headers.delete("Call-ID");
  assert.match(messageTitle(createResponse(request, 200)), /^200,? Call-ID none$/);
});
