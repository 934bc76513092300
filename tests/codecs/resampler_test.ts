// The resampler: level, noise, aliases, delay, block sizes.
import assert from "node:assert/strict";
import { Resampler } from "../../lib/codecs/resampler.ts";
import { levelDb, measureTone, SampleCollector, tone } from "../support/codecs_audio.ts";
import { libraries } from "../support/codecs_modules.ts";

const library = libraries.resampler!;
const ignore = libraries.resampler === null;
const test = (name: string, fn: () => void): void => Deno.test({ name: `Resampler: ${name}`, ignore, fn });

function resample(samples: Int16Array, fromRate: number, toRate: number, block: number): Int16Array {
  using resampler = new Resampler(library, fromRate, toRate);
  const made = new SampleCollector();
  for (let at = 0; at < samples.length; at += block) {
    made.add(resampler.process(samples, at, Math.min(block, samples.length - at)));
  }
  return made.all();
}

const PAIRS: readonly (readonly [number, number])[] = [
  [8000, 16000],
  [16000, 8000],
  [8000, 48000],
  [48000, 8000],
  [44100, 8000],
  [44100, 16000],
  [16000, 44100],
  [22050, 16000],
  [11025, 8000],
  [48000, 44100],
];

for (const [fromRate, toRate] of PAIRS) {
  test(`${fromRate} to ${toRate} keeps a tone: level within 0.2 dB, noise below 60 dB`, () => {
    const wave = tone(1000, fromRate, 1500);
    const got = resample(wave, fromRate, toRate, fromRate / 50 | 0);
    assert.ok(Math.abs(got.length - toRate * 1.5) <= 8, `${got.length} samples`);
    const { amplitude, snrDb } = measureTone(got.subarray(toRate * 0.2, toRate * 1.2), 1000, toRate);
    assert.ok(Math.abs(20 * Math.log10(amplitude / 10000)) < 0.2, `amplitude ${amplitude}`);
    assert.ok(snrDb > 60, `${snrDb} dB`);
  });
}

test("what the lower rate cannot carry is kept out", () => {
  for (const hz of [4600, 5000, 7000]) {
    const got = resample(tone(hz, 16000, 1000), 16000, 8000, 320).subarray(800);
    assert.ok(levelDb(got) < -60, `${hz} Hz leaves ${levelDb(got)} dB`);
  }
});

test("the telephone band is flat within 1 dB", () => {
  for (const hz of [100, 300, 2000, 3000, 3400]) {
    const got = resample(tone(hz, 16000, 1500), 16000, 8000, 320).subarray(800, 8800);
    const { amplitude } = measureTone(got, hz, 8000);
    assert.ok(Math.abs(20 * Math.log10(amplitude / 10000)) < 1, `${hz} Hz: ${amplitude}`);
  }
});

test("block sizes make no difference", () => {
  const wave = tone(700, 44100, 300);
  const whole = resample(wave, 44100, 8000, Resampler.maxBlock);
  for (const block of [1, 7, 441, 1024]) {
    const got = resample(wave, 44100, 8000, block);
    assert.deepEqual(got, whole);
  }
});

test("the delay is what it says: 4 ms at 8 kHz", () => {
  using resampler = new Resampler(library, 16000, 8000);
  const impulse = new Int16Array(640);
  impulse[0] = 30000;
  const got = resampler.process(impulse, 0, 640);
  const peak = got.reduce((best, sample, i) => Math.abs(sample) > Math.abs(got[best]!) ? i : best, 0);
  assert.equal(peak, resampler.latency);
  assert.ok(resampler.latency <= 32, `${resampler.latency}`);
});

test("steeper than 8000 to 48000 is refused", () => {
  assert.throws(() => new Resampler(library, 7000, 48000), /steep/);
});
