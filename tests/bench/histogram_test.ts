import assert from "node:assert/strict";
import fc from "fast-check";
import { Histogram } from "../../bench/load/histogram.ts";

function of(values: readonly number[]): Histogram {
  const histogram = new Histogram();
  for (const value of values) histogram.record(value);
  return histogram;
}

/** The value of that rank, found by sorting. */
function exactPercentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(1, Math.ceil(share * sorted.length)) - 1]!;
}

Deno.test("small values are exact, the largest always is", () => {
  const histogram = of([0, 1, 2, 3, 31, 31, 1_234_567]);
  assert.equal(histogram.percentileUs(0.5), 3);
  assert.equal(histogram.percentileUs(6 / 7), 31);
  assert.equal(histogram.percentileUs(1), 1_234_567);
  assert.equal(histogram.maxUs, 1_234_567);
  assert.equal(histogram.count, 7);
});

Deno.test("nothing recorded: nothing is claimed", () => {
  const histogram = new Histogram();
  assert.deepEqual(histogram.percentiles(), { count: 0, p50Ms: 0, p99Ms: 0, maxMs: 0 });
  assert.equal(histogram.meanUs, 0);
});

Deno.test("a time before its own beginning counts as none", () => {
  assert.equal(of([-5]).percentileUs(1), 0);
});

Deno.test("percentiles are never below the exact ones and at most a bin above", () => {
  const values = fc.array(fc.integer({ min: 0, max: 60_000_000 }), { minLength: 1, maxLength: 300 });
  fc.assert(fc.property(values, fc.double({ min: 0.01, max: 1, noNaN: true }), (all, share) => {
    const exact = exactPercentile(all, share);
    const told = of(all).percentileUs(share);
    assert.ok(told >= exact, `${told} for ${exact}`);
    assert.ok(told <= exact * (1 + 1 / 32), `${told} for ${exact}`);
  }));
});

Deno.test("histograms travel as JSON and add up", () => {
  const values = fc.array(fc.integer({ min: 0, max: 10_000_000 }), { maxLength: 100 });
  fc.assert(fc.property(values, values, (a, b) => {
    const parts = [of(a), of(b)].map((part) => JSON.parse(JSON.stringify(part)));
    assert.deepEqual(Histogram.sum(parts).toJSON(), of([...a, ...b]).toJSON());
  }));
});

Deno.test("a cleared histogram starts over", () => {
  const histogram = of([5, 500_000]);
  histogram.clear();
  assert.deepEqual(histogram.toJSON(), { bins: [], maxUs: 0, sumUs: 0 });
});
