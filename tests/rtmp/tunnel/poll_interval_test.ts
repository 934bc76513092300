import assert from "node:assert/strict";
import { PollInterval } from "../../../lib/rtmp/tunnel/poll_interval.ts";

Deno.test("the interval grows by siprtmp's steps while nothing flows, and falls at once", () => {
  const interval = new PollInterval();
  const seen: number[] = [];
  for (let i = 0; i < 200; i++) {
    const next = interval.next(false);
    if (next !== seen.at(-1)) seen.push(next);
  }
  assert.deepEqual(seen, [1, 3, 5, 9, 17, 33]);
  assert.equal(interval.next(true), 1);
  assert.equal(interval.next(false), 1);
});
