// Answers to: lib/sip/transaction/timers.ts. The table of RFC 3261 appendix A (timers L and M of RFC 6026), with its defaults.

import assert from "node:assert/strict";
import { defaultTimers, giveUpMs, TimerSet, timerTable } from "../../../lib/sip/transaction/timers.ts";
import { FakeClock } from "../../support/fake_clock.ts";

Deno.test("timers: over UDP", () => {
  assert.deepEqual(timerTable(defaultTimers, false), {
    A: 500,
    B: 32000,
    D: 32000,
    E: 500,
    F: 32000,
    G: 500,
    H: 32000,
    I: 5000,
    J: 32000,
    K: 5000,
    L: 32000,
    M: 32000,
    "100": 200,
  });
});

Deno.test("timers: over TCP nothing is retransmitted and nothing lingers but 2xx", () => {
  const table = timerTable(defaultTimers, true);
  assert.deepEqual([table.A, table.E, table.G], [null, null, null]);
  assert.deepEqual([table.D, table.I, table.J, table.K], [0, 0, 0, 0]);
  assert.deepEqual([table.B, table.F, table.H, table.L, table.M], [32000, 32000, 32000, 32000, 32000]);
});

Deno.test("timers: all follow T1, T2 and T4", () => {
  const values = { t1: 10, t2: 80, t4: 100 };
  const table = timerTable(values, false);
  assert.equal(giveUpMs(values), 640);
  assert.deepEqual([table.A, table.B, table.I, table.L, table["100"]], [10, 640, 100, 640, 10]);
});

Deno.test("timer set: fires once, by name", () => {
  const clock = new FakeClock();
  const fired: string[] = [];
  const timers = new TimerSet<"A" | "B">(clock, (name) => fired.push(`${clock.now()} ${name}`));
  timers.start("A", 10);
  timers.start("B", 20);
  clock.advance(15);
  assert.deepEqual([fired, timers.size], [["10 A"], 1]);
  clock.advance(100);
  assert.deepEqual([fired, timers.size, clock.pending], [["10 A", "20 B"], 0, 0]);
});

Deno.test("timer set: starting again replaces, null and stop remove", () => {
  const clock = new FakeClock();
  const fired: string[] = [];
  const timers = new TimerSet<"A" | "B">(clock, (name) => fired.push(`${clock.now()} ${name}`));
  timers.start("A", 10);
  timers.start("A", 30);
  timers.start("B", 5);
  timers.start("B", null);
  timers.stop("B");
  clock.advance(100);
  assert.deepEqual(fired, ["30 A"]);
});

Deno.test("timer set: a timer may restart itself, and the set may be cleared from a timer", () => {
  const clock = new FakeClock();
  let count = 0;
  const timers: TimerSet<"A" | "B"> = new TimerSet(clock, (name) => {
    count += 1;
    if (count < 3) timers.start(name, 10);
    else timers[Symbol.dispose]();
  });
  timers.start("A", 10);
  timers.start("B", 1000);
  clock.advance(100);
  assert.deepEqual([count, timers.size, clock.pending], [3, 0, 0]);
});
