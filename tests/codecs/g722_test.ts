// G.722: known octets and samples (the first of a run that ffmpeg agrees with), tone quality, any bytes at all.

import fc from "fast-check";
import assert from "node:assert/strict";
import { clip, G722Band, G722Decoder, G722Encoder } from "../../lib/codecs/g722.ts";
import { speechSamples } from "../../lib/codecs/sample.ts";
import { findDelay, measureTone, SampleCollector, snrDb, tone } from "../support/codecs_audio.ts";

const HEARD = Uint8Array.of(250, 222, 119, 178, 178, 186, 180, 175, 238, 236, 243, 80);
const SAMPLES = [0, -1, -1, 0, 0, -1, -1, 0, -1, -1, 0, 2, 0, -4, -4, -3, 2, -3, -3, -2, 3, -5, 3, 1];

function throughG722(samples: Int16Array): Int16Array {
  const encoder = new G722Encoder();
  const decoder = new G722Decoder();
  const heard = new SampleCollector();
  for (let at = 0; at + 320 <= samples.length; at += 320) {
    heard.add(decoder.decode(encoder.encode(samples.subarray(at, at + 320))));
  }
  return heard.all();
}

Deno.test("known octets decode to known samples", () => {
  assert.deepEqual([...new G722Decoder().decode(HEARD)], SAMPLES);
});

Deno.test("a packet cut anywhere decodes as the whole does", () => {
  const whole = new G722Decoder().decode(HEARD).slice();
  for (let cut = 0; cut <= HEARD.length; cut++) {
    const decoder = new G722Decoder();
    const first = decoder.decode(HEARD.subarray(0, cut)).slice();
    const second = decoder.decode(HEARD.subarray(cut)).slice();
    assert.deepEqual([...first, ...second], [...whole]);
  }
});

for (const [hz, least] of [[304, 40], [1004, 40], [3004, 30], [6004, 15]] as const) {
  Deno.test(`a tone of ${hz} Hz keeps its level and stands ${least} dB above the noise`, () => {
    const got = throughG722(tone(hz, 16000, 1200)).subarray(1600, 1600 + 16000);
    const report = measureTone(got, hz, 16000);
    assert.ok(Math.abs(20 * Math.log10(report.amplitude / 10000)) < 0.5, `amplitude ${report.amplitude}`);
    assert.ok(report.snrDb > least, `${report.snrDb} dB`);
  });
}

Deno.test("speech comes back 22 samples later and 20 dB above the noise", () => {
  const speech = speechSamples(16000);
  const got = throughG722(speech);
  const delay = findDelay(speech, got, 60);
  assert.equal(delay, 22);
  assert.ok(snrDb(speech, got, delay) > 20);
});

Deno.test("silence stays silence", () => {
  assert.ok(throughG722(new Int16Array(3200)).every((sample) => Math.abs(sample) < 12));
});

Deno.test("any octets decode to two samples each, at once", () => {
  const decoder = new G722Decoder();
  fc.assert(fc.property(fc.uint8Array({ maxLength: 1920 }), (packet) => {
    assert.equal(decoder.decode(packet).length, 2 * packet.length);
  }));
  assert.equal(decoder.decode(new Uint8Array(65000)).length, 3840);
});

Deno.test("the loudest square wave overflows nothing", () => {
  const square = Int16Array.from({ length: 3200 }, (_, i) => i % 80 < 40 ? 32767 : -32768);
  const got = throughG722(square);
  const wrong = got.filter((sample, i) => i > 400 && Math.abs(sample) < 8000).length;
  assert.ok(wrong < 400, `${wrong} samples far from the wave`);
});

Deno.test("scales start at 32 and 8 and never leave their range", () => {
  for (const [higher, first, least, most] of [[false, 32, 32, 16384], [true, 8, 8, 16384]] as const) {
    const band = new G722Band(higher);
    assert.equal(band.scale, first);
    for (let i = 0; i < 400; i++) band.adaptScale(higher ? 0 : 1); // the code of the greatest step
    assert.ok(band.scale <= most && band.scale > 1000 * least / 32, `${band.scale}`);
    for (let i = 0; i < 4000; i++) band.adaptScale(higher ? 1 : 0); // the code of the smallest
    assert.equal(band.scale, least);
  }
});

Deno.test("a constant difference is learnt and its prediction stays in 16 bits", () => {
  const band = new G722Band(false);
  for (let i = 0; i < 1000; i++) {
    band.adaptPredictor(i % 3 === 0 ? 32767 : -32768);
    assert.ok(band.prediction >= -32768 && band.prediction <= 32767);
  }
});

Deno.test("two bands fed alike predict alike", () => {
  const [a, b] = [new G722Band(true), new G722Band(true)];
  let state = 1;
  for (let i = 0; i < 500; i++) {
    state = state * 1103515245 + 12345 & 0x7fffffff;
    const code = state >> 16 & 3;
    for (const band of [a, b]) {
      band.adaptScale(code);
      band.adaptPredictor((state >> 8 & 1023) - 512);
    }
    assert.equal(a.prediction, b.prediction);
    assert.equal(a.scale, b.scale);
  }
  assert.notEqual(a.prediction, 0);
});

Deno.test("clip keeps to 16 bits", () => {
  assert.deepEqual([-40000, -32768, 5, 32767, 40000].map(clip), [-32768, -32768, 5, 32767, 32767]);
});
