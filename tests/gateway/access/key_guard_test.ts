import assert from "node:assert/strict";
import { AddressLimits } from "../../../lib/gateway/access/address_limits.ts";
import {
  KeyGuard,
  type KeyOutcome,
  LateRefusals,
  MAX_LATE_REFUSALS,
} from "../../../lib/gateway/access/key_guard.ts";
import { FakeClock, settle } from "../../support/fake_clock.ts";
import { RecordLog } from "../../support/record_log.ts";

const KEY = "correct-horse-battery";
const NEVER = new AbortController().signal;

class Bench {
  readonly clock = new FakeClock();
  readonly refusals = new LateRefusals(this.clock);
  readonly log = new RecordLog();
  readonly limits: AddressLimits;
  readonly guard: KeyGuard;

  constructor(failedLogins = 3) {
    this.limits = new AddressLimits({ connections: 0, failedLogins, calls: 0 }, this.clock);
    this.guard = new KeyGuard(this.limits, this);
  }

  check(shown: string | null, expected: string | null = KEY, signal = NEVER): KeyOutcome {
    return this.guard.check({ address: "192.0.2.1", what: "the account desk", expected, shown }, signal);
  }

  /** The reason, and after how long it may be told. */
  async refused(outcome: KeyOutcome): Promise<[string, number]> {
    if (outcome.type !== "refused") throw new Error("it was accepted");
    const startMs = this.clock.now();
    let toldMs = NaN;
    void outcome.told.then(() => toldMs = this.clock.now() - startMs);
    for (let i = 0; i < 100 && Number.isNaN(toldMs); i++) await this.clock.advanceAsync(500);
    return [outcome.reason, toldMs];
  }
}

Deno.test("the right key, and anything where none is asked for, is accepted at once and not logged", () => {
  const bench = new Bench();
  assert.deepEqual(bench.check(KEY), { type: "accepted" });
  assert.deepEqual(bench.check(null, null), { type: "accepted" });
  assert.deepEqual(bench.check("whatever", null), { type: "accepted" });
  assert.deepEqual(bench.log.lines, []);
});

Deno.test("a wrong key and a missing one are told later each time, then every key is refused for a while", async () => {
  const bench = new Bench();
  assert.deepEqual(await bench.refused(bench.check("wrong-secret")), ["the key is wrong", 1000]);
  assert.deepEqual(await bench.refused(bench.check(null)), ["a key is needed: ...?key=KEY", 2000]);
  assert.deepEqual(await bench.refused(bench.check("")), ["the key is wrong", 4000]);
  const late = await bench.refused(bench.check(KEY));
  assert.deepEqual(late, ["too many failed logins, try again later", 8000]);
  assert.equal(bench.limits.mayLogIn("192.0.2.1"), false, "logins count the same failures");
  assert.equal(bench.limits.mayLogIn("192.0.2.2"), true);
  assert.ok(!bench.log.lines.join().includes("wrong-secret"));
  assert.equal(bench.log.lines.length, 4);
});

Deno.test("a client that has left is waited for no longer", async () => {
  const bench = new Bench();
  const left = new AbortController();
  const outcome = bench.check("wrong", KEY, left.signal);
  assert.equal(bench.clock.pending, 1);
  left.abort();
  assert.deepEqual(await bench.refused(outcome), ["the key is wrong", 0]);
  assert.equal(bench.clock.pending, 0);
});

Deno.test("a flood of wrong keys holds no more than a bounded number of timers", async () => {
  const bench = new Bench(0);
  const outcomes = Array.from({ length: 300 }, () => bench.check("wrong"));
  assert.equal(bench.clock.pending, 256);
  await settle();
  await bench.clock.advanceAsync(10_000);
  assert.equal(bench.clock.pending, 0);
  assert.ok(outcomes.every(({ type }) => type === "refused"));
});

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
