// Opus by its module: every rate, packet length and bitrate, loss, in-band FEC, damage.

import fc from "fast-check";
import assert from "node:assert/strict";
import { WireError } from "../../lib/base/errors.ts";
import { OpusDepacketizer, opusHead, OpusPacketizer, opusTicks } from "../../lib/codecs/opus.ts";
import {
  OPUS_RATES,
  OpusDecoder,
  OpusEncoder,
  type OpusEncoderOptions,
  opusRateFor,
} from "../../lib/codecs/opus.ts";
import { speechSamples } from "../../lib/codecs/sample.ts";
import { createFrame, type Frame } from "../../lib/media/frame.ts";
import { levelDb, measureTone, SampleCollector, tone } from "../support/codecs_audio.ts";
import { libraries } from "../support/codecs_modules.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { mutate } from "../support/mutate.ts";

const library = libraries.opus!;
const ignore = libraries.opus === null;
const test = (name: string, fn: () => void): void => Deno.test({ name: `Opus: ${name}`, ignore, fn });

function encodeAll(samples: Int16Array, options: OpusEncoderOptions): Uint8Array[] {
  using encoder = new OpusEncoder(library, options);
  const packets: Uint8Array[] = [];
  const block = encoder.frameSamples;
  for (let at = 0; at + block <= samples.length; at += block) {
    packets.push(encoder.encode(samples.subarray(at, at + block)).slice());
  }
  return packets;
}

function decodeAll(packets: readonly Uint8Array[], sampleRate: number): Int16Array {
  using decoder = new OpusDecoder(library, sampleRate);
  const heard = new SampleCollector();
  for (const packet of packets) heard.add(decoder.decode(packet));
  return heard.all();
}

test("a tone survives from every rate to every rate", () => {
  for (const sampleRate of OPUS_RATES) {
    const packets = encodeAll(tone(1000, sampleRate, 1500), { sampleRate });
    for (const toRate of OPUS_RATES) {
      const heard = decodeAll(packets, toRate);
      assert.equal(heard.length, toRate * 1.5);
      const { amplitude, snrDb } = measureTone(heard.subarray(toRate * 0.4, toRate * 1.4), 1000, toRate);
      assert.ok(
        Math.abs(20 * Math.log10(amplitude / 10000)) < 1 && snrDb > 20,
        `${sampleRate} ${toRate} ${snrDb}`,
      );
    }
  }
});

test("packets of 20, 40 and 60 ms", () => {
  for (const packetMs of [20, 40, 60]) {
    const packets = encodeAll(speechSamples(16000), { sampleRate: 16000, packetMs });
    assert.equal(packets.length, Math.floor(2000 / packetMs));
    assert.equal(decodeAll(packets, 48000).length, packets.length * 48 * packetMs);
  }
});

test("the bitrate is kept", () => {
  for (const bitrate of [12000, 24000, 48000]) {
    const packets = encodeAll(speechSamples(48000), { sampleRate: 48000, bitrate });
    const octets = packets.reduce((sum, packet) => sum + packet.length, 0);
    assert.ok(octets * 8 / 2 < bitrate * 1.3, `${octets * 4} of ${bitrate}`);
  }
});

test("lost packets are concealed", () => {
  const packets = encodeAll(speechSamples(48000), { sampleRate: 48000 });
  using decoder = new OpusDecoder(library, 48000);
  const heard = new SampleCollector();
  packets.forEach((packet, i) => heard.add(i % 10 === 5 ? decoder.conceal(960) : decoder.decode(packet)));
  assert.equal(heard.all().length, 96000);
  assert.ok(Math.abs(levelDb(heard.all()) - levelDb(decodeAll(packets, 48000))) < 2);
  assert.equal(decoder.conceal(1).length, 480);
  assert.equal(decoder.conceal(1e9).length, 5760);
});

test("with in-band FEC the next packet rebuilds the lost one better than concealment", () => {
  const speech = speechSamples(16000);
  const packets = encodeAll(speech, { sampleRate: 16000, bitrate: 24000, lossPercent: 20 });
  const clean = decodeAll(packets, 16000);
  const error = (recover: boolean): number => {
    using decoder = new OpusDecoder(library, 16000);
    let sum = 0;
    packets.forEach((packet, i) => {
      if (i % 5 !== 3 || i + 1 === packets.length) return void decoder.decode(packet);
      const made = recover ? decoder.recover(packets[i + 1]!, 320) : decoder.conceal(320);
      made.forEach((sample, k) => sum += (sample - clean[i * 320 + k]!) ** 2);
    });
    return sum;
  };
  assert.ok(error(true) < error(false) * 0.7, `${error(true)} ${error(false)}`);
});

test("any bytes are samples or a WireError, and the decoder goes on", () => {
  using decoder = new OpusDecoder(library, 48000);
  const packets = encodeAll(speechSamples(48000), { sampleRate: 48000 });
  const attempt = (packet: Uint8Array): void => {
    try {
      assert.ok(decoder.decode(packet).length <= 5760);
    } catch (error) {
      assert.ok(error instanceof WireError, String(error));
    }
  };
  fc.assert(fc.property(fc.uint8Array({ maxLength: 1500 }), attempt), { numRuns: 300 });
  for (let seed = 0; seed < 300; seed++) attempt(mutate(packets[seed % 100]!, seed));
  attempt(new Uint8Array(20000));
  assert.throws(() => decoder.decode(new Uint8Array(0)), WireError);
  assert.equal(decoder.decode(packets[0]!).length, 960);
});

test("the rate for a source is the next that holds it", () => {
  assert.deepEqual([8000, 11025, 16000, 22050, 44100, 48000, 96000].map(opusRateFor), [
    8000,
    12000,
    16000,
    24000,
    48000,
    48000,
    48000,
  ]);
});

/** RFC 6716 table 2 by its rows, and the frame count codes. */
const LENGTHS: [toc: string, milliseconds: number][] = [
  ["00", 10],
  ["08", 20],
  ["10", 40],
  ["18", 60],
  ["58", 60], // config 11
  ["60", 10], // config 12, hybrid
  ["68", 20],
  ["78", 20], // config 15
  ["80", 2.5], // config 16, CELT
  ["88", 5],
  ["90", 10],
  ["98", 20],
  ["fc", 20], // config 31, stereo
  ["09", 40], // two frames
  ["0a", 40],
  ["0b03", 60], // three frames
  ["8330", 120], // 48 frames of 2.5 ms
  ["8331", 0], // longer than 120 ms
  ["1b03", 0],
  ["0b00", 0],
  ["0b", 0],
  ["", 0],
];

for (const [toc, milliseconds] of LENGTHS) {
  Deno.test(`an Opus packet that begins ${toc || "with nothing"} lasts ${milliseconds} ms`, () => {
    assert.equal(opusTicks(Uint8Array.fromHex(toc)), milliseconds * 48);
  });
}

function opusFrame(timeMs: number, data: Uint8Array, codec: Frame["codec"] = "opus"): Frame {
  return { ...createFrame(), codec, timeMs, data };
}

Deno.test("RTMP to RTP: payloads as they are, timestamps of 48 kHz, marker after a pause", () => {
  const clock = new FakeClock();
  const packetizer = new OpusPacketizer({ clock });
  const sent: [string, number, boolean][] = [];
  const push = (frame: Frame) =>
    packetizer.push(frame, (payload, timestamp, marker) => sent.push([payload.toHex(), timestamp, marker]));
  for (
    const [timeMs, data] of [[0, "fc01"], [20, "fc02"], [40, "1803"], [100, "fc04"], [1000, "fc05"]] as const
  ) {
    push(opusFrame(timeMs, Uint8Array.fromHex(data)));
    clock.advance(timeMs === 100 ? 900 : 20);
  }
  const base = sent[0]![1];
  assert.deepEqual(sent.map(([hex, timestamp, marker]) => [hex, timestamp - base, marker]), [
    ["fc01", 0, true],
    ["fc02", 960, false],
    ["1803", 1920, false],
    ["fc04", 4800, false],
    ["fc05", 48000, true],
  ]);
  push({ ...opusFrame(0, opusHead()), config: true });
  push(opusFrame(0, new Uint8Array(0)));
  assert.equal(packetizer.dropped, 0);
  push(opusFrame(0, Uint8Array.of(0x0b)));
  push(opusFrame(0, Uint8Array.of(1), "speex"));
  assert.deepEqual([packetizer.dropped, sent.length], [2, 5]);
});

Deno.test("RTP to RTMP: frames as they are, RTMP time from now on", () => {
  const clock = new FakeClock(1000);
  const depacketizer = new OpusDepacketizer({ clock, originMs: 400 });
  const played: [string, number][] = [];
  const emit = (frame: Frame) => played.push([`${frame.codec} ${frame.data.toHex()}`, frame.timeMs]);
  depacketizer.push(Uint8Array.fromHex("fc01"), 5000, false, emit);
  clock.advance(20);
  depacketizer.push(Uint8Array.fromHex("fc02"), 5960, false, emit);
  depacketizer.push(new Uint8Array(0), 6920, false, emit);
  depacketizer.restart();
  clock.advance(980);
  depacketizer.push(Uint8Array.fromHex("fc03"), 1, false, emit);
  assert.deepEqual(played, [["opus fc01", 600], ["opus fc02", 620], ["opus fc03", 1600]]);
  assert.equal(depacketizer.dropped, 1);
});

Deno.test("any octets have a length of at most 120 ms", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 8 }), (packet) => {
    const ticks = opusTicks(packet);
    assert.ok(ticks >= 0 && ticks <= 5760 && Number.isInteger(ticks));
  }));
});

Deno.test("the configuration is an OpusHead of 48 kHz", () => {
  assert.equal(opusHead().toHex(), "4f70757348656164" + "0101" + "0000" + "80bb0000" + "0000" + "00");
  assert.equal(opusHead(2)[9], 2);
});
