// G.722 at 64 kbit/s (mode 1): 16 kHz audio in two sub-bands of 8 kHz, six bits for the lower, two for the higher.
// ITU-T G.722 (1988): quadrature mirror filter 3.1 and 4.1, quantisers 3.2 to 3.4 and tables 10 to 17.
//
//   octet  higher:2 lower:6        one octet is two samples of 16 kHz
//
// Role: machine

import type { AudioDecoder, AudioEncoder } from "./codec.ts";
import { clip, G722Band } from "./g722_band.ts";

const SAMPLE_RATE = 16000;
const TAPS = 24;
/** Samples of the past that the filter needs beside a new pair. */
const MEMORY = TAPS - 2;
/** The even taps of the mirror filter (table 11); it is symmetric, so backwards they are the odd ones. */
const FILTER = new Int16Array([3, -11, 12, 32, -210, 951, 3876, -805, 362, -156, 53, -11]);
/** Decision levels of the 60-level quantiser (table 16, Q6). */
// deno-fmt-ignore
const DECISIONS = new Int16Array([
  0, 35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940, 1023, 1121, 1219, 1339,
  1458, 1612, 1765, 1980, 2195, 2557, 2919,
]);
/** Output levels by magnitude for six, four and two bits (QQ6, QQ4, QQ2). */
// deno-fmt-ignore
const LEVELS_6 = [
  136, 432, 728, 1040, 1360, 1688, 2032, 2400, 2776, 3168, 3576, 4008, 4464, 4944, 5456, 6000, 6576, 7192, 7856, 8576,
  9360, 10232, 11192, 12280, 13512, 14984, 16704, 19008, 21904, 24808,
];
const LEVELS_4 = [0, 1200, 2584, 4240, 6288, 8968, 12896, 20456];
const LEVELS_2 = [1616, 7408];
const HIGHER_DECISION = 564;
/** The longest packet that is taken at once: 240 ms. */
const MAX_PACKET_OCTETS = 1920;

/** Signed output levels by code. */
const OUTPUT_6 = sixBitOutput();
const OUTPUT_4 = fourBitOutput();
const OUTPUT_2 = new Int16Array([-LEVELS_2[1]!, -LEVELS_2[0]!, LEVELS_2[1]!, LEVELS_2[0]!]);

/** Samples of 16 kHz to octets. */
export class G722Encoder implements AudioEncoder {
  /** 16000. */
  readonly sampleRate: number = SAMPLE_RATE;
  readonly frameSamples: number;
  readonly #lower = new G722Band(false);
  readonly #higher = new G722Band(true);
  /** The filter's memory, then the samples of the packet. */
  readonly #window: Int16Array;
  readonly #packet: Uint8Array;

  /** Starts with silence. @param frameSamples samples of a packet, even */
  constructor(frameSamples = 320) {
    this.frameSamples = frameSamples;
    this.#packet = new Uint8Array(frameSamples / 2);
    this.#window = new Int16Array(MEMORY + frameSamples);
  }

  /** One packet; borrowed until the next. */
  encode(samples: Int16Array): Uint8Array {
    const packet = this.#packet;
    this.#window.copyWithin(0, this.frameSamples);
    this.#window.set(samples, MEMORY);
    for (let i = 0; i < packet.length; i++) packet[i] = this.#encodePair(2 * i);
    return packet;
  }

  /** Nothing to give back. */
  [Symbol.dispose](): void {}

  /** 4.1: the even taps and the odd taps give the two bands of 8 kHz as their sum and difference. */
  #encodePair(at: number): number {
    const window = this.#window;
    let even = 0;
    let odd = 0;
    for (let i = 0; i < TAPS / 2; i++) {
      odd += window[at + 2 * i]! * FILTER[i]!;
      even += window[at + 2 * i + 1]! * FILTER[TAPS / 2 - 1 - i]!;
    }
    return this.#encodeHigher(even - odd >> 14) << 6 | this.#encodeLower(even + odd >> 14);
  }

  #encodeLower(sample: number): number {
    const band = this.#lower;
    const difference = clip(sample - band.prediction);
    const magnitude = difference >= 0 ? difference : -difference - 1;
    const level = levelOf(magnitude, band.scale);
    const code = difference < 0 ? (level <= 2 ? 64 - level : 34 - level) : 62 - level;
    const coarse = code >> 2;
    const quantised = band.scale * OUTPUT_4[coarse]! >> 15;
    band.adaptScale(coarse);
    band.adaptPredictor(quantised);
    return code;
  }

  #encodeHigher(sample: number): number {
    const band = this.#higher;
    const difference = clip(sample - band.prediction);
    const magnitude = difference >= 0 ? difference : -difference - 1;
    const far = magnitude >= HIGHER_DECISION * band.scale >> 12;
    const code = difference < 0 ? (far ? 0 : 1) : (far ? 2 : 3);
    const quantised = band.scale * OUTPUT_2[code]! >> 15;
    band.adaptScale(code);
    band.adaptPredictor(quantised);
    return code;
  }
}

/** Octets to samples of 16 kHz. */
export class G722Decoder implements AudioDecoder {
  /** 16000. */
  readonly sampleRate: number = SAMPLE_RATE;
  /** Always mono. */
  readonly channels = 1;
  readonly #lower = new G722Band(false);
  readonly #higher = new G722Band(true);
  /** The filter's memory, then sums and differences of the bands. */
  readonly #window = new Int32Array(MEMORY + 2 * MAX_PACKET_OCTETS);
  #samples = new Int16Array(640);

  /** Two samples for each octet; every octet means something. */
  decode(packet: Uint8Array): Int16Array {
    const octets = Math.min(packet.length, MAX_PACKET_OCTETS);
    if (this.#samples.length !== 2 * octets) this.#samples = new Int16Array(2 * octets);
    for (let i = 0; i < octets; i++) this.#decodePair(packet[i]!, this.#samples, 2 * i);
    this.#window.copyWithin(0, 2 * octets, 2 * octets + MEMORY);
    return this.#samples;
  }

  /** Nothing of its own: the audio path repeats what was heard. */
  conceal(): Int16Array {
    return NOTHING;
  }

  /** Nothing to give back. */
  [Symbol.dispose](): void {}

  #decodePair(octet: number, into: Int16Array, at: number): void {
    const lower = this.#decodeLower(octet & 63);
    const higher = this.#decodeHigher(octet >> 6);
    const window = this.#window;
    window[at + MEMORY] = lower + higher;
    window[at + MEMORY + 1] = lower - higher;
    let first = 0;
    let second = 0;
    for (let i = 0; i < TAPS / 2; i++) {
      second += window[at + 2 * i]! * FILTER[i]!;
      first += window[at + 2 * i + 1]! * FILTER[TAPS / 2 - 1 - i]!;
    }
    into[at] = clip(first >> 11);
    into[at + 1] = clip(second >> 11);
  }

  #decodeLower(code: number): number {
    const band = this.#lower;
    const sample = limit15(band.prediction + (band.scale * OUTPUT_6[code]! >> 15));
    const coarse = code >> 2;
    const quantised = band.scale * OUTPUT_4[coarse]! >> 15;
    band.adaptScale(coarse);
    band.adaptPredictor(quantised);
    return sample;
  }

  #decodeHigher(code: number): number {
    const band = this.#higher;
    const quantised = band.scale * OUTPUT_2[code]! >> 15;
    const sample = limit15(band.prediction + quantised);
    band.adaptScale(code);
    band.adaptPredictor(quantised);
    return sample;
  }
}

const NOTHING = new Int16Array(0);

/** 1 to 30: how many decision levels, scaled, the magnitude reaches, counting from 0. */
function levelOf(magnitude: number, scale: number): number {
  let low = 1;
  let high = DECISIONS.length;
  while (low < high) {
    const middle = low + high >> 1;
    if (magnitude >= DECISIONS[middle]! * scale >> 12) low = middle + 1;
    else high = middle;
  }
  return low;
}

function limit15(value: number): number {
  return value > 16383 ? 16383 : value < -16384 ? -16384 : value;
}

/**
 * Table 17: codes 61 down to 32 are the positive levels 1 to 30, codes 63 and 62 the negative levels 1 and 2,
 * 31 down to 4 the negative levels 3 to 30; codes 0 to 3 are not sent and mean the smallest negative level.
 */
function sixBitOutput(): Int16Array {
  const output = new Int16Array(64).fill(-LEVELS_6[0]!);
  for (let level = 1; level <= 30; level++) {
    const magnitude = LEVELS_6[level - 1]!;
    output[62 - level] = magnitude;
    output[level <= 2 ? 64 - level : 34 - level] = -magnitude;
  }
  return output;
}

function fourBitOutput(): Int16Array {
  const output = new Int16Array(16);
  for (let i = 1; i < 8; i++) {
    output[i] = -LEVELS_4[8 - i]!;
    output[i + 7] = LEVELS_4[8 - i]!;
  }
  return output;
}
