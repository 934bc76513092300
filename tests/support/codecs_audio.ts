// Sounds to send through codecs, and what is heard at the other end: tones, levels, noise beside a tone.
// Role: machine

import { loadCodecs } from "../../lib/codecs/load.ts";

/** The codecs as they were built; tests that need a missing module are ignored. */
export const codecs = await loadCodecs();

/** A tone as 16-bit samples. */
export function tone(hz: number, sampleRate: number, milliseconds: number, amplitude = 10000): Int16Array {
  const samples = new Int16Array(Math.round(sampleRate * milliseconds / 1000));
  for (let i = 0; i < samples.length; i++) {
    samples[i] = Math.round(amplitude * Math.sin(2 * Math.PI * hz * i / sampleRate));
  }
  return samples;
}

/** Level of samples in dB below a full-scale square wave. */
export function levelDb(samples: Int16Array): number {
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  return 10 * Math.log10(Math.max(sum / samples.length, 1e-9) / 32768 ** 2);
}

/** What a tone became. */
export interface ToneReport {
  /** Amplitude of the tone. */
  readonly amplitude: number;
  /** Tone against everything else, in dB. */
  readonly snrDb: number;
}

/** Fits a sine of `hz` to the samples (least squares, with a constant) and measures what is left. */
export function measureTone(samples: Int16Array, hz: number, sampleRate: number): ToneReport {
  let sine = 0;
  let cosine = 0;
  const turn = 2 * Math.PI * hz / sampleRate;
  // A whole number of periods makes sine and cosine orthogonal.
  const period = sampleRate / gcd(sampleRate, hz);
  const count = Math.floor(samples.length / period) * period;
  for (let i = 0; i < count; i++) {
    sine += samples[i]! * Math.sin(turn * i);
    cosine += samples[i]! * Math.cos(turn * i);
  }
  sine *= 2 / count;
  cosine *= 2 / count;
  let rest = 0;
  for (let i = 0; i < count; i++) {
    rest += (samples[i]! - sine * Math.sin(turn * i) - cosine * Math.cos(turn * i)) ** 2;
  }
  const amplitude = Math.hypot(sine, cosine);
  return { amplitude, snrDb: 10 * Math.log10(count * amplitude ** 2 / 2 / Math.max(rest, 1e-9)) };
}

/** Signal against difference in dB, `got` shifted by `delay` samples behind `wanted`. */
export function snrDb(wanted: Int16Array, got: Int16Array, delay = 0): number {
  let signal = 0;
  let noise = 0;
  for (let i = 0; i + delay < got.length && i < wanted.length; i++) {
    signal += wanted[i]! ** 2;
    noise += (wanted[i]! - got[i + delay]!) ** 2;
  }
  return 10 * Math.log10(signal / Math.max(noise, 1e-9));
}

/** The delay of 0 to `most` samples at which `got` is most like `wanted`. */
export function findDelay(wanted: Int16Array, got: Int16Array, most: number): number {
  let best = 0;
  let bestScore = -Infinity;
  for (let delay = 0; delay <= most; delay++) {
    let score = 0;
    for (let i = 0; i + delay < got.length && i < wanted.length; i += 3) {
      score += wanted[i]! * got[i + delay]!;
    }
    if (score <= bestScore) continue;
    bestScore = score;
    best = delay;
  }
  return best;
}

/** The greatest step from one sample to the next: what a click is made of. */
export function greatestStep(samples: Int16Array): number {
  let greatest = 0;
  for (let i = 1; i < samples.length; i++) {
    greatest = Math.max(greatest, Math.abs(samples[i]! - samples[i - 1]!));
  }
  return greatest;
}

/** Appends copies of borrowed pieces. */
export class SampleCollector {
  #pieces: Int16Array[] = [];

  /** Keeps a copy. */
  add(samples: Int16Array): void {
    this.#pieces.push(samples.slice());
  }

  /** Everything so far. */
  all(): Int16Array {
    const whole = new Int16Array(this.#pieces.reduce((sum, piece) => sum + piece.length, 0));
    let at = 0;
    for (const piece of this.#pieces) {
      whole.set(piece, at);
      at += piece.length;
    }
    return whole;
  }
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}

const BLOCK_MS = 20;
/** A share of noise of -8 dB is what the worst codec of speech makes of a tone. */
const TONE_NOISE = 0.16;
const TONE_HOLDS_MS = 300;

/**
 * When the tone is back for good: milliseconds until the first block of 20 ms from which on, for 300 ms, every block is
 * this tone within 3 dB and little else; Infinity when it never is.
 */
export function toneBackMs(samples: Int16Array, hz: number, sampleRate: number, amplitude = 10000): number {
  const block = sampleRate * BLOCK_MS / 1000;
  let since = NaN;
  for (let at = 0; at + block <= samples.length; at += block) {
    const { amplitude: got, noise } = fitBlock(samples.subarray(at, at + block), hz / sampleRate);
    const isTone = noise < TONE_NOISE && got > amplitude / Math.SQRT2 && got < amplitude * Math.SQRT2;
    if (!isTone) since = NaN;
    else if (Number.isNaN(since)) since = at;
    if (at + block - since >= TONE_HOLDS_MS * sampleRate / 1000) return since * 1000 / sampleRate;
  }
  return Infinity;
}

/** Least squares of a sine, whatever its period: amplitude, and the share of power that is not the sine. */
function fitBlock(samples: Int16Array, turns: number): { amplitude: number; noise: number } {
  let [cc, ss, cs, xc, xs, xx] = [0, 0, 0, 0, 0, 0];
  samples.forEach((x, i) => {
    const [c, s] = [Math.cos(2 * Math.PI * turns * i), Math.sin(2 * Math.PI * turns * i)];
    cc += c * c;
    ss += s * s;
    cs += c * s;
    xc += x * c;
    xs += x * s;
    xx += x * x;
  });
  const det = cc * ss - cs * cs;
  const [a, b] = [(xc * ss - xs * cs) / det, (xs * cc - xc * cs) / det];
  return { amplitude: Math.hypot(a, b), noise: 1 - (a * xc + b * xs) / Math.max(1, xx) };
}
