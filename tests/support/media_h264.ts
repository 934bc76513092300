// H.264 NAL units and AVC frames for tests: right headers, arbitrary contents.
// Role: wire

import { concatBytes, fromHex } from "../../lib/base/bytes.ts";
import { createFrame, type Frame } from "../../lib/media/frame.ts";

/** The SPS and PPS of the vector in behaviour.md 1.8, and their configuration record. */
export const SPS: Uint8Array = fromHex("6742c01eabcd");
/** See {@link SPS}. */
export const PPS: Uint8Array = fromHex("68ce3c80");
/** See {@link SPS}. */
export const CONFIG: Uint8Array = fromHex("0142c01effe100066742c01eabcd01000468ce3c80");

/** First octets behind the NAL header of a slice: first_mb 0 (or 1), and slice_type P 0, B 1, I 2. */
const SLICE_STARTS = { P: 0b1_1_000000, B: 0b1_010_0000, I: 0b1_011_0000 } as const;
const LATER_STARTS = { P: 0b010_1_0000, B: 0b010_010_00, I: 0b010_011_00 } as const;

/** A slice of `length` octets in all: an IDR for "I" unless `idr` is false. */
export function slice(
  kind: "P" | "B" | "I",
  length: number,
  options: { idr?: boolean; first?: boolean; seed?: number } = {},
): Uint8Array {
  const idr = options.idr ?? kind === "I";
  const nal = new Uint8Array(Math.max(2, length));
  for (let i = 2; i < nal.length; i++) nal[i] = 1 + (i * 31 + (options.seed ?? 0) * 7) % 250;
  nal[0] = idr ? 0x65 : kind === "B" ? 0x01 : 0x41;
  nal[1] = (options.first ?? true ? SLICE_STARTS : LATER_STARTS)[kind];
  return nal;
}

/** NAL units in AVC format, each behind its length. */
export function avc(nals: readonly Uint8Array[], lengthSize: 1 | 2 | 4 = 4): Uint8Array {
  return concatBytes(nals.flatMap((nal) => {
    const length = new Uint8Array(lengthSize);
    for (let i = 0; i < lengthSize; i++) length[i] = nal.length >>> 8 * (lengthSize - 1 - i);
    return [length, nal];
  }));
}

/** A video frame of RTMP. */
export function videoFrame(timeMs: number, nals: readonly Uint8Array[], changes: Partial<Frame> = {}): Frame {
  const key = nals.some((nal) => (nal[0]! & 31) === 5);
  return { ...createFrame(), kind: "video", codec: "h264", timeMs, key, data: avc(nals), ...changes };
}

/** A configuration frame of RTMP. */
export function configFrame(record: Uint8Array = CONFIG): Frame {
  return { ...createFrame(), kind: "video", codec: "h264", key: true, config: true, data: record };
}
