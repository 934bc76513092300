// Many timers on one, under a fake clock: order, disposal in every place, failures, and nothing left behind.

import assert from "node:assert/strict";
import fc from "fast-check";
import { SharedTimers } from "../../lib/base/shared_timers.ts";
import { FakeClock } from "../support/fake_clock.ts";

function never(error: unknown): never {
  throw error;
}

Deno.test("shared timers: all run in time and in order, on one timer of the clock below", () => {
  const clock = new FakeClock(5);
  const timers = new SharedTimers(clock, never);
  const ran: string[] = [];
  const note = (name: string) => () => ran.push(`${name} at ${timers.now()}`);
  timers.after(20, note("c"));
  timers.after(10, note("a"));
  timers.after(10, note("b"));
  timers.after(-1, note("now"));
  assert.deepEqual([timers.size, clock.pending, timers.wallMs()], [4, 1, clock.wallMs()]);
  clock.advance(19);
  assert.deepEqual(ran, ["now at 5", "a at 15", "b at 15"]);
  clock.advance(1);
  assert.deepEqual([ran.at(-1), timers.size, clock.pending], ["c at 25", 0, 0]);
});

Deno.test("shared timers: one that was disposed does not run, and the last one leaves nothing on the clock", () => {
  const clock = new FakeClock();
  const timers = new SharedTimers(clock, never);
  const ran: number[] = [];
  const first = timers.after(10, () => ran.push(10));
  const second = timers.after(20, () => ran.push(20));
  first[Symbol.dispose]();
  clock.advance(15);
  assert.deepEqual([ran, timers.size, clock.pending], [[], 1, 1]);
  second[Symbol.dispose]();
  second[Symbol.dispose]();
  assert.deepEqual([timers.size, clock.pending], [0, 0]);
  clock.advance(100);
  assert.deepEqual(ran, []);
});

Deno.test("shared timers: what one throws is told, what one sets runs, what one disposes does not", () => {
  const clock = new FakeClock();
  const errors: unknown[] = [];
  const timers = new SharedTimers(clock, (error) => errors.push(error));
  const ran: string[] = [];
  timers.after(10, () => {
    timers.after(0, () => ran.push("again"));
    third[Symbol.dispose]();
    throw new Error("our bug");
  });
  timers.after(10, () => ran.push("second"));
  const third = timers.after(10, () => ran.push("third"));
  clock.advance(10);
  assert.deepEqual(ran, ["second", "again"]);
  assert.match(String(errors[0]), /our bug/);
  assert.equal(errors.length, 1);
  assert.equal(clock.pending, 0);
});

Deno.test("shared timers: any mixture of setting, disposing and waiting runs as on timers of their own", () => {
  const step = fc.oneof(
    fc.record({ type: fc.constant("set" as const), ms: fc.integer({ min: 0, max: 50 }) }),
    fc.record({ type: fc.constant("dispose" as const), which: fc.nat(40) }),
    fc.record({ type: fc.constant("wait" as const), ms: fc.integer({ min: 0, max: 20 }) }),
  );
  fc.assert(fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
    const run = (shared: boolean): string[] => {
      const below = new FakeClock();
      const clock = shared ? new SharedTimers(below, never) : below;
      const ran: string[] = [];
      const set: Disposable[] = [];
      for (const one of steps) {
        if (one.type === "wait") below.advance(one.ms);
        else if (one.type === "dispose") set[one.which]?.[Symbol.dispose]();
        else {
          const name = set.length;
          set.push(clock.after(one.ms, () => ran.push(`${name} at ${clock.now()}`)));
        }
      }
      below.advance(100);
      assert.equal(below.pending, 0);
      return ran;
    };
    assert.deepEqual(run(true), run(false));
  }));
});
