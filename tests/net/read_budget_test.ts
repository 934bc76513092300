import assert from "node:assert/strict";
import { ReadBudget, TURN_MS, TURN_PACKETS } from "../../lib/net/read_budget.ts";

/** How often a sender of so many packets a second, for ten seconds, is made to wait. */
function pauses(perSecond: number): number {
  const turn = new ReadBudget();
  let count = 0;
  for (let i = 0; i < 10 * perSecond; i++) if (turn.isOver(() => 1_000 + i * 1_000 / perSecond)) count++;
  return count;
}

Deno.test("a flood waits once in so many packets, ordinary traffic never", () => {
  const limit = TURN_PACKETS * 1_000 / TURN_MS;
  assert.equal(pauses(limit * 2), limit * 2 * 10 / TURN_PACKETS - 1); // the first turn has no beginning
  assert.equal(pauses(limit / 2), 0);
});

Deno.test("the time is asked for once in so many packets", () => {
  const turn = new ReadBudget();
  let asked = 0;
  for (let i = 0; i < 10 * TURN_PACKETS; i++) turn.isOver(() => ++asked);
  assert.equal(asked, 10);
});
