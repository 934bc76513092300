// Answers to: lib/sip/transaction/transaction_requests.ts (RFC 3261 17.1.1.3 and 9.1).

import assert from "node:assert/strict";
import { encodeUtf8 } from "../../../lib/base/bytes.ts";
import { encodeSipMessage } from "../../../lib/sip/message/message.ts";
import {
  createCancel,
  createFailureAck,
  KeptRequest,
} from "../../../lib/sip/transaction/transaction_requests.ts";
import { responseTo, sipRequest } from "../../support/sip_messages.ts";

const invite = sipRequest("INVITE", {
  Via: "SIP/2.0/UDP 192.0.2.99:5070;branch=z9hG4bKours;rport",
  Route: ["<sip:p1.example.net;lr>", "<sip:p2.example.net;lr>"],
  CSeq: "17 INVITE",
  "Proxy-Authorization": 'Digest username="alice"',
  Require: "timer",
});

/** All headers as lines. */
function linesOf(request: { headers: typeof invite.headers }): string[] {
  return [...request.headers.entries()].map(([name, value]) => `${name}: ${value}`);
}

const shared = [
  "Via: SIP/2.0/UDP 192.0.2.99:5070;branch=z9hG4bKours;rport",
  "Route: <sip:p1.example.net;lr>",
  "Route: <sip:p2.example.net;lr>",
  "Max-Forwards: 70",
  "From: <sip:alice@example.net>;tag=alice-1",
];

Deno.test("failure ACK: the To of the response, everything else of the INVITE, nothing more", () => {
  const ack = createFailureAck(invite, responseTo(invite, 404, "b1"));
  const rest = ["To: <sip:bob@example.net>;tag=b1", "Call-ID: call-1", "CSeq: 17 ACK"];
  assert.deepEqual([ack.method, ack.uri, linesOf(ack)], ["ACK", invite.uri, [...shared, ...rest]]);
  assert.equal(ack.body.length, 0);
});

Deno.test("CANCEL: the To of the INVITE, no credentials, no Require", () => {
  const cancel = createCancel(invite);
  const rest = ["To: <sip:bob@example.net>", "Call-ID: call-1", "CSeq: 17 CANCEL"];
  assert.deepEqual([cancel.method, cancel.uri, linesOf(cancel)], ["CANCEL", invite.uri, [
    ...shared,
    ...rest,
  ]]);
});

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
