import assert from "node:assert/strict";
import { type PaceLimits, ReadPace, Throttle } from "../../lib/rtmp/throttle.ts";
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

const READ_PACE_LIMITS: PaceLimits = { readBytesPerSecond: 1_000_000, commandsPerSecond: 100 };

/** What gets through in ten seconds of somebody who always has more, in reads of this size. */
function greedy(limits: PaceLimits, bytes: number, commands: number): { bytes: number; commands: number } {
  const pace = new ReadPace(limits);
  const read = { bytes: 0, commands: 0 };
  for (let nowMs = 0; nowMs < 10_000;) {
    read.bytes += bytes;
    read.commands += commands;
    nowMs += pace.waitMs(bytes, commands, nowMs) || 0.01;
  }
  return read;
}

Deno.test("more than the rate waits, in bytes and in commands", () => {
  const video = greedy(READ_PACE_LIMITS, 64 * 1024, 0).bytes;
  assert.ok(video > 10_000_000 && video < 10_000_000 + 250_000 + 2 * 64 * 1024, `${video}`);
  const { commands } = greedy(READ_PACE_LIMITS, 1_000, 32);
  assert.ok(commands > 1_000 && commands < 1_000 + 200 + 64, `${commands}`);
});

Deno.test("less than the rate never waits, nor does a burst", () => {
  const pace = new ReadPace(READ_PACE_LIMITS);
  for (let nowMs = 0; nowMs < 60_000; nowMs += 20) {
    const keyFrame = nowMs % 2_000 === 0;
    assert.equal(pace.waitMs(keyFrame ? 200_000 : 10_000, nowMs === 0 ? 50 : 0, nowMs), 0, `at ${nowMs}`);
  }
});

Deno.test("a long silence earns one burst, not more", () => {
  const pace = new ReadPace(READ_PACE_LIMITS);
  pace.waitMs(1, 1, 0);
  assert.equal(pace.waitMs(250_000, 200, 3_600_000), 0);
  assert.equal(pace.waitMs(100_000, 0, 3_600_000), 100);
  assert.equal(pace.waitMs(0, 50, 3_600_000), 500);
});

Deno.test("no limit, no waiting", () => {
  const pace = new ReadPace({ readBytesPerSecond: 0, commandsPerSecond: 0 });
  for (let i = 0; i < 1_000; i++) assert.equal(pace.waitMs(1e9, 1e6, 0), 0);
});
