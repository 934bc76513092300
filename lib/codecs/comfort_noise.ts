// Comfort noise (RFC 3389): a payload that says how loud and how coloured the background is while nobody speaks,
// and the noise made from it.
//
//   level:8 in -dBov (0-127), then up to 12 reflection coefficients, each an octet N: 258 * (N - 127) / 32768
//
// Role: machine

import { WireError } from "../base/errors.ts";
import type { Random } from "../base/random.ts";

/** What the background sounds like. */
export interface NoiseDescription {
  /** Level in dB below a full-scale square wave; 0 is the loudest. */
  readonly levelDbov: number;
  /** Reflection coefficients of the all-pole model, -1 to 1; none: white noise. */
  readonly reflection: readonly number[];
}

const MAX_ORDER = 12;
const MAX_LEVEL = 127;
const FULL_SCALE = 32768;
/** Between two values of a coefficient. */
const STEP = 258 / 32768;
/** The greatest coefficient that can be said. */
const MOST = 127 * STEP;
/** Analysis order: enough for the tilt of a room. */
const ORDER = 6;

/** Reads a payload. @throws WireError when it is empty */
export function decodeComfortNoise(payload: Uint8Array): NoiseDescription {
  const level = payload[0];
  if (level === undefined) throw new WireError("comfort noise", "the payload is empty");
  const reflection: number[] = [];
  for (const octet of payload.subarray(1, 1 + MAX_ORDER)) {
    reflection.push((Math.min(254, octet) - 127) * STEP);
  }
  return { levelDbov: level & MAX_LEVEL, reflection };
}

export function encodeComfortNoise(noise: NoiseDescription): Uint8Array<ArrayBuffer> {
  const level = Math.max(0, Math.min(MAX_LEVEL, Math.round(noise.levelDbov)));
  const reflection = noise.reflection.slice(0, MAX_ORDER);
  return new Uint8Array([
    level,
    ...reflection.map((value) => Math.round(127 + Math.max(-MOST, Math.min(MOST, value)) / STEP)),
  ]);
}

/** Describes background noise: level and colour of `samples`. Not for every packet. */
export function describeNoise(samples: Int16Array): NoiseDescription {
  const correlation = new Float64Array(ORDER + 1);
  for (let lag = 0; lag <= ORDER; lag++) {
    let sum = 0;
    for (let i = lag; i < samples.length; i++) sum += samples[i]! * samples[i - lag]!;
    correlation[lag] = sum;
  }
  const power = correlation[0]! / Math.max(1, samples.length);
  const levelDbov = power < 1 ? MAX_LEVEL : -10 * Math.log10(power / (FULL_SCALE * FULL_SCALE));
  return { levelDbov, reflection: power < 1 ? [] : reflectionOf(correlation) };
}

/** Levinson and Durbin's recursion, of which only the reflection coefficients are kept. */
function reflectionOf(correlation: Float64Array): number[] {
  const filter = new Float64Array(ORDER + 1);
  const reflection: number[] = [];
  let error = correlation[0]! * 1.0001; // a little white noise keeps it stable
  for (let order = 1; order <= ORDER; order++) {
    let sum = correlation[order]!;
    for (let i = 1; i < order; i++) sum += filter[i]! * correlation[order - i]!;
    const k = -sum / error;
    for (let i = 1; i <= order >> 1; i++) {
      const j = order - i;
      const left = filter[i]!;
      filter[i] = left + k * filter[j]!;
      if (i !== j) filter[j] = filter[j]! + k * left;
    }
    filter[order] = k;
    reflection.push(k);
    error *= 1 - k * k;
  }
  return reflection;
}

/** Makes noise from descriptions; a new one takes over at once, its level glides in. */
export class NoiseGenerator {
  readonly #random: Random;
  readonly #state = new Float64Array(MAX_ORDER + 1);
  #reflection: readonly number[] = [];
  #gain = 0;
  #target = 0;

  /** Silent until the first description. @param random where the noise comes from */
  constructor(random: Random) {
    this.#random = random;
  }

  /** Changes what the noise sounds like. */
  describe(noise: NoiseDescription): void {
    this.#reflection = noise.reflection.slice(0, MAX_ORDER);
    let predicted = 1;
    for (const k of this.#reflection) predicted *= 1 - k * k;
    const level = FULL_SCALE * 10 ** (-noise.levelDbov / 20);
    this.#target = level * Math.sqrt(12 * Math.max(predicted, 1e-4)); // a flat distribution of width 1 has 1/12
    this.#state.fill(0);
  }

  /** Fills `samples` with noise. */
  fill(samples: Int16Array, from: number, to: number): void {
    for (let i = from; i < to; i++) {
      this.#gain += (this.#target - this.#gain) / 256;
      const value = this.#shape((this.#random.float() - 0.5) * this.#gain);
      samples[i] = value > 32767 ? 32767 : value < -32768 ? -32768 : value;
    }
  }

  /** The lattice form of the all-pole filter: stable for every coefficient below 1. */
  #shape(excitation: number): number {
    const state = this.#state;
    const reflection = this.#reflection;
    let forward = excitation;
    for (let i = reflection.length - 1; i >= 0; i--) {
      forward -= reflection[i]! * state[i]!;
      state[i + 1] = state[i]! + reflection[i]! * forward;
    }
    state[0] = forward;
    return forward;
  }
}
