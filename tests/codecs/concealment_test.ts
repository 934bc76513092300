// Hidden losses: a tone goes on, fades in time, and comes back without a click.
import assert from "node:assert/strict";
import { LossConcealer } from "../../lib/codecs/concealment.ts";
import { greatestStep, levelDb, measureTone, snrDb, tone } from "../support/codecs_audio.ts";
import { speechSamples } from "../../lib/media/sample.ts";

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
