import fc from "fast-check";
import assert from "node:assert/strict";
import { WireError } from "../../lib/base/errors.ts";
import { decodeRtcp, encodeRtcp, FEEDBACK_FORMATS, RTCP_TYPES, type RtcpPacket } from "../../lib/rtp/rtcp.ts";
import { hex, toHex } from "../support/hex.ts";
import { mutate } from "../support/mutate.ts";
import { RTCP_VECTORS } from "../support/rtp_packets.ts";

for (const { name, packets, bytes } of RTCP_VECTORS) {
  Deno.test(`RTCP read: ${name}`, () => assert.deepEqual(decodeRtcp(bytes), packets));
}

Deno.test("RTCP: numbers of the types", () => {
  assert.deepEqual(RTCP_TYPES, { sr: 200, rr: 201, sdes: 202, bye: 203, app: 204, rtpfb: 205, psfb: 206 });
  assert.deepEqual(FEEDBACK_FORMATS, { nack: 1, pli: 1, fir: 4 });
});

Deno.test("RTCP: padding of the last packet is cut off", () => {
  assert.deepEqual(decodeRtcp(hex`80c90001 00000001 a1cb0002 00000002 00000004`), [
    { type: "rr", ssrc: 1, reports: [] },
    { type: "bye", ssrcs: [2], reason: null },
  ]);
});

Deno.test("RTCP: a report may be followed by profile extensions", () => {
  assert.deepEqual(decodeRtcp(hex`80c90002 00000001 deadbeef`), [{ type: "rr", ssrc: 1, reports: [] }]);
});

const BROKEN: [name: string, bytes: Uint8Array][] = [
  ["nothing", hex``],
  ["three bytes", hex`80c900`],
  ["version 1", hex`40c90001 00000001`],
  ["longer than the compound", hex`80c90002 00000001`],
  ["a tail of two bytes", hex`80c90001 00000001 80c9`],
  ["more report blocks announced than there are", hex`81c90001 00000001`],
  ["a sender report that is too short", hex`80c80001 00000001`],
  ["padding in the middle", hex`a0c90002 00000001 00000004 80cb0000`],
  ["padding of zero", hex`a0c90002 00000001 00000000`],
  ["padding of three", hex`a0c90002 00000001 00000003`],
  ["padding beyond the packet", hex`a0c90001 00000008`],
  ["an item longer than its chunk", hex`81ca0002 00000001 01ff6162`],
  ["a chunk without an end", hex`81ca0002 00000001 01026162`],
  ["a reason longer than the packet", hex`80cb0001 ff6f6b00`],
  ["half a request", hex`84ce0003 00000001 00000000 00000002`],
  ["half a picture loss indication", hex`81ce0001 00000001`],
];

Deno.test("RTCP: what cannot be read", () => {
  for (const [name, bytes] of BROKEN) assert.throws(() => decodeRtcp(bytes), WireError, name);
});

Deno.test("RTCP: the number of packets is bounded", () => {
  const many = new Uint8Array(65 * 4);
  for (let at = 0; at < many.length; at += 4) many.set(hex`80cb0000`, at);
  assert.throws(() => decodeRtcp(many), /more than 64 packets/);
  assert.equal(decodeRtcp(many.subarray(4)).length, 64);
});

function readsAgainOrRefuses(bytes: Uint8Array): void {
  let packets: RtcpPacket[];
  try {
    packets = decodeRtcp(bytes);
  } catch (error) {
    assert.ok(error instanceof WireError, String(error));
    return;
  }
  // Broken UTF-8 grows when written, so text is compared after one more turn.
  const again = decodeRtcp(encodeRtcp(packets));
  assert.deepEqual(decodeRtcp(encodeRtcp(again)), again);
}

Deno.test("RTCP: damaged and random compounds give a WireError or read the same again", () => {
  for (const { bytes } of RTCP_VECTORS) {
    for (let seed = 0; seed < 400; seed++) readsAgainOrRefuses(mutate(bytes, seed));
  }
  const packet = fc.tuple(fc.nat(0xff), fc.integer({ min: 198, max: 208 }), fc.uint8Array({ maxLength: 64 }))
    .map(([first, type, body]) => {
      const words = body.length >>> 2;
      return [0x80 | first & 0x3f, type, 0, words, ...body.subarray(0, 4 * words)];
    });
  fc.assert(fc.property(fc.array(packet), (packets) => readsAgainOrRefuses(Uint8Array.from(packets.flat()))));
  fc.assert(fc.property(fc.uint8Array(), readsAgainOrRefuses));
});

for (const { name, packets, bytes } of RTCP_VECTORS) {
  Deno.test(`RTCP written: ${name}`, () => assert.equal(toHex(encodeRtcp(packets)), toHex(bytes)));
}

Deno.test("RTCP written: long texts are cut between characters", () => {
  const [packet] = decodeRtcp(encodeRtcp([{ type: "bye", ssrcs: [1], reason: "é".repeat(200) }]));
  assert.deepEqual(packet, { type: "bye", ssrcs: [1], reason: "é".repeat(127) });
});

/** Values compare strictly with plain objects. */
function plainRecord<T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record<T>(model, { noNullPrototype: true });
}

const u32 = fc.integer({ min: 0, max: 0xffffffff });
const reports = fc.array(
  plainRecord({
    ssrc: u32,
    fractionLost: fc.nat(255),
    cumulativeLost: fc.integer({ min: -0x800000, max: 0x7fffff }),
    highestSequence: u32,
    jitter: u32,
    lastSenderReport: u32,
    delaySinceLastSenderReport: u32,
  }),
  { maxLength: 31 },
);
const text = fc.string({ maxLength: 60 });
const items = fc.array(plainRecord({ type: fc.integer({ min: 1, max: 255 }), text }), { maxLength: 4 });
const anyPacket: fc.Arbitrary<RtcpPacket> = fc.oneof(
  plainRecord({
    type: fc.constant("sr" as const),
    ssrc: u32,
    ntpSeconds: u32,
    ntpFraction: u32,
    rtpTimestamp: u32,
    packetCount: u32,
    octetCount: u32,
    reports,
  }),
  plainRecord({ type: fc.constant("rr" as const), ssrc: u32, reports }),
  plainRecord({
    type: fc.constant("sdes" as const),
    chunks: fc.array(plainRecord({ ssrc: u32, items }), { maxLength: 31 }),
  }),
  plainRecord({
    type: fc.constant("bye" as const),
    ssrcs: fc.array(u32, { maxLength: 31 }),
    reason: fc.option(text),
  }),
  plainRecord({ type: fc.constant("pli" as const), ssrc: u32, mediaSsrc: u32 }),
  plainRecord({
    type: fc.constant("fir" as const),
    ssrc: u32,
    requests: fc.array(plainRecord({ ssrc: u32, sequence: fc.nat(255) })),
  }),
  plainRecord({
    type: fc.constant("nack" as const),
    ssrc: u32,
    mediaSsrc: u32,
    missing: fc.array(plainRecord({ packetId: fc.nat(0xffff), bitmask: fc.nat(0xffff) })),
  }),
);

Deno.test("RTCP written: any compound reads as it was written", () => {
  fc.assert(fc.property(fc.array(anyPacket, { minLength: 1, maxLength: 8 }), (packets) => {
    assert.deepEqual(decodeRtcp(encodeRtcp(packets)), packets);
  }));
});
