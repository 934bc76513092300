// AAC frames with the headers that senders leave before them.

import { concatBytes } from "../../lib/base/bytes.ts";

/** A frame of AAC-LC behind its ADTS header. @param config its AudioSpecificConfig */
export function adts(frame: Uint8Array, config: Uint8Array, crc = false): Uint8Array {
  const objectType = config[0]! >> 3;
  const rate = (config[0]! & 7) << 1 | config[1]! >> 7;
  const channels = config[1]! >> 3 & 15;
  const header = crc ? 9 : 7;
  const octets = header + frame.length;
  const bytes = new Uint8Array(header);
  bytes.set([
    0xff,
    crc ? 0xf0 : 0xf1,
    objectType - 1 << 6 | rate << 2 | channels >> 2,
    (channels & 3) << 6 | octets >> 11,
    octets >> 3,
    (octets & 7) << 5 | 0x1f,
    0xfc,
  ]);
  return concatBytes([bytes, frame]);
}

/** A frame in LOAS. */
export function loas(frame: Uint8Array): Uint8Array {
  return concatBytes([Uint8Array.of(0x56, 0xe0 | frame.length >> 8, frame.length), frame]);
}
