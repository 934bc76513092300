// The built-in sample: levels, loop, sizes.
import assert from "node:assert/strict";
import { decodeG711 } from "../../lib/codecs/g711_tables.ts";
import {
  g711Sample,
  SAMPLE_BLOCK_MS,
  SAMPLE_LOOP_MS,
  SampleSource,
  speechSamples,
  speexSample,
} from "../../lib/codecs/sample.ts";

const BLOCKS = SAMPLE_LOOP_MS / SAMPLE_BLOCK_MS;

Deno.test("the sample is loud enough to measure, never clips, and is silent at its seams", () => {
  for (const rate of [8000, 16000]) {
    const samples = speechSamples(rate);
    let peak = 0;
    let power = 0;
    for (const sample of samples) {
      peak = Math.max(peak, Math.abs(sample));
      power += sample * sample / samples.length;
    }
    assert.equal(samples.length, rate * 2);
    assert.ok(peak > 4000 && peak <= 12000, `peak ${peak}`);
    assert.ok(Math.sqrt(power) > 1000, `RMS ${Math.sqrt(power)}`);
    assert.equal(samples[0], 0);
    assert.equal(samples.at(-1), 0);
  }
});

Deno.test("the sample has syllables: loud and silent blocks alternate", () => {
  const samples = new Int16Array(16000);
  decodeG711("pcmu", g711Sample("pcmu"), samples);
  let rises = 0;
  let loud = false;
  for (let block = 0; block < BLOCKS; block++) {
    const level = samples.subarray(block * 160, block * 160 + 160).reduce((sum, x) => sum + Math.abs(x), 0) /
      160;
    if (!loud && level > 500) rises++;
    loud = level > 500;
  }
  assert.equal(rises, 8);
});

Deno.test("both laws carry the same sound", () => {
  const ulaw = new Int16Array(16000);
  const alaw = new Int16Array(16000);
  decodeG711("pcmu", g711Sample("pcmu"), ulaw);
  decodeG711("pcma", g711Sample("pcma"), alaw);
  ulaw.forEach((sample, i) => assert.ok(Math.abs(sample - alaw[i]!) <= 16 + Math.abs(sample) / 16));
});

Deno.test("a source repeats its blocks without end", () => {
  for (const [codec, size] of [["speex", 42], ["pcmu", 160], ["pcma", 160]] as const) {
    const source = new SampleSource(codec);
    const round = Array.from({ length: BLOCKS }, () => source.next());
    assert.ok(round.every((block) => block.length === size));
    assert.ok(new Set(round.map(String)).size > BLOCKS / 2);
    assert.deepEqual(Array.from({ length: BLOCKS }, () => source.next()), round);
  }
  assert.equal(speexSample().length, BLOCKS);
});
