// What every H.264 file here shares: NAL unit types and the first values of a slice header.
// ITU-T H.264 7.3.1, 7.3.3, table 7-1; aggregation and fragmentation types from RFC 6184 table 1.
// Role: wire

export const NAL = {
  slice: 1,
  partitionA: 2,
  partitionC: 4,
  idr: 5,
  sei: 6,
  sps: 7,
  pps: 8,
  delimiter: 9,
  endOfSequence: 10,
  endOfStream: 11,
  filler: 12,
  stapA: 24,
  fuA: 28,
} as const;

/** In the second octet of an FU-A: the first fragment of a NAL unit. */
export const FU_START = 0x80;
/** In the second octet of an FU-A: the last fragment. */
export const FU_END = 0x40;

/** The type in a NAL unit's first octet. */
export function nalType(firstOctet: number): number {
  return firstOctet & 31;
}

/** True for NAL units that hold coded picture data (types 1 to 5). */
export function isSlice(type: number): boolean {
  return type >= NAL.slice && type <= NAL.idr;
}

type SliceType = "P" | "B" | "I" | "SP" | "SI";

const SLICE_TYPES: readonly SliceType[] = ["P", "B", "I", "SP", "SI"];

/** True when a slice is the first of its picture (first_mb_in_slice is 0, coded as a single 1 bit). */
export function startsPicture(nal: Uint8Array): boolean {
  return nal.length > 1 && (nal[1]! & 0x80) !== 0;
}

/**
 * What an RTP payload (RFC 6184) does to a picture: brings its first slice, a further slice or part of one, or neither.
 * Of several NAL units in a STAP-A the first slice counts.
 */
export function sliceOf(payload: Uint8Array): "first" | "further" | null {
  const type = nalType(payload[0] ?? 0);
  if (type === NAL.fuA) return sliceOfFragment(payload);
  if (type !== NAL.stapA) return isSlice(type) ? startsPicture(payload) ? "first" : "further" : null;
  for (let at = 1; at + 3 < payload.length; at += 2 + (payload[at]! << 8 | payload[at + 1]!)) {
    if (isSlice(nalType(payload[at + 2]!))) return (payload[at + 3]! & 0x80) !== 0 ? "first" : "further";
  }
  return null;
}

function sliceOfFragment(payload: Uint8Array): "first" | "further" | null {
  const header = payload[1] ?? 0;
  if (!isSlice(nalType(header))) return null;
  return (header & FU_START) !== 0 && (payload[2] ?? 0) >= 0x80 ? "first" : "further";
}

/** The coding of a slice NAL unit (types 1, 2, 5); null when its header cannot be read. Allocates nothing. */
export function sliceTypeOf(nal: Uint8Array): SliceType | null {
  const firstMbZeros = leadingZeros(nal, 8);
  const typeAt = 8 + 2 * firstMbZeros + 1;
  const zeros = leadingZeros(nal, typeAt);
  if (zeros > 3 || firstMbZeros > 15 || typeAt + 2 * zeros >= nal.length * 8) return null;
  const code = codeAt(nal, typeAt, zeros);
  return code > 9 ? null : SLICE_TYPES[code % 5]!;
}

/**
 * The unsigned Exp-Golomb code at `bit` and the bit behind it; null when it is cut off or over 16 bits.
 * Emulation prevention is not undone: callers read the first few values only, where it cannot occur.
 */
export function expGolombAt(bytes: Uint8Array, bit: number): { value: number; end: number } | null {
  const zeros = leadingZeros(bytes, bit);
  const end = bit + 2 * zeros + 1;
  if (zeros > 15 || end > bytes.length * 8) return null;
  return { value: codeAt(bytes, bit, zeros), end };
}

function codeAt(bytes: Uint8Array, bit: number, zeros: number): number {
  let value = 0;
  for (let i = 0; i <= zeros; i++) value = value << 1 | bitAt(bytes, bit + zeros + i);
  return value - 1;
}

function leadingZeros(bytes: Uint8Array, bit: number): number {
  let zeros = 0;
  while (zeros < 16 && bitAt(bytes, bit + zeros) === 0) zeros++;
  return zeros;
}

function bitAt(bytes: Uint8Array, bit: number): number {
  return (bytes[bit >> 3] ?? 0) >> 7 - (bit & 7) & 1;
}
