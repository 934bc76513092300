import assert from "node:assert/strict";
import { RecentMap } from "../../../lib/sip/transaction/recent_map.ts";
import { FakeClock } from "../../support/fake_clock.ts";

Deno.test("recent map: each is known for its time at least and twice that at most, by one timer", () => {
  const clock = new FakeClock();
  const keys = new RecentMap<string>(clock, 1000);
  const addedMs = new Map<string, number>();
  for (let at = 0; at < 40; at++) {
    keys.set(`k${at}`, `v${at}`, 5000);
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

Deno.test("recent map: no more than twice the limit are kept, and none without a time", () => {
  const clock = new FakeClock();
  using keys = new RecentMap<string>(clock, 10);
  keys.set("tcp", "v", 0);
  assert.deepEqual([keys.size, clock.pending], [0, 0]);
  for (let at = 0; at < 100; at++) keys.set(`k${at}`, `v${at}`, 5000);
  assert.ok(keys.size <= 20);
  keys.set("k99", "newer", 5000);
  assert.deepEqual([keys.get("k99"), keys.get("k91"), keys.get("k70")], ["newer", "v91", undefined]);
  assert.ok(keys.has("k99") && keys.has("k91") && !keys.has("k70"));
  keys[Symbol.dispose]();
  assert.deepEqual([keys.size, clock.pending, keys.has("k99")], [0, 0, false]);
});

Deno.test("recent map: a value that is set again replaces the older one", () => {
  const clock = new FakeClock();
  const map = new RecentMap<string | null>(clock, 10);
  map.set("a", null, 1000);
  assert.deepEqual([map.has("a"), map.get("a")], [true, null]);
  clock.advance(1000);
  map.set("a", "ack", 1000);
  assert.deepEqual([map.size, map.get("a")], [1, "ack"]);
  clock.advance(2000);
  assert.deepEqual([map.size, clock.pending], [0, 0]);
});
