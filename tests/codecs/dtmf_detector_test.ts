import fc from "fast-check";
import assert from "node:assert/strict";
import { seededRandom } from "../../lib/base/random.ts";
import {
  DTMF_COLUMNS,
  DTMF_ROWS,
  DtmfDetector,
  dtmfFrequencies,
  dtmfKey,
  DtmfTone,
} from "../../lib/codecs/dtmf_detector.ts";
import { decodeG711, encodeG711 } from "../../lib/codecs/g711_tables.ts";
import { speechSamples } from "../../lib/codecs/sample.ts";

const KEYS = "123A456B789C*0#D";
const silence = (ms: number): Int16Array => new Int16Array(ms * 8);

function tone(key: string, ms: number): Int16Array {
  const samples = silence(ms);
  new DtmfTone(key, 8000, ms).fill(samples);
  return samples;
}

/** Two sines, each off by a share of its frequency, with noise. */
function sines(
  key: string,
  ms: number,
  options: { off?: readonly [number, number]; peaks?: readonly [number, number]; noise?: number },
): Int16Array {
  const { off = [0, 0], peaks = [5000, 5000], noise = 0 } = options;
  const { low, high } = dtmfFrequencies(key)!;
  const random = seededRandom(ms);
  return silence(ms).map((_, i) =>
    peaks[0] * Math.sin(2 * Math.PI * low * (1 + off[0]) * i / 8000) +
    peaks[1] * Math.sin(2 * Math.PI * high * (1 + off[1]) * i / 8000) +
    noise * (2 * random.float() - 1)
  );
}

/** The keys heard in some sounds in a row, and 200 ms of silence. */
function heard(...sounds: readonly Int16Array[]): string {
  let keys = "";
  const detector = new DtmfDetector((key) => keys += key);
  for (const sound of [...sounds, silence(200)]) detector.push(sound);
  return keys;
}

Deno.test("every key, as short as it may be and as short as its pause may be, wherever it begins", () => {
  for (let offset = 0; offset < 41; offset += 5) {
    const sounds = [...KEYS].flatMap((key) => [tone(key, 40), silence(40)]);
    assert.equal(heard(new Int16Array(offset), ...sounds), KEYS);
  }
});

Deno.test("the same key twice, and one key with a crackle of 10 ms in it", () => {
  assert.equal(heard(tone("5", 60), silence(40), tone("5", 60)), "55");
  const crackled = tone("5", 120);
  crackled.fill(0, 480, 560);
  assert.equal(heard(crackled), "5");
  assert.equal(heard(tone("5", 60), tone("6", 60)), "56", "without a pause");
});

Deno.test("lengths are told to 10 ms", () => {
  const told: number[] = [];
  const detector = new DtmfDetector((_, durationMs) => told.push(durationMs));
  for (const ms of [40, 100, 500, 3000]) {
    detector.push(tone("7", ms));
    detector.push(silence(100));
  }
  told.forEach((ms, i) => assert.ok(Math.abs(ms - [40, 100, 500, 3000][i]!) <= 10, `${told}`));
  assert.equal(told.length, 4);
});

const OFFS = [[1, 1], [1, -1], [-1, 1], [-1, -1]] as const;

Deno.test("frequencies off by 1.5 % are taken, by 3.5 % not (ITU-T Q.24)", () => {
  for (const key of KEYS) {
    for (const [low, high] of OFFS) {
      assert.equal(heard(sines(key, 60, { off: [low * 0.015, high * 0.015] })), key);
      assert.equal(heard(sines(key, 60, { off: [low * 0.035, high * 0.035] })), "");
    }
  }
});

Deno.test("quiet keys, unequal ones, noisy ones, and keys through both laws", () => {
  for (const key of KEYS) {
    assert.equal(heard(sines(key, 60, { peaks: [250, 250] })), key, "-38 dBm0");
    assert.equal(heard(sines(key, 60, { peaks: [8000, 4000] })), key);
    assert.equal(heard(sines(key, 60, { peaks: [3000, 6500] })), key);
    assert.equal(heard(sines(key, 60, { noise: 1700 })), key, "about 14 dB of noise");
    for (const law of ["pcmu", "pcma"] as const) {
      const samples = tone(key, 50);
      const octets = new Uint8Array(samples.length);
      encodeG711(law, samples, octets);
      decodeG711(law, octets, samples);
      assert.equal(heard(samples), key);
      let keys = "";
      const detector = new DtmfDetector((one) => keys += one);
      detector.pushG711(law, octets);
      detector.interrupt();
      assert.equal(keys, key);
    }
  }
});

Deno.test("every key with hum or hiss beside it that takes a quarter of the sound, at the steepest twist", () => {
  for (const key of KEYS) {
    for (const peaks of [[5000, 2200], [2200, 5000]] as const) {
      const sound = sines(key, 80, { peaks });
      const beside = Math.sqrt((peaks[0] ** 2 + peaks[1] ** 2) / 3);
      for (const hz of [60, 3900]) {
        const mixed = sound.map((x, i) => x + beside * Math.sin(2 * Math.PI * hz * i / 8000));
        assert.equal(heard(mixed), key, `${key} with ${hz} Hz, ${peaks}`);
      }
    }
  }
});

const NOTHING: [name: string, sound: Int16Array][] = [
  ["one frequency", sines("5", 200, { peaks: [5000, 0] })],
  ["very unequal ones", sines("5", 200, { peaks: [500, 8000] })],
  ["too short a key", tone("5", 25)],
  ["hardly anything", sines("5", 200, { peaks: [60, 60] })],
  ["noise", sines("5", 2000, { peaks: [0, 0], noise: 8000 })],
  ["a dial tone", silence(500).map((_, i) => 5000 * (Math.sin(i * 0.2749) + Math.sin(i * 0.3456)))],
  ["a loud square wave", silence(500).map((_, i) => i % 9 < 4 ? 20000 : -20000)],
];

for (const [name, sound] of NOTHING) {
  Deno.test(`no key: ${name}`, () => assert.equal(heard(sound), ""));
}

Deno.test("a minute of speech has no key in it", () => {
  const speech = speechSamples(8000);
  assert.equal(heard(...new Array(30).fill(speech)), "");
});

Deno.test("a gap in the sound ends the key", () => {
  const told: string[] = [];
  const detector = new DtmfDetector((key) => told.push(key));
  detector.push(tone("9", 80));
  assert.deepEqual(told, []);
  detector.interrupt();
  assert.deepEqual(told, ["9"]);
  detector.interrupt();
  detector.push(silence(100));
  assert.equal(told.length, 1);
});

Deno.test("blocks of any size give the same keys", () => {
  const sound = Int16Array.from([...KEYS].flatMap((key) => [...tone(key, 50), ...silence(50)]));
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 50 }), (sizes) => {
      let keys = "";
      const detector = new DtmfDetector((key) => keys += key);
      let at = 0;
      for (let i = 0; at < sound.length; i++) {
        const end = at + sizes[i % sizes.length]!;
        detector.push(sound.subarray(at, end));
        at = end;
      }
      detector.interrupt();
      assert.equal(keys, KEYS);
    }),
    { numRuns: 20 },
  );
});

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
  assert.throws(() => new DtmfTone("x", 8000, 100), /no DTMF key/);
});
