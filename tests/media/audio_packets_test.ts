// Audio pass-through both ways: Speex with several frames, stripping, G.711 regrouping, markers, gaps.

import fc from "fast-check";
import assert from "node:assert/strict";
import { concatBytes, fromHex, toHex } from "../../lib/base/bytes.ts";
import { seededRandom } from "../../lib/base/random.ts";
import {
  AdtsFrames,
  type AudioPacketizer,
  configOfAdts,
  createAudioDepacketizer,
  createAudioPacketizer,
  isLoas,
  type PassThroughAudio,
} from "../../lib/media/audio_packets.ts";
import { type CodecName, createFrame, type Frame } from "../../lib/media/frame.ts";
import { linearToAlaw, linearToUlaw, ulawToLinear } from "../../lib/media/g711.ts";
import { speexSample } from "../../lib/media/sample.ts";
import { joinSpeexFrames, splitSpeexFrames, stripWidebandLayer } from "../../lib/media/speex_bits.ts";
import { adts, loas } from "../support/adts.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { coreBits, packBits } from "../support/media_speex.ts";
import { mutate } from "../support/mutate.ts";

interface Sent {
  readonly payload: Uint8Array;
  readonly timestamp: number;
  readonly marker: boolean;
}

const SAMPLE = speexSample();
const pair = (at: number): Uint8Array => joinSpeexFrames([SAMPLE[at]!, SAMPLE[at + 1]!]);

function audioFrame(codec: CodecName, timeMs: number, data: Uint8Array, tag = 0): Frame {
  return { ...createFrame(), codec, timeMs, data, tag };
}

function packetizer(codec: PassThroughAudio, clockRate: number, ptimeMs: number | null = null): {
  clock: FakeClock;
  packetizer: AudioPacketizer;
  send: (frame: Frame) => Sent[];
} {
  const clock = new FakeClock();
  const made = createAudioPacketizer({ codec, clockRate, clock, ptimeMs });
  const send = (frame: Frame): Sent[] => {
    const sent: Sent[] = [];
    made.push(
      frame,
      (payload, timestamp, marker) => sent.push({ payload: payload.slice(), timestamp, marker }),
    );
    return sent;
  };
  return { clock, packetizer: made, send };
}

function receiver(codec: PassThroughAudio, clockRate: number): {
  clock: FakeClock;
  restart: () => void;
  dropped: () => number;
  receive: (
    payload: Uint8Array,
    timestamp: number,
  ) => { timeMs: number; data: Uint8Array; codec: CodecName }[];
} {
  const clock = new FakeClock();
  const made = createAudioDepacketizer({ codec, clockRate, clock, originMs: 0 });
  return {
    clock,
    restart: () => made.restart(),
    dropped: () => made.dropped,
    receive: (payload, timestamp) => {
      const frames: { timeMs: number; data: Uint8Array; codec: CodecName }[] = [];
      made.push(payload, timestamp, false, (frame) => {
        frames.push({ timeMs: frame.timeMs, data: frame.data.slice(), codec: frame.codec });
      }, 0);
      return frames;
    },
  };
}

Deno.test("wideband Speex goes to a wideband peer as it is, one or several frames", () => {
  const { send } = packetizer("speex", 16000);
  assert.deepEqual(send(audioFrame("speex", 0, SAMPLE[0]!)), [{
    payload: SAMPLE[0]!,
    timestamp: 0,
    marker: true,
  }]);
  assert.deepEqual(send(audioFrame("speex", 20, pair(1))), [{
    payload: pair(1),
    timestamp: 320,
    marker: false,
  }]);
  assert.deepEqual(send(audioFrame("speex", 60, SAMPLE[3]!)), [{
    payload: SAMPLE[3]!,
    timestamp: 960,
    marker: false,
  }]);
});

Deno.test("towards a narrowband peer the wideband layer is stripped, and narrowband stays as it is", () => {
  const { send } = packetizer("speex", 8000);
  const narrow = stripWidebandLayer(pair(0));
  assert.deepEqual(send(audioFrame("speex", 0, pair(0))), [{ payload: narrow, timestamp: 0, marker: true }]);
  const padded = Uint8Array.of(...packBits(coreBits(3, seededRandom(1))), 0x7f);
  assert.deepEqual(send(audioFrame("speex", 40, padded)), [{
    payload: padded,
    timestamp: 320,
    marker: false,
  }]);
});

Deno.test("a packet time the peer asked for splits longer tags", () => {
  const { send } = packetizer("speex", 16000, 20);
  const sent = send(audioFrame("speex", 0, pair(0)));
  assert.deepEqual(sent, [
    { payload: SAMPLE[0]!, timestamp: 0, marker: true },
    { payload: SAMPLE[1]!, timestamp: 320, marker: false },
  ]);
  const three = packetizer("speex", 8000, 60).send(
    audioFrame("speex", 0, joinSpeexFrames(SAMPLE.slice(0, 7))),
  );
  assert.deepEqual(three.map((packet) => [splitSpeexFrames(packet.payload).length, packet.timestamp]), [
    [3, 0],
    [3, 480],
    [1, 960],
  ]);
});

Deno.test("a tag of more than 200 ms is split even when nobody asked", () => {
  const { send } = packetizer("speex", 16000);
  const sent = send(audioFrame("speex", 0, joinSpeexFrames(SAMPLE.slice(0, 25))));
  assert.deepEqual(sent.map((packet) => splitSpeexFrames(packet.payload).length), [10, 10, 5]);
  assert.deepEqual(
    joinSpeexFrames(sent.map((packet) => packet.payload)),
    joinSpeexFrames(SAMPLE.slice(0, 25)),
  );
});

Deno.test("a pause in RTMP time is a gap in RTP time, and the marker opens the next talk spurt", () => {
  const { clock, send } = packetizer("speex", 16000);
  send(audioFrame("speex", 1000, SAMPLE[0]!));
  clock.advance(520);
  assert.deepEqual(send(audioFrame("speex", 1520, SAMPLE[1]!))[0]!.timestamp, 1520 * 16);
  clock.advance(20);
  const [next] = send(audioFrame("speex", 1540, SAMPLE[2]!));
  assert.deepEqual([next!.timestamp, next!.marker], [1540 * 16, false]);
});

Deno.test("a new publish opens a talk spurt", () => {
  const { clock, packetizer: made, send } = packetizer("pcmu", 8000);
  send(audioFrame("pcmu", 4000, new Uint8Array(160)));
  clock.advance(20);
  made.restart();
  assert.deepEqual(send(audioFrame("pcmu", 0, new Uint8Array(160)))[0]!.marker, true);
});

Deno.test("timestamps are cut to 32 bits", () => {
  const { send } = packetizer("pcmu", 8000);
  const [sent] = send(audioFrame("pcmu", 2 ** 32 / 8 + 10, new Uint8Array(160)));
  assert.equal(sent!.timestamp, 80);
});

Deno.test("other codecs and broken Speex are dropped and counted; whole frames before a break pass", () => {
  const { packetizer: made, send } = packetizer("speex", 16000);
  for (const frame of [audioFrame("aac", 0, SAMPLE[0]!), audioFrame("speex", 0, Uint8Array.of(0x48, 0, 0))]) {
    assert.deepEqual(send(frame), []);
  }
  assert.equal(made.dropped, 2);
  assert.deepEqual(send(audioFrame("speex", 0, new Uint8Array(0))), []);
  assert.equal(made.dropped, 2);
  const cut = pair(0).subarray(0, 60);
  assert.deepEqual(send(audioFrame("speex", 0, cut)).map((packet) => packet.payload), [SAMPLE[0]]);
});

for (const sizes of [[160], [320], [80], [240], [1024], [1, 7, 500, 3, 160, 161, 159]]) {
  Deno.test(`G.711 in tags of ${sizes} octets leaves in packets of 20 ms with every octet in order`, () => {
    const { clock, send } = packetizer("pcma", 8000);
    const whole = Uint8Array.from({ length: 16000 }, (_, i) => i * 7 >> 2);
    const sent: Sent[] = [];
    let at = 0;
    for (let i = 0; at < 12000; i++) {
      const size = sizes[i % sizes.length]!;
      sent.push(...send(audioFrame("pcma", Math.floor(at / 8), whole.slice(at, at + size))));
      clock.advance(size / 8);
      at += size;
    }
    const bytes = concatBytes(sent.map((packet) => packet.payload));
    assert.ok(bytes.length > 11800);
    assert.deepEqual(bytes, whole.slice(0, bytes.length));
    sent.forEach((packet, i) => {
      assert.deepEqual([packet.payload.length, packet.timestamp, packet.marker], [160, 160 * i, i === 0]);
    });
  });
}

Deno.test("what is left of G.711 before a gap leaves filled up with silence", () => {
  const { clock, send } = packetizer("pcmu", 8000);
  assert.equal(send(audioFrame("pcmu", 0, new Uint8Array(200).fill(1))).length, 1);
  clock.advance(1000);
  const sent = send(audioFrame("pcmu", 1000, new Uint8Array(160).fill(2)));
  assert.deepEqual(sent.map((packet) => [packet.timestamp, packet.marker]), [[160, false], [8000, true]]);
  assert.deepEqual([...sent[0]!.payload], [...Array(40).fill(1), ...Array(120).fill(0xff)]);
});

Deno.test("the packet time of the peer sizes G.711 packets", () => {
  const { send } = packetizer("pcmu", 8000, 30);
  assert.deepEqual(send(audioFrame("pcmu", 0, new Uint8Array(480))).map((packet) => packet.payload.length), [
    240,
    240,
  ]);
  assert.equal(packetizer("pcmu", 8000, 1e9).send(audioFrame("pcmu", 0, new Uint8Array(1600))).length, 1);
});

Deno.test("G.711 of the other law and stereo G.711 arrive as what the peer agreed to", () => {
  const law = packetizer("pcma", 8000).send(
    audioFrame("pcmu", 0, new Uint8Array(160).fill(linearToUlaw(1000))),
  );
  assert.deepEqual(law[0]!.payload, new Uint8Array(160).fill(linearToAlaw(ulawToLinear(linearToUlaw(1000)))));
  const stereo = Uint8Array.from({ length: 320 }, (_, i) => linearToUlaw(i % 2 === 0 ? 8000 : -8000));
  const mixed = packetizer("pcmu", 8000).send(audioFrame("pcmu", 0, stereo, 0x83));
  assert.deepEqual(mixed.map((packet) => packet.payload), [new Uint8Array(160).fill(linearToUlaw(0))]);
});

Deno.test("a G.711 tag beyond two seconds is dropped", () => {
  const { packetizer: made, send } = packetizer("pcmu", 8000);
  assert.deepEqual(send(audioFrame("pcmu", 0, new Uint8Array(16001))), []);
  assert.equal(made.dropped, 1);
});

Deno.test("Speex from RTP keeps its packets, its time follows the timestamps", () => {
  const { clock, receive } = receiver("speex", 16000);
  clock.advance(300);
  const frames = [receive(pair(0), 5000), receive(SAMPLE[2]!, 5640), receive(SAMPLE[3]!, 5960)].flat();
  assert.deepEqual(frames, [
    { timeMs: 300, data: pair(0), codec: "speex" },
    { timeMs: 340, data: SAMPLE[2], codec: "speex" },
    { timeMs: 360, data: SAMPLE[3], codec: "speex" },
  ]);
});

Deno.test("payloads that are no Speex are dropped", () => {
  const { dropped, receive } = receiver("speex", 16000);
  assert.deepEqual(receive(new Uint8Array(0), 0), []);
  assert.deepEqual(receive(Uint8Array.of(0x7f), 0), []);
  assert.deepEqual(receive(Uint8Array.of(0x58, 1, 2), 0), []);
  assert.equal(dropped(), 3);
});

for (const size of [160, 80, 240, 320, 33]) {
  Deno.test(`G.711 from RTP packets of ${size} octets becomes tags of 20 ms`, () => {
    const { clock, receive } = receiver("pcmu", 8000);
    const whole = Uint8Array.from({ length: 4800 }, (_, i) => i >> 3);
    const frames: ReturnType<typeof receive> = [];
    for (let at = 0; at < whole.length; at += size) {
      frames.push(...receive(whole.slice(at, at + size), 1000 + at));
      clock.advance(size / 8);
    }
    assert.ok(frames.length >= 29);
    frames.forEach((frame, i) => {
      assert.equal(frame.timeMs, frames[0]!.timeMs + 20 * i);
      assert.deepEqual(frame.data, whole.slice(160 * i, 160 * i + 160));
    });
  });
}

Deno.test("lost G.711 packets leave a gap in time, and a new source goes on from now", () => {
  const { clock, receive, restart } = receiver("pcma", 8000);
  const block = new Uint8Array(160);
  const seen: number[] = [];
  const take = (timestamp: number, octets = block): void => {
    for (const frame of receive(octets, timestamp)) seen.push(frame.timeMs);
  };
  take(0);
  clock.advance(60);
  take(480);
  clock.advance(20);
  take(640, new Uint8Array(40)); // held, and dropped with its source
  clock.advance(20);
  restart();
  take(9);
  assert.deepEqual(seen, [0, 60, 100]);
});

Deno.test("what is packed comes back equal, for any frame counts", () => {
  fc.assert(fc.property(fc.array(fc.integer({ min: 1, max: 10 }), { maxLength: 12 }), (counts) => {
    const { clock, send } = packetizer("speex", 16000);
    const { clock: farClock, receive } = receiver("speex", 16000);
    let at = 0;
    for (const count of counts) {
      const tag = joinSpeexFrames(Array.from({ length: count }, (_, i) => SAMPLE[(at + i) % 100]!));
      const frames = send(audioFrame("speex", at * 20, tag)).flatMap((p) => receive(p.payload, p.timestamp));
      assert.deepEqual(frames, [{ timeMs: at * 20, data: tag, codec: "speex" }]);
      clock.advance(20 * count);
      farClock.advance(20 * count);
      at += count;
    }
  }));
});

Deno.test("damaged and random input never throws and never grows", () => {
  for (const codec of ["speex", "pcmu"] as const) {
    const { send } = packetizer(codec, 8000);
    const { receive } = receiver(codec, 8000);
    for (let seed = 0; seed < 500; seed++) {
      const octets = mutate(pair(seed % 90), seed);
      const total = send(audioFrame(codec, seed * 40, octets)).reduce((sum, p) => sum + p.payload.length, 0);
      assert.ok(total <= octets.length + 320);
      assert.ok(receive(octets, seed * 320).length <= 3);
    }
  }
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
