// RTCP compound packets (RFC 3550 6) with the feedback messages of RFC 4585 and RFC 5104: bytes <-> values. Lengths are insisted
// on, the order inside a compound is not (RFC 5506). Padding is read, never sent.
// Role: wire

import { ByteReader, ByteWriter, encodeUtf8 } from "../base/bytes.ts";
import { WireError } from "../base/errors.ts";

/** Most packets read from one compound. */
const MAX_RTCP_PACKETS = 64;

/** What a receiver says about one source (RFC 3550 6.4.1). */
export interface ReportBlock {
  readonly ssrc: number;
  /** Loss since the last report, in 256ths. */
  readonly fractionLost: number;
  /** Packets lost since the beginning; negative after duplicates; 24 bits. */
  readonly cumulativeLost: number;
  /** Highest sequence number received, with its cycles; 32 bits. */
  readonly highestSequence: number;
  readonly jitter: number;
  /** Middle 32 bits of the last sender report's NTP time; 0 when none came. */
  readonly lastSenderReport: number;
  /** Time since that report, in 65536ths of a second. */
  readonly delaySinceLastSenderReport: number;
}

/** SR: what a sender says (RFC 3550 6.4.1). */
export interface SenderReport {
  readonly type: "sr";
  readonly ssrc: number;
  /** Seconds since 1900. */
  readonly ntpSeconds: number;
  /** Fraction of the second in 2^-32. */
  readonly ntpFraction: number;
  readonly rtpTimestamp: number;
  /** RTP packets sent so far. */
  readonly packetCount: number;
  /** Payload bytes sent so far. */
  readonly octetCount: number;
  /** At most 31. */
  readonly reports: readonly ReportBlock[];
}

/** RR: what a receiver says (RFC 3550 6.4.2). */
export interface ReceiverReport {
  readonly type: "rr";
  readonly ssrc: number;
  /** At most 31. */
  readonly reports: readonly ReportBlock[];
}

/** One item of a source description: type 1 is CNAME, 2 NAME, 6 TOOL (RFC 3550 6.5). */
interface DescriptionItem {
  /** 1..255. */
  readonly type: number;
  /** At most 255 bytes of UTF-8. */
  readonly text: string;
}

/** SDES: who the sources are (RFC 3550 6.5). */
export interface SourceDescription {
  readonly type: "sdes";
  /** At most 31. */
  readonly chunks: readonly { readonly ssrc: number; readonly items: readonly DescriptionItem[] }[];
}

/** BYE: sources that leave (RFC 3550 6.6). */
interface Goodbye {
  readonly type: "bye";
  /** At most 31. */
  readonly ssrcs: readonly number[];
  /** Why, or null. */
  readonly reason: string | null;
}

/** APP: an application's own packet (RFC 3550 6.7). */
interface ApplicationDefined {
  readonly type: "app";
  /** 0..31. */
  readonly subtype: number;
  readonly ssrc: number;
  readonly name: string;
  /** Whole 32-bit words; borrowed after decoding. */
  readonly data: Uint8Array;
}

/** Generic NACK: packets missed (RFC 4585 6.2.1). */
interface GenericNack {
  readonly type: "nack";
  readonly ssrc: number;
  readonly mediaSsrc: number;
  /** A missing sequence number and a bit for each of the 16 after it. */
  readonly missing: readonly { readonly packetId: number; readonly bitmask: number }[];
}

/** PLI: pictures cannot be decoded any more (RFC 4585 6.3.1). */
interface PictureLossIndication {
  readonly type: "pli";
  readonly ssrc: number;
  readonly mediaSsrc: number;
}

/** FIR: a decoder refresh point is needed (RFC 5104 4.3.1). */
interface FullIntraRequest {
  readonly type: "fir";
  readonly ssrc: number;
  /** The sources asked and the number of each request; equal numbers repeat a request. */
  readonly requests: readonly { readonly ssrc: number; readonly sequence: number }[];
}

interface OtherRtcp {
  readonly type: "other";
  /** 192..223 as far as assigned. */
  readonly packetType: number;
  /** The five bits after version and padding. */
  readonly count: number;
  /** Everything after the first word; borrowed after decoding. */
  readonly body: Uint8Array;
}

export type RtcpPacket =
  | SenderReport
  | ReceiverReport
  | SourceDescription
  | Goodbye
  | ApplicationDefined
  | GenericNack
  | PictureLossIndication
  | FullIntraRequest
  | OtherRtcp;

/** Packet types of RFC 3550 12.1 and RFC 4585 9. */
export const RTCP_TYPES = {
  sr: 200,
  rr: 201,
  sdes: 202,
  bye: 203,
  app: 204,
  rtpfb: 205,
  psfb: 206,
} as const;

/** Feedback message types: nack within rtpfb, pli and fir within psfb (RFC 4585 6.2.1, 6.3.1, RFC 5104 4.3.1). */
export const FEEDBACK_FORMATS = {
  nack: 1,
  pli: 1,
  fir: 4,
} as const;

//   |V=2|P|  count  |      PT       |   length in words minus one   |   one header for every packet

/** Reads all packets of a compound. WireError when a header, a length or a field does not fit. */
export function decodeRtcp(bytes: Uint8Array): RtcpPacket[] {
  const packets: RtcpPacket[] = [];
  let at = 0;
  while (at < bytes.length) {
    if (packets.length === MAX_RTCP_PACKETS) throw broken(`more than ${MAX_RTCP_PACKETS} packets`, at);
    if (bytes.length - at < 4 || bytes[at]! >>> 6 !== 2) throw broken("no packet header", at);
    const end = at + 4 + 4 * (bytes[at + 2]! << 8 | bytes[at + 3]!);
    if (end > bytes.length) throw broken("a packet longer than the compound", at);
    const count = bytes[at]! & 0x1f;
    const padding = (bytes[at]! & 0x20) === 0 ? 0 : paddingLength(bytes, at, end);
    packets.push(decodePacket(bytes[at + 1]!, count, bytes.subarray(at + 4, end - padding)));
    at = end;
  }
  if (packets.length === 0) throw broken("an empty packet", 0);
  return packets;
}

function broken(message: string, offset?: number): WireError {
  return new WireError("RTCP", message, offset);
}

/** Only the last packet of a compound may be padded (RFC 3550 6.4.1). */
function paddingLength(bytes: Uint8Array, at: number, end: number): number {
  const padding = bytes[end - 1]!;
  if (end !== bytes.length || padding === 0 || padding % 4 !== 0 || padding > end - at - 4) {
    throw broken("padding that does not fit", at);
  }
  return padding;
}

function decodePacket(packetType: number, count: number, body: Uint8Array): RtcpPacket {
  const reader = new ByteReader(body, "RTCP");
  switch (packetType) {
    case RTCP_TYPES.sr:
      return decodeSenderReport(reader, count);
    case RTCP_TYPES.rr:
      return { type: "rr", ssrc: reader.u32(), reports: decodeReports(reader, count) };
    case RTCP_TYPES.sdes:
      return decodeDescription(reader, count);
    case RTCP_TYPES.bye:
      return decodeGoodbye(reader, count);
    case RTCP_TYPES.app:
      return {
        type: "app",
        subtype: count,
        ssrc: reader.u32(),
        name: latin1(reader.bytes(4)),
        data: reader.rest(),
      };
    case RTCP_TYPES.rtpfb:
      return count === FEEDBACK_FORMATS.nack
        ? decodeNack(reader)
        : { type: "other", packetType, count, body };
    case RTCP_TYPES.psfb:
      if (count === FEEDBACK_FORMATS.pli) return { type: "pli", ssrc: reader.u32(), mediaSsrc: reader.u32() };
      return count === FEEDBACK_FORMATS.fir ? decodeFir(reader) : { type: "other", packetType, count, body };
    default:
      return { type: "other", packetType, count, body };
  }
}

function decodeSenderReport(reader: ByteReader, count: number): SenderReport {
  return {
    type: "sr",
    ssrc: reader.u32(),
    ntpSeconds: reader.u32(),
    ntpFraction: reader.u32(),
    rtpTimestamp: reader.u32(),
    packetCount: reader.u32(),
    octetCount: reader.u32(),
    reports: decodeReports(reader, count),
  };
}

function decodeReports(reader: ByteReader, count: number): ReportBlock[] {
  const reports: ReportBlock[] = [];
  for (let left = count; left > 0; left--) {
    reports.push({
      ssrc: reader.u32(),
      fractionLost: reader.u8(),
      cumulativeLost: reader.u24() << 8 >> 8,
      highestSequence: reader.u32(),
      jitter: reader.u32(),
      lastSenderReport: reader.u32(),
      delaySinceLastSenderReport: reader.u32(),
    });
  }
  return reports;
}

/** Each chunk ends with a zero item and is filled up to a whole word. */
function decodeDescription(reader: ByteReader, count: number): SourceDescription {
  const chunks: { ssrc: number; items: DescriptionItem[] }[] = [];
  for (let left = count; left > 0; left--) {
    const ssrc = reader.u32();
    const items: DescriptionItem[] = [];
    for (let type = reader.u8(); type !== 0; type = reader.u8()) {
      items.push({ type, text: reader.utf8(reader.u8()) });
    }
    reader.skip(-reader.offset & 3);
    chunks.push({ ssrc, items });
  }
  return { type: "sdes", chunks };
}

function decodeGoodbye(reader: ByteReader, count: number): Goodbye {
  const ssrcs: number[] = [];
  for (let left = count; left > 0; left--) ssrcs.push(reader.u32());
  return { type: "bye", ssrcs, reason: reader.remaining > 0 ? reader.utf8(reader.u8()) : null };
}

function decodeNack(reader: ByteReader): GenericNack {
  const ssrc = reader.u32();
  const mediaSsrc = reader.u32();
  const missing: { packetId: number; bitmask: number }[] = [];
  while (reader.remaining > 0) missing.push({ packetId: reader.u16(), bitmask: reader.u16() });
  return { type: "nack", ssrc, mediaSsrc, missing };
}

function decodeFir(reader: ByteReader): FullIntraRequest {
  const ssrc = reader.u32();
  reader.skip(4); // the media source field is not used by FIR
  const requests: { ssrc: number; sequence: number }[] = [];
  while (reader.remaining > 0) {
    requests.push({ ssrc: reader.u32(), sequence: reader.u8() });
    reader.skip(3);
  }
  return { type: "fir", ssrc, requests };
}

function latin1(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

export function encodeRtcp(packets: readonly RtcpPacket[]): Uint8Array {
  const writer = new ByteWriter(128);
  for (const packet of packets) {
    const at = writer.length;
    writer.u32(0);
    const [packetType, count] = encodeBody(writer, packet);
    while (writer.length % 4 !== 0) writer.u8(0);
    writer.setU8(at, 0x80 | count & 0x1f);
    writer.setU8(at + 1, packetType);
    writer.setU16(at + 2, (writer.length - at) / 4 - 1);
  }
  return writer.take();
}

function encodeBody(writer: ByteWriter, packet: RtcpPacket): [packetType: number, count: number] {
  switch (packet.type) {
    case "sr":
      writer.u32(packet.ssrc);
      writer.u32(packet.ntpSeconds);
      writer.u32(packet.ntpFraction);
      writer.u32(packet.rtpTimestamp);
      writer.u32(packet.packetCount);
      writer.u32(packet.octetCount);
      encodeReports(writer, packet.reports);
      return [RTCP_TYPES.sr, packet.reports.length];
    case "rr":
      writer.u32(packet.ssrc);
      encodeReports(writer, packet.reports);
      return [RTCP_TYPES.rr, packet.reports.length];
    case "sdes":
      for (const chunk of packet.chunks) encodeChunk(writer, chunk.ssrc, chunk.items);
      return [RTCP_TYPES.sdes, packet.chunks.length];
    case "bye":
      for (const ssrc of packet.ssrcs) writer.u32(ssrc);
      if (packet.reason !== null) encodeText(writer, packet.reason);
      return [RTCP_TYPES.bye, packet.ssrcs.length];
    case "app":
      writer.u32(packet.ssrc);
      for (let index = 0; index < 4; index++) writer.u8(packet.name.charCodeAt(index) || 0x20);
      writer.bytes(packet.data);
      return [RTCP_TYPES.app, packet.subtype];
    case "nack":
      writer.u32(packet.ssrc);
      writer.u32(packet.mediaSsrc);
      for (const { packetId, bitmask } of packet.missing) writer.u32(packetId << 16 | bitmask);
      return [RTCP_TYPES.rtpfb, FEEDBACK_FORMATS.nack];
    case "pli":
      writer.u32(packet.ssrc);
      writer.u32(packet.mediaSsrc);
      return [RTCP_TYPES.psfb, FEEDBACK_FORMATS.pli];
    case "fir":
      writer.u32(packet.ssrc);
      writer.u32(0);
      for (const { ssrc, sequence } of packet.requests) {
        writer.u32(ssrc);
        writer.u32(sequence << 24);
      }
      return [RTCP_TYPES.psfb, FEEDBACK_FORMATS.fir];
    case "other":
      writer.bytes(packet.body);
      return [packet.packetType, packet.count];
  }
}

function encodeReports(writer: ByteWriter, reports: readonly ReportBlock[]): void {
  for (const report of reports) {
    writer.u32(report.ssrc);
    writer.u8(report.fractionLost);
    writer.u24(report.cumulativeLost);
    writer.u32(report.highestSequence);
    writer.u32(report.jitter);
    writer.u32(report.lastSenderReport);
    writer.u32(report.delaySinceLastSenderReport);
  }
}

function encodeChunk(writer: ByteWriter, ssrc: number, items: readonly DescriptionItem[]): void {
  writer.u32(ssrc);
  for (const { type, text } of items) {
    writer.u8(type);
    encodeText(writer, text);
  }
  do writer.u8(0); while (writer.length % 4 !== 0);
}

/** A length byte and at most 255 bytes of text, cut between characters. */
function encodeText(writer: ByteWriter, text: string): void {
  let bytes = encodeUtf8(text);
  if (bytes.length > 255) {
    let end = 255;
    while ((bytes[end]! & 0xc0) === 0x80) end--;
    bytes = bytes.subarray(0, end);
  }
  writer.u8(bytes.length);
  writer.bytes(bytes);
}
