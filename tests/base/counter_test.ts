import assert from "node:assert/strict";
import { LocalCounter } from "../../lib/base/counter.ts";

Deno.test("the counter of a single gateway: its count is the whole count", () => {
  const tally = new LocalCounter();
  tally.add(3);
  tally.add(-1);
  assert.deepEqual([tally.here, tally.everywhere], [2, 2]);
});
