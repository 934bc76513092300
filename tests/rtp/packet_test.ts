import assert from "node:assert/strict";
import fc from "fast-check";
import { decodeRtp, encodeRtp, encodeRtpHeader, type RtpPacket, RtpView } from "../../lib/rtp/packet.ts";
import { WireError } from "../../lib/base/errors.ts";
import { hex, toHex } from "../support/hex.ts";
import { mutate } from "../support/mutate.ts";
import { rtpPacket } from "../support/rtp_packets.ts";

const TABLE: { name: string; packet: RtpPacket; bytes: Uint8Array }[] = [
  {
    name: "a plain packet",
    packet: rtpPacket({ payload: hex`d5d5` }),
    bytes: hex`80 00 0001 000000a0 11223344 d5d5`,
  },
  {
    name: "marker, highest values, empty payload",
    packet: rtpPacket({
      marker: true,
      payloadType: 127,
      sequenceNumber: 0xffff,
      timestamp: 0xffffffff,
      ssrc: 0xffffffff,
    }),
    bytes: hex`80 ff ffff ffffffff ffffffff`,
  },
  {
    name: "contributing sources, extension and padding (as Ekiga pads)",
    packet: rtpPacket({
      payloadType: 8,
      csrcs: [1, 0xfffffffe],
      extension: { profile: 0xbede, data: hex`10ff0000` },
      payload: hex`aabbcc`,
      padding: 5,
    }),
    bytes: hex`b2 08 0001 000000a0 11223344 00000001 fffffffe bede0001 10ff0000 aabbcc 0000000005`,
  },
  {
    name: "an empty extension, nothing but padding",
    packet: rtpPacket({ extension: { profile: 1, data: hex`` }, padding: 1 }),
    bytes: hex`b0 00 0001 000000a0 11223344 00010000 01`,
  },
];

for (const { name, packet, bytes } of TABLE) {
  Deno.test(`RTP both ways: ${name}`, () => {
    assert.deepEqual(decodeRtp(bytes), packet);
    assert.equal(toHex(encodeRtp(packet)), toHex(bytes));
  });
}

const BROKEN: [name: string, bytes: Uint8Array][] = [
  ["nothing", hex``],
  ["eleven bytes", hex`80 00 0001 000000a0 112233`],
  ["version 1", hex`40 00 0001 000000a0 11223344`],
  ["a STUN request", hex`0001 0000 2112a442 000102030405060708090a0b`],
  ["sources that are not there", hex`81 00 0001 000000a0 11223344`],
  ["an extension that is not there", hex`90 00 0001 000000a0 11223344 0001`],
  ["an extension longer than the packet", hex`90 00 0001 000000a0 11223344 0001 0002 00000000`],
  ["padding of zero", hex`a0 00 0001 000000a0 11223344 aa00`],
  ["padding longer than the payload", hex`a0 00 0001 000000a0 11223344 aa03`],
];

Deno.test("RTP: what is no packet", () => {
  const view = new RtpView();
  for (const [name, bytes] of BROKEN) {
    assert.equal(view.decode(bytes), false, name);
    assert.throws(() => decodeRtp(bytes), WireError, name);
  }
});

Deno.test("RTP view: one object for packet after packet", () => {
  const view = new RtpView();
  for (const { packet, bytes } of [...TABLE, ...TABLE.toReversed()]) {
    assert.ok(view.decode(bytes));
    const { marker, payloadType, sequenceNumber, timestamp, ssrc, payloadStart, payloadEnd } = view;
    assert.deepEqual(
      { marker, payloadType, sequenceNumber, timestamp, ssrc },
      {
        marker: packet.marker,
        payloadType: packet.payloadType,
        sequenceNumber: packet.sequenceNumber,
        timestamp: packet.timestamp,
        ssrc: packet.ssrc,
      },
    );
    assert.deepEqual(bytes.subarray(payloadStart, payloadEnd), packet.payload);
  }
});

Deno.test("RTP header: written over whatever the buffer held", () => {
  const buffer = new Uint8Array(14).fill(0xee);
  encodeRtpHeader(buffer, rtpPacket({ marker: true, payloadType: 96, sequenceNumber: 0x10001 }));
  assert.equal(toHex(buffer), "80e00001000000a011223344eeee");
});

/** Values compare strictly with plain objects. */
function plainRecord<T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record<T>(model, { noNullPrototype: true });
}

const u32 = fc.integer({ min: 0, max: 0xffffffff });
const anyPacket: fc.Arbitrary<RtpPacket> = plainRecord({
  marker: fc.boolean(),
  payloadType: fc.nat(127),
  sequenceNumber: fc.nat(0xffff),
  timestamp: u32,
  ssrc: u32,
  csrcs: fc.array(u32, { maxLength: 15 }),
  extension: fc.option(plainRecord({
    profile: fc.nat(0xffff),
    data: fc.array(fc.uint8Array({ minLength: 4, maxLength: 4 }), { maxLength: 4 })
      .map((words) => Uint8Array.from(words.flatMap((word) => [...word]))),
  })),
  payload: fc.uint8Array(),
  padding: fc.nat(255),
});

Deno.test("RTP: any packet reads as it was written", () => {
  fc.assert(fc.property(anyPacket, (packet) => {
    assert.deepEqual(decodeRtp(encodeRtp(packet)), packet);
  }));
});

Deno.test("RTP: any bytes are refused or lie within the packet", () => {
  const view = new RtpView();
  const check = (bytes: Uint8Array) => {
    if (!view.decode(bytes)) return;
    assert.ok(12 <= view.payloadStart && view.payloadStart <= view.payloadEnd);
    assert.ok(view.payloadEnd <= bytes.length);
    const packet = decodeRtp(bytes);
    assert.deepEqual(decodeRtp(encodeRtp(packet)), packet);
  };
  fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), check));
  for (const { bytes } of TABLE) for (let seed = 0; seed < 500; seed++) check(mutate(bytes, seed));
});
