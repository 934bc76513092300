// G.722 at 64 kbit/s (mode 1): 16 kHz audio in two sub-bands of 8 kHz, six bits for the lower, two for the higher.
// ITU-T G.722 (1988): quadrature mirror filter 3.1 and 4.1, quantisers 3.2 to 3.4 and tables 10 to 17.
// Role: machine

import { mediaFormat } from "../sdp/media_format.ts";
import { type AudioDecoder, type AudioEncoder, type Codec, packetSamples } from "./codec.ts";

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

const OUTPUT_6 = sixBitOutput();
const OUTPUT_4 = fourBitOutput();
const OUTPUT_2 = new Int16Array([-LEVELS_2[1]!, -LEVELS_2[0]!, LEVELS_2[1]!, LEVELS_2[0]!]);

/**
 * Samples of 16 kHz to octets.
 *
 *   octet  higher:2 lower:6        one octet is two samples of 16 kHz
 */
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

const ZEROS = 6;

/** Multipliers of the scale's logarithm for the lower band, by the four upper bits of the code (W_L, table 13). */
const LOWER_STEPS = new Int16Array([
  -60,
  3042,
  1198,
  538,
  334,
  172,
  58,
  -30,
  3042,
  1198,
  538,
  334,
  172,
  58,
  -30,
  -60,
]);
/** The same for the higher band, by code (W_H, table 14). */
const HIGHER_STEPS = new Int16Array([798, -214, 798, -214]);
/** 2048 * 2^(i/32): the scale from the fraction of its logarithm (table 15). */
const INVERSE_LOG = Int16Array.from({ length: 32 }, (_, i) => Math.round(2048 * 2 ** (i / 32)));

const LOWER_LIMIT = 18432;
const HIGHER_LIMIT = 22528;

export class G722Band {
  prediction = 0;
  scale: number;
  readonly #higher: boolean;
  #logScale = 0;
  #zeroPart = 0;
  #pole1 = 0;
  #pole2 = 0;
  #rebuilt1 = 0;
  #rebuilt2 = 0;
  #partial1 = 0;
  #partial2 = 0;
  readonly #zeros = new Int16Array(ZEROS);
  readonly #differences = new Int16Array(ZEROS);

  /** Starts as the standard says after a reset. */
  constructor(higher: boolean) {
    this.#higher = higher;
    this.scale = higher ? 8 : 32;
  }

  /** Adapts the scale to a code: the four upper bits of a lower band code, or a higher band code. */
  adaptScale(code: number): void {
    const step = this.#higher ? HIGHER_STEPS[code]! : LOWER_STEPS[code]!;
    const limit = this.#higher ? HIGHER_LIMIT : LOWER_LIMIT;
    const log = Math.min(limit, Math.max(0, (this.#logScale * 127 >> 7) + step));
    this.#logScale = log;
    const shift = (this.#higher ? 10 : 8) - (log >> 11);
    const fraction = INVERSE_LOG[log >> 6 & 31]!;
    this.scale = (shift < 0 ? fraction << -shift : fraction >> shift) << 2;
  }

  /** Takes the quantised difference and predicts the next sample. */
  adaptPredictor(difference: number): void {
    const rebuilt = clip(this.prediction + difference);
    const partial = clip(this.#zeroPart + difference);
    this.#adaptPoles(partial);
    this.#adaptZeros(difference);
    this.#rebuilt2 = this.#rebuilt1;
    this.#rebuilt1 = rebuilt;
    const polePart = clip(
      (this.#pole1 * clip(rebuilt << 1) >> 15) + (this.#pole2 * clip(this.#rebuilt2 << 1) >> 15),
    );
    this.prediction = clip(polePart + this.#zeroPart);
  }

  /** 3.6.4: UPPOL2, UPPOL1. */
  #adaptPoles(partial: number): void {
    const same1 = (partial ^ this.#partial1) >= 0;
    const same2 = (partial ^ this.#partial2) >= 0;
    const push = clip(this.#pole1 << 2);
    let pole2 = (same2 ? 128 : -128) + ((same1 ? clip(-push) : push) >> 7) + (this.#pole2 * 32512 >> 15);
    pole2 = Math.min(12288, Math.max(-12288, pole2));
    const limit = 15360 - pole2;
    const pole1 = (same1 ? 192 : -192) + (this.#pole1 * 32640 >> 15);
    this.#pole1 = Math.min(limit, Math.max(-limit, pole1));
    this.#pole2 = pole2;
    this.#partial2 = this.#partial1;
    this.#partial1 = partial;
  }

  /** 3.6.3: UPZERO, FILTEZ. */
  #adaptZeros(difference: number): void {
    const zeros = this.#zeros;
    const past = this.#differences;
    const step = difference === 0 ? 0 : 128;
    let sum = 0;
    for (let i = ZEROS - 1; i >= 0; i--) {
      const same = (difference ^ past[i]!) >= 0;
      zeros[i] = clip((same ? step : -step) + (zeros[i]! * 32640 >> 15));
      past[i] = i > 0 ? past[i - 1]! : difference;
      sum += zeros[i]! * clip(past[i]! << 1) >> 15;
    }
    this.#zeroPart = clip(sum);
  }
}

/** Into 16 bits. */
export function clip(value: number): number {
  return value > 32767 ? 32767 : value < -32768 ? -32768 : value;
}

/** RTP counts 8000 for its 16000 samples (RFC 3551 4.5.2). RTMP has no G.722. */
export const g722: Codec<"g722"> = {
  name: "g722",
  label: "G.722",
  kind: "audio",
  encodingName: "g722",
  tokens: [],
  transcode: {
    sampleRate: SAMPLE_RATE,
    offers: [{ format: mediaFormat(9, "G722", 8000), wideband: true, rank: { wide: 2, narrow: 4 } }],
    createDecoder: () => new G722Decoder(),
    createEncoder: (_libraries, format) => new G722Encoder(packetSamples(format, SAMPLE_RATE)),
  },
};
