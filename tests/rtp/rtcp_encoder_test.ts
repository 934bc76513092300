import assert from "node:assert/strict";
import fc from "fast-check";
import { decodeRtcp, type RtcpPacket } from "../../lib/rtp/rtcp.ts";
import { encodeRtcp } from "../../lib/rtp/rtcp_encoder.ts";
import { toHex } from "../support/hex.ts";
import { RTCP_VECTORS } from "../support/rtp_packets.ts";

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
