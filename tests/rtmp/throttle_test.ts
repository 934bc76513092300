import assert from "node:assert/strict";
import { Throttle } from "../../lib/rtmp/throttle.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";

const LIMITS = { readBytesPerSecond: 1_000, commandsPerSecond: 10 };

function scene() {
  const clock = new FakeClock(10_000);
  const throttle = new Throttle(LIMITS, clock);
  const pauses: number[] = [];
  const wait = (ms: number) => {
    const state = { ended: false };
    void throttle.wait(ms, (nowMs) => void pauses.push(nowMs)).then(() => state.ended = true);
    return state;
  };
  return { clock, throttle, pauses, wait };
}

Deno.test("totals are turned into what is new", () => {
  const { clock, throttle } = scene();
  assert.equal(throttle.waitMs(1_000, 1, clock.now()), 750);
  assert.equal(throttle.waitMs(1_000, 1, clock.now()), 750);
  assert.equal(throttle.waitMs(1_100, 1, clock.now()), 850);
  assert.equal(clock.pending, 0);
});

Deno.test("a long wait is a second at a time, and holds no timer afterwards", async () => {
  const { clock, throttle, pauses, wait } = scene();
  const state = wait(throttle.waitMs(2_750, 0, clock.now()));
  await clock.advanceAsync(2_499);
  assert.ok(!state.ended);
  await clock.advanceAsync(1);
  assert.deepEqual([state.ended, pauses, clock.pending], [true, [11_000, 12_000, 12_500], 0]);
});

Deno.test("the end of the connection ends the wait, and there is no other", async () => {
  const { clock, throttle, wait } = scene();
  const state = wait(throttle.waitMs(100_000, 0, clock.now()));
  await clock.advanceAsync(500);
  throttle.release();
  await settle();
  assert.deepEqual([state.ended, clock.pending], [true, 0]);
  assert.equal(throttle.waitMs(200_000, 0, clock.now()), 0);
});

Deno.test("a few bytes are looked at together with the next ones, but not while earlier ones are to be paid for", () => {
  const { clock, throttle } = scene();
  assert.equal(throttle.waitMs(249, 0, clock.now()), 0);
  for (let bytes = 250; bytes < 256; bytes++) assert.equal(throttle.waitMs(bytes, 0, clock.now()), 0);
  assert.equal(throttle.waitMs(256, 0, clock.now()), 6, "7 bytes together");
  assert.equal(throttle.waitMs(257, 0, clock.now()), 7);
});
