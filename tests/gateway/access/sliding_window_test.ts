import assert from "node:assert/strict";
import fc from "fast-check";
import { SlidingWindow } from "../../../lib/gateway/access/sliding_window.ts";
import { FakeClock } from "../../support/fake_clock.ts";

Deno.test("what happened fades out over the window after it, and is gone after two", () => {
  const clock = new FakeClock();
  const window = new SlidingWindow(1000, clock);
  for (let i = 0; i < 8; i++) window.add("a");
  assert.equal(window.count("a"), 8);
  assert.equal(window.count("b"), 0);
  const seen: number[] = [];
  for (let step = 0; step < 5; step++) {
    clock.advance(step === 0 ? 1000 : 250);
    seen.push(window.count("a"));
  }
  assert.deepEqual(seen, [8, 6, 4, 2, 0]);
  clock.advance(250);
  window.add("a");
  assert.equal(window.count("a"), 1);
});

Deno.test("present and previous add up", () => {
  const clock = new FakeClock();
  const window = new SlidingWindow(1000, clock);
  clock.advance(900);
  for (let i = 0; i < 10; i++) window.add("a");
  clock.advance(600);
  window.add("a");
  assert.equal(window.count("a"), 6);
  window.clear("a");
  assert.equal(window.count("a"), 0);
});

Deno.test("keys are bounded; the one counted longest ago is forgotten", () => {
  const window = new SlidingWindow(1000, new FakeClock(), 3);
  for (const key of ["a", "b", "c", "a", "d"]) window.add(key);
  assert.equal(window.size, 3);
  assert.deepEqual(["a", "b", "c", "d"].map((key) => window.count(key)), [2, 0, 1, 1]);
});

Deno.test("a count is never negative and never above what was added", () => {
  const steps = fc.array(fc.record({ wait: fc.nat(3000), key: fc.constantFrom("a", "b", "c") }));
  fc.assert(fc.property(steps, (script) => {
    const clock = new FakeClock();
    const window = new SlidingWindow(1000, clock, 2);
    const added = new Map<string, number>();
    for (const { wait, key } of script) {
      clock.advance(wait);
      window.add(key);
      added.set(key, (added.get(key) ?? 0) + 1);
      for (const [name, count] of added) {
        assert.ok(window.count(name) >= 0 && window.count(name) <= count);
      }
      assert.ok(window.count(key) >= 1);
      assert.ok(window.size <= 2);
    }
  }));
});
