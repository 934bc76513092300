// x-flv: the vectors of behaviour.md 1.9, round trips, order, loss, damage.
import assert from "node:assert/strict";
import fc from "fast-check";
import { createFrame, type Frame } from "../../lib/media/frame.ts";
import { XflvDepacketizer, XflvPacketizer } from "../../lib/codecs/xflv.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { fromHex, toHex } from "../support/hex.ts";
import { mutate } from "../support/mutate.ts";
import { seededRandom } from "../../lib/base/random.ts";

interface Packet {
  readonly payload: Uint8Array;
  readonly timestamp: number;
  readonly marker: boolean;
}

function packetsOf(frames: readonly Frame[]): { packets: Packet[]; dropped: number } {
  const clock = new FakeClock();
  const packetizer = new XflvPacketizer(clock);
  const packets: Packet[] = [];
  for (const frame of frames) {
    packetizer.push(
      frame,
      (payload, timestamp, marker) => packets.push({ payload: payload.slice(), timestamp, marker }),
    );
    clock.advance(20);
  }
  return { packets, dropped: packetizer.dropped };
}

function open(): {
  depacketizer: XflvDepacketizer;
  wanted: () => number;
  receive: (packets: readonly Packet[]) => [string, number, string][];
} {
  const depacketizer = new XflvDepacketizer(new FakeClock(), 0);
  let wanted = 0;
  depacketizer.onKeyFrameWanted = () => wanted++;
  const receive = (packets: readonly Packet[]): [string, number, string][] => {
    const got: [string, number, string][] = [];
    for (const { payload, timestamp, marker } of packets) {
      depacketizer.push(payload, timestamp, marker, (frame) => {
        got.push([frame.codec, frame.timeMs, toHex(frame.data)]);
      });
    }
    return got;
  };
  return { depacketizer, wanted: () => wanted, receive };
}

const speex = (timeMs: number, data: Uint8Array): Frame => ({
  ...createFrame(),
  codec: "speex",
  timeMs,
  data,
});
const video = (timeMs: number, length: number, key = false): Frame => {
  const data = Uint8Array.from({ length }, (_, i) => i * 13 + timeMs);
  return { ...createFrame(), kind: "video", codec: "h264", key, timeMs, data };
};
const wanted = (
  frame: Frame,
  firstMs: number,
): [string, number, string] => [frame.codec, frame.timeMs - firstMs, toHex(frame.data)];

Deno.test("an audio message of four octets", () => {
  const { packets } = packetsOf([speex(1234, fromHex("61626364"))]);
  assert.deepEqual(packets.map(({ payload, ...rest }) => ({ ...rest, payload: toHex(payload) })), [{
    timestamp: 111060,
    marker: false,
    payload: "52544d5000000000000000110000000800000005000004d2b261626364",
  }]);
});

Deno.test("a video body of 2500 octets", () => {
  const { packets } = packetsOf([video(0, 2495)]);
  assert.deepEqual(packets.map((packet) => packet.payload.length), [1012, 1010, 522]);
  assert.deepEqual(packets.map((packet) => toHex(packet.payload.subarray(4, 10))), [
    "000000000000",
    "000000000001",
    "000000000002",
  ]);
});

Deno.test("messages count up, whatever they are, and share one scale of time", () => {
  const frames = [
    speex(1000, fromHex("01")),
    video(990, 20, true),
    speex(1020, fromHex("02")),
    video(1030, 20),
  ];
  const { packets } = packetsOf(frames);
  assert.deepEqual(packets.map((packet) => [packet.payload[7], packet.timestamp / 90]), [
    [0, 1000],
    [1, 990],
    [2, 1020],
    [3, 1030],
  ]);
  assert.deepEqual(open().receive(packets), [
    ["speex", 0, "01"],
    ["h264", 0, toHex(frames[1]!.data)],
    ["speex", 20, "02"],
    ["h264", 30, toHex(frames[3]!.data)],
  ]);
});

Deno.test("a key frame of 60000 octets passes (its length was read signed); one beyond 16 bits is dropped", () => {
  const frames = [video(0, 60000, true), video(40, 65519, true), video(80, 65518, true)];
  const { packets, dropped } = packetsOf(frames);
  assert.equal(dropped, 1);
  assert.deepEqual(open().receive(packets), [wanted(frames[0]!, 0), wanted(frames[2]!, 0)]);
  assert.equal(packets.at(-1)!.payload[7], 1, "the dropped message takes no number");
});

const STREAM = [
  video(0, 3500, true),
  speex(10, fromHex("aabb")),
  video(40, 1500),
  speex(50, fromHex("ccdd")),
  video(80, 2200),
];
const WANTED = STREAM.map((frame) => wanted(frame, 0));

Deno.test("packets of a message in any order, and of two adjacent messages mixed, lose nothing", () => {
  const { packets } = packetsOf(STREAM);
  assert.deepEqual(open().receive(packets), WANTED);
  const [a, b, c, d, e, ...rest] = packets as [Packet, Packet, Packet, Packet, Packet, ...Packet[]];
  assert.deepEqual(open().receive([d, b, a, c, e, ...rest]), WANTED, "first message upside down");
  assert.deepEqual(open().receive([a, b, e, d, c, ...rest]), WANTED, "second message among the first");
  assert.deepEqual(open().receive([a, a, b, b, c, d, d, e, ...rest]), WANTED, "twice");
});

Deno.test("each packet lost in turn loses its message only, and asks for a key frame", () => {
  const { packets } = packetsOf(STREAM);
  for (let lost = 0; lost < packets.length; lost++) {
    const message = packets[lost]!.payload[7]!;
    if (message > 2) break; // the two last messages show a loss only when more follow
    const { depacketizer, receive, wanted: asked } = open();
    const got = receive(packets.filter((_, i) => i !== lost));
    assert.deepEqual(
      got.map(([, , data]) => data),
      WANTED.filter((_, i) => i !== message).map(([, , data]) => data),
    );
    if (message > 0) assert.deepEqual([depacketizer.broken, asked()], [1, 1]);
  }
});

Deno.test("a run of lost messages, a sender that starts over, and late packets", () => {
  const long = Array.from({ length: 40 }, (_, i) => speex(i * 20, Uint8Array.of(i)));
  const { packets } = packetsOf(long);
  const { depacketizer, receive } = open();
  assert.equal(receive(packets.slice(0, 3)).length, 3);
  assert.equal(receive(packets.slice(30)).length, 10);
  assert.equal(receive(packets.slice(20, 25)).length, 0);
  assert.equal(depacketizer.broken, 1);
  const far = packets[0]!.payload.slice();
  far.set([0x7f, 0xff, 0xff, 0xff], 4);
  assert.equal(receive([{ ...packets[0]!, payload: far }]).length, 1);
  depacketizer.restart();
  assert.equal(receive(packets).length, 40);
});

Deno.test("the sequence number comes round", () => {
  const { packets } = packetsOf([
    speex(0, fromHex("01")),
    speex(20, fromHex("02")),
    speex(40, fromHex("03")),
  ]);
  packets.forEach((packet, i) =>
    packet.payload.set([[0xff, 0xff, 0xff, 0xff], [0, 0, 0, 0], [0, 0, 0, 1]][i]!, 4)
  );
  assert.equal(open().receive(packets).length, 3);
});

for (
  const [name, payload] of [
    ["another magic", "52544d5100000000000000110000000800000005000004d2b261626364"],
    ["no room for a message", "52544d5000000000000000"],
    ["nothing behind the header", "52544d50000000000001"],
    ["a chunk number beyond all measure", "52544d5000000000ffff00"],
    ["empty", ""],
  ] as const
) {
  Deno.test(`no x-flv: ${name}`, () => {
    const { depacketizer, receive } = open();
    assert.deepEqual(receive([{ payload: fromHex(payload), timestamp: 0, marker: false }]), []);
    assert.deepEqual([depacketizer.unsupported, depacketizer.broken], [1, 0]);
  });
}

for (
  const [name, payload] of [
    ["another type", "52544d5000000000000000110000000700000005000004d2b261626364"],
    ["a body length that does not fit", "52544d5000000000000000110000000800000006000004d2b261626364"],
    ["shorter than its own header", "52544d500000000000000004 00000008"],
    ["more octets than declared", "52544d5000000000000000100000000800000005000004d2b261626364"],
    ["a tag cut off", "52544d50000000000000000d0000000900000001000004d217"],
  ] as const
) {
  Deno.test(`a broken message: ${name}`, () => {
    const { depacketizer, receive } = open();
    assert.deepEqual(receive([{ payload: fromHex(payload), timestamp: 0, marker: false }]), []);
    assert.equal(depacketizer.broken, 1);
  });
}

Deno.test("any messages arrive equal, though neighbouring packets change places", () => {
  const frame = fc.tuple(fc.boolean(), fc.integer({ min: 1, max: 8000 }));
  fc.assert(
    fc.property(fc.array(frame, { maxLength: 10 }), fc.nat(), (list, seed) => {
      const frames = list.map(([isVideo, size], i) =>
        isVideo ? video(i * 20, size) : speex(i * 20, new Uint8Array(size % 200))
      );
      const { packets } = packetsOf(frames);
      const random = seededRandom(seed);
      for (let i = 0; i + 1 < packets.length; i += 2 + random.u16() % 3) {
        if (i > 0) [packets[i], packets[i + 1]] = [packets[i + 1]!, packets[i]!];
      }
      const got = open().receive(packets);
      assert.deepEqual(
        got.map(([codec, , data]) => [codec, data]),
        frames.map((each) => [each.codec, toHex(each.data)]),
      );
    }),
    { numRuns: 60 },
  );
});

Deno.test("damaged and random payloads never throw", () => {
  const { packets } = packetsOf(STREAM);
  let whole = 0;
  for (let seed = 0; seed < 300; seed++) {
    const damaged = packets.map((packet, i) =>
      (i + seed) % 5 === 0 ? { ...packet, payload: mutate(packet.payload, seed) } : packet
    );
    whole += open().receive(damaged).length;
  }
  assert.ok(whole > 300);
  const { receive } = open();
  fc.assert(fc.property(fc.uint8Array({ maxLength: 40 }), fc.nat(3), (bytes, sequence) => {
    const payload = new Uint8Array(bytes.length + 8);
    payload.set([0x52, 0x54, 0x4d, 0x50, 0, 0, 0, sequence]);
    payload.set(bytes, 8);
    receive([{ payload, timestamp: 0, marker: false }]);
  }));
});
