import assert from "node:assert/strict";
import { RestartSchedule } from "../../lib/workers/restart_schedule.ts";
import { FakeClock } from "../support/fake_clock.ts";

Deno.test("a worker is replaced at once, one that breaks down again and again ever later, up to 30 s", () => {
  const clock = new FakeClock();
  const schedule = new RestartSchedule(clock);
  const waits: number[] = [];
  for (let i = 0; i < 9; i++) {
    const waitMs = schedule.brokeDown();
    waits.push(waitMs);
    clock.advance(waitMs + 10);
  }
  assert.deepEqual(waits, [50, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000]);
});

Deno.test("one that has run well for a minute begins anew", () => {
  const clock = new FakeClock();
  const schedule = new RestartSchedule(clock);
  schedule.brokeDown();
  clock.advance(1000);
  assert.equal(schedule.brokeDown(), 1000);
  clock.advance(62_000);
  assert.equal(schedule.brokeDown(), 50);
});
