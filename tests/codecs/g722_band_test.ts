// The adaptive part of a G.722 sub-band: where it starts, where it stays, that both ends stay together.
import assert from "node:assert/strict";
import { clip, G722Band } from "../../lib/codecs/g722_band.ts";

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
