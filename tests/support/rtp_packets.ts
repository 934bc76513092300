// RTP packets and RTCP compounds for tests, and the vectors both directions share.
// Role: wire

import { encodeRtp, type RtpPacket } from "../../lib/rtp/packet.ts";
import type { RtcpPacket } from "../../lib/rtp/rtcp.ts";
import { fromHex } from "../../lib/base/bytes.ts";

/** A packet with usual values where none are given. */
export function rtpPacket(fields: Partial<RtpPacket> = {}): RtpPacket {
  return {
    marker: false,
    payloadType: 0,
    sequenceNumber: 1,
    timestamp: 160,
    ssrc: 0x11223344,
    csrcs: [],
    extension: null,
    payload: new Uint8Array(0),
    padding: 0,
    ...fields,
  };
}

/** Its bytes. */
export function rtpBytes(fields: Partial<RtpPacket> = {}): Uint8Array {
  return encodeRtp(rtpPacket(fields));
}

/** Compounds as values and as bytes. */
export const RTCP_VECTORS: readonly { name: string; packets: RtcpPacket[]; bytes: Uint8Array }[] = [
  {
    name: "sender report with one block, and a canonical name",
    packets: [
      {
        type: "sr",
        ssrc: 0x11223344,
        ntpSeconds: 0xe0000001,
        ntpFraction: 0x80000000,
        rtpTimestamp: 0xffffff60,
        packetCount: 50,
        octetCount: 8000,
        reports: [{
          ssrc: 0x55667788,
          fractionLost: 64,
          cumulativeLost: -2,
          highestSequence: 0x0001fffe,
          jitter: 12,
          lastSenderReport: 0x00018000,
          delaySinceLastSenderReport: 65536,
        }],
      },
      { type: "sdes", chunks: [{ ssrc: 0x11223344, items: [{ type: 1, text: "a@b" }] }] },
    ],
    bytes: fromHex(
      `81c8000c 11223344 e0000001 80000000 ffffff60 00000032 00001f40
       55667788 40fffffe 0001fffe 0000000c 00018000 00010000
       81ca0003 11223344 01036140 62000000`,
    ),
  },
  {
    name: "empty receiver report, then goodbye with a reason",
    packets: [
      { type: "rr", ssrc: 1, reports: [] },
      { type: "bye", ssrcs: [1, 2], reason: "ok" },
    ],
    bytes: fromHex("80c90001 00000001 82cb0003 00000001 00000002 026f6b00"),
  },
  {
    name: "goodbye without anybody",
    packets: [{ type: "bye", ssrcs: [], reason: null }],
    bytes: fromHex("80cb0000"),
  },
  {
    name: "source descriptions whose items end on a word, with and without a word to spare",
    packets: [{
      type: "sdes",
      chunks: [
        { ssrc: 1, items: [{ type: 1, text: "ab" }, { type: 6, text: "x" }] },
        { ssrc: 2, items: [] },
      ],
    }],
    bytes: fromHex("82ca0005 00000001 01026162 06017800 00000002 00000000"),
  },
  {
    name: "picture loss, full intra request, generic NACK",
    packets: [
      { type: "pli", ssrc: 1, mediaSsrc: 2 },
      { type: "fir", ssrc: 1, requests: [{ ssrc: 2, sequence: 7 }, { ssrc: 3, sequence: 255 }] },
      { type: "nack", ssrc: 1, mediaSsrc: 2, missing: [{ packetId: 0xfffe, bitmask: 0x8001 }] },
    ],
    bytes: fromHex(
      `81ce0002 00000001 00000002
       84ce0006 00000001 00000000 00000002 07000000 00000003 ff000000
       81cd0003 00000001 00000002 fffe8001`,
    ),
  },
  {
    name: "application-defined and unknown packets",
    packets: [
      { type: "app", subtype: 5, ssrc: 1, name: "test", data: fromHex("01020304") },
      { type: "other", packetType: 207, count: 3, body: fromHex("0000000100000002") },
      { type: "other", packetType: 206, count: 15, body: fromHex("00000001") },
    ],
    bytes: fromHex("85cc0003 00000001 74657374 01020304 83cf0002 00000001 00000002 8fce0001 00000001"),
  },
];
