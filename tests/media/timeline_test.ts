// Both time scales: gaps, jumps, wraps, restarts, long runs.
import assert from "node:assert/strict";
import fc from "fast-check";
import { RtmpToRtpTimeline, RtpToRtmpTimeline } from "../../lib/media/timeline.ts";
import { FakeClock } from "../support/fake_clock.ts";

const BLOCK = 320; // 20 ms at 16 kHz

interface Step {
  readonly passMs: number;
  readonly timeMs: number;
  readonly timestamp: number;
  readonly afterGap: boolean;
}

function blocks(
  name: string,
  steps: readonly (readonly [number, number, number, boolean])[],
  jumps: number,
): void {
  Deno.test(`RTMP to RTP blocks: ${name}`, () => {
    const clock = new FakeClock();
    const timeline = new RtmpToRtpTimeline(16000, clock);
    const seen = steps.map(([passMs, timeMs]): Step => {
      clock.advance(passMs);
      const timestamp = timeline.placeBlock(timeMs, BLOCK);
      return { passMs, timeMs, timestamp, afterGap: timeline.afterGap };
    });
    const wanted = steps.map(([passMs, timeMs, timestamp, afterGap]) => ({
      passMs,
      timeMs,
      timestamp,
      afterGap,
    }));
    assert.deepEqual(seen, wanted);
    assert.equal(timeline.jumps, jumps);
  });
}

blocks("a steady source", [[0, 0, 0, true], [20, 20, 320, false], [20, 40, 640, false]], 0);
blocks("it may start anywhere", [[0, 5000, 80000, true], [20, 5020, 80320, false]], 0);
blocks("rounded and jittering times make no gaps", [
  [0, 0, 0, true],
  [20, 33, 320, false],
  [20, 12, 640, false],
  [20, 75, 960, false],
], 0);
blocks("a pause is a gap", [[0, 0, 0, true], [500, 500, 8000, true], [20, 520, 8320, false]], 0);
blocks("a burst keeps its own times", [[0, 0, 0, true], [0, 20, 320, false], [0, 40, 640, false]], 0);
blocks("a backlog after a stall keeps its own times", [
  [0, 0, 0, true],
  [10_000, 20, 320, false],
  [0, 40, 640, false],
  [0, 60, 960, false],
], 0);
blocks("a source that starts over goes on by the time that passed", [
  [0, 60_000, 960_000, true],
  [3000, 0, 1_008_000, true],
  [20, 20, 1_008_320, false],
], 1);
blocks("starting over at once goes on without a hole", [
  [0, 60_000, 960_000, true],
  [0, 0, 960_320, true],
  [20, 20, 960_640, false],
  [20, 40, 960_960, false],
], 1);
blocks("a leap into the future goes on by the time that passed", [
  [0, 0, 0, true],
  [20, 9_000_000, 320, true],
  [20, 9_000_020, 640, false],
], 1);
blocks("the 32-bit millisecond counter comes round", [
  [0, 4294967280, 4294967280 * 16, true],
  [20, 4, 4294967300 * 16, false],
  [20, 24, 4294967320 * 16, false],
], 0);

Deno.test("a new publish means now, and is marked", () => {
  const clock = new FakeClock();
  const timeline = new RtmpToRtpTimeline(8000, clock);
  timeline.restart();
  assert.equal(timeline.placeBlock(100, 160), 800);
  clock.advance(20);
  timeline.restart();
  assert.equal(timeline.placeBlock(7, 160), 960);
  assert.ok(timeline.afterGap);
  clock.advance(1000);
  timeline.restart();
  assert.equal(timeline.placeBlock(0, 160), 960 + 8000);
  clock.advance(20);
  assert.equal(timeline.placeBlock(20, 160), 960 + 8160);
  assert.ok(!timeline.afterGap);
  assert.equal(timeline.jumps, 0);
});

Deno.test("samples that outrun the source's clock are sent back to back, and the next pause is still seen", () => {
  const clock = new FakeClock();
  const timeline = new RtmpToRtpTimeline(8000, clock);
  for (let i = 0; i < 100; i++) { // 20 ms of samples every 15 ms
    assert.equal(timeline.placeBlock(15 * i, 160), 160 * i);
    clock.advance(15);
  }
  clock.advance(300);
  timeline.placeBlock(1800, 160);
  assert.ok(timeline.afterGap);
});

Deno.test("single frames map exactly and never go back", () => {
  const clock = new FakeClock();
  const timeline = new RtmpToRtpTimeline(90000, clock);
  assert.equal(timeline.place(1234), 111060);
  clock.advance(33);
  assert.equal(timeline.place(1267), 114030);
  assert.equal(timeline.place(1260), 114030);
  clock.advance(33);
  assert.equal(timeline.place(1300), 114030 + 40 * 90);
});

Deno.test("placed blocks never overlap and never go back, whatever the source says", () => {
  const step = fc.tuple(
    fc.integer({ min: 0, max: 5000 }),
    fc.double({ min: 0, max: 2 ** 33, noNaN: true }),
    fc.boolean(),
  );
  fc.assert(fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    const clock = new FakeClock();
    const timeline = new RtmpToRtpTimeline(8000, clock);
    let end = 0;
    for (const [passMs, timeMs, restart] of steps) {
      clock.advance(passMs);
      if (restart) timeline.restart();
      const timestamp = timeline.placeBlock(Math.floor(timeMs), 160);
      assert.ok(Number.isSafeInteger(timestamp) && timestamp >= end, `${timestamp} before ${end}`);
      assert.ok(timeline.afterGap || timestamp === end);
      end = timestamp + 160;
    }
  }));
});

Deno.test("RTP to RTMP starts at the time that passed and follows the samples exactly", () => {
  const clock = new FakeClock(500);
  const timeline = new RtpToRtmpTimeline(44100, clock, 200);
  let worst = 0;
  for (let i = 0; i < 10_000; i++) {
    worst = Math.max(worst, Math.abs(timeline.timeMsOf(7777 + 882 * i) - (300 + 20 * i)));
    clock.advance(20);
  }
  assert.equal(worst, 0);
});

function times(
  name: string,
  steps: readonly (readonly [passMs: number, timestamp: number, timeMs: number])[],
): void {
  Deno.test(`RTP to RTMP: ${name}`, () => {
    const clock = new FakeClock();
    const timeline = new RtpToRtmpTimeline(8000, clock);
    const seen = steps.map(([passMs, timestamp]) => {
      clock.advance(passMs);
      return [passMs, timestamp, timeline.timeMsOf(timestamp)];
    });
    assert.deepEqual(seen, steps);
  });
}

times("a timestamp below the first one (defect 19)", [[100, 1600, 100], [5, 1440, 100], [20, 1760, 140]]);
times("a far lower timestamp goes on by the time that passed", [[0, 800_000, 0], [20, 160, 20], [
  20,
  320,
  40,
]]);
times("the 32-bit timestamp comes round", [[0, 4294967216, 0], [20, 80, 20], [20, 240, 40]]);
times("silence by time", [[0, 0, 0], [1000, 8000, 1000], [20, 8160, 1020]]);
times("a sender whose timestamps stand still in its pauses", [[0, 0, 0], [5000, 160, 5000], [20, 320, 5020]]);
times("a lost clock", [[0, 0, 0], [20, 80_000_000, 20], [20, 80_000_160, 40]]);

Deno.test("a new RTP source goes on where the old one was", () => {
  const clock = new FakeClock();
  const timeline = new RtpToRtmpTimeline(8000, clock);
  timeline.restart();
  assert.equal(timeline.timeMsOf(1000), 0);
  clock.advance(20);
  assert.equal(timeline.timeMsOf(1160), 20);
  clock.advance(60);
  timeline.restart();
  assert.equal(timeline.timeMsOf(1161), 80);
  clock.advance(20);
  assert.equal(timeline.timeMsOf(1321), 100);
  assert.equal(timeline.jumps, 0);
});

Deno.test("pictures may step back, but not below zero", () => {
  const clock = new FakeClock();
  const timeline = new RtpToRtmpTimeline(90000, clock);
  assert.equal(timeline.presentationMsOf(9000), 0);
  assert.equal(timeline.presentationMsOf(0), 0);
  assert.equal(timeline.presentationMsOf(27000), 200);
  assert.equal(timeline.presentationMsOf(18000), 100);
});

Deno.test("RTMP times never go back and stay whole, whatever the source says", () => {
  const step = fc.tuple(
    fc.integer({ min: 0, max: 5000 }),
    fc.integer({ min: 0, max: 2 ** 34 }),
    fc.boolean(),
  );
  fc.assert(fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    const clock = new FakeClock();
    const timeline = new RtpToRtmpTimeline(8000, clock);
    let last = 0;
    for (const [passMs, timestamp, restart] of steps) {
      clock.advance(passMs);
      if (restart) timeline.restart();
      const timeMs = timeline.timeMsOf(timestamp);
      assert.ok(Number.isSafeInteger(timeMs) && timeMs >= last);
      last = timeMs;
    }
  }));
});

Deno.test("RTP to RTMP: a shift is spread, a tenth of the time that passes, and never turns time back", () => {
  const clock = new FakeClock(1000);
  const timeline = new RtpToRtmpTimeline(90000, clock, 1000);
  assert.equal(timeline.peekMs(0), null);
  const times: number[] = [];
  for (let i = 0; i < 20; i++) {
    times.push(timeline.presentationMsOf(i * 3600));
    if (i === 4) timeline.shift(-20);
    clock.advance(40);
  }
  const steps = times.slice(1).map((timeMs, i) => timeMs - times[i]!);
  assert.deepEqual(steps, [40, 40, 40, 40, 36, 36, 36, 36, 36, ...new Array(10).fill(40)]);
  assert.equal(timeline.peekMs(20 * 3600), 780);
  timeline.shift(3);
  assert.equal(timeline.presentationMsOf(20 * 3600), 783);
  clock.advance(40);
  timeline.shift(50);
  timeline.restart();
  const after = timeline.presentationMsOf(21 * 3600);
  clock.advance(40);
  assert.equal(timeline.presentationMsOf(22 * 3600) - after, 40, "a new source has nothing left to shift");
});

Deno.test("RTP to RTMP: a picture that steps back takes no part in a shift", () => {
  const clock = new FakeClock(1000);
  const timeline = new RtpToRtmpTimeline(90000, clock, 0);
  timeline.presentationMsOf(7200);
  timeline.shift(-40);
  assert.equal(timeline.presentationMsOf(3600) - timeline.presentationMsOf(7200), -40 + 4);
});
