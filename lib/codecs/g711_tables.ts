// G.711 by tables: 8-bit logarithmic PCM, u-law and A-law, to and from 16-bit linear and each other. The segment
// arithmetic is that of ITU-T G.711: decode(encode(x)) is the standard's quantisation of x.
// Role: wire

export type G711Law = "pcmu" | "pcma";

/** What silence looks like on the line: linear 0 (u-law) and the smallest positive level (A-law). */
export const G711_SILENCE: Readonly<Record<G711Law, number>> = { pcmu: 0xff, pcma: 0xd5 };

const BIAS = 132;
const CLIP = 32635;

const ULAW_TO_LINEAR = new Int16Array(256);
const ALAW_TO_LINEAR = new Int16Array(256);
const LINEAR_TO_ULAW = new Uint8Array(65536);
const LINEAR_TO_ALAW = new Uint8Array(65536);
const ULAW_TO_ALAW = new Uint8Array(256);
const ALAW_TO_ULAW = new Uint8Array(256);

fillTables();

/** The 16-bit samples of a law by octet; not to be changed. */
export function g711Samples(law: G711Law): Int16Array {
  return law === "pcmu" ? ULAW_TO_LINEAR : ALAW_TO_LINEAR;
}

/** Decodes one u-law octet to a 16-bit sample. */
export function ulawToLinear(octet: number): number {
  return ULAW_TO_LINEAR[octet & 255]!;
}

/** Decodes one A-law octet to a 16-bit sample. */
export function alawToLinear(octet: number): number {
  return ALAW_TO_LINEAR[octet & 255]!;
}

/** Encodes one 16-bit sample as u-law. */
export function linearToUlaw(sample: number): number {
  return LINEAR_TO_ULAW[sample & 0xffff]!;
}

/** Encodes one 16-bit sample as A-law. */
export function linearToAlaw(sample: number): number {
  return LINEAR_TO_ALAW[sample & 0xffff]!;
}

/** Decodes octets into `samples`, which holds at least as many; returns how many. */
export function decodeG711(law: G711Law, octets: Uint8Array, samples: Int16Array): number {
  const table = g711Samples(law);
  for (let i = 0; i < octets.length; i++) samples[i] = table[octets[i]!]!;
  return octets.length;
}

/** Encodes samples into `octets`, which holds at least as many; returns how many. */
export function encodeG711(law: G711Law, samples: Int16Array, octets: Uint8Array): number {
  const table = law === "pcmu" ? LINEAR_TO_ULAW : LINEAR_TO_ALAW;
  for (let i = 0; i < samples.length; i++) octets[i] = table[samples[i]! & 0xffff]!;
  return samples.length;
}

/** Converts u-law octets to A-law; `into` may be the same array. */
export function ulawToAlaw(octets: Uint8Array, into: Uint8Array): void {
  for (let i = 0; i < octets.length; i++) into[i] = ULAW_TO_ALAW[octets[i]!]!;
}

/** Converts A-law octets to u-law; `into` may be the same array. */
export function alawToUlaw(octets: Uint8Array, into: Uint8Array): void {
  for (let i = 0; i < octets.length; i++) into[i] = ALAW_TO_ULAW[octets[i]!]!;
}

function expandUlaw(octet: number): number {
  const bits = ~octet & 255;
  const magnitude = ((bits & 15) << 3) + BIAS << (bits >> 4 & 7);
  return bits & 0x80 ? BIAS - magnitude : magnitude - BIAS;
}

function expandAlaw(octet: number): number {
  const bits = octet ^ 0x55;
  const segment = bits >> 4 & 7;
  const step = (bits & 15) << 4;
  const magnitude = segment === 0 ? step + 8 : step + 0x108 << segment - 1;
  return bits & 0x80 ? magnitude : -magnitude;
}

function compressUlaw(sample: number): number {
  const negative = sample < 0;
  const magnitude = Math.min(negative ? -sample : sample, CLIP) + BIAS;
  const segment = 24 - Math.clz32(magnitude);
  const bits = segment << 4 | magnitude >> segment + 3 & 15;
  return ~(negative ? bits | 0x80 : bits) & 255;
}

function compressAlaw(sample: number): number {
  const negative = sample < 0;
  const magnitude = (negative ? ~sample : sample) >> 4; // 12 bits: 0..2047
  const segment = Math.max(0, 28 - Math.clz32(magnitude));
  const bits = segment << 4 | (segment < 2 ? magnitude : magnitude >> segment - 1) & 15;
  return (negative ? bits : bits | 0x80) ^ 0x55;
}

function fillTables(): void {
  for (let octet = 0; octet < 256; octet++) {
    ULAW_TO_LINEAR[octet] = expandUlaw(octet);
    ALAW_TO_LINEAR[octet] = expandAlaw(octet);
  }
  for (let sample = -32768; sample < 32768; sample++) {
    LINEAR_TO_ULAW[sample & 0xffff] = compressUlaw(sample);
    LINEAR_TO_ALAW[sample & 0xffff] = compressAlaw(sample);
  }
  for (let octet = 0; octet < 256; octet++) {
    ULAW_TO_ALAW[octet] = linearToAlaw(expandUlaw(octet));
    ALAW_TO_ULAW[octet] = linearToUlaw(expandAlaw(octet));
  }
}
