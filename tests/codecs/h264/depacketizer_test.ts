// RTP to H.264 frames: all packet types, round trips with the packetizer, every single loss, damage.
import assert from "node:assert/strict";
import fc from "fast-check";
import { concatBytes } from "../../../lib/base/bytes.ts";
import type { Frame } from "../../../lib/media/frame.ts";
import { H264Depacketizer, type H264DepacketizerOptions } from "../../../lib/codecs/h264/depacketizer.ts";
import { H264Packetizer } from "../../../lib/codecs/h264/packetizer.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { toHex } from "../../support/hex.ts";
import { avc, CONFIG, configFrame, PPS, slice, SPS, videoFrame } from "../../support/media_h264.ts";
import { mutate } from "../../support/mutate.ts";

interface Packet {
  readonly payload: Uint8Array;
  readonly timestamp: number;
  readonly marker: boolean;
}

interface Got {
  readonly config: boolean;
  readonly key: boolean;
  readonly timeMs: number;
  readonly compositionMs: number;
  readonly data: string;
}

/** A depacketizer whose stream has shown that its markers end its pictures, unless `strange`. */
function open(options: Partial<H264DepacketizerOptions> & { readonly strange?: boolean } = {}): {
  depacketizer: H264Depacketizer;
  clock: FakeClock;
  wanted: () => number;
  receive: (packets: readonly Packet[], lostBefore?: number) => Got[];
} {
  const clock = new FakeClock();
  const depacketizer = new H264Depacketizer({ clock, originMs: 0, ...options });
  let wanted = 0;
  if (options.strange !== true) {
    for (const timestamp of [-7200, -3600]) depacketizer.push(slice("P", 20), timestamp, true, () => {}, 0);
    depacketizer.heldBack = 0;
  }
  depacketizer.onKeyFrameWanted = () => wanted++;
  const receive = (packets: readonly Packet[], lostBefore = 0): Got[] => {
    const got: Got[] = [];
    packets.forEach(({ payload, timestamp, marker }, i) => {
      depacketizer.push(payload, timestamp, marker, ({ config, key, timeMs, compositionMs, data }) => {
        got.push({ config, key, timeMs, compositionMs, data: toHex(data) });
      }, i === 0 ? lostBefore : 0);
    });
    return got;
  };
  return { depacketizer, clock, wanted: () => wanted, receive };
}

/** Packets for frames, as our packetizer makes them. */
function packetsOf(frames: readonly Frame[], maxPayloadOctets = 400): Packet[] {
  const packets: Packet[] = [];
  const packetizer = new H264Packetizer({ clock: new FakeClock(), packetizationMode: 1, maxPayloadOctets });
  for (const frame of [configFrame(), ...frames]) {
    packetizer.push(
      frame,
      (payload, timestamp, marker) => packets.push({ payload: payload.slice(), timestamp, marker }),
    );
  }
  return packets;
}

const one = (payload: Uint8Array, timestamp: number, marker = true): Packet => ({
  payload,
  timestamp,
  marker,
});
const config = { config: true, key: true, compositionMs: 0, data: toHex(CONFIG) };
const picture = (nals: readonly Uint8Array[], key: boolean, timeMs: number, compositionMs = 0): Got => ({
  config: false,
  key,
  timeMs,
  compositionMs,
  data: toHex(avc(nals)),
});

Deno.test("nothing leaves before SPS, PPS and key frame; then the configuration precedes every key frame", () => {
  const { depacketizer, clock, receive, wanted } = open();
  assert.deepEqual(receive([one(slice("P", 20), 0)]), []);
  assert.deepEqual(receive([one(SPS, 3600, false), one(PPS, 3600, false), one(slice("P", 20), 3600)]), []);
  assert.equal(wanted(), 2);
  assert.equal(depacketizer.heldBack, 2);
  clock.advance(80);
  const idr = slice("I", 30);
  assert.deepEqual(receive([one(idr, 7200)]), [{ ...config, timeMs: 80 }, picture([idr], true, 80)]);
  assert.ok(!depacketizer.waitingForKey);
  clock.advance(40);
  assert.deepEqual(receive([one(slice("P", 20), 10800)]), [picture([slice("P", 20)], false, 120)]);
  clock.advance(40);
  assert.deepEqual(receive([one(idr, 14400)]), [{ ...config, timeMs: 160 }, picture([idr], true, 160)]);
});

Deno.test("parameter sets of the SDP are enough to start, changed ones make a new configuration", () => {
  const { depacketizer, receive } = open();
  for (const nal of [SPS, PPS]) depacketizer.parameterSets.update(nal);
  assert.deepEqual(receive([one(slice("I", 20), 0)])[0], { ...config, timeMs: 0 });
  const sps = SPS.map((octet, i) => i === 3 ? 0x28 : octet);
  const pps = PPS.map((octet, i) => i === 3 ? 0x88 : octet);
  const got = receive([one(sps, 3600, false), one(pps, 3600, false), one(slice("P", 20), 3600)]);
  const record = toHex(CONFIG).replace("42c01e", "42c028").replace("42c01e", "42c028").replace(
    "3c80",
    "3c88",
  );
  assert.deepEqual(got.map((frame) => [frame.config, frame.data]), [
    [true, record],
    [false, toHex(avc([slice("P", 20)]))],
  ]);
});

Deno.test("single NAL units, STAP-A and FU-A of one timestamp make one frame", () => {
  const nals = [slice("I", 100), slice("I", 900, { first: false }), slice("I", 20, { first: false })];
  const packets = packetsOf([videoFrame(0, nals)], 200);
  assert.deepEqual(new Set(packets.map((packet) => packet.payload[0]! & 31)), new Set([24, 28, 5]));
  assert.deepEqual(open().receive(packets), [{ ...config, timeMs: 0 }, picture(nals, true, 0)]);
});

Deno.test("SEI stays, delimiters, ends and filler go", () => {
  const { receive } = open();
  const sei = Uint8Array.of(6, 5, 1, 0, 0x80);
  const idr = slice("I", 30);
  const nals = [Uint8Array.of(9, 0x10), SPS, PPS, sei, idr, Uint8Array.of(12, 0xff, 0x80)];
  const got = receive(nals.map((nal, i) => one(nal, 0, i === nals.length - 1)));
  assert.deepEqual(got[1], picture([sei, idr], true, 0));
});

Deno.test("a frame without marker ends with the next timestamp", () => {
  const { receive } = open();
  const idr = slice("I", 30);
  assert.deepEqual(receive([SPS, PPS, idr].map((nal) => one(nal, 0, false))), []);
  assert.deepEqual(receive([one(slice("P", 20), 3600, false)])[1], picture([idr], true, 0));
});

Deno.test("markers on parameter sets, as siprtmp sets them, do no harm", () => {
  const idr = slice("I", 30);
  assert.equal(open().receive([SPS, PPS, idr].map((nal) => one(nal, 0, true))).length, 2);
});

Deno.test("a stream of intra slices without IDR can be started too", () => {
  const { receive } = open();
  const intra = slice("I", 30, { idr: false });
  const got = receive([one(SPS, 0, false), one(PPS, 0, false), one(intra, 0)]);
  assert.deepEqual(got[1], picture([intra], true, 0));
  assert.deepEqual(receive([one(intra, 3600)])[0]!.key, false);
});

Deno.test("B frames keep decoding time running and show before it", () => {
  const { depacketizer, clock, receive } = open();
  receive([one(SPS, 0, false), one(PPS, 0, false), one(slice("I", 20), 0)]);
  clock.advance(40);
  const got = [[10800, "P"], [3600, "B"], [7200, "B"], [14400, "P"]].flatMap(([timestamp, kind]) => {
    clock.advance(40);
    return receive([one(slice(kind as "P" | "B", 20), timestamp as number)]);
  });
  assert.deepEqual(got.map((frame) => [frame.timeMs, frame.compositionMs]), [
    [120, 0],
    [120, -80],
    [120, -40],
    [160, 0],
  ]);
  assert.equal(depacketizer.bFrames, 2);
});

const STREAM: readonly Frame[] = Array.from({ length: 12 }, (_, i) => {
  const kind = i % 4 === 0 ? "I" : "P";
  const nals = [slice(kind, 700 + i, { seed: i }), slice(kind, 300 + i, { first: false, seed: i })];
  return videoFrame(i * 40, nals);
});

Deno.test("each packet lost in turn: no frame is ever sent on in part, and a key frame is asked for", () => {
  const packets = packetsOf(STREAM);
  const whole = new Set(STREAM.map((frame) => toHex(frame.data)));
  for (let lost = 0; lost < packets.length - 1; lost++) {
    const { receive, wanted } = open();
    const got = [...receive(packets.slice(0, lost)), ...receive(packets.slice(lost + 1), 1)];
    const pictures = got.filter((frame) => !frame.config);
    assert.ok(pictures.every((frame) => whole.has(frame.data)), `packet ${lost}`);
    assert.ok(pictures.length >= STREAM.length - 4, `packet ${lost}: ${pictures.length}`);
    assert.ok(wanted() > 0, `packet ${lost}`);
  }
});

Deno.test("with freezeOnLoss nothing leaves from a loss to the next key frame", () => {
  const packets = packetsOf(STREAM);
  const { depacketizer, receive } = open({ freezeOnLoss: true });
  const lost = packets.findIndex((packet) => packet.timestamp === 5 * 3600);
  const got = [...receive(packets.slice(0, lost)), ...receive(packets.slice(lost + 1), 1)];
  assert.deepEqual(got.filter((frame) => !frame.config).map((frame) => frame.timeMs), [
    0,
    40,
    80,
    120,
    160,
    320,
    360,
    400,
    440,
  ]);
  assert.equal(depacketizer.broken, 1);
  assert.equal(depacketizer.heldBack, 2);
});

Deno.test("whole frames lost between markers still ask for a key frame", () => {
  const { receive, wanted, depacketizer } = open();
  const packets = packetsOf([
    videoFrame(0, [slice("I", 20)]),
    videoFrame(40, [slice("P", 20)]),
    videoFrame(80, [slice("P", 20)]),
  ]);
  receive(packets.slice(0, 1));
  assert.equal(receive(packets.slice(2), 1).length, 1);
  assert.equal(wanted(), 1);
  assert.equal(depacketizer.broken, 0);
});

const fragment = (flags: number, length = 20): Uint8Array =>
  concatBytes([Uint8Array.of(0x7c, flags), new Uint8Array(length)]);

for (
  const [name, payloads] of [
    ["a fragment without its start", [fragment(0x05), fragment(0x45)]],
    ["a fragment without its end", [fragment(0x85), slice("I", 20)]],
    ["two starts", [fragment(0x85), fragment(0x85), fragment(0x45)]],
    ["an empty fragment", [fragment(0x85), fragment(0x45, 0)]],
    ["a STAP-A cut off", [Uint8Array.of(0x78, 0, 9, 0x65, 0x88)]],
    ["a STAP-A with octets left over", [Uint8Array.of(0x78, 0, 2, 0x65, 0x88, 0)]],
    ["a nested STAP-A", [Uint8Array.of(0x78, 0, 3, 0x78, 0, 1)]],
    ["an MTAP", [Uint8Array.of(0x7a, 0, 0, 1, 2, 3)]],
    ["an empty payload", [new Uint8Array(0)]],
  ] as const
) {
  Deno.test(`broken frame: ${name}`, () => {
    const { depacketizer, receive, wanted } = open();
    const setUp = receive(packetsOf([videoFrame(0, [slice("I", 20)])]));
    assert.equal(setUp.length, 2);
    assert.deepEqual(
      receive(payloads.map((payload, i) => one(payload, 3600, i === payloads.length - 1))),
      [],
    );
    assert.equal(depacketizer.broken, 1);
    assert.equal(wanted(), 1);
    assert.equal(receive([one(slice("P", 20), 7200)]).length, 1);
  });
}

Deno.test("broken frame: an end that never comes is missed when the next frame begins", () => {
  const { depacketizer, receive, wanted } = open();
  receive(packetsOf([videoFrame(0, [slice("I", 20)])]));
  assert.deepEqual(receive([one(fragment(0x85), 3600, false), one(fragment(0x05), 3600)]), []);
  assert.equal(receive([one(slice("P", 20), 7200)]).length, 1);
  assert.equal(depacketizer.broken, 1);
  assert.equal(wanted(), 1);
});

Deno.test("a frame beyond all measure is given up", () => {
  const { depacketizer, receive } = open();
  receive(packetsOf([videoFrame(0, [slice("I", 20)])]));
  const big = slice("P", 60000);
  const packets = Array.from({ length: 80 }, (_, i) => one(big, 3600, i === 79));
  assert.deepEqual(receive(packets), []);
  assert.equal(depacketizer.broken, 1);
});

Deno.test("a new source needs a key frame and goes on in time; a late player too", () => {
  const { depacketizer, clock, receive, wanted } = open();
  const [sets, pFrame] = [packetsOf([videoFrame(0, [slice("I", 20)])]), slice("P", 20)];
  receive(sets);
  receive([one(pFrame, 3600, false)]);
  clock.advance(100);
  depacketizer.restart();
  assert.deepEqual(receive([one(pFrame, 900_000_000)]), []);
  assert.deepEqual(receive([one(sets[0]!.payload, 900_003_600)]).map((frame) => frame.timeMs), [100, 100]);
  depacketizer.waitForKey();
  assert.ok(depacketizer.waitingForKey);
  assert.equal(wanted(), 2);
});

Deno.test("what the packetizer sends arrives equal, for any pictures and packet sizes", () => {
  const pictures = fc.array(
    fc.record({
      key: fc.boolean(),
      sizes: fc.array(fc.integer({ min: 2, max: 3000 }), { minLength: 1, maxLength: 5 }),
    }),
    { minLength: 1, maxLength: 8 },
  );
  fc.assert(
    fc.property(pictures, fc.integer({ min: 100, max: 1446 }), (list, maxPayload) => {
      const frames = list.map(({ key, sizes }, i) =>
        videoFrame(
          i * 33,
          sizes.map((size, n) => slice(key || i === 0 ? "I" : "P", size, { first: n === 0, seed: i })),
        )
      );
      const { receive, clock } = open();
      const received = receive(packetsOf(frames, maxPayload));
      clock.advance(1000); // the last one may wait: it may have fewer slices than those before
      const got = received.filter((frame) => !frame.config);
      assert.deepEqual(
        got.map((frame) => [frame.timeMs, frame.key, frame.data]),
        frames.map((frame) => [
          frame.timeMs,
          frame.key,
          toHex(frame.data),
        ]),
      );
    }),
    { numRuns: 60 },
  );
});

Deno.test("random and damaged payloads never throw", () => {
  const { receive } = open();
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.uint8Array({ maxLength: 60 }), fc.boolean()), { maxLength: 20 }),
      (list) => {
        list.forEach(([payload, marker], i) => void receive([one(payload, i >> 1, marker)], i % 3));
      },
    ),
  );
  const packets = packetsOf(STREAM);
  let frames = 0;
  for (let seed = 0; seed < 100; seed++) {
    const damaged = packets.map((packet, i) =>
      i % 7 === 0 ? { ...packet, payload: mutate(packet.payload, seed) } : packet
    );
    frames += open().receive(damaged).length;
  }
  assert.ok(frames > 500);
});
