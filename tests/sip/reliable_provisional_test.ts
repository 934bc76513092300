// Tests of lib/sip/reliable_provisional.ts: header values, receiving order, retransmission and PRACK matching.

import assert from "node:assert/strict";
import {
  formatRAck,
  MAX_WAITING_PROVISIONALS,
  parseRAck,
  parseRSeq,
  ReliableReceiver,
  ReliableSender,
} from "../../lib/sip/reliable_provisional.ts";
import { FakeClock } from "../support/fake_clock.ts";

Deno.test("RSeq and RAck values are read strictly", () => {
  assert.equal(parseRSeq(" 988789 "), 988789);
  for (const bad of [null, "", "0", "-1", "4294967296", "1 2"]) assert.equal(parseRSeq(bad), null);
  const rack = parseRAck("776656 1 INVITE");
  assert.deepEqual(rack, { rseq: 776656, cseq: 1, method: "INVITE" });
  assert.equal(rack && formatRAck(rack), "776656 1 INVITE");
  for (const bad of [null, "", "1 INVITE", "1 2", "a 1 INVITE", "1 1 IN VITE"]) {
    assert.equal(parseRAck(bad), null);
  }
});

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
  assert.equal(sender.acknowledge({ rseq: 7, cseq: 2, method: "INVITE" }, 1), false);
  assert.equal(sender.acknowledge({ rseq: 8, cseq: 1, method: "INVITE" }, 1), false);
  assert.equal(sender.acknowledge({ rseq: 7, cseq: 1, method: "UPDATE" }, 1), false);
  assert.equal(sender.acknowledge({ rseq: 7, cseq: 1, method: "INVITE" }, 1), true);
  assert.equal(sender.acknowledge({ rseq: 7, cseq: 1, method: "INVITE" }, 1), false);
  assert.equal(sender.unacknowledged, true);
  assert.equal(sender.acknowledge({ rseq: 8, cseq: 1, method: "INVITE" }, 1), true);
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
