// Tests of lib/sip/ua/reliable_provisional.ts: header values, receiving order, retransmission and PRACK matching.

import assert from "node:assert/strict";
import {
  MAX_WAITING_PROVISIONALS,
  rackOf,
  ReliableReceiver,
  ReliableSender,
  reliableSequence,
} from "../../../lib/sip/ua/reliable_provisional.ts";
import { SipHeaders } from "../../../lib/sip/message/header.ts";
import type { RAck } from "../../../lib/sip/message/header_values.ts";
import { NO_BODY, type SipRequest, type SipResponse } from "../../../lib/sip/message/message.ts";
import { sipUri } from "../../../lib/sip/message/uri.ts";
import { FakeClock } from "../../support/fake_clock.ts";

function provisional(status: number, headers: readonly (readonly [string, string])[]): SipResponse {
  return { kind: "response", status, reason: "", headers: new SipHeaders(headers), body: NO_BODY };
}

Deno.test("only a 101-199 with Require: 100rel and an RSeq is to be acknowledged", () => {
  const reliable = [["Require", "timer, 100REL"], ["RSeq", "988789"]] as const;
  assert.equal(reliableSequence(provisional(183, reliable)), 988789);
  assert.equal(reliableSequence(provisional(100, reliable)), null);
  assert.equal(reliableSequence(provisional(200, reliable)), null);
  assert.equal(reliableSequence(provisional(180, [["RSeq", "1"]])), null);
  assert.equal(reliableSequence(provisional(180, [["Require", "100rel"]])), null);
  assert.equal(reliableSequence(provisional(180, [["Require", "100rel"], ["RSeq", "0"]])), null);
});

Deno.test("RAck is read or found missing", () => {
  const prack = (headers: readonly (readonly [string, string])[]): SipRequest => (
    { kind: "request", method: "PRACK", uri: sipUri("h"), headers: new SipHeaders(headers), body: NO_BODY }
  );
  assert.deepEqual(rackOf(prack([["RAck", "776656 1 INVITE"]])), rack(776656, 1, "INVITE"));
  for (const bad of ["1 INVITE", "a 1 INVITE"]) assert.equal(rackOf(prack([["RAck", bad]])), null);
  assert.equal(rackOf(prack([])), null);
});

function rack(responseSequence: number, sequence: number, method: string): RAck {
  return { responseSequence, cseq: { sequence, method } };
}

Deno.test("a receiver takes each reliable response once and in order", () => {
  const receiver = new ReliableReceiver();
  const seen = [500, 500, 502, 501, 502, 499].map((rseq) => receiver.accept(rseq));
  assert.deepEqual(seen, ["new", "duplicate", "gap", "new", "new", "duplicate"]);
});

function recorded(): {
  clock: FakeClock;
  sender: ReliableSender<string>;
  happened: string[];
  at: () => number;
} {
  const clock = new FakeClock();
  const from = clock.now();
  const at = () => clock.now() - from;
  const happened: string[] = [];
  const sender = new ReliableSender<string>(clock, 500, 7, {
    send: (response, rseq) => happened.push(`${at()} ${response} ${rseq}`),
    acknowledged: (response) => happened.push(`${at()} acknowledged ${response}`),
    failed: () => happened.push(`${at()} failed`),
  });
  return { clock, sender, happened, at };
}

Deno.test("a response is repeated at T1, doubling, and fails after 64*T1", () => {
  const { clock, sender, happened } = recorded();
  assert.equal(sender.send("180"), true);
  clock.advance(40_000);
  assert.deepEqual(happened, [
    "0 180 7",
    "500 180 7",
    "1500 180 7",
    "3500 180 7",
    "7500 180 7",
    "15500 180 7",
    "31500 180 7",
    "32000 failed",
  ]);
  assert.equal(clock.pending, 0);
});

Deno.test("a PRACK stops the repetition and lets the next response go", () => {
  const { clock, sender, happened } = recorded();
  sender.send("180");
  sender.send("183");
  clock.advance(600);
  assert.equal(sender.awaits(rack(7, 2, "INVITE"), 1), false);
  assert.equal(sender.awaits(rack(8, 1, "INVITE"), 1), false);
  assert.equal(sender.awaits(rack(7, 1, "UPDATE"), 1), false);
  assert.equal(sender.awaits(rack(7, 1, "INVITE"), 1), true);
  sender.acknowledge();
  assert.equal(sender.awaits(rack(7, 1, "INVITE"), 1), false);
  assert.equal(sender.unacknowledged, true);
  assert.equal(sender.awaits(rack(8, 1, "INVITE"), 1), true);
  sender.acknowledge();
  assert.equal(sender.unacknowledged, false);
  assert.deepEqual(happened, [
    "0 180 7",
    "500 180 7",
    "600 acknowledged 180",
    "600 183 8",
    "600 acknowledged 183",
  ]);
  assert.equal(clock.pending, 0);
});

Deno.test("the waiting line of responses is bounded", () => {
  const { clock, sender } = recorded();
  for (let n = 0; n <= MAX_WAITING_PROVISIONALS; n++) assert.equal(sender.send(`${n}`), true);
  assert.equal(sender.send("too many"), false);
  sender[Symbol.dispose]();
  assert.equal(clock.pending, 0);
});
