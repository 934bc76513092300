// AudioSpecificConfig: the two or more octets that say how an AAC stream is coded (ISO/IEC 14496-3 1.6.2.1).
// HE-AAC is read as its core layer: the AAC-LC stream inside, at the core's own rate.
//
//   objectType:5 rateIndex:4 channels:4 [type 5 or 29: extensionRateIndex:4 objectType:5]
//   frameLength960:1 dependsOnCore:1 extension:1 ...      an index of 15 is followed by the rate in 24 bits
//
// Role: wire

import { WireError } from "../base/errors.ts";

/** What a decoder of the core layer must know. */
export interface AacConfig {
  /** Samples a second of the core layer, 8000 to 48000. */
  readonly sampleRate: number;
  /** 1 or 2. */
  readonly channels: 1 | 2;
  /** True when the stream announces spectral band replication, which is left aside. */
  readonly highEfficiency: boolean;
}

const RATES = [96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000] as const;
const LOW_COMPLEXITY = 2;
const SBR = 5;
const PARAMETRIC_STEREO = 29;
const FORMAT = "AudioSpecificConfig";

/** Reads the config of an AAC-LC stream, or of the core of an HE-AAC one. @throws WireError for other kinds */
export function parseAacConfig(bytes: Uint8Array): AacConfig {
  const bits = new BitReader(bytes);
  let objectType = readObjectType(bits);
  const sampleRate = readRate(bits);
  const channels = bits.read(4);
  const highEfficiency = objectType === SBR || objectType === PARAMETRIC_STEREO;
  if (highEfficiency) {
    readRate(bits);
    objectType = readObjectType(bits);
  }
  if (objectType !== LOW_COMPLEXITY) throw new WireError(FORMAT, `object type ${objectType} is not AAC-LC`);
  if (bits.read(1) === 1) throw new WireError(FORMAT, "frames of 960 samples are not supported");
  if (channels !== 1 && channels !== 2) {
    throw new WireError(FORMAT, `channel configuration ${channels} is neither mono nor stereo`);
  }
  if (sampleRate < 8000 || sampleRate > 48000) {
    throw new WireError(FORMAT, `${sampleRate} Hz is not supported`);
  }
  return { sampleRate, channels, highEfficiency };
}

/** The two octets of an AAC-LC stream. @throws Error for a rate that has no index */
export function formatAacConfig(sampleRate: number, channels: 1 | 2): Uint8Array<ArrayBuffer> {
  const index = RATES.findIndex((rate) => rate === sampleRate);
  if (index < 0) throw new Error(`AAC has no rate of ${sampleRate} Hz`);
  const bits = LOW_COMPLEXITY << 11 | index << 7 | channels << 3;
  return new Uint8Array([bits >> 8, bits & 255]);
}

function readObjectType(bits: BitReader): number {
  const type = bits.read(5);
  return type === 31 ? 32 + bits.read(6) : type;
}

function readRate(bits: BitReader): number {
  const index = bits.read(4);
  const rate = index === 15 ? bits.read(24) : RATES[index];
  if (rate === undefined || !RATES.some((known) => known === rate)) {
    throw new WireError(FORMAT, `no known sample rate (index ${index})`);
  }
  return rate;
}

class BitReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  read(count: number): number {
    let value = 0;
    for (let i = 0; i < count; i++, this.#at++) {
      const octet = this.#bytes[this.#at >> 3];
      if (octet === undefined) throw new WireError(FORMAT, "it ends too early");
      value = value << 1 | octet >> 7 - (this.#at & 7) & 1;
    }
    return value;
  }
}
