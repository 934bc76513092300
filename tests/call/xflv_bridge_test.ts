import assert from "node:assert/strict";
import { XflvBridge } from "../../lib/call/xflv_bridge.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { fromHex, toHex } from "../../lib/base/bytes.ts";
import { mutate } from "../support/mutate.ts";

interface Packet {
  payload: string;
  timestamp: number;
  payloadType: number;
}
interface Tag {
  type: number;
  timeMs: number;
  body: string;
}

function line(clock: FakeClock) {
  const packets: Packet[] = [];
  const tags: Tag[] = [];
  const asked: string[] = [];
  const warnings: string[] = [];
  const made = new XflvBridge({
    chain: { kind: "x-flv", sendPayloadType: 97, receivePayloadTypes: [98] },
    clock,
    originMs: clock.now(),
    toSip: {
      send: (payload, timestamp, _marker, payloadType) => {
        packets.push({ payload: toHex(payload), timestamp, payloadType });
      },
    },
    toRtmp: { play: (type, timeMs, body) => void tags.push({ type, timeMs, body: toHex(body) }) },
    askPeer: () => void asked.push("peer"),
    askPublisher: () => void asked.push("publisher"),
    onWarning: ({ text }) => void warnings.push(text),
  });
  return { line: made, packets, tags, asked, warnings };
}

Deno.test("the recorded vector of siprtmp leaves byte for byte (behaviour 1.9)", () => {
  const { line: sender, packets } = line(new FakeClock());
  sender.fromRtmp({ type: 8, timeMs: 1234, body: fromHex("b261626364") });
  assert.deepEqual(packets.map((packet) => packet.payload), [
    "52544d50000000000000001100000008" + "00000005000004d2b261626364",
  ]);
  assert.equal(packets[0]?.payloadType, 97);
});

Deno.test("audio, video and data arrive at the other end with their types and bytes", () => {
  const clock = new FakeClock();
  const { line: sender, packets } = line(clock);
  const { line: receiver, tags } = line(clock);
  const key = "17010000" + "00".repeat(2600);
  sender.fromRtmp({ type: 8, timeMs: 0, body: fromHex("b20102030405") });
  sender.fromRtmp({ type: 9, timeMs: 10, body: fromHex(key) });
  sender.fromRtmp({ type: 18, timeMs: 20, body: fromHex("02000a6f6e4d65746144617461") });
  for (const packet of packets) receiver.fromRtp(fromHex(packet.payload), packet.timestamp, false, 98);
  assert.deepEqual(tags.map(({ type, body }) => ({ type, body })), [
    { type: 8, body: "b20102030405" },
    { type: 9, body: key },
    { type: 18, body: "02000a6f6e4d65746144617461" },
  ]);
});

Deno.test("another payload type is not x-flv; a message too long for the format is counted", () => {
  const { line: one, packets, tags } = line(new FakeClock());
  one.fromRtmp({ type: 8, timeMs: 0, body: fromHex("b261") });
  one.fromRtp(fromHex(packets[0]!.payload), 0, false, 97);
  assert.deepEqual(tags, []);
  one.fromRtmp({ type: 9, timeMs: 0, body: new Uint8Array(70_000).fill(0x17) });
  assert.equal(one.unusable, 1);
  assert.equal(packets.length, 1);
});

const CONFIG = "1700000000" + "0142c01effe100066742c01eabcd01000468ce3c80";
const AAC_CONFIG = "af001210";
const key = (n: number): string => `1701000000000000036588${n.toString(16).padStart(2, "0")}`;
const inter = (n: number): string => `2701000000000000034188${n.toString(16).padStart(2, "0")}`;

function publish(sender: XflvBridge, clock: FakeClock, bodies: readonly string[], type: 8 | 9 = 9): void {
  for (const body of bodies) {
    sender.fromRtmp({ type, timeMs: clock.now(), body: fromHex(body) });
    clock.advance(40);
  }
}

function deliver(receiver: XflvBridge, packets: readonly Packet[]): void {
  for (const { payload, timestamp } of packets) receiver.fromRtp(fromHex(payload), timestamp, false, 98);
}

Deno.test("the configuration is sent again before key frames, so that a lost one is not lost for ever", () => {
  const clock = new FakeClock();
  const from = line(clock);
  publish(from.line, clock, [CONFIG, key(1), inter(2), key(3), key(4)]);
  const to = line(clock);
  deliver(to.line, from.packets.slice(1));
  assert.deepEqual(to.tags.map(({ body }) => body), [key(1), inter(2), CONFIG, key(3), CONFIG, key(4)]);
  from.line.publisherChanged();
  const before = from.packets.length;
  publish(from.line, clock, [key(5)]);
  assert.equal(from.packets.length, before + 1, "another publisher's is not repeated");
});

Deno.test("the configuration of audio alone is sent again now and then, that of video is not", () => {
  const clock = new FakeClock();
  const from = line(clock);
  publish(from.line, clock, [CONFIG]);
  publish(from.line, clock, [AAC_CONFIG, ...new Array(300).fill("af0121")], 8);
  const to = line(clock);
  deliver(to.line, from.packets);
  const configs = to.tags.filter(({ body }) => body === AAC_CONFIG).length;
  assert.ok(configs >= 2 && configs <= 4, `${configs}`);
  assert.equal(to.tags.filter(({ body }) => body === CONFIG).length, 1);
});

Deno.test("a player that joins late gets the configurations, then pictures from a key frame on", () => {
  const clock = new FakeClock();
  const from = line(clock);
  const to = line(clock);
  publish(from.line, clock, [CONFIG, key(1), inter(2)]);
  publish(from.line, clock, [AAC_CONFIG, "af0121"], 8);
  publish(from.line, clock, [inter(3), inter(4)]);
  publish(from.line, clock, ["af0122"], 8);
  publish(from.line, clock, [key(5), inter(6)]);
  deliver(to.line, from.packets.slice(0, 5));
  to.line.playerChanged();
  const before = to.tags.length;
  deliver(to.line, from.packets.slice(5));
  const repeated = [CONFIG, AAC_CONFIG]; // those the sender repeats before the key frame
  assert.deepEqual(to.tags.slice(before).map(({ body }) => body), [
    ...[CONFIG, AAC_CONFIG],
    "af0122",
    ...repeated,
    key(5),
    inter(6),
  ]);
  assert.deepEqual(to.asked, ["peer"]);
});

Deno.test("a lost message asks the peer for a key frame, a request of the peer reaches the publisher, rate-limited", () => {
  const clock = new FakeClock();
  const from = line(clock);
  const to = line(clock);
  publish(from.line, clock, [key(1), inter(2), inter(3), inter(4), inter(5), inter(6), inter(7)]);
  deliver(to.line, from.packets.filter((_, i) => i !== 1 && i !== 3));
  assert.deepEqual(to.asked, ["peer"]);
  from.line.keyFrameRequested();
  from.line.keyFrameRequested();
  assert.deepEqual(from.asked, ["publisher"]);
});

Deno.test("broken input of either side is told once and counted, what follows passes", () => {
  const clock = new FakeClock();
  const from = line(clock);
  publish(from.line, clock, ["17", "1701", key(1)]);
  from.line.fromRtmp({ type: 9, timeMs: 200, body: new Uint8Array(70_000).fill(0x17) });
  from.line.fromRtmp({ type: 9, timeMs: 200, body: new Uint8Array(70_000).fill(0x17) });
  assert.deepEqual([from.line.unusable, from.warnings.length], [4, 2]);
  const to = line(clock);
  for (let i = 0; i < 5; i++) to.line.fromRtp(fromHex("0102030405060708090a0b0c"), 0, false, 98);
  deliver(to.line, from.packets);
  assert.deepEqual([to.tags.map(({ body }) => body), to.warnings.length], [[key(1)], 1]);
});

Deno.test("mutated messages and packets: never thrown, a few warnings at most, what follows passes", () => {
  const clock = new FakeClock();
  const from = line(clock);
  const to = line(clock);
  for (let seed = 0; seed < 600; seed++) {
    const body = fromHex([CONFIG, key(1), inter(2), "b2aabbcc"][seed % 4]!);
    from.line.fromRtmp({ type: seed % 4 === 3 ? 8 : 9, timeMs: seed * 10, body: mutate(body, seed) });
    clock.advance(10);
  }
  from.packets.forEach(({ payload, timestamp }, i) => {
    to.line.fromRtp(mutate(fromHex(payload), i), timestamp, false, 98);
  });
  assert.ok(from.warnings.length <= 16 && to.warnings.length <= 16);
  const [sent, shown] = [from.packets.length, to.tags.length];
  publish(from.line, clock, [...new Array(6).fill(inter(1)), key(9), inter(10)]);
  deliver(to.line, from.packets.slice(sent));
  assert.deepEqual(to.tags.slice(shown).slice(-2).map(({ body }) => body), [key(9), inter(10)]);
});
