// Answers to: lib/gateway/access/late_refusals.ts.

import assert from "node:assert/strict";
import { LateRefusals, MAX_LATE_REFUSALS } from "../../../lib/gateway/access/late_refusals.ts";
import { FakeClock, settle } from "../../support/fake_clock.ts";

const NEVER = new AbortController().signal;

/** What is told, in order. */
function bench() {
  const clock = new FakeClock();
  const refusals = new LateRefusals(clock);
  const told: string[] = [];
  const wait = (name: string, ms: number, signal: AbortSignal = NEVER) =>
    void refusals.wait(ms, signal).then(() => told.push(name));
  return { clock, refusals, told, wait };
}

Deno.test("late refusals: each is told in its time, and leaves nothing", async () => {
  const { clock, refusals, told, wait } = bench();
  wait("slow", 2000);
  wait("quick", 1000);
  assert.equal(refusals.size, 2);
  await clock.advanceAsync(1000);
  assert.deepEqual(told, ["quick"]);
  await clock.advanceAsync(1000);
  assert.deepEqual(told, ["quick", "slow"]);
  assert.deepEqual([refusals.size, clock.pending], [0, 0]);
});

Deno.test("late refusals: a client that leaves does not wait", async () => {
  const { clock, refusals, told, wait } = bench();
  const gone = new AbortController();
  wait("gone", 8000, gone.signal);
  gone.abort();
  wait("gone before", 8000, gone.signal);
  await settle();
  assert.deepEqual([told, refusals.size, clock.pending], [["gone", "gone before"], 0, 0]);
});

Deno.test("late refusals: full, or asked to make room, the one that has waited longest is told", async () => {
  const { clock, refusals, told, wait } = bench();
  assert.equal(refusals.makeRoom(), false);
  for (let n = 0; n < MAX_LATE_REFUSALS + 2; n++) wait(`${n}`, 8000);
  await settle();
  assert.deepEqual([told, refusals.size], [["0", "1"], MAX_LATE_REFUSALS]);
  assert.equal(refusals.makeRoom(), true);
  await settle();
  assert.deepEqual([told.at(-1), refusals.size, clock.pending], [
    "2",
    MAX_LATE_REFUSALS - 1,
    MAX_LATE_REFUSALS - 1,
  ]);
  await clock.advanceAsync(8000);
});
