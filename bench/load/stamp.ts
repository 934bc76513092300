// What every pass-through payload carries: which call, which packet, sent when. It stands where the codec's parser
// does not look: in Speex inside the parameters of the narrowband core.
// Role: wire
//
//   payload  free:1 call:u16 sequence:u32 sentUs:u32 ...

/** The audio of pass-through calls. */
export type Payload = "speex" | "pcmu";

/** Where the stamp begins in a payload. */
const STAMP_AT = 1;
/** Bytes of the stamp. */
const STAMP_LENGTH = 10;

/** What each payload is made of. */
export const PAYLOADS: Readonly<
  Record<Payload, { token: string; tag: number; clockRate: number; length: number; text: string }>
> = {
  speex: { token: "wideband", tag: 0xb2, clockRate: 16000, length: 62, text: "Speex wideband, 62 octets" },
  pcmu: { token: "pcmu", tag: 0x82, clockRate: 8000, length: 160, text: "PCMU, 160 octets" },
};

/** A payload without a stamp: one block of 20 ms. */
export function createPayload(kind: Payload): Uint8Array {
  const bytes = new Uint8Array(PAYLOADS[kind].length).fill(0x55);
  if (kind === "pcmu") return bytes;
  // Core: 0 0101 (submode 5, 300 bits). Layer: 1 011 (submode 3, 192 bits). Terminator: 0111. 496 bits in all.
  bytes[0] = 0b00101_010;
  bytes[37] = 0b0101_1011;
  bytes[61] = 0b0101_0111;
  return bytes;
}

/** Times in microseconds, modulo 2^32. */
export function nowUs(): number {
  return performance.now() * 1000 >>> 0;
}

/** Writes a stamp into the payload that begins at `at`. */
export function writeStamp(bytes: Uint8Array, at: number, call: number, sequence: number, us: number): void {
  let i = at + STAMP_AT;
  bytes[i++] = call >> 8;
  bytes[i++] = call;
  i = writeU32(bytes, i, sequence);
  writeU32(bytes, i, us);
}

/** True when there is room for a stamp. */
export function hasStamp(length: number): boolean {
  return length >= STAMP_AT + STAMP_LENGTH;
}

/** Number of the call. */
export function stampedCall(bytes: Uint8Array, at: number): number {
  return bytes[at + STAMP_AT]! << 8 | bytes[at + STAMP_AT + 1]!;
}

/** Number of the packet. */
export function stampedSequence(bytes: Uint8Array, at: number): number {
  return readU32(bytes, at + STAMP_AT + 2);
}

/** When it was sent, in microseconds modulo 2^32. */
export function stampedUs(bytes: Uint8Array, at: number): number {
  return readU32(bytes, at + STAMP_AT + 6);
}

function writeU32(bytes: Uint8Array, at: number, value: number): number {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
  return at + 4;
}

function readU32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 24 | bytes[at + 1]! << 16 | bytes[at + 2]! << 8 | bytes[at + 3]!) >>> 0;
}
