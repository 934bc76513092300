// Answers to: lib/sip/transaction/timer_set.ts.

import assert from "node:assert/strict";
import { TimerSet } from "../../../lib/sip/transaction/timer_set.ts";
import { FakeClock } from "../../support/fake_clock.ts";

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
