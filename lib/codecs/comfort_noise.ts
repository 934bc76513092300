// Comfort noise (RFC 3389): a payload that says how loud and how coloured the background is while nobody speaks,
// and the noise made from it.
// Role: machine

import { WireError } from "../base/errors.ts";
import type { Random } from "../base/random.ts";

export interface NoiseDescription {
  /** Level in dB below a full-scale square wave; 0 is the loudest. */
  readonly levelDbov: number;
  /** Reflection coefficients of the all-pole model, -1 to 1; none: white noise. */
  readonly reflection: readonly number[];
}

const MAX_ORDER = 12;
const MAX_LEVEL = 127;
const FULL_SCALE = 32768;
const STEP = 258 / 32768;
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

/**
 * Makes noise from descriptions; a new one takes over at once, its level glides in.
 *
 *   level:8 in -dBov (0-127), then up to 12 reflection coefficients, each an octet N: 258 * (N - 127) / 32768
 */
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

const HISTORY_MS = 48;
const MIN_PITCH_MS = 5;
const MAX_PITCH_MS = 15;
const MATCH_MS = 20;
/** The step between what was heard and what is repeated decays in this time. */
const SEAM_MS = 2;
/** Full level for so long, then a straight line down to silence. */
const HOLD_MS = 10;
const SILENT_MS = 60;
/** How long the repetition glides into the real audio. */
const GLIDE_MS = 5;

/** What was heard last, and what to play when nothing comes. One for each direction of a call. */
export class LossConcealer {
  readonly #history: Int16Array;
  readonly #perMs: number;
  /** The period that is repeated; its seam is smoothed. */
  readonly #period: Int16Array;
  #periodSamples = 0;
  /** Samples concealed since real audio ended; 0 while it flows. */
  #concealed = 0;
  #phase = 0;
  #step = 0;
  #glideLeft = 0;

  /** Has heard nothing yet. @param sampleRate 8000 to 48000 */
  constructor(sampleRate: number) {
    this.#perMs = sampleRate / 1000;
    this.#history = new Int16Array(Math.ceil(HISTORY_MS * this.#perMs));
    this.#period = new Int16Array(Math.ceil(MAX_PITCH_MS * this.#perMs) + 1);
  }

  /** True once a gap has lasted so long that only silence is left of the repetition. */
  get faded(): boolean {
    return this.#concealed >= SILENT_MS * this.#perMs;
  }

  /** Real audio: its start is blended with the repetition when there was a gap before it; then remembered. */
  heard(samples: Int16Array, from: number, to: number): void {
    if (this.#concealed > 0) this.#startGlide();
    for (let i = from; i < to && this.#glideLeft > 0; i++, this.#glideLeft--) {
      const weight = this.#glideLeft / (GLIDE_MS * this.#perMs);
      samples[i] = samples[i]! * (1 - weight) + this.#next() * weight;
    }
    if (this.#glideLeft === 0) this.#concealed = 0;
    this.#remember(samples, from, to);
  }

  /** Fills `samples` with what the missing audio may have been. */
  conceal(samples: Int16Array, from: number, to: number): void {
    if (this.#concealed === 0) this.#findPeriod();
    this.#glideLeft = 0;
    for (let i = from; i < to; i++) samples[i] = this.#next();
    this.#remember(samples, from, to);
  }

  #startGlide(): void {
    if (this.#glideLeft === 0) this.#glideLeft = Math.floor(GLIDE_MS * this.#perMs);
  }

  #next(): number {
    const at = this.#concealed++;
    const fade = 1 - (at / this.#perMs - HOLD_MS) / (SILENT_MS - HOLD_MS);
    if (fade <= 0) return 0;
    const sample = this.#period[this.#phase]!;
    if (++this.#phase === this.#periodSamples) this.#phase = 0;
    const seam = 1 - at / (SEAM_MS * this.#perMs);
    const whole = sample + (seam > 0 ? this.#step * seam : 0);
    const limited = whole > 32767 ? 32767 : whole < -32768 ? -32768 : whole;
    return Math.trunc(fade >= 1 ? limited : limited * fade);
  }

  #remember(samples: Int16Array, from: number, to: number): void {
    const history = this.#history;
    const count = Math.min(to - from, history.length);
    history.copyWithin(0, count);
    for (let i = 0; i < count; i++) history[history.length - count + i] = samples[to - count + i]!;
  }

  /** Takes the period that fits the last 20 ms best, and blends its end into what came before its start. */
  #findPeriod(): void {
    const lag = this.#bestLag();
    const history = this.#history;
    const start = history.length - lag;
    const blend = lag >> 2;
    for (let i = 0; i < lag; i++) {
      const weight = i < lag - blend ? 0 : (i - (lag - blend) + 1) / (blend + 1);
      const before = weight === 0 ? 0 : history[start - lag + i]!;
      this.#period[i] = history[start + i]! * (1 - weight) + before * weight;
    }
    this.#periodSamples = lag;
    this.#phase = 0;
    const expected = history[start]! - history[start - 1]!;
    this.#step = history[history.length - 1]! + expected - this.#period[0]!;
  }

  /** The lag of 5 to 15 ms with the greatest normalised correlation; coarsely, then exactly. */
  #bestLag(): number {
    const stride = Math.max(1, Math.floor(this.#perMs / 4));
    const from = Math.floor(MIN_PITCH_MS * this.#perMs);
    const to = Math.ceil(MAX_PITCH_MS * this.#perMs);
    const coarse = this.#searchLag(from, to, stride, stride);
    return this.#searchLag(Math.max(from, coarse - stride), Math.min(to, coarse + stride), 1, stride);
  }

  #searchLag(from: number, to: number, step: number, stride: number): number {
    let best = from;
    let bestScore = -Infinity;
    for (let lag = from; lag <= to; lag += step) {
      const score = this.#score(lag, stride);
      if (score <= bestScore) continue;
      bestScore = score;
      best = lag;
    }
    return best;
  }

  #score(lag: number, stride: number): number {
    const history = this.#history;
    const start = history.length - Math.floor(MATCH_MS * this.#perMs);
    let product = 0;
    let energy = 1;
    for (let i = start; i < history.length; i += stride) {
      const past = history[i - lag]!;
      product += history[i]! * past;
      energy += past * past;
    }
    return product * Math.abs(product) / energy;
  }
}
