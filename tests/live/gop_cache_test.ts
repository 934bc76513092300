import assert from "node:assert/strict";
import { ByteBudget, GopCache } from "../../lib/live/gop_cache.ts";

const BUDGET = 10_000_000;

function contents(cache: GopCache): string[] {
  const lines: string[] = [];
  for (let at = 0; at < cache.size; at++) {
    lines.push(`${cache.typeAt(at)} ${cache.timeMsAt(at)} ${cache.bodyAt(at)}`);
  }
  return lines;
}

Deno.test("what came since the last key frame is here, as it was", () => {
  const cache = new GopCache(1000, new ByteBudget(BUDGET));
  assert.equal(cache.add(8, 0, Uint8Array.of(1)), false);
  cache.begin();
  const body = Uint8Array.of(1, 2);
  assert.ok(cache.add(9, 10, body));
  body.fill(9); // it was copied
  assert.ok(cache.add(8, 20, new Uint8Array(0)));
  assert.ok(cache.add(18, 30, Uint8Array.of(3)));
  assert.deepEqual(contents(cache), ["9 10 1,2", "8 20 ", "18 30 3"]);
  cache.begin();
  assert.deepEqual([cache.size, cache.open], [0, true]);
  assert.ok(cache.add(9, 40, Uint8Array.of(4)));
  assert.deepEqual(contents(cache), ["9 40 4"]);
});

Deno.test("a group that is too long is given up, and the next one is kept again", () => {
  const cache = new GopCache(100, new ByteBudget(BUDGET));
  cache.begin();
  assert.ok(cache.add(9, 0, new Uint8Array(60)));
  assert.ok(cache.add(9, 0, new Uint8Array(40)));
  assert.equal(cache.add(9, 0, new Uint8Array(1)), false);
  assert.deepEqual([cache.open, cache.size], [false, 2]);
  assert.equal(cache.add(9, 0, new Uint8Array(0)), false);
  cache.begin();
  assert.ok(cache.add(9, 0, new Uint8Array(100)));
});

Deno.test("many tiny tags are a bound as well", () => {
  const cache = new GopCache(1_000_000, new ByteBudget(BUDGET));
  cache.begin();
  let taken = 0;
  while (taken < 100_000 && cache.add(8, taken, new Uint8Array(1))) taken++;
  assert.equal(taken, 8192);
});

Deno.test("memory is shared, and given back", () => {
  const budget = new ByteBudget(100_000);
  const a = new GopCache(90_000, budget);
  const b = new GopCache(90_000, budget);
  a.begin();
  b.begin();
  assert.ok(a.add(9, 0, new Uint8Array(80_000)));
  assert.equal(b.add(9, 0, new Uint8Array(1)), false);
  assert.ok(budget.used >= 80_000 && budget.used <= 100_000);
  a.close();
  assert.equal(budget.used, 0);
  b.begin();
  assert.ok(b.add(9, 0, new Uint8Array(1)));
  b[Symbol.dispose]();
  assert.deepEqual([budget.used, b.open, b.size], [0, false, 0]);
});

Deno.test("a cache of no bytes keeps nothing", () => {
  const cache = new GopCache(0, new ByteBudget(BUDGET));
  cache.begin();
  assert.equal(cache.add(9, 0, Uint8Array.of(1)), false);
  assert.equal(cache.open, false);
});

Deno.test("what is kept grows stale: a group that lasts, pictures that stop, times that jump", () => {
  const table: [
    what: string,
    tags: [type: 8 | 9, timeMs: number, nowMs: number][],
    at: [number, number],
    boolean,
  ][] = [
    ["nothing", [], [1e9, 1e9], false],
    ["a group of 30 s", [[9, 0, 0], [9, 29_900, 29_900]], [30_000, 30_000], false],
    ["a longer one", [[9, 0, 0], [9, 29_900, 29_900]], [30_001, 30_001], true],
    ["pictures a moment ago", [[9, 0, 0], [8, 3000, 3000]], [3000, 3000], false],
    ["pictures that stopped", [[9, 0, 0], [8, 3000, 3000]], [3001, 3001], true],
    ["by the publisher's clock alone", [[9, 0, 0]], [3001, 0], true],
    ["by ours alone", [[9, 0, 0]], [0, 3001], true],
    ["times that jump back", [[9, 90_000, 0], [9, 100, 40]], [100, 40], true],
    ["times that jump back a little", [[9, 1000, 0], [9, 900, 40]], [900, 40], false],
  ];
  for (const [what, tags, [timeMs, nowMs], stale] of table) {
    using cache = new GopCache(1000, new ByteBudget(BUDGET));
    cache.begin();
    for (const [type, tagMs, arrivedMs] of tags) cache.add(type, tagMs, Uint8Array.of(1), arrivedMs);
    assert.equal(cache.isStale(timeMs, nowMs), stale, what);
  }
});

Deno.test("bytes are there until they are spent, and again when given back", () => {
  const budget = new ByteBudget(100);
  assert.deepEqual([budget.take(60), budget.take(41), budget.take(40), budget.take(1)], [
    true,
    false,
    true,
    false,
  ]);
  assert.equal(budget.used, 100);
  budget.give(60);
  assert.deepEqual([budget.take(61), budget.take(60), budget.used], [false, true, 100]);
});
