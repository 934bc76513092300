// Opus between RTMP and RTP: lengths from the first octets, everything else unchanged.
import assert from "node:assert/strict";
import fc from "fast-check";
import { createFrame, type Frame } from "../../lib/media/frame.ts";
import { OpusDepacketizer, opusHead, OpusPacketizer, opusTicks } from "../../lib/media/opus_packets.ts";
import { FakeClock } from "../support/fake_clock.ts";

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
