// Which codecs there are with which modules; none of this needs them built.

import assert from "node:assert/strict";
import type { AudioFormat } from "../../lib/codecs/codec.ts";
import { Codecs, moduleNames, Resampler } from "../../lib/codecs/codecs.ts";
import { G711Decoder, G711Encoder } from "../../lib/codecs/g711.ts";
import { builtInCodecs } from "../../lib/codecs/registry.ts";
import { codecs as built, levelDb, measureTone, SampleCollector, tone } from "../support/codecs_audio.ts";
import { libraries } from "../support/codecs_modules.ts";

/** The smallest module; the libraries do not look inside before a codec is opened. */
const EMPTY = new WebAssembly.Module(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0));

const ALL = ["speex", "pcmu", "pcma", "g722", "aac", "opus"] as const;
type Name = typeof ALL[number];
const RATES: Readonly<Record<Name, number>> = {
  speex: 16000,
  pcmu: 8000,
  pcma: 8000,
  g722: 16000,
  aac: 44100,
  opus: 48000,
};
const format = (codec: Name): AudioFormat => ({ codec, sampleRate: RATES[codec] });

function withModules(...names: string[]): Codecs {
  return new Codecs(new Map(names.map((name) => [name, EMPTY])));
}

Deno.test("without modules there are G.711 and G.722, between equal rates", () => {
  const none = withModules();
  assert.deepEqual(none.missing, moduleNames(builtInCodecs));
  assert.deepEqual(ALL.filter((codec) => none.canDecode(codec)), ["pcmu", "pcma", "g722"]);
  assert.deepEqual(ALL.filter((codec) => none.canEncode(codec)), ["pcmu", "pcma", "g722"]);
  assert.ok(none.canTranscode(format("pcmu"), format("pcma")));
  assert.ok(!none.canTranscode(format("pcmu"), format("g722")));
  assert.throws(() => none.createDecoder(format("speex"), 16000), /codec module is missing/);
  assert.throws(() => none.createResampler(8000, 16000), /codec module is missing/);
});

Deno.test("what can be turned into one another: nothing without the resampler, AAC with both its modules", () => {
  assert.deepEqual([...withModules().transcodable], []);
  assert.deepEqual([...withModules("speex", "opus").transcodable], []);
  assert.deepEqual([...withModules("resampler").transcodable], ["pcmu", "pcma", "g722"]);
  assert.deepEqual([...withModules("resampler", "aac_decoder").transcodable], ["pcmu", "pcma", "g722"]);
  assert.deepEqual(
    [...withModules("resampler", "aac_decoder", "aac_encoder", "speex").transcodable],
    ["speex", "pcmu", "pcma", "g722", "aac"],
  );
});

Deno.test("each module brings what it is for", () => {
  assert.ok(withModules("speex").canDecode("speex"));
  assert.ok(withModules("opus").canEncode("opus"));
  assert.ok(!withModules("aac_decoder").canEncode("aac"));
  assert.ok(withModules("aac_encoder").canEncode("aac"));
  assert.ok(!withModules("aac_encoder").canDecode("aac"));
  assert.ok(withModules("resampler").canTranscode(format("pcmu"), format("g722")));
  assert.ok(!withModules("aac_decoder").canTranscode(format("aac"), format("pcmu")));
  assert.ok(withModules("aac_decoder", "resampler").canTranscode(format("aac"), format("pcmu")));
});

Deno.test({
  name: "every codec can be opened",
  ignore: built.missing.length > 0,
  fn: () => {
    for (const codec of ALL) {
      using encoder = built.createEncoder({ ...format(codec), packetMs: 40 }, 48000);
      assert.equal(encoder.frameSamples, codec === "aac" ? 1024 : encoder.sampleRate / 25);
      const packet = encoder.encode(new Int16Array(encoder.frameSamples)).slice();
      if (codec === "aac") continue;
      using decoder = built.createDecoder(format(codec), 48000);
      assert.equal(decoder.decode(packet).length, decoder.sampleRate / 25);
    }
    assert.throws(() => built.createDecoder(format("aac"), 44100), /AudioSpecificConfig/);
  },
});

for (const law of ["pcmu", "pcma"] as const) {
  Deno.test(`${law}: every octet decodes to a sample that encodes to it`, () => {
    const octets = Uint8Array.from({ length: 256 }, (_, i) => i);
    const samples = new G711Decoder(law).decode(octets).slice();
    const again = new G711Encoder(law, 256).encode(samples).slice();
    // u-law has two zeros; the encoder makes one of them.
    const expected = octets.map((octet) => law === "pcmu" && octet === 0x7f ? 0xff : octet);
    assert.deepEqual(again, expected);
  });
}

Deno.test("stereo is left interleaved, half a pair is dropped", () => {
  const decoder = new G711Decoder("pcma", 2);
  assert.equal(decoder.channels, 2);
  assert.equal(decoder.decode(new Uint8Array(321)).length, 320);
  assert.equal(decoder.decode(new Uint8Array(1)).length, 0);
});

Deno.test("packets of any size are decoded, up to half a second", () => {
  const decoder = new G711Decoder("pcmu");
  for (const size of [0, 1, 80, 160, 240, 4000]) {
    assert.equal(decoder.decode(new Uint8Array(size)).length, size);
  }
  assert.equal(decoder.decode(new Uint8Array(65000)).length, 4000);
  assert.equal(decoder.conceal().length, 0);
});

const library = libraries.resampler!;
const ignore = libraries.resampler === null;
const test = (name: string, fn: () => void): void => Deno.test({ name: `Resampler: ${name}`, ignore, fn });

function resample(samples: Int16Array, fromRate: number, toRate: number, block: number): Int16Array {
  using resampler = new Resampler(library, fromRate, toRate);
  const made = new SampleCollector();
  for (let at = 0; at < samples.length; at += block) {
    made.add(resampler.process(samples, at, Math.min(block, samples.length - at)));
  }
  return made.all();
}

const PAIRS: readonly (readonly [number, number])[] = [
  [8000, 16000],
  [16000, 8000],
  [8000, 48000],
  [48000, 8000],
  [44100, 8000],
  [44100, 16000],
  [16000, 44100],
  [22050, 16000],
  [11025, 8000],
  [48000, 44100],
];

for (const [fromRate, toRate] of PAIRS) {
  test(`${fromRate} to ${toRate} keeps a tone: level within 0.2 dB, noise below 60 dB`, () => {
    const wave = tone(1000, fromRate, 1500);
    const got = resample(wave, fromRate, toRate, fromRate / 50 | 0);
    assert.ok(Math.abs(got.length - toRate * 1.5) <= 8, `${got.length} samples`);
    const { amplitude, snrDb } = measureTone(got.subarray(toRate * 0.2, toRate * 1.2), 1000, toRate);
    assert.ok(Math.abs(20 * Math.log10(amplitude / 10000)) < 0.2, `amplitude ${amplitude}`);
    assert.ok(snrDb > 60, `${snrDb} dB`);
  });
}

test("what the lower rate cannot carry is kept out", () => {
  for (const hz of [4600, 5000, 7000]) {
    const got = resample(tone(hz, 16000, 1000), 16000, 8000, 320).subarray(800);
    assert.ok(levelDb(got) < -60, `${hz} Hz leaves ${levelDb(got)} dB`);
  }
});

test("the telephone band is flat within 1 dB", () => {
  for (const hz of [100, 300, 2000, 3000, 3400]) {
    const got = resample(tone(hz, 16000, 1500), 16000, 8000, 320).subarray(800, 8800);
    const { amplitude } = measureTone(got, hz, 8000);
    assert.ok(Math.abs(20 * Math.log10(amplitude / 10000)) < 1, `${hz} Hz: ${amplitude}`);
  }
});

test("block sizes make no difference", () => {
  const wave = tone(700, 44100, 300);
  const whole = resample(wave, 44100, 8000, Resampler.maxBlock);
  for (const block of [1, 7, 441, 1024]) {
    const got = resample(wave, 44100, 8000, block);
    assert.deepEqual(got, whole);
  }
});

test("the delay is what it says: 4 ms at 8 kHz", () => {
  using resampler = new Resampler(library, 16000, 8000);
  const impulse = new Int16Array(640);
  impulse[0] = 30000;
  const got = resampler.process(impulse, 0, 640);
  const peak = got.reduce((best, sample, i) => Math.abs(sample) > Math.abs(got[best]!) ? i : best, 0);
  assert.equal(peak, resampler.latency);
  assert.ok(resampler.latency <= 32, `${resampler.latency}`);
});

test("steeper than 8000 to 48000 is refused", () => {
  assert.throws(() => new Resampler(library, 7000, 48000), /steep/);
});
