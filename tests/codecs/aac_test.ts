// AAC by its modules: rates, stereo, the core of HE-AAC, damage.

import fc from "fast-check";
import assert from "node:assert/strict";
import { concatBytes, fromHex, toHex } from "../../lib/base/bytes.ts";
import { WireError } from "../../lib/base/errors.ts";
import {
  AacDecoder,
  AacEncoder,
  AdtsFrames,
  configOfAdts,
  formatAacConfig,
  isLoas,
  parseAacConfig,
} from "../../lib/codecs/aac.ts";
import { adts, loas } from "../support/adts.ts";
import { measureTone, SampleCollector, tone, toneBackMs } from "../support/codecs_audio.ts";
import { libraries } from "../support/codecs_modules.ts";
import { mutate } from "../support/mutate.ts";

const decoders = libraries.aacDecoder!;
const encoders = libraries.aacEncoder!;
const ignore = libraries.aacDecoder === null || libraries.aacEncoder === null;
const test = (name: string, fn: () => void): void => Deno.test({ name: `AAC: ${name}`, ignore, fn });

interface Stream {
  readonly config: Uint8Array;
  readonly frames: Uint8Array[];
}

function encodeAll(samples: Int16Array, sampleRate: number, bitrate?: number): Stream {
  using encoder = new AacEncoder(encoders, sampleRate, bitrate);
  const frames: Uint8Array[] = [];
  for (let at = 0; at + 1024 <= samples.length; at += 1024) {
    frames.push(encoder.encode(samples.subarray(at, at + 1024)).slice());
  }
  return { config: encoder.config, frames };
}

function decodeAll({ config, frames }: Stream): Int16Array {
  using decoder = new AacDecoder(decoders, config);
  const heard = new SampleCollector();
  for (const frame of frames) heard.add(decoder.decode(frame));
  return heard.all();
}

for (const sampleRate of [8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000]) {
  test(`a tone at ${sampleRate} Hz keeps its level`, () => {
    const stream = encodeAll(tone(1000, sampleRate, 2000), sampleRate);
    assert.deepEqual(parseAacConfig(stream.config), { sampleRate, channels: 1, highEfficiency: false });
    const heard = decodeAll(stream);
    assert.equal(heard.length, (stream.frames.length - 1) * 1024);
    const from = Math.floor(sampleRate * 0.5);
    const { amplitude, snrDb } = measureTone(heard.subarray(from, from + sampleRate), 1000, sampleRate);
    assert.ok(Math.abs(20 * Math.log10(amplitude / 10000)) < 0.5 && snrDb > 25, `${amplitude} ${snrDb} dB`);
  });
}

test("stereo keeps its channels apart", () => {
  using encoder = new AacEncoder(encoders, 44100, undefined, 2);
  const [left, right] = [tone(1000, 44100, 2000), tone(700, 44100, 2000, 4000)];
  const both = new Int16Array(2 * left.length);
  left.forEach((sample, i) => both.set([sample, right[i]!], 2 * i));
  const frames: Uint8Array[] = [];
  for (let at = 0; at + encoder.frameSamples <= both.length; at += encoder.frameSamples) {
    frames.push(encoder.encode(both.subarray(at, at + encoder.frameSamples)).slice());
  }
  assert.equal(parseAacConfig(encoder.config).channels, 2);
  const heard = decodeAll({ config: encoder.config, frames });
  for (const [channel, hz, amplitude] of [[0, 1000, 10000], [1, 700, 4000]] as const) {
    const samples = Int16Array.from({ length: 44100 }, (_, i) => heard[2 * (22050 + i) + channel]!);
    const measured = measureTone(samples, hz, 44100);
    assert.ok(
      Math.abs(20 * Math.log10(measured.amplitude / amplitude)) < 0.5 && measured.snrDb > 20,
      `${hz}`,
    );
  }
});

test("the bitrate is kept", () => {
  for (const bitrate of [32000, 64000]) {
    const { frames } = encodeAll(tone(1000, 48000, 2000), 48000, bitrate);
    const octets = frames.reduce((sum, frame) => sum + frame.length, 0);
    assert.ok(octets * 8 / 2 < bitrate * 1.15, `${octets * 4} of ${bitrate}`);
  }
});

/** Puts a fill element with bandwidth replication data between the sound of a frame and its end. */
function withReplicationData(frame: Uint8Array): Uint8Array {
  const bits = [...frame].map((octet) => octet.toString(2).padStart(8, "0")).join("");
  const end = bits.lastIndexOf("111"); // ID_END, before the octet is filled up with zeros
  const fill = "110" + "0011" + "1101" + "0".repeat(20); // ID_FIL, 3 octets, EXT_SBR_DATA
  const whole = bits.slice(0, end) + fill + "111";
  return Uint8Array.from(whole.match(/.{1,8}/g)!, (octet) => parseInt(octet.padEnd(8, "0"), 2));
}

test("of HE-AAC the core layer is decoded, announced or not", () => {
  const stream = encodeAll(tone(1000, 24000, 1000), 24000);
  const frames = stream.frames.map(withReplicationData);
  const plain = decodeAll(stream);
  assert.deepEqual(decodeAll({ config: stream.config, frames }), plain);
  const announced = Uint8Array.of(0x2b, 0x09, 0x88, 0x00); // type 5, 24000 Hz, mono, 48000 Hz, type 2
  assert.deepEqual(decodeAll({ config: announced, frames }), plain);
});

/** Real HE-AAC: with spectral band replication, and with parametric stereo beside it. */
const HIGH_EFFICIENCY: {
  readonly streams: readonly { name: string; configs: string[]; frames: string[] }[];
} = JSON.parse(await Deno.readTextFile(new URL("../golden/he_aac.json", import.meta.url)));

for (const { name, configs, frames } of HIGH_EFFICIENCY.streams) {
  test(`of real HE-AAC, ${name}, the core layer is decoded at half the rate, however it is announced`, () => {
    for (const hex of configs) {
      const config = Uint8Array.fromHex(hex);
      const { sampleRate, channels } = parseAacConfig(config);
      assert.equal(sampleRate, name.includes("44.1k") ? 22050 : 24000);
      assert.equal(channels, name === "v1 stereo 44.1k" ? 2 : 1, "parametric stereo lies on a mono core");
      const heard = decodeAll({ config, frames: frames.map((frame) => Uint8Array.fromBase64(frame)) });
      assert.equal(heard.length, (frames.length - 1) * 1024 * channels);
      const left = heard.filter((_, i) => i % channels === 0).subarray(6000, 6000 + sampleRate * 0.35);
      const back = toneBackMs(left, 1004, sampleRate);
      assert.equal(back, 0, `${hex}: ${back}`);
    }
  });
}

test("damaged frames give samples or a WireError, and sound comes back with whole ones", () => {
  const stream = encodeAll(tone(1000, 16000, 3000), 16000);
  using decoder = new AacDecoder(decoders, stream.config);
  const attempt = (frame: Uint8Array): void => {
    try {
      assert.ok(decoder.decode(frame).length <= 2048);
    } catch (error) {
      assert.ok(error instanceof WireError, String(error));
    }
  };
  for (let seed = 0; seed < 400; seed++) attempt(mutate(stream.frames[seed % 40]!, seed));
  fc.assert(fc.property(fc.uint8Array({ maxLength: 3000 }), attempt), { numRuns: 300 });
  attempt(new Uint8Array(0));
  assert.throws(() => decoder.decode(new Uint8Array(4000)), WireError);
  const heard = new SampleCollector();
  for (const frame of stream.frames) heard.add(decoder.decode(frame));
  const { snrDb } = measureTone(heard.all().subarray(16000, 32000), 1000, 16000);
  assert.ok(snrDb > 25, `${snrDb} dB`);
});

test("a config that is no AAC-LC is refused", () => {
  assert.throws(() => new AacDecoder(decoders, Uint8Array.of(0x0a, 0x10)), WireError);
});

test("many decoders, each with an instance of its own", () => {
  const stream = encodeAll(tone(1000, 16000, 200), 16000);
  const all = Array.from({ length: 100 }, () => new AacDecoder(decoders, stream.config));
  for (const decoder of all) decoder.decode(stream.frames[0]!);
  for (const decoder of all) assert.equal(decoder.decode(stream.frames[1]!).length, 1024);
  for (const decoder of all) decoder[Symbol.dispose]();
});

const TABLE: readonly [string, number, 1 | 2, boolean][] = [
  ["1210", 44100, 2, false],
  ["1208", 44100, 1, false],
  ["1190", 48000, 2, false],
  ["1408", 16000, 1, false],
  ["1588", 8000, 1, false],
];

for (const [hex, sampleRate, channels, highEfficiency] of TABLE) {
  Deno.test(`${hex}: AAC-LC ${sampleRate} Hz, ${channels} channels`, () => {
    assert.deepEqual(parseAacConfig(fromHex(hex)), { sampleRate, channels, highEfficiency });
    assert.equal(toHex(formatAacConfig(sampleRate, channels)), hex);
  });
}

Deno.test("HE-AAC is read as its core", () => {
  // type 5, core 24000 (index 6), mono, extension 48000 (3), type 2
  assert.deepEqual(parseAacConfig(fromHex("2b098800")), {
    sampleRate: 24000,
    channels: 1,
    highEfficiency: true,
  });
  // type 29: parametric stereo over a mono core
  assert.deepEqual(parseAacConfig(fromHex("eb098800")), {
    sampleRate: 24000,
    channels: 1,
    highEfficiency: true,
  });
});

Deno.test("a rate written out is taken when it is a known one", () => {
  // type 2, index 15, 24 bits of 44100, stereo
  const bits = "00010" + "1111" + (44100).toString(2).padStart(24, "0") + "0010" + "000";
  const bytes = Uint8Array.from(bits.match(/.{8}/g)!, (octet) => parseInt(octet, 2));
  assert.deepEqual(parseAacConfig(bytes), { sampleRate: 44100, channels: 2, highEfficiency: false });
});

for (
  const [hex, what] of [
    ["", "ends too early"],
    ["12", "ends too early"],
    ["0a10", "object type 1"],
    ["1218", "channel configuration 3"],
    ["1010", "96000 Hz"],
    ["1690", "no known sample rate"],
    ["1214", "960 samples"],
  ]
) {
  Deno.test(`refused: ${hex} (${what})`, () => {
    assert.throws(
      () => parseAacConfig(fromHex(hex!)),
      (error) => error instanceof WireError && error.message.includes(what!),
    );
  });
}

Deno.test("any bytes are a config or a WireError", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 12 }), (bytes) => {
    try {
      const { sampleRate, channels } = parseAacConfig(bytes);
      const again = parseAacConfig(formatAacConfig(sampleRate, channels));
      assert.deepEqual([again.sampleRate, again.channels], [sampleRate, channels]);
    } catch (error) {
      assert.ok(error instanceof WireError, String(error));
    }
  }));
});

Deno.test("a rate without an index cannot be written", () => {
  assert.throws(() => formatAacConfig(44000, 1), /44000/);
});

/** Frames found, each with the configuration it has. */
function framesOf(data: Uint8Array, frames = new AdtsFrames()): string[] | null {
  if (!frames.open(data)) return null;
  const found: string[] = [];
  while (frames.next()) {
    found.push(
      `${toHex(frames.config)} ${toHex(data.subarray(frames.start, frames.end))}${
        frames.changed ? " new" : ""
      }`,
    );
  }
  return found;
}

const FRAME = fromHex("211045aabb");
const CONFIGS: readonly (readonly [what: string, config: string])[] = [
  ["44.1 kHz stereo", "1210"],
  ["44.1 kHz mono", "1208"],
  ["48 kHz stereo", "1190"],
  ["16 kHz mono", "1408"],
  ["8 kHz mono", "1588"],
  ["22.05 kHz, the core of HE-AAC", "1390"],
  ["5.1", "11b0"],
  ["AAC Main", "0a10"],
];

for (const [what, config] of CONFIGS) {
  Deno.test(`ADTS is read: ${what}`, () => {
    for (const crc of [false, true]) {
      const data = adts(FRAME, fromHex(config), crc);
      assert.deepEqual(framesOf(data), [`${config} ${toHex(FRAME)} new`]);
      assert.equal(toHex(configOfAdts(data)!), config);
    }
  });
}

Deno.test("several frames in one tag, and what is the same, are told apart", () => {
  const frames = new AdtsFrames();
  const [stereo, mono] = [fromHex("1210"), fromHex("1208")];
  const data = concatBytes([adts(FRAME, stereo), adts(fromHex("2122"), stereo), adts(FRAME, mono)]);
  assert.deepEqual(framesOf(data, frames), ["1210 211045aabb new", "1210 2122", "1208 211045aabb new"]);
  assert.deepEqual(framesOf(adts(FRAME, mono), frames), ["1208 211045aabb"]);
  assert.deepEqual(framesOf(data.subarray(0, data.length - 1), frames)?.length, 2, "a frame that is cut off");
});

Deno.test("raw frames, cut headers and other framings are not ADTS", () => {
  const whole = adts(FRAME, fromHex("1210"));
  for (let length = 0; length < whole.length; length++) {
    assert.equal(framesOf(whole.subarray(0, length)), null);
  }
  for (const hex of ["", "211045", "fff9", "ffffffffffffffffff", "ffe150800bfffcaa", "fff1f0800b7ffcaabb"]) {
    assert.equal(framesOf(fromHex(hex)), null, hex);
  }
  assert.equal(framesOf(loas(FRAME)), null);
  assert.equal(configOfAdts(fromHex("1210")), null);
});

Deno.test("LOAS is told by its first octets and its length", () => {
  assert.equal(isLoas(loas(FRAME)), true);
  for (const hex of ["", "56", "56e0", "56e005aa", "2110", "56c000aa"]) {
    assert.equal(isLoas(fromHex(hex)), false, hex);
  }
});

Deno.test("any octets give frames within them", () => {
  const frames = new AdtsFrames();
  const octet = fc.oneof(fc.constantFrom(0xff, 0xf1, 0x50, 0x80, 0, 1), fc.integer({ min: 0, max: 255 }));
  fc.assert(fc.property(fc.array(octet, { maxLength: 60 }), (octets) => {
    const data = Uint8Array.from(octets);
    if (!frames.open(data)) return;
    let last = 0;
    while (frames.next()) {
      assert.ok(frames.start >= last && frames.start < frames.end && frames.end <= data.length);
      last = frames.end;
    }
  }));
});
