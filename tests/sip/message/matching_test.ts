// Answers to: lib/sip/message/matching.ts. Which changes to a message leave it with the same transaction, and which do not.

import assert from "node:assert/strict";
import { WireError } from "../../../lib/base/errors.ts";
import {
  acknowledgementKey,
  clientKey,
  cseqOf,
  dialogId,
  dialogIdOfRequest,
  dialogIdOfResponse,
  hasUniqueBranch,
  mergeKey,
  responseKey,
  serverKey,
  tagsOf,
} from "../../../lib/sip/message/matching.ts";
import { type HeaderChanges, receivedRequest, responseTo, sipRequest } from "../../support/sip_messages.ts";

interface Row {
  readonly what: string;
  readonly same: boolean;
  readonly method?: string;
  readonly changes: HeaderChanges;
  readonly uri?: string;
}

const cookie = "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKpeer1";

/** RFC 3261 17.2.3 with a branch that starts with the magic cookie. */
const cookieRows: readonly Row[] = [
  { what: "a retransmission", same: true, changes: {} },
  { what: "any other header", same: true, changes: { "Call-ID": "other", From: "<sip:x@y.net>;tag=z" } },
  {
    what: "branch and host in other letters",
    same: true,
    changes: { Via: cookie.replace("z9hG4bKp", "Z9HG4BKP") },
  },
  { what: "the default port left out", same: true, changes: { Via: cookie.replace(":5060", "") } },
  { what: "received and rport", same: true, changes: { Via: `${cookie};received=10.0.0.1;rport=4` } },
  { what: "more Via below", same: true, changes: { Via: [cookie, "SIP/2.0/TCP p.example.net"] } },
  { what: "the ACK of a failure", same: true, method: "ACK", changes: {} },
  { what: "another branch", same: false, changes: { Via: cookie.replace("peer1", "peer2") } },
  { what: "another sent-by host", same: false, changes: { Via: cookie.replace("192.0.2.1", "192.0.2.2") } },
  { what: "another sent-by port", same: false, changes: { Via: cookie.replace("5060", "5062") } },
  { what: "another method", same: false, method: "CANCEL", changes: {} },
];

for (const row of cookieRows) {
  Deno.test(`matching by branch: ${row.what} is ${row.same ? "the same" : "another"} transaction`, () => {
    const first = serverKey(receivedRequest("INVITE"));
    const second = serverKey(receivedRequest(row.method ?? "INVITE", row.changes, row.uri));
    assert.equal(first === second, row.same);
  });
}

const old = "SIP/2.0/UDP 192.0.2.1:5060;branch=1";

/** RFC 3261 17.2.3 for requests of RFC 2543 elements. */
const oldRows: readonly Row[] = [
  { what: "a retransmission", same: true, changes: {} },
  {
    what: "the ACK, with a To tag",
    same: true,
    method: "ACK",
    changes: { CSeq: "1 ACK", To: "<sip:b@c>;tag=q" },
  },
  { what: "another Call-ID", same: false, changes: { "Call-ID": "call-2" } },
  { what: "another From tag", same: false, changes: { From: "<sip:alice@example.net>;tag=other" } },
  { what: "another CSeq", same: false, changes: { CSeq: "2 INVITE" } },
  { what: "another Via", same: false, changes: { Via: `${old};x=y` } },
  { what: "another Request-URI", same: false, changes: {}, uri: "sip:carol@example.net" },
  { what: "another method", same: false, method: "CANCEL", changes: { CSeq: "1 CANCEL" } },
];

for (const via of [old, "SIP/2.0/UDP 192.0.2.1:5060", "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK"]) {
  for (const row of oldRows) {
    Deno.test(`matching RFC 2543 (${via.slice(26) || "no branch"}): ${row.what}`, () => {
      const first = receivedRequest("INVITE", { Via: via });
      assert.equal(hasUniqueBranch(first), false);
      const second = receivedRequest(row.method ?? "INVITE", { Via: via, ...row.changes }, row.uri);
      assert.equal(serverKey(first) === serverKey(second), row.same);
    });
  }
}

Deno.test("matching: a CANCEL finds its INVITE with either kind of branch (9.2)", () => {
  for (const via of [cookie, old]) {
    const invite = receivedRequest("INVITE", { Via: via });
    const cancel = receivedRequest("CANCEL", { Via: via });
    assert.equal(serverKey(cancel, "INVITE"), serverKey(invite));
  }
});

Deno.test("matching: responses by branch and the method of CSeq (17.1.3)", () => {
  const ours = sipRequest("INVITE", { Via: "SIP/2.0/UDP 192.0.2.99:5070;branch=z9hG4bKours" });
  assert.equal(responseKey(responseTo(ours, 180)), clientKey("z9hG4bKours", "INVITE"));
  const cancel = sipRequest("CANCEL", { Via: "SIP/2.0/UDP 192.0.2.99:5070;branch=z9hG4bKours" });
  assert.equal(responseKey(responseTo(cancel, 200)), clientKey("z9hG4bKours", "CANCEL"));
  assert.notEqual(clientKey("z9hG4bKours", "INVITE"), clientKey("z9hG4bKours", "CANCEL"));
});

Deno.test("matching: merged requests differ in Via only; another user of the same port is no merge (8.2.2.2)", () => {
  const first = mergeKey(receivedRequest("INVITE"));
  assert.equal(mergeKey(receivedRequest("INVITE", { Via: `${cookie}x` })), first);
  assert.notEqual(mergeKey(receivedRequest("INVITE", { CSeq: "2 INVITE" })), first);
  assert.notEqual(mergeKey(receivedRequest("OPTIONS", { CSeq: "1 OPTIONS" })), first);
  assert.notEqual(mergeKey(receivedRequest("INVITE", {}, "sip:bob@example.net;line=2")), first);
});

Deno.test("matching: an ACK with a branch of its own belongs to the 2xx of its dialog and CSeq", () => {
  const invite = receivedRequest("INVITE", { CSeq: "5 INVITE" });
  const accepted = acknowledgementKey(responseTo(invite, 200, "us"));
  const ack = (changes: HeaderChanges): string =>
    acknowledgementKey(receivedRequest("ACK", {
      Via: `${cookie}-other`,
      To: "<sip:bob@example.net>;tag=us",
      CSeq: "5 ACK",
      ...changes,
    }));
  assert.equal(ack({}), accepted);
  assert.notEqual(ack({ CSeq: "6 ACK" }), accepted);
  assert.notEqual(ack({ To: "<sip:bob@example.net>;tag=you" }), accepted);
  assert.notEqual(ack({ "Call-ID": "call-2" }), accepted);
});

Deno.test("matching: dialog ids seen from our side (12)", () => {
  const inside = receivedRequest("BYE", {
    To: "<sip:us@x.net>;tag=ours",
    From: "<sip:them@x.net>;tag=theirs",
  });
  assert.equal(dialogIdOfRequest(inside), dialogId("call-1", "ours", "theirs"));
  const response = responseTo(sipRequest("INVITE", { Via: cookie }), 200, "theirs");
  assert.equal(dialogIdOfResponse(response), dialogId("call-1", "alice-1", "theirs"));
  assert.deepEqual(tagsOf(receivedRequest("OPTIONS", { From: "sip:old@x.net" })), { from: "", to: "" });
});

Deno.test("matching: what cannot be read is a WireError", () => {
  assert.throws(() => serverKey(receivedRequest("INVITE", { Via: "h", CSeq: "INVITE" })), WireError);
  assert.throws(() => cseqOf(receivedRequest("INVITE", { CSeq: "INVITE" })), WireError);
  assert.throws(() => cseqOf(receivedRequest("INVITE", { CSeq: null })), WireError);
});
