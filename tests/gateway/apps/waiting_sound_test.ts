import assert from "node:assert/strict";
import { Ticker } from "../../../lib/base/ticker.ts";
import { decodeG711 } from "../../../lib/codecs/g711_tables.ts";
import {
  silentFrames,
  toneFrames,
  type WaitingFrames,
  WaitingSound,
} from "../../../lib/gateway/apps/waiting_sound.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { measureTone } from "../../../scripts/quality/measure.ts";
import { greatestStep } from "../../support/codecs_audio.ts";

class Bench {
  readonly clock = new FakeClock(1000);
  readonly ticker = new Ticker(this.clock, 20, (error) => {
    throw error;
  });
  /** Times and first octets. */
  readonly sent: string[] = [];
  readonly sound: WaitingSound;

  constructor(frames: WaitingFrames = [Uint8Array.of(0x82, 1), Uint8Array.of(0x82, 2)]) {
    this.sound = new WaitingSound({
      frames,
      clock: this.clock,
      ticker: this.ticker,
      put: ({ type, timeMs, body }) => this.sent.push(`${type}@${timeMs} ${body.toHex()}`),
    });
  }

  take(): string[] {
    return this.sent.splice(0);
  }
}

function samplesOf(frames: WaitingFrames): Int16Array {
  const octets = new Uint8Array(frames.flatMap((body) => [...body.subarray(1)]));
  const samples = new Int16Array(octets.length);
  decodeG711("pcmu", octets, samples);
  return samples;
}

Deno.test("a frame leaves every 20 ms, those after the last begin anew", () => {
  const bench = new Bench();
  bench.sound.start();
  bench.clock.advance(60);
  assert.deepEqual(bench.take(), ["8@0 8201", "8@20 8202", "8@40 8201", "8@60 8202"]);
  bench.sound.start();
  bench.clock.advance(20);
  assert.deepEqual(bench.take(), ["8@80 8201"]);
  bench.sound.stop();
  bench.clock.advance(100);
  assert.deepEqual([bench.take(), bench.clock.pending, bench.sound.playing], [[], 0, false]);
  bench.sound.start();
  bench.clock.advance(20);
  assert.deepEqual(bench.take(), ["8@0 8201", "8@20 8202"]);
  bench.sound[Symbol.dispose]();
  assert.equal(bench.clock.pending, 0);
});

/** As a ticker after the process was busy: one call, late. */
Deno.test("deadlines missed by a little are made up for, by much are given up", () => {
  const clock = new FakeClock();
  const sent: number[] = [];
  let tick: (nowMs: number) => void = () => {};
  const ticker = { add: (run: (nowMs: number) => void) => (tick = run, { [Symbol.dispose]() {} }) };
  const sound = new WaitingSound({
    frames: silentFrames(),
    clock,
    ticker: ticker as unknown as Ticker,
    put: ({ timeMs }) => sent.push(timeMs),
  });
  sound.start();
  tick(0);
  tick(65);
  assert.deepEqual(sent.splice(0), [0, 20, 40, 60]);
  tick(1000);
  assert.deepEqual(sent.splice(0), [1000]);
  tick(1019.7);
  assert.deepEqual(sent, [1020], "a timer that is early is not too early");
});

Deno.test("it may be stopped by what it sends", () => {
  const bench = new Bench();
  const clock = new FakeClock();
  const ticker = new Ticker(clock, 20);
  const sound: WaitingSound = new WaitingSound({
    frames: silentFrames(),
    clock,
    ticker,
    put: () => sound.stop(),
  });
  sound.start();
  clock.advance(1000);
  assert.deepEqual([sound.playing, clock.pending, bench.take()], [false, 0, []]);
});

Deno.test("silence is silence, the tone is two soft notes of 392 and 523 Hz without a click", () => {
  assert.ok(samplesOf(silentFrames()).every((sample) => sample === 0));
  const frames = toneFrames();
  assert.equal(frames.length, 150);
  assert.ok(frames.every((body) => body.length === 161 && body[0] === 0x82));
  const samples = samplesOf(frames);
  for (const [hz, fromMs] of [[392, 100], [523, 700]] as const) {
    const note = samples.subarray(fromMs * 8, (fromMs + 300) * 8);
    const { levelDb, snrDb } = measureTone(note, hz, 8000, 2300);
    assert.ok(Math.abs(levelDb) < 0.2 && snrDb > 25, `${hz} Hz: ${levelDb} dB, SNR ${snrDb} dB`);
  }
  assert.ok(samples.subarray(1200 * 8).every((sample) => sample === 0), "then a pause");
  assert.ok(greatestStep(samples) < 1100);
});
