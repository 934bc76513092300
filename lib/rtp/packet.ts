// RTP packets (RFC 3550 5.1): bytes <-> values. Padding, contributing sources and header extensions of others are understood,
// none are sent.
// Role: wire

import { viewOf } from "../base/bytes.ts";
import { WireError } from "../base/errors.ts";

export const RTP_HEADER_LENGTH = 12;

/** Longest payload that is sent: what fits an IPv4 UDP packet. */
export const MAX_RTP_PAYLOAD = 65_507 - RTP_HEADER_LENGTH;

/** The fields of the fixed header that change, writable so that one object serves a whole session. */
export interface RtpHeader {
  /** Profile's bit: end of a video frame, start of a talk spurt or DTMF. */
  marker: boolean;
  /** 0..127. */
  payloadType: number;
  /** 0..65535. */
  sequenceNumber: number;
  /** 32 bits, unsigned. */
  timestamp: number;
  /** 32 bits, unsigned. */
  ssrc: number;
}

/** The header extension of RFC 3550 5.3.1. */
interface RtpExtension {
  readonly profile: number;
  /** Whole 32-bit words; borrowed after decoding. */
  readonly data: Uint8Array;
}

export interface RtpPacket extends Readonly<RtpHeader> {
  /** Contributing sources, at most 15. */
  readonly csrcs: readonly number[];
  /** Header extension, or null. */
  readonly extension: RtpExtension | null;
  /** Payload without padding; borrowed after decoding. */
  readonly payload: Uint8Array;
  /** Bytes of padding, the count byte included; 0..255. */
  readonly padding: number;
}

//   |V=2|P|X|  CC   |M|     PT      |       sequence number         |
//   |                           timestamp                           |
//   |                             SSRC                              |
//   |                     CSRC list, CC entries                     |
//   |  X: profile (16)              |  X: length in words (16)      | ...

/** Reads packets one after the other into the same fields. */
export class RtpView implements RtpHeader {
  marker = false;
  payloadType = 0;
  sequenceNumber = 0;
  timestamp = 0;
  ssrc = 0;
  /** How many contributing sources follow the fixed header. */
  csrcCount = 0;
  /** Where the header extension's data starts; 0 without one. */
  extensionStart = 0;
  payloadStart = 0;
  /** Where the payload ends and padding begins. */
  payloadEnd = 0;

  /** Reads one packet; false when it is none, and the fields are then undefined. */
  decode(bytes: Uint8Array): boolean {
    const length = bytes.length;
    if (length < RTP_HEADER_LENGTH || bytes[0]! >>> 6 !== 2) return false;
    this.csrcCount = bytes[0]! & 0x0f;
    this.marker = bytes[1]! >= 0x80;
    this.payloadType = bytes[1]! & 0x7f;
    this.sequenceNumber = bytes[2]! << 8 | bytes[3]!;
    this.timestamp = readU32(bytes, 4);
    this.ssrc = readU32(bytes, 8);
    this.extensionStart = 0;
    let start = RTP_HEADER_LENGTH + 4 * this.csrcCount;
    if ((bytes[0]! & 0x10) !== 0) {
      if (start + 4 > length) return false;
      this.extensionStart = start + 4;
      start += 4 + 4 * (bytes[start + 2]! << 8 | bytes[start + 3]!);
    }
    const padding = (bytes[0]! & 0x20) !== 0 ? bytes[length - 1]! : 0;
    if ((bytes[0]! & 0x20) !== 0 && padding === 0) return false;
    if (start + padding > length) return false;
    this.payloadStart = start;
    this.payloadEnd = length - padding;
    return true;
  }
}

function readU32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 24 | bytes[at + 1]! << 16 | bytes[at + 2]! << 8 | bytes[at + 3]!) >>> 0;
}

/** Reads a packet as a value; payload and extension are views of `bytes`. WireError when it is no RTP packet. */
export function decodeRtp(bytes: Uint8Array): RtpPacket {
  const view = new RtpView();
  if (!view.decode(bytes)) throw new WireError("RTP", `${bytes.length} bytes are not a packet`);
  const csrcs: number[] = [];
  for (let index = 0; index < view.csrcCount; index++) {
    csrcs.push(readU32(bytes, RTP_HEADER_LENGTH + 4 * index));
  }
  const { marker, payloadType, sequenceNumber, timestamp, ssrc, extensionStart } = view;
  const extension = extensionStart === 0 ? null : {
    profile: bytes[extensionStart - 4]! << 8 | bytes[extensionStart - 3]!,
    data: bytes.subarray(extensionStart, view.payloadStart),
  };
  return {
    marker,
    payloadType,
    sequenceNumber,
    timestamp,
    ssrc,
    csrcs,
    extension,
    payload: bytes.subarray(view.payloadStart, view.payloadEnd),
    padding: bytes.length - view.payloadEnd,
  };
}

/** Writes a packet with everything it has. */
export function encodeRtp(packet: RtpPacket): Uint8Array {
  const { csrcs, extension, payload, padding } = packet;
  const extensionLength = extension === null ? 0 : 4 + extension.data.length;
  const start = RTP_HEADER_LENGTH + 4 * csrcs.length + extensionLength;
  const bytes = new Uint8Array(start + payload.length + padding);
  encodeRtpHeader(bytes, packet);
  bytes[0] = 0x80 | (padding > 0 ? 0x20 : 0) | (extension === null ? 0 : 0x10) | csrcs.length;
  csrcs.forEach((csrc, index) => writeU32(bytes, RTP_HEADER_LENGTH + 4 * index, csrc));
  if (extension !== null) {
    const at = RTP_HEADER_LENGTH + 4 * csrcs.length;
    writeU32(bytes, at, extension.profile << 16 | extension.data.length / 4);
    bytes.set(extension.data, at + 4);
  }
  bytes.set(payload, start);
  if (padding > 0) bytes[bytes.length - 1] = padding;
  return bytes;
}

/** Writes the 12 bytes of the fixed header at the start of `into`, without padding, sources or extension. */
export function encodeRtpHeader(into: Uint8Array, header: Readonly<RtpHeader>): void {
  into[0] = 0x80;
  into[1] = (header.marker ? 0x80 : 0) | header.payloadType & 0x7f;
  into[2] = header.sequenceNumber >>> 8;
  into[3] = header.sequenceNumber;
  writeU32(into, 4, header.timestamp);
  writeU32(into, 8, header.ssrc);
}

function writeU32(into: Uint8Array, at: number, value: number): void {
  into[at] = value >>> 24;
  into[at + 1] = value >>> 16;
  into[at + 2] = value >>> 8;
  into[at + 3] = value;
}

/** Where packets are put together, one after the other. */
export class PacketWorkbench {
  #bytes = new Uint8Array(2048);
  #view = this.#bytes;

  /** So many bytes, valid until the next call; packets of one length share their view. */
  place(length: number): Uint8Array {
    if (length > this.#bytes.length) this.#bytes = new Uint8Array(length);
    return this.#view = viewOf(this.#bytes, 0, length, this.#view);
  }
}
