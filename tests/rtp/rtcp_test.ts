import assert from "node:assert/strict";
import fc from "fast-check";
import { decodeRtcp, FEEDBACK_FORMATS, RTCP_TYPES, type RtcpPacket } from "../../lib/rtp/rtcp.ts";
import { encodeRtcp } from "../../lib/rtp/rtcp_encoder.ts";
import { WireError } from "../../lib/base/errors.ts";
import { hex } from "../support/hex.ts";
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
