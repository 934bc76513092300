import assert from "node:assert/strict";
import { LocalCounter } from "../../lib/base/counter.ts";

Deno.test("the tally of a gateway that is alone: here is everywhere", () => {
  const tally = new LocalCounter();
  tally.add(3);
  tally.add(-1);
  assert.deepEqual([tally.here, tally.everywhere], [2, 2]);
});
