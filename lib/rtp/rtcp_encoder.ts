// RTCP compound packets: writing (RFC 3550 6, RFC 4585 6, RFC 5104 4.3.1). The values are those of rtcp.ts.
// Every packet is filled up to whole words by its own rules; padding is never sent.
// Role: wire

import { ByteWriter, encodeUtf8 } from "../base/bytes.ts";
import {
  type DescriptionItem,
  FEEDBACK_FORMATS,
  type ReportBlock,
  RTCP_TYPES,
  type RtcpPacket,
} from "./rtcp.ts";

/** Writes packets as one compound. */
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
