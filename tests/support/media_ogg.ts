// Just enough Ogg (RFC 3533) to exchange Speex packets with speexenc and speexdec: pages, laces, checksum.
// Role: wire

import { ByteWriter, concatBytes } from "../../lib/base/bytes.ts";

/** All packets of an Ogg file with one stream. */
export function readOggPackets(file: Uint8Array): Uint8Array[] {
  const packets: Uint8Array[] = [];
  let parts: Uint8Array[] = [];
  for (let at = 0; at + 27 <= file.length;) {
    const laces = file[at + 26]!;
    let body = at + 27 + laces;
    for (let i = 0; i < laces; i++) {
      const size = file[at + 27 + i]!;
      parts.push(file.subarray(body, body + size));
      body += size;
      if (size === 255) continue;
      packets.push(concatBytes(parts));
      parts = [];
    }
    at = body;
  }
  return packets;
}

/** A Speex file of `packets` (one per page): what speexdec and ffmpeg read. */
export function writeOggSpeex(
  packets: readonly Uint8Array[],
  sampleRate: 8000 | 16000,
  framesPerPacket = 1,
): Uint8Array {
  const pages = [
    oggPage(speexHeader(sampleRate, framesPerPacket), 0, 0, 2),
    oggPage(speexComment(), 1, 0, 0),
  ];
  const packetSamples = sampleRate / 50 * framesPerPacket;
  packets.forEach((packet, index) => {
    const last = index === packets.length - 1;
    pages.push(oggPage(packet, index + 2, (index + 1) * packetSamples, last ? 4 : 0));
  });
  return concatBytes(pages);
}

function speexHeader(sampleRate: 8000 | 16000, framesPerPacket: number): Uint8Array {
  const writer = new ByteWriter(80);
  writer.utf8("Speex   1.2".padEnd(28, "\0"));
  const fields = [
    1,
    80,
    sampleRate,
    sampleRate === 8000 ? 0 : 1,
    4,
    1,
    -1,
    sampleRate / 50,
    0,
    framesPerPacket,
  ];
  for (const field of fields) writer.u32le(field >>> 0);
  for (let i = 0; i < 3; i++) writer.u32le(0);
  return writer.take();
}

function speexComment(): Uint8Array {
  const writer = new ByteWriter(16);
  writer.u32le(4);
  writer.utf8("test");
  writer.u32le(0);
  return writer.take();
}

/** One page with one packet; `flags` 2 first, 4 last. */
export function oggPage(packet: Uint8Array, sequence: number, granule: number, flags: number): Uint8Array {
  const writer = new ByteWriter(packet.length + 40);
  writer.utf8("OggS");
  writer.u8(0);
  writer.u8(flags);
  writer.u32le(granule);
  writer.u32le(0);
  writer.u32le(1);
  writer.u32le(sequence);
  writer.u32le(0);
  const laces = Math.floor(packet.length / 255) + 1;
  writer.u8(laces);
  for (let i = 0; i < laces - 1; i++) writer.u8(255);
  writer.u8(packet.length % 255);
  writer.bytes(packet);
  const page = writer.take();
  let crc = 0;
  for (const octet of page) {
    crc ^= octet << 24;
    for (let bit = 0; bit < 8; bit++) crc = crc << 1 ^ (crc < 0 ? 0x04c11db7 : 0);
  }
  for (let i = 0; i < 4; i++) page[22 + i] = crc >>> 8 * i;
  return page;
}

/** A 16-bit mono WAV file. */
export function writeWav(samples: Int16Array, sampleRate: number): Uint8Array {
  const writer = new ByteWriter(44 + 2 * samples.length);
  const u16le = (value: number): void => {
    writer.u8(value);
    writer.u8(value >> 8);
  };
  writer.utf8("RIFF");
  writer.u32le(36 + 2 * samples.length);
  writer.utf8("WAVEfmt ");
  writer.u32le(16);
  u16le(1);
  u16le(1);
  writer.u32le(sampleRate);
  writer.u32le(2 * sampleRate);
  u16le(2);
  u16le(16);
  writer.utf8("data");
  writer.u32le(2 * samples.length);
  for (const sample of samples) u16le(sample);
  return writer.take();
}
