// Tests of lib/sip/transaction/kept_request.ts: what comes back is what was kept.

import assert from "node:assert/strict";
import { encodeUtf8 } from "../../../lib/base/bytes.ts";
import { KeptRequest } from "../../../lib/sip/transaction/kept_request.ts";
import { encodeSipMessage } from "../../../lib/sip/message/message.ts";
import { sipRequest } from "../../support/sip_messages.ts";

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

Deno.test("kept request: what is restored goes out as the same text, whatever became of the original", () => {
  for (const [method, body] of [["ACK", ""], ["INVITE", "v=0\r\ns=\u00fc\r\n"], ["BYE", ""]] as const) {
    const request = sipRequest(method, { Route: "<sip:p1.example.net;lr>, <sip:p2.example.net;lr>" });
    request.body = encodeUtf8(body);
    const before = text(encodeSipMessage(request));
    const kept = new KeptRequest(request);
    request.headers.set("Route", "<sip:elsewhere.example.net>");
    assert.deepEqual(kept.restore().uri, request.uri);
    assert.equal(text(encodeSipMessage(kept.restore())), before);
    assert.deepEqual(kept.restore().headers.all("Route"), [
      "<sip:p1.example.net;lr>",
      "<sip:p2.example.net;lr>",
    ]);
  }
});
