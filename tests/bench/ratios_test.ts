import assert from "node:assert/strict";
import { lossOf, median, medianRatio, slopeOf } from "../../bench/control/ratios.ts";

Deno.test("the median of odd and even numbers of values", () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([4, 1, 3, 2]), 2.5);
  assert.equal(median([7]), 7);
  assert.ok(Number.isNaN(median([])));
});

Deno.test("a ratio is that of adjacent slices: a slow spell of the machine is in both", () => {
  assert.equal(medianRatio([1.2, 12, 1.2], [1, 10, 1]), 1.2);
});

Deno.test("one disturbed slice does not move the median ratio", () => {
  assert.equal(medianRatio([1.2, 1.2, 99], [1, 1, 1]), 1.2);
});

Deno.test("loss is a share of what was sent; more received than sent is none", () => {
  assert.equal(lossOf(1000, 999), 0.001);
  assert.equal(lossOf(1000, 1001), 0);
  assert.equal(lossOf(0, 0), 0);
});

Deno.test("the slope through points", () => {
  assert.equal(slopeOf([[1, 10], [2, 20], [3, 30]]), 10);
  assert.equal(slopeOf([[0, 1], [1, 0], [2, 5]]), 2);
  assert.equal(slopeOf([[3, 10], [3, 20]]), null);
  assert.equal(slopeOf([]), null);
});
