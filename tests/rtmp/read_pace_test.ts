import assert from "node:assert/strict";
import { type PaceLimits, ReadPace } from "../../lib/rtmp/read_pace.ts";

const LIMITS: PaceLimits = { readBytesPerSecond: 1_000_000, commandsPerSecond: 100 };

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
  const video = greedy(LIMITS, 64 * 1024, 0).bytes;
  assert.ok(video > 10_000_000 && video < 10_000_000 + 250_000 + 2 * 64 * 1024, `${video}`);
  const { commands } = greedy(LIMITS, 1_000, 32);
  assert.ok(commands > 1_000 && commands < 1_000 + 200 + 64, `${commands}`);
});

Deno.test("less than the rate never waits, nor does a burst", () => {
  const pace = new ReadPace(LIMITS);
  for (let nowMs = 0; nowMs < 60_000; nowMs += 20) {
    const keyFrame = nowMs % 2_000 === 0;
    assert.equal(pace.waitMs(keyFrame ? 200_000 : 10_000, nowMs === 0 ? 50 : 0, nowMs), 0, `at ${nowMs}`);
  }
});

Deno.test("a long silence earns one burst, not more", () => {
  const pace = new ReadPace(LIMITS);
  pace.waitMs(1, 1, 0);
  assert.equal(pace.waitMs(250_000, 200, 3_600_000), 0);
  assert.equal(pace.waitMs(100_000, 0, 3_600_000), 100);
  assert.equal(pace.waitMs(0, 50, 3_600_000), 500);
});

Deno.test("no limit, no waiting", () => {
  const pace = new ReadPace({ readBytesPerSecond: 0, commandsPerSecond: 0 });
  for (let i = 0; i < 1_000; i++) assert.equal(pace.waitMs(1e9, 1e6, 0), 0);
});
