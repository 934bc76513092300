// AAC frames out of an FLV file, Opus packets into an Ogg file: what ffmpeg writes and reads.
// Role: wire

import { ByteWriter, concatBytes } from "../../lib/base/bytes.ts";
import { FlvTagReader } from "../../lib/flv/tag.ts";
import { oggPage } from "./media_ogg.ts";

/** An AAC stream. */
export interface AacStream {
  readonly config: Uint8Array;
  readonly frames: readonly Uint8Array[];
}

/** The AAC stream of an FLV file. */
export function readFlvAac(file: Uint8Array): AacStream {
  const reader = new FlvTagReader();
  reader.feed(file);
  let config: Uint8Array | null = null;
  const frames: Uint8Array[] = [];
  for (let tag = reader.next(); tag !== null; tag = reader.next()) {
    if (tag.type !== 8 || tag.body.length <= 2) continue;
    const data = tag.body.slice(2);
    if (tag.body[1] === 0) config = data;
    else frames.push(data);
  }
  if (config === null) throw new Error("The file has no AudioSpecificConfig");
  return { config, frames };
}

/** An Ogg file (RFC 7845) of 20 ms mono packets. */
export function writeOggOpus(packets: readonly Uint8Array[]): Uint8Array {
  const head = new ByteWriter(19);
  head.utf8("OpusHead");
  head.u8(1);
  head.u8(1);
  head.u16(0); // pre-skip
  head.u32le(48000);
  head.u16(0);
  head.u8(0);
  const tags = new ByteWriter(16);
  tags.utf8("OpusTags");
  tags.u32le(0);
  tags.u32le(0);
  const pages = [oggPage(head.take(), 0, 0, 2), oggPage(tags.take(), 1, 0, 0)];
  packets.forEach((packet, i) => {
    pages.push(oggPage(packet, i + 2, (i + 1) * 960, i === packets.length - 1 ? 4 : 0));
  });
  return concatBytes(pages);
}
