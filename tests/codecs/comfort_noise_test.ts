// Comfort noise payloads (RFC 3389) both ways, and the level and colour of the noise made from them.

import fc from "fast-check";
import assert from "node:assert/strict";
import { WireError } from "../../lib/base/errors.ts";
import { seededRandom } from "../../lib/base/random.ts";
import {
  decodeComfortNoise,
  describeNoise,
  encodeComfortNoise,
  LossConcealer,
  type NoiseDescription,
  NoiseGenerator,
} from "../../lib/codecs/comfort_noise.ts";
import { speechSamples } from "../../lib/codecs/sample.ts";
import { greatestStep, levelDb, measureTone, snrDb, tone } from "../support/codecs_audio.ts";

function noiseOf(description: NoiseDescription, seed = 1): Int16Array {
  const generator = new NoiseGenerator(seededRandom(seed));
  generator.describe(description);
  const samples = new Int16Array(20000);
  generator.fill(samples, 0, samples.length);
  return samples.subarray(4000); // the level has glided in by then
}

Deno.test("a level alone", () => {
  assert.deepEqual(decodeComfortNoise(Uint8Array.of(60)), { levelDbov: 60, reflection: [] });
  assert.deepEqual(encodeComfortNoise({ levelDbov: 59.7, reflection: [] }), Uint8Array.of(60));
  assert.equal(decodeComfortNoise(Uint8Array.of(0x80 | 33)).levelDbov, 33);
});

Deno.test("levels out of range are limited, an empty payload is refused", () => {
  assert.deepEqual(encodeComfortNoise({ levelDbov: 300, reflection: [] }), Uint8Array.of(127));
  assert.deepEqual(encodeComfortNoise({ levelDbov: -3, reflection: [] }), Uint8Array.of(0));
  assert.throws(() => decodeComfortNoise(new Uint8Array(0)), WireError);
});

Deno.test("any payload decodes, and encodes to itself again", () => {
  fc.assert(fc.property(fc.uint8Array({ minLength: 1, maxLength: 40 }), (payload) => {
    const noise = decodeComfortNoise(payload);
    assert.ok(noise.reflection.length <= 12 && noise.reflection.every((k) => Math.abs(k) < 1));
    const expected = payload.slice(0, 13).map((octet, i) => i === 0 ? octet & 127 : Math.min(254, octet));
    assert.deepEqual(encodeComfortNoise(noise), expected);
  }));
});

Deno.test("the noise has the level that was said, white or coloured", () => {
  for (const reflection of [[], [-0.8], [-0.9, 0.5, 0.1]]) {
    for (const levelDbov of [30, 50]) {
      const level = levelDb(noiseOf({ levelDbov, reflection }));
      assert.ok(Math.abs(level + levelDbov) < 1.5, `${level} for -${levelDbov} and ${reflection}`);
    }
  }
});

Deno.test("what was described sounds like it", () => {
  const original = noiseOf({ levelDbov: 40, reflection: [-0.85, 0.3] });
  const payload = encodeComfortNoise(describeNoise(original));
  const { levelDbov, reflection } = decodeComfortNoise(payload);
  assert.ok(Math.abs(levelDbov - 40) < 1.5);
  assert.ok(Math.abs(reflection[0]! + 0.85) < 0.05 && Math.abs(reflection[1]! - 0.3) < 0.06, `${reflection}`);
  assert.ok(reflection.slice(2).every((k) => Math.abs(k) < 0.1));
});

Deno.test("digital silence is described as the lowest level", () => {
  assert.deepEqual(describeNoise(new Int16Array(160)), { levelDbov: 127, reflection: [] });
});

Deno.test("the most hostile coefficients stay in 16 bits", () => {
  const samples = noiseOf(decodeComfortNoise(Uint8Array.of(0, ...new Array(12).fill(254))));
  assert.ok(samples.every((sample) => Math.abs(sample) <= 32768));
});

/** Samples with blocks of 20 ms replaced where `isLost` says so. */
function withLosses(samples: Int16Array, sampleRate: number, isLost: (block: number) => boolean): Int16Array {
  const concealer = new LossConcealer(sampleRate);
  const out = samples.slice();
  const block = sampleRate / 50;
  for (let at = 0; at + block <= out.length; at += block) {
    if (isLost(at / block)) concealer.conceal(out, at, at + block);
    else concealer.heard(out, at, at + block);
  }
  return out;
}

for (const sampleRate of [8000, 16000, 48000]) {
  Deno.test(`at ${sampleRate} Hz one lost block of a tone is hardly heard`, () => {
    const wave = tone(204, sampleRate, 1000);
    const got = withLosses(wave, sampleRate, (block) => block === 20);
    assert.ok(greatestStep(got) < 1.6 * greatestStep(wave), `${greatestStep(got)} of ${greatestStep(wave)}`);
    const lost = got.subarray(sampleRate * 0.4, sampleRate * 0.41);
    assert.ok(snrDb(wave.subarray(sampleRate * 0.4, sampleRate * 0.41), lost) > 15);
  });

  Deno.test(`at ${sampleRate} Hz a long gap is silent after 60 ms, and ends gently`, () => {
    const wave = tone(204, sampleRate, 1000);
    const got = withLosses(wave, sampleRate, (block) => block >= 20 && block < 40);
    const ms = sampleRate / 1000;
    assert.ok(got.subarray(461 * ms, 800 * ms).every((sample) => sample === 0));
    assert.ok(levelDb(got.subarray(400 * ms, 410 * ms)) > levelDb(wave) - 1);
    assert.ok(greatestStep(got) < 1.6 * greatestStep(wave));
    assert.deepEqual(got.subarray(806 * ms), wave.subarray(806 * ms));
  });
}

Deno.test("speech with one block in ten lost is closer to the speech than with holes", () => {
  const speech = speechSamples(8000);
  const isLost = (block: number): boolean => block % 10 === 7;
  const holes = speech.map((sample, i) => isLost(Math.floor(i / 160)) ? 0 : sample);
  const got = withLosses(speech, 8000, isLost);
  assert.ok(snrDb(speech, got) > snrDb(speech, holes) + 3, `${snrDb(speech, got)} ${snrDb(speech, holes)}`);
});

Deno.test("nothing heard yet: silence; without a loss nothing is touched", () => {
  const out = new Int16Array(160).fill(7);
  const concealer = new LossConcealer(8000);
  concealer.conceal(out, 0, 160);
  assert.ok(out.every((sample) => sample === 0));
  const wave = tone(204, 8000, 1000);
  assert.deepEqual(withLosses(wave, 8000, () => false), wave);
});

Deno.test("the tone that is repeated has its pitch", () => {
  const wave = tone(400, 8000, 1000);
  const got = withLosses(wave, 8000, (block) => block === 30).subarray(600 * 8, 610 * 8);
  assert.ok(measureTone(got, 400, 8000).snrDb > 20);
});
