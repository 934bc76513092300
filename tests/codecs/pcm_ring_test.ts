// The bounded ring: order across the seam, the bound, and cuts that do not click.
import assert from "node:assert/strict";
import fc from "fast-check";
import { PcmRing } from "../../lib/codecs/pcm_ring.ts";
import { greatestStep, tone } from "../support/codecs_audio.ts";

Deno.test("what goes in comes out in order, whatever the block sizes", () => {
  fc.assert(fc.property(fc.array(fc.integer({ min: 1, max: 50 }), { maxLength: 60 }), (sizes) => {
    const ring = new PcmRing(100, 8000);
    const block = new Int16Array(30);
    let written = 0;
    let read = 0;
    for (const size of sizes) {
      ring.write(Int16Array.from({ length: size }, (_, i) => written + i), 0, size);
      written += size;
      while (ring.read(block)) for (const sample of block) assert.equal(sample, read++);
    }
    assert.equal(ring.length, written - read);
    assert.equal(ring.dropped, 0);
  }));
});

Deno.test("a full ring drops the oldest and counts them", () => {
  const ring = new PcmRing(100, 8000);
  const samples = Int16Array.from({ length: 250 }, (_, i) => i);
  ring.write(samples, 0, 80);
  ring.write(samples, 80, 130);
  assert.equal(ring.length, 100);
  assert.equal(ring.dropped, 30);
  ring.write(samples, 0, 250);
  assert.equal(ring.length, 100);
  assert.equal(ring.dropped, 30 + 150 + 100);
  const last = new Int16Array(100);
  assert.ok(ring.read(last));
  assert.equal(last[99], 249);
});

Deno.test("a cut does not click", () => {
  const wave = tone(304, 8000, 200);
  const ring = new PcmRing(4000, 8000);
  ring.write(wave, 0, wave.length);
  ring.skip(813);
  const rest = new Int16Array(wave.length - 813);
  assert.ok(ring.read(rest));
  assert.ok(greatestStep(rest) < 2 * greatestStep(wave), `${greatestStep(rest)}`);
  assert.deepEqual(rest.subarray(40), wave.subarray(813 + 40));
});

Deno.test("skip takes no more than there is; clear forgets", () => {
  const ring = new PcmRing(10, 8000);
  ring.write(new Int16Array(6), 0, 6);
  ring.skip(100);
  assert.equal(ring.length, 0);
  ring.write(new Int16Array(6), 0, 6);
  ring.clear();
  assert.ok(!ring.read(new Int16Array(1)));
});
