import assert from "node:assert/strict";
import { concatBytes, fromHex, toHex } from "../../lib/base/bytes.ts";
import { H264Line, KEY_FRAME_REQUEST_MS } from "../../lib/gateway/h264_line.ts";
import type { LineTrouble } from "../../lib/gateway/line_trouble.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { avc, CONFIG, slice } from "../support/media_h264.ts";

interface Packet {
  payload: Uint8Array;
  timestamp: number;
  marker: boolean;
}

function line(clock: FakeClock, mode: 0 | 1 = 1) {
  const packets: Packet[] = [];
  const tags: string[] = [];
  const asked: string[] = [];
  const troubles: LineTrouble[] = [];
  const placed: { timestamp: number; timeMs: number }[] = [];
  const made = new H264Line({
    chain: {
      kind: "h264",
      mode,
      fmtp: null,
      sprop: null,
      localFmtp: null,
      rtcpFb: [],
      sendPayloadType: 99,
      receivePayloadTypes: [99],
    },
    clock,
    originMs: clock.now(),
    toSip: (payload, timestamp, marker) => void packets.push({ payload: payload.slice(), timestamp, marker }),
    toRtmp: (_type, _timeMs, body) => void tags.push(toHex(body)),
    askPeer: () => void asked.push("peer"),
    askPublisher: () => void asked.push("publisher"),
    onTrouble: (trouble) => void troubles.push(trouble),
    onPlaced: (timestamp, timeMs) => void placed.push({ timestamp, timeMs }),
  });
  return { line: made, packets, tags, asked, placed, troubles };
}

const config = (): Uint8Array => concatBytes([fromHex("1700000000"), CONFIG]);
const key = (length: number): Uint8Array => concatBytes([fromHex("1701000000"), avc([slice("I", length)])]);
const inter = (seed: number): Uint8Array =>
  concatBytes([fromHex("2701000000"), avc([slice("P", 400, { seed })])]);

function publish(sender: H264Line, bodies: readonly Uint8Array[]): void {
  bodies.forEach((body, i) => sender.fromRtmp({ type: 9, timeMs: i * 40, body }));
}

function deliver(
  receiver: H264Line,
  packets: readonly Packet[],
  lost: ReadonlySet<number> = new Set(),
): void {
  let gap = 0;
  packets.forEach(({ payload, timestamp, marker }, i) => {
    if (lost.has(i)) gap++;
    else {
      receiver.fromRtp(payload, timestamp, marker, 99, gap);
      gap = 0;
    }
  });
}

Deno.test("a configuration, a key frame and an inter frame arrive as the same tags", () => {
  const clock = new FakeClock();
  const from = line(clock);
  const to = line(clock);
  publish(from.line, [config(), key(3001), inter(1)]);
  assert.ok(from.packets.length >= 5, "the key frame is cut in three");
  deliver(to.line, from.packets);
  assert.deepEqual(to.tags, [config(), key(3001), inter(1)].map(toHex));
  assert.equal(from.line.profileLevelId, "42c01e");
});

Deno.test("a lost part drops its picture whole and asks the peer for a key frame, once a second", () => {
  const clock = new FakeClock();
  const from = line(clock);
  const to = line(clock);
  publish(from.line, [config(), key(3001), inter(1), inter(2), inter(3)]);
  const firstInter = from.packets.length - 3;
  deliver(to.line, from.packets, new Set([firstInter]));
  assert.deepEqual(to.asked, ["peer"]);
  clock.advance(KEY_FRAME_REQUEST_MS);
  to.line.playerChanged();
  assert.deepEqual(to.asked, ["peer", "peer"]);
});

Deno.test("a request of the peer is served from the cached key frame and passed on to the publisher, rate-limited", () => {
  const clock = new FakeClock();
  const { line: sender, packets, asked } = line(clock);
  publish(sender, [config(), key(300), inter(1)]);
  const before = packets.length;
  sender.keyFrameRequested();
  sender.keyFrameRequested();
  assert.deepEqual(asked, ["publisher"]);
  const repeated = packets.slice(before);
  const again = line(clock);
  deliver(again.line, repeated);
  assert.deepEqual(again.tags, [config(), key(300)].map(toHex), "a new watcher could start here");
  clock.advance(KEY_FRAME_REQUEST_MS);
  sender.keyFrameRequested();
  assert.deepEqual(asked, ["publisher", "publisher"]);
});

Deno.test("another codec, a cut tag and another payload type are counted or ignored, never thrown", () => {
  const { line: one, packets, tags } = line(new FakeClock());
  publish(one, [fromHex("22aabbcc"), fromHex("17"), fromHex("1701")]);
  assert.ok(one.unusable >= 2);
  one.fromRtp(fromHex("65aabb"), 0, true, 34, 0);
  assert.deepEqual([packets.length, tags.length], [0, 0]);
});
