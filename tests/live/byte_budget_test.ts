import assert from "node:assert/strict";
import { ByteBudget } from "../../lib/live/byte_budget.ts";

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
