import assert from "node:assert/strict";
import { LocalTally } from "../../lib/base/tally.ts";

Deno.test("the tally of a gateway that is alone: here is everywhere", () => {
  const tally = new LocalTally();
  tally.add(3);
  tally.add(-1);
  assert.deepEqual([tally.here, tally.everywhere], [2, 2]);
});
