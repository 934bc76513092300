// The tone meter sees what it is there for: a missing block, a wrong block, the wrong tone, noise.

import assert from "node:assert/strict";
import { decodeWav, encodeWav, measureTone, sineWave } from "./tone.ts";

const HZ = 733;
const OPTIONS = { sampleRate: 8000, hz: HZ, impurity: 0.02 };
const wave = () => sineWave({ hz: HZ, peak: 8000, seconds: 1, sampleRate: 8000 });

function padded(samples: Int16Array): Int16Array {
  const all = new Int16Array(samples.length + 1600);
  all.set(samples, 800);
  return all;
}

Deno.test("tone meter: a whole tone between silences", () => {
  const report = measureTone(padded(wave()), OPTIONS);
  assert.ok(Math.abs(report.hz - HZ) < 3, `${report.hz}`);
  assert.ok(Math.abs(report.level / (8000 / Math.SQRT2) - 1) < 0.02, `${report.level}`);
  assert.ok(report.durationMs >= 1000 && report.durationMs <= 1030, `${report.durationMs}`);
  assert.equal(report.broken, 0);
});

const DAMAGES: Record<string, (samples: Int16Array) => Int16Array> = {
  "a missing block": (samples) => Int16Array.from([...samples.subarray(0, 4000), ...samples.subarray(4160)]),
  "a doubled block": (samples) => Int16Array.from([...samples.subarray(0, 4160), ...samples.subarray(4000)]),
  "a silent block": (samples) => samples.fill(0, 4000, 4160),
  "two blocks that changed places": (samples) =>
    Int16Array.from([
      ...samples.subarray(0, 4000),
      ...samples.subarray(4160, 4320),
      ...samples.subarray(4000, 4160),
      ...samples.subarray(4320),
    ]),
  "another tone in between": (samples) => {
    samples.set(sineWave({ hz: 433, peak: 8000, seconds: 0.02, sampleRate: 8000 }), 4000);
    return samples;
  },
};

for (const [name, damage] of Object.entries(DAMAGES)) {
  Deno.test(`tone meter: ${name} is seen`, () => {
    assert.ok(measureTone(padded(damage(wave())), OPTIONS).broken > 0);
  });
}

Deno.test("tone meter: silence has no tone, another tone is another", () => {
  assert.equal(measureTone(new Int16Array(8000), OPTIONS).durationMs, 0);
  const other = measureTone(sineWave({ hz: 433, peak: 8000, seconds: 1, sampleRate: 8000 }), OPTIONS);
  assert.ok(Math.abs(other.hz - 433) < 3 && other.broken > 100, JSON.stringify(other));
});

Deno.test("WAV: what is written is read", () => {
  const { sampleRate, samples } = decodeWav(encodeWav(wave(), 8000));
  assert.equal(sampleRate, 8000);
  assert.deepEqual(samples, wave());
});
