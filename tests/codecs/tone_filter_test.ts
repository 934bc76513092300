import assert from "node:assert/strict";
import fc from "fast-check";
import { seededRandom } from "../../lib/base/random.ts";
import { createToneBank, goertzelCoefficient, ToneFilter } from "../../lib/codecs/tone_filter.ts";

const FREQUENCIES = [697, 770, 852, 941, 1209, 1336, 1477, 1633];
const BLOCK = 41;
const BLOCKS = 5;
const BANK = createToneBank(FREQUENCIES, 8000, BLOCK, BLOCKS);

const square = (samples: Int16Array): number => samples.reduce((sum, x) => sum + x * x, 0);

/** The definition: the sum of the samples turned by the frequency, over the whole window. */
function powerByDefinition(window: Int16Array, hz: number): number {
  let re = 0;
  let im = 0;
  window.forEach((sample, i) => {
    re += sample * Math.cos(2 * Math.PI * hz * i / 8000);
    im += sample * Math.sin(2 * Math.PI * hz * i / 8000);
  });
  return 2 * (re * re + im * im) / window.length ** 2;
}

function close(actual: number, expected: number): void {
  assert.ok(Math.abs(actual - expected) <= 1e-6 * Math.max(1, expected), `${actual} is not ${expected}`);
}

Deno.test("every window measures what the definition says, however the samples come", () => {
  const random = seededRandom(3);
  const sound = Int16Array.from({ length: 900 }, () => 20_000 * random.float() - 10_000);
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 20 }), (sizes) => {
      const filter = new ToneFilter(BANK);
      let windows = 0;
      let start = 0;
      for (let part = 0; start < sound.length; part++) {
        const samples = sound.subarray(start, start + sizes[part % sizes.length]!);
        for (let at = 0; at < samples.length;) {
          at += filter.fill(samples, at);
          if (!filter.ready) continue;
          const window = sound.subarray(windows * BLOCK, windows * BLOCK + BLOCK * BLOCKS);
          assert.equal(start + at, (windows + BLOCKS) * BLOCK, "a window ends with its last block");
          filter.measure("upper");
          const powers = filter.measure("lower");
          FREQUENCIES.forEach((hz, i) => close(powers[i]!, powerByDefinition(window, hz)));
          close(filter.powerAt(goertzelCoefficient(1000, 8000)), powerByDefinition(window, 1000));
          const steps = window.map((x, i) => x - (sound[windows * BLOCK + i - 1] ?? 0));
          close(filter.slope, square(steps) / square(window));
          close(filter.meanSquare, square(window) / window.length);
          windows++;
        }
        start += samples.length;
      }
      assert.equal(windows, Math.floor(sound.length / BLOCK) - BLOCKS + 1);
    }),
    { numRuns: 20 },
  );
});

Deno.test("after a reset a window is complete when all of it is new", () => {
  const filter = new ToneFilter(BANK);
  const feed = (count: number, value: number): void => {
    const samples = new Int16Array(count).fill(value);
    for (let at = 0; at < count;) at += filter.fill(samples, at);
  };
  feed(BLOCK * BLOCKS + 20, 1000);
  filter.reset();
  feed(BLOCK * BLOCKS - 1, 10);
  assert.equal(filter.ready, false);
  feed(1, 10);
  assert.equal(filter.ready, true);
  close(filter.meanSquare, 100);
});

Deno.test("it measures eight frequencies, no more and no fewer", () => {
  assert.throws(() => createToneBank([697], 8000, BLOCK, BLOCKS), /8 frequencies/);
});

Deno.test("the slope of a sine is 2 - 2 cos w", () => {
  for (const hz of [300, 697, 1633, 3000]) {
    const filter = new ToneFilter(BANK);
    const sine = Int16Array.from({ length: 600 }, (_, i) => 8000 * Math.sin(2 * Math.PI * hz * i / 8000));
    for (let at = 0; at < sine.length;) at += filter.fill(sine, at);
    const expected = 2 - 2 * Math.cos(2 * Math.PI * hz / 8000);
    assert.ok(Math.abs(filter.slope / expected - 1) < 0.03, `${hz} Hz: ${filter.slope}, not ${expected}`);
  }
});

Deno.test("coded samples are the same as samples", () => {
  const table = Int16Array.from({ length: 256 }, (_, i) => 200 * (i - 128));
  const octets = Uint8Array.from({ length: 500 }, (_, i) => 7 * i * i);
  const [plain, coded] = [new ToneFilter(BANK), new ToneFilter(BANK)];
  const samples = Int16Array.from(octets, (octet) => table[octet]!);
  for (let at = 0; at < octets.length;) {
    const taken = plain.fill(samples, at);
    assert.equal(coded.fillCoded(octets, at, table), taken);
    at += taken;
    assert.equal(coded.ready, plain.ready);
    assert.deepEqual([coded.meanSquare, coded.slope], [plain.meanSquare, plain.slope]);
  }
  assert.deepEqual(coded.measure("lower"), plain.measure("lower"));
  assert.deepEqual(coded.measure("upper"), plain.measure("upper"));
});
