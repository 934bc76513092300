import assert from "node:assert/strict";
import { AnsweredKeys } from "../../lib/sip/answered_keys.ts";
import { FakeClock } from "../support/fake_clock.ts";

Deno.test("answered keys: each is known for its time at least and twice that at most, by one timer", () => {
  const clock = new FakeClock();
  const keys = new AnsweredKeys(clock, 1000);
  const addedMs = new Map<string, number>();
  for (let at = 0; at < 40; at++) {
    keys.add(`k${at}`, 5000);
    addedMs.set(`k${at}`, clock.now());
    assert.equal(clock.pending, 1);
    clock.advance(700);
    for (const [key, ms] of addedMs) {
      const age = clock.now() - ms;
      if (age < 5000) assert.ok(keys.has(key), `${key} after ${age} ms`);
      if (age > 10_000) assert.ok(!keys.has(key), `${key} after ${age} ms`);
    }
  }
  clock.advance(20_000);
  assert.deepEqual([keys.size, clock.pending], [0, 0]);
});

Deno.test("answered keys: no more than twice the limit are kept, and none without a time", () => {
  const clock = new FakeClock();
  using keys = new AnsweredKeys(clock, 10);
  keys.add("tcp", 0);
  assert.deepEqual([keys.size, clock.pending], [0, 0]);
  for (let at = 0; at < 100; at++) keys.add(`k${at}`, 5000);
  assert.ok(keys.size <= 20);
  assert.ok(keys.has("k99") && keys.has("k91") && !keys.has("k70"));
  keys[Symbol.dispose]();
  assert.deepEqual([keys.size, clock.pending, keys.has("k99")], [0, 0, false]);
});
