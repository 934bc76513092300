import assert from "node:assert/strict";
import { DTMF_COLUMNS, DTMF_ROWS, dtmfFrequencies, dtmfKey, DtmfTone } from "../../lib/media/dtmf_tones.ts";

const KEYS = "123A456B789C*0#D";

Deno.test("rows and columns of the keys are those of ITU-T Q.23", () => {
  assert.deepEqual(dtmfFrequencies("1"), { low: 697, high: 1209 });
  assert.deepEqual(dtmfFrequencies("0"), { low: 941, high: 1336 });
  assert.deepEqual(dtmfFrequencies("D"), { low: 941, high: 1633 });
  [...KEYS].forEach((key, i) => {
    assert.equal(dtmfKey(i >> 2, i & 3), key);
    assert.deepEqual(dtmfFrequencies(key), { low: DTMF_ROWS[i >> 2], high: DTMF_COLUMNS[i & 3] });
  });
  for (const none of ["", "12", "a", "E", " "]) assert.equal(dtmfFrequencies(none), null, none);
});

/** Peak of one frequency over one second: its part of a discrete Fourier transform with bins of 1 Hz. */
function peakAt(samples: Int16Array, hz: number): number {
  let [re, im] = [0, 0];
  samples.forEach((sample, i) => {
    re += sample * Math.cos(2 * Math.PI * hz * i / 8000);
    im += sample * Math.sin(2 * Math.PI * hz * i / 8000);
  });
  return 2 * Math.hypot(re, im) / samples.length;
}

for (const key of KEYS) {
  Deno.test(`key ${key}: exactly its two frequencies, each at -10 dBm0, and nothing beside`, () => {
    const samples = new Int16Array(8000);
    new DtmfTone(key, 8000, 2000).fill(samples);
    const { low, high } = dtmfFrequencies(key)!;
    for (const hz of [low, high]) {
      const dbm0 = 20 * Math.log10(peakAt(samples, hz) / 32124) + 3.17;
      assert.ok(Math.abs(dbm0 + 10) < 0.1, `${dbm0} dBm0 at ${hz} Hz`);
      assert.ok(peakAt(samples, hz + 3) < 30 && peakAt(samples, hz - 3) < 30, "exact to a hertz");
    }
    const others = [...DTMF_ROWS, ...DTMF_COLUMNS].filter((hz) => hz !== low && hz !== high);
    assert.ok(others.every((hz) => peakAt(samples, hz) < 30));
  });
}

Deno.test("a key has its length, whatever the blocks, and silence follows", () => {
  const whole = new Int16Array(1600);
  new DtmfTone("5", 8000, 100).fill(whole);
  assert.ok(whole.subarray(780, 800).some((sample) => sample !== 0));
  assert.ok(whole.subarray(800).every((sample) => sample === 0));
  const tone = new DtmfTone("5", 8000, 100);
  const blocks = [160, 7, 333, 300, 1, 799].map((length) => {
    const block = new Int16Array(length);
    return { sounding: tone.fill(block), block };
  });
  assert.deepEqual(blocks.flatMap(({ block }) => [...block]), [...whole]);
  assert.deepEqual(blocks.map(({ sounding }) => sounding), [true, true, true, true, false, false]);
});

Deno.test("what is no key is a mistake of the caller", () => {
  assert.throws(() => new DtmfTone("x", 8000, 100), /no touch tone/);
});
