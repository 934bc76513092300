import assert from "node:assert/strict";
import { XflvLine } from "../../lib/gateway/xflv_line.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { fromHex, toHex } from "../../lib/base/bytes.ts";

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

function line(clock: FakeClock): { line: XflvLine; packets: Packet[]; tags: Tag[] } {
  const packets: Packet[] = [];
  const tags: Tag[] = [];
  const made = new XflvLine({
    chain: { kind: "x-flv", sendPayloadType: 97, receivePayloadType: 98 },
    clock,
    originMs: clock.now(),
    toSip: (payload, timestamp, _marker, payloadType) => {
      packets.push({ payload: toHex(payload), timestamp, payloadType });
    },
    toRtmp: (type, timeMs, body) => void tags.push({ type, timeMs, body: toHex(body) }),
  });
  return { line: made, packets, tags };
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
