import assert from "node:assert/strict";
import { decodeG711, type G711Law } from "../../../lib/media/g711.ts";
import { countSpeexFrames } from "../../../lib/media/speex_bits.ts";
import { g711Tone, speexSpeech, TONE_HZ } from "../../../lib/tools/sipd/tone_source.ts";

function samplesOf(law: G711Law, rounds: number): Int16Array {
  const { blocks } = g711Tone(law);
  const all = Array.from({ length: rounds }, () => blocks).flat();
  const samples = new Int16Array(all.length * 160);
  all.forEach((block, i) => decodeG711(law, block, samples.subarray(i * 160, (i + 1) * 160)));
  return samples;
}

/** Power of one frequency, as a share of all power. */
function share(samples: Int16Array, hz: number): number {
  let re = 0;
  let im = 0;
  let power = 0;
  samples.forEach((sample, i) => {
    re += sample * Math.cos(2 * Math.PI * hz * i / 8000);
    im += sample * Math.sin(2 * Math.PI * hz * i / 8000);
    power += sample * sample;
  });
  return 2 * (re * re + im * im) / (samples.length * power);
}

for (const law of ["pcmu", "pcma"] as const) {
  Deno.test(`the ${law} tone is a pure 1004 Hz, also across the seam of its rounds`, () => {
    const { blocks } = g711Tone(law);
    assert.equal(blocks.length, 25);
    assert.ok(blocks.every((block) => block.length === 160));
    // Only quantisation is left beside the tone: less than a thousandth of the power.
    assert.ok(share(samplesOf(law, 3), TONE_HZ) > 0.999);
    assert.ok(share(samplesOf(law, 3), 1000) < 0.001);
  });

  Deno.test(`the ${law} tone has -16 dBm0`, () => {
    const samples = samplesOf(law, 1);
    const rms = Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length);
    // 0 dBm0 is 3.14 to 3.17 dB below the largest sine of 16 bits.
    const dbm0 = 20 * Math.log10(rms * Math.SQRT2 / 32768) + 3.15;
    assert.ok(Math.abs(dbm0 + 16) < 0.1, `${dbm0}`);
  });
}

Deno.test("Speex callers get one frame a block, without the wideband layer at 8 kHz", () => {
  const wide = speexSpeech(16000);
  const narrow = speexSpeech(8000);
  assert.equal(wide.blocks.length, narrow.blocks.length);
  assert.match(narrow.description, /speech sample/);
  for (const [i, block] of wide.blocks.entries()) {
    assert.equal(countSpeexFrames(block), 1);
    assert.equal(countSpeexFrames(narrow.blocks[i]!), 1);
    assert.ok(narrow.blocks[i]!.length < block.length);
  }
});
