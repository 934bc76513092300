// Answers to: lib/sip/message/message.ts.

import assert from "node:assert/strict";
import { decodeUtf8, encodeUtf8 } from "../../../lib/base/bytes.ts";
import { SipHeaders } from "../../../lib/sip/message/header.ts";
import {
  cloneMessage,
  createResponse,
  encodeSipMessage,
  messageText,
  messageTitle,
  NO_BODY,
  reasonPhrase,
  type SipResponse,
  startLine,
  tagOf,
  withTag,
} from "../../../lib/sip/message/message.ts";
import { wireRequest } from "../../support/sip_wire_messages.ts";

Deno.test("message: a request as bytes, Content-Length always right and last", () => {
  const request = wireRequest({ body: "hé" });
  request.headers.prepend("Content-Length", "999");
  assert.equal(
    decodeUtf8(encodeSipMessage(request)),
    "OPTIONS sip:bob@example.net SIP/2.0\r\n" +
      "Via: SIP/2.0/UDP 127.0.0.1:5060;rport;branch=z9hG4bKtest1\r\n" +
      "Max-Forwards: 70\r\n" +
      "From: <sip:alice@example.net>;tag=a1\r\n" +
      "To: <sip:bob@example.net>\r\n" +
      "Call-ID: call-1\r\n" +
      "CSeq: 1 OPTIONS\r\n" +
      "Content-Length: 3\r\n\r\nhé",
  );
});

Deno.test("message: start lines", () => {
  const response: SipResponse = {
    kind: "response",
    status: 486,
    reason: "Busy\r\nX: y",
    headers: new SipHeaders(),
    body: NO_BODY,
  };
  assert.equal(startLine(response), "SIP/2.0 486 Busy X: y\r\n");
  assert.equal(startLine({ ...response, reason: "" }), "SIP/2.0 486 \r\n");
  assert.equal(startLine(wireRequest({ method: "BYE" })), "BYE sip:bob@example.net SIP/2.0\r\n");
});

Deno.test("message: a response takes over what 8.2.6 says, and nothing else", () => {
  const request = wireRequest();
  request.headers.prepend("Via", "SIP/2.0/UDP proxy;branch=z9hG4bKp");
  request.headers.add("Record-Route", "<sip:proxy;lr>");
  request.headers.add("Timestamp", "54");
  const response = createResponse(request, 486, undefined, "mine");
  assert.equal(response.reason, "Busy Here");
  assert.deepEqual([...response.headers.entries()], [
    ["Via", "SIP/2.0/UDP proxy;branch=z9hG4bKp"],
    ["Via", "SIP/2.0/UDP 127.0.0.1:5060;rport;branch=z9hG4bKtest1"],
    ["From", "<sip:alice@example.net>;tag=a1"],
    ["To", "<sip:bob@example.net>;tag=mine"],
    ["Call-ID", "call-1"],
    ["CSeq", "1 OPTIONS"],
  ]);
});

Deno.test("message: 100 has no tag but the Timestamp", () => {
  const request = wireRequest();
  request.headers.add("Timestamp", "54");
  const response = createResponse(request, 100, "Wait", "mine");
  assert.equal(response.reason, "Wait");
  assert.equal(response.headers.get("To"), "<sip:bob@example.net>");
  assert.equal(response.headers.get("Timestamp"), "54");
});

Deno.test("message: the tag of a dialog is kept", () => {
  const request = wireRequest();
  request.headers.set("To", "<sip:bob@example.net>;tag=theirs");
  assert.equal(
    createResponse(request, 200, undefined, "mine").headers.get("To"),
    "<sip:bob@example.net>;tag=theirs",
  );
});

Deno.test("message: tags", () => {
  const tags: [address: string | null, tag: string | null][] = [
    ["<sip:a@h>;tag=1", "1"],
    ['"x;tag=no" <sip:a@h;tag=no> ; x=1 ;TAG=2', "2"],
    ["sip:a@h;tag=3", "3"],
    ["<sip:a@h;tag=no>", null],
    ["sip:a@h", null],
    [null, null],
  ];
  for (const [address, tag] of tags) assert.equal(tagOf(address), tag, String(address));
  assert.equal(withTag("sip:a@h", "t"), "sip:a@h;tag=t");
  assert.equal(withTag("<sip:a@h>;tag=1", "t"), "<sip:a@h>;tag=1");
});

Deno.test("message: a copy has its own headers", () => {
  const request = wireRequest();
  request.body = encodeUtf8("x");
  const copy = cloneMessage(request);
  copy.headers.set("Call-ID", "other");
  assert.equal(request.headers.get("Call-ID"), "call-1");
  assert.equal(copy.body, request.body);
  assert.equal(copy.method, "OPTIONS");
});

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

Deno.test("reason_phrase: known codes, unknown codes by their class, nonsense", () => {
  const phrases: [status: number, phrase: string][] = [
    [100, "Trying"],
    [486, "Busy Here"],
    [488, "Not Acceptable Here"],
    [199, "Early Dialog Terminated"],
    [299, "OK"],
    [499, "Bad Request"],
    [599, "Server Internal Error"],
    [699, "Busy Everywhere"],
    [0, "Unknown"],
    [999, "Unknown"],
  ];
  for (const [status, phrase] of phrases) assert.equal(reasonPhrase(status), phrase);
});
