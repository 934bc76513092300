// The path between any two formats: every pairing with a tone, then what goes wrong on the way.

import fc from "fast-check";
import assert from "node:assert/strict";
import { seededRandom } from "../../lib/base/random.ts";
import type { AacEncoder } from "../../lib/codecs/aac.ts";
import { AudioPath, type AudioPathOptions, PcmRing } from "../../lib/codecs/audio_path.ts";
import type { AudioFormat } from "../../lib/codecs/codec.ts";
import { encodeComfortNoise } from "../../lib/codecs/comfort_noise.ts";
import { OpusEncoder } from "../../lib/codecs/opus.ts";
import { speechSamples } from "../../lib/codecs/sample.ts";
import {
  codecs,
  greatestStep,
  levelDb,
  measureTone,
  SampleCollector,
  tone,
} from "../support/codecs_audio.ts";
import { libraries } from "../support/codecs_modules.ts";
import { mutate } from "../support/mutate.ts";

const ULAW: AudioFormat = { codec: "pcmu", sampleRate: 8000 };
const ALAW: AudioFormat = { codec: "pcma", sampleRate: 8000 };
const FORMATS: Readonly<Record<string, AudioFormat>> = {
  "Speex wideband": { codec: "speex", sampleRate: 16000 },
  "Speex narrowband": { codec: "speex", sampleRate: 8000 },
  "PCMU": ULAW,
  "PCMA": ALAW,
  "G.722": { codec: "g722", sampleRate: 16000 },
  "Opus": { codec: "opus", sampleRate: 48000 },
  "AAC 44100": { codec: "aac", sampleRate: 44100 },
  "AAC 48000": { codec: "aac", sampleRate: 48000 },
  "AAC 16000": { codec: "aac", sampleRate: 16000 },
};

interface Stream {
  readonly packets: readonly Uint8Array[];
  readonly config: Uint8Array | null;
}

function encodeAll(format: AudioFormat, samples: Int16Array): Stream {
  using encoder = codecs.createEncoder(format, format.sampleRate);
  const packets: Uint8Array[] = [];
  const block = encoder.frameSamples;
  for (let at = 0; at + block <= samples.length; at += block) {
    packets.push(encoder.encode(samples.subarray(at, at + block)).slice());
  }
  return { packets, config: format.codec === "aac" ? (encoder as AacEncoder).config : null };
}

function decodeAll(format: AudioFormat, stream: Stream): Int16Array {
  using decoder = stream.config === null
    ? codecs.createDecoder(format, format.sampleRate)
    : codecs.createConfigured(format, stream.config);
  const heard = new SampleCollector();
  for (const packet of stream.packets) heard.add(decoder.decode(packet));
  return heard.all();
}

function open(from: AudioFormat, to: AudioFormat, more: Partial<AudioPathOptions> = {}): AudioPath {
  return new AudioPath({ from, to, codecs, random: seededRandom(7), ...more });
}

function transcode(path: AudioPath, stream: Stream): Stream {
  const packets: Uint8Array[] = [];
  if (stream.config !== null) path.configure(stream.config);
  for (const packet of stream.packets) {
    path.push(packet);
    while (path.encode((made) => packets.push(made.slice())));
  }
  return { packets, config: path.config };
}

/** Runs `path` on a steady tick and gives what a PCMU listener hears. */
function tickULaw(path: AudioPath, ticks: number): Int16Array {
  const packets: Uint8Array[] = [];
  for (let i = 0; i < ticks; i++) {
    path.fill();
    assert.ok(path.encode((packet) => packets.push(packet.slice())));
  }
  return decodeAll(ULAW, { packets, config: null });
}

for (const [fromName, from] of Object.entries(FORMATS)) {
  Deno.test({
    name: `${fromName} to every other format: a tone arrives within 1 dB and clear`,
    ignore: codecs.missing.length > 0,
    fn: () => {
      const stream = encodeAll(from, tone(1004, from.sampleRate, 2000));
      for (const [toName, to] of Object.entries(FORMATS)) {
        if (to === from) continue;
        using path = open(from, to);
        const heard = decodeAll(to, transcode(path, stream));
        const rate = to.sampleRate;
        assert.ok(heard.length > rate * 1.8, `${toName}: ${heard.length} samples`);
        const { amplitude, snrDb } = measureTone(heard.subarray(rate * 0.5, rate * 1.75), 1004, rate);
        const gain = 20 * Math.log10(amplitude / 10000);
        const least = toName === "Speex narrowband" ? 14 : fromName === "Speex narrowband" ? 20 : 18;
        assert.ok(Math.abs(gain) < 1 && snrDb > least, `${toName}: ${gain} dB, ${snrDb} dB`);
        assert.equal(path.damaged + path.unconfigured + path.droppedMs, 0);
      }
    },
  });
}

Deno.test("packets of any size in, packets of the wanted size out", () => {
  using path = open(ULAW, { ...ALAW, packetMs: 60 });
  const made: number[] = [];
  for (let i = 0; i < 36; i++) {
    path.push(new Uint8Array(i % 2 === 0 ? 80 : 240).fill(0x9c));
    while (path.encode((packet, samples) => made.push(packet.length, samples)));
  }
  assert.deepEqual([...new Set(made)], [480]);
  assert.equal(made.length / 2, 36 * 160 / 480);
});

Deno.test("lost packets are concealed: nothing clicks, nothing is missing", () => {
  const wave = tone(204, 8000, 2000);
  const { packets } = encodeAll(ULAW, wave);
  using path = open(ULAW, ALAW);
  const made: Uint8Array[] = [];
  packets.forEach((packet, i) => {
    if (i % 10 === 4) path.lost(1);
    else path.push(packet);
    while (path.encode((out) => made.push(out.slice())));
  });
  assert.equal(made.length, 100);
  const heard = decodeAll(ALAW, { packets: made, config: null });
  assert.ok(greatestStep(heard) < 2.2 * greatestStep(wave), `${greatestStep(heard)} ${greatestStep(wave)}`);
  assert.ok(Math.abs(levelDb(heard) - levelDb(wave)) < 0.5);
});

Deno.test({
  name:
    "a lost Opus packet is rebuilt from the next one, when that tells of it; a broken next one conceals it",
  ignore: codecs.missing.length > 0,
  fn: () => {
    const speech = speechSamples(48000);
    const OPUS = FORMATS["Opus"]!;
    const error = (lossPercent: number): number => {
      using encoder = new OpusEncoder(libraries.opus!, { sampleRate: 48000, bitrate: 24000, lossPercent });
      const packets: Uint8Array[] = [];
      for (let at = 0; at + 960 <= speech.length; at += 960) {
        packets.push(encoder.encode(speech.subarray(at, at + 960)).slice());
      }
      const hear = (isLost: (i: number) => boolean): Int16Array => {
        using path = open(OPUS, ULAW, { bufferMs: 4000 });
        const made: Uint8Array[] = [];
        packets.forEach((packet, i) => {
          if (isLost(i)) return;
          if (i > 0 && isLost(i - 1)) path.lost(1);
          path.push(packet);
          while (path.encode((out) => made.push(out.slice())));
        });
        return decodeAll(ULAW, { packets: made, config: null });
      };
      const [clean, gappy] = [hear(() => false), hear((i) => i % 6 === 4)];
      assert.equal(gappy.length, clean.length, "nothing is missing, nothing is longer");
      let [noise, signal] = [0, 0];
      clean.forEach((sample, i) => {
        noise += (sample - gappy[i]!) ** 2;
        signal += sample ** 2;
      });
      return noise / signal;
    };
    const [rebuilt, concealed] = [error(20), error(0)];
    assert.ok(rebuilt < concealed * 0.6, `${rebuilt} ${concealed}`);
    using path = open(OPUS, ULAW);
    path.push(encodeAll(OPUS, speech).packets[10]!);
    path.lost(3);
    path.push(Uint8Array.of(0xff, 0xff)); // three frames of no length in it
    assert.ok(Math.abs(path.bufferedMs - 100) < 5, `${path.bufferedMs}`);
  },
});

Deno.test("an underrun fades to silence, and speech comes back", () => {
  const wave = tone(204, 8000, 400);
  const { packets } = encodeAll(ULAW, wave);
  using path = open(ALAW, ULAW);
  for (const packet of encodeAll(ALAW, wave).packets) path.push(packet);
  const before = tickULaw(path, 20);
  assert.ok(levelDb(before) > -15 && !path.silent);
  const gap = tickULaw(path, 10);
  assert.ok(path.silent);
  assert.ok(levelDb(gap.subarray(0, 80)) > -15 && gap.subarray(480).every((sample) => sample === 0));
  assert.ok(greatestStep(gap) < 2.2 * greatestStep(wave));
  for (const packet of packets) path.push(packet);
  assert.ok(!path.silent);
});

Deno.test("comfort noise fills the pause until audio comes again", () => {
  using path = open(ULAW, ALAW);
  path.comfortNoise(encodeComfortNoise({ levelDbov: 40, reflection: [] }));
  assert.ok(!path.silent);
  path.lost(3); // silence suppression is no loss
  assert.equal(path.bufferedMs, 0);
  const packets: Uint8Array[] = [];
  for (let i = 0; i < 50; i++) {
    path.fill();
    path.encode((packet) => packets.push(packet.slice()));
  }
  const heard = decodeAll(ALAW, { packets, config: null }).subarray(4000);
  assert.ok(Math.abs(levelDb(heard) + 40) < 2, `${levelDb(heard)} dB`);
  path.push(new Uint8Array(160).fill(0xff));
  path.encode(() => {});
  for (let i = 0; i < 10; i++) {
    path.fill();
    path.encode((packet) => packets.push(packet.slice()));
  }
  assert.ok(path.silent);
});

Deno.test("a pause is silence, or noise, and leaves alone what waits", () => {
  using path = open(ULAW, ALAW);
  assert.equal(path.receivedMs, 0);
  path.push(new Uint8Array(240).fill(0x20));
  assert.deepEqual([path.receivedMs, path.bufferedMs, path.idle], [30, 30, false]);
  const packets: Uint8Array[] = [];
  path.encodePause((packet) => packets.push(packet.slice()));
  assert.ok(packets[0]!.every((octet) => octet === 0xd5));
  assert.equal(path.bufferedMs, 30);
  path.comfortNoise(encodeComfortNoise({ levelDbov: 40, reflection: [] }));
  path.encodePause((packet) => packets.push(packet.slice()));
  assert.ok(packets[1]!.some((octet) => octet !== 0xd5));
  assert.equal(path.idle, false);
  path.skip(30);
  assert.equal(path.idle, true, "noise is all there is to hear");
});

Deno.test("three seconds at once: the newest stay, within the bound", () => {
  using path = open(ULAW, ALAW, { bufferMs: 300 });
  for (let i = 0; i < 150; i++) path.push(new Uint8Array(160).fill(i));
  assert.equal(path.bufferedMs, 300);
  assert.equal(path.droppedMs, 2700);
  path.skip(200);
  assert.equal(path.bufferedMs, 100);
});

Deno.test({
  name: "AAC waits for its config, and follows a change of rate in the stream",
  ignore: codecs.missing.length > 0,
  fn: () => {
    const low = encodeAll(FORMATS["AAC 16000"]!, tone(1004, 16000, 1500));
    const high = encodeAll(FORMATS["AAC 48000"]!, tone(1004, 48000, 1500));
    using path = open(FORMATS["AAC 44100"]!, ULAW, { bufferMs: 4000 });
    path.push(low.packets[0]!);
    assert.equal(path.unconfigured, 1);
    const heard = decodeAll(ULAW, transcode(path, low));
    const later = decodeAll(ULAW, transcode(path, high));
    for (const samples of [heard, later]) {
      assert.ok(measureTone(samples.subarray(2400, 2400 + 8000), 1004, 8000).snrDb > 30);
    }
    assert.throws(() => path.configure(Uint8Array.of(0)), /AudioSpecificConfig/);
  },
});

for (const [name, format] of Object.entries(FORMATS)) {
  Deno.test({
    name: `damaged ${name} packets: counted, bounded, and sound comes back`,
    ignore: codecs.missing.length > 0,
    fn: () => {
      const stream = encodeAll(format, speechSamples(format.sampleRate));
      using path = open(format, format.codec === "pcmu" ? ALAW : ULAW);
      if (stream.config !== null) path.configure(stream.config);
      let emitted = 0;
      for (let seed = 0; seed < 200; seed++) {
        path.push(mutate(stream.packets[seed % stream.packets.length]!, seed));
        while (path.encode(() => emitted++));
        assert.ok(path.bufferedMs <= 400);
      }
      assert.ok(emitted > 50);
      emitted = 0;
      for (const packet of stream.packets) {
        path.push(packet);
        while (path.encode(() => emitted++));
      }
      assert.ok(emitted >= 95, `${emitted} packets of 2 s`);
    },
  });
}

Deno.test({
  name: "a path without its module says how to get it",
  fn: async () => {
    const { Codecs } = await import("../../lib/codecs/codecs.ts");
    const none = new Codecs(new Map());
    assert.throws(
      () => open({ codec: "speex", sampleRate: 16000 }, ULAW, { codecs: none }),
      /codec module is missing/,
    );
  },
});

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
