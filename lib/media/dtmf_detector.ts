// Hears touch tones in sound of 8 kHz: the Goertzel filter on the eight frequencies of ITU-T Q.23, over windows that
// overlap, with the tests that keep voices out (one frequency of each group, both alike in level, nearly all of the
// sound). A key counts when it lasted the 40 ms that receivers must recognise (ITU-T Q.24).
//
//   silence -> two windows with the same key: sounding -> several windows without it: reported
//
// Role: machine
// Answers to: nothing; siprtmp ignored incoming touch tones (behaviour.md 1.8).

import { DTMF_COLUMNS, DTMF_ROWS, dtmfKey } from "./dtmf_tones.ts";

const SAMPLE_RATE = 8000;
/** 25.6 ms: long enough to tell the frequencies apart, shorter than the shortest key. */
const WINDOW = 205;
/** A window begins every 5.1 ms. */
const HOP = 41;
const WINDOWS_TO_BEGIN = 2;
/** So many windows without the key end it: about 20 ms, so that a crackle does not make two keys of one. */
const WINDOWS_TO_END = 4;
const SHORTEST_MS = 30;
/** A tone is longer than its windows tell: those at its edges that are not full enough do not count. */
const EDGES = 41;
/** Mean square of the quietest tone, about -36 dBm0 in all. */
const LEAST_POWER = 150 ** 2;
/** Share of all the sound that the two frequencies must have. */
const LEAST_SHARE = 0.7;
/** The same for a key that sounds already: a crackle does not end it. */
const HELD_SHARE = 0.5;
/** The stronger frequency may exceed the weaker one by so much: 8 dB, as the longest lines make it. */
const MOST_TWIST = 10 ** 0.8;
/** The strongest frequency of a group exceeds the others of it by so much: 8 dB. */
const LEAST_PEAK = 10 ** 0.8;
/** A window whose tone has fallen below this share of its loudest lies half beyond its end. */
const FADED = 0.25;

/** Telephones may be off by 1.5 % (ITU-T Q.24): the strongest frequencies are looked for beside their place, too. */
const DETUNED = 0.012;

const FREQUENCIES = [...DTMF_ROWS, ...DTMF_COLUMNS];
const COEFFICIENTS = FREQUENCIES.map((hz) => coefficientOf(hz));
const LOWER_COEFFICIENTS = FREQUENCIES.map((hz) => coefficientOf(hz * (1 - DETUNED)));
const UPPER_COEFFICIENTS = FREQUENCIES.map((hz) => coefficientOf(hz * (1 + DETUNED)));

/** Hears the keys in one stream of sound. */
export class DtmfDetector {
  readonly #onDigit: (digit: string, durationMs: number) => void;
  readonly #window = new Float64Array(WINDOW);
  readonly #powers = new Float64Array(8);
  #filled = 0;
  /** The key that sounds, or may begin to. */
  #key = "";
  #hits = 0;
  #misses = 0;
  #loudest = 0;
  /** Power of the two frequencies in the last window that had a key. */
  #tonePower = 0;

  /** Idle until its first use. @param onDigit told each key at its end */
  constructor(onDigit: (digit: string, durationMs: number) => void) {
    this.#onDigit = onDigit;
  }

  /** Takes samples of 8 kHz, any number of them. */
  push(samples: Int16Array): void {
    let at = 0;
    while (at < samples.length) {
      const taken = Math.min(WINDOW - this.#filled, samples.length - at);
      this.#window.set(samples.subarray(at, at + taken), this.#filled);
      this.#filled += taken;
      at += taken;
      if (this.#filled < WINDOW) return;
      this.#judge(this.#keyInWindow());
      this.#window.copyWithin(0, HOP);
      this.#filled = WINDOW - HOP;
    }
  }

  /** The sound has a gap: a key that still sounds is told. */
  interrupt(): void {
    this.#filled = 0;
    this.#end();
  }

  #judge(key: string): void {
    const continues = key !== "" && key === this.#key && this.#tonePower > this.#loudest * FADED;
    if (continues) {
      this.#hits++;
      this.#misses = 0;
      this.#loudest = Math.max(this.#loudest, this.#tonePower);
    } else if (this.#hits >= WINDOWS_TO_BEGIN) {
      if (++this.#misses >= WINDOWS_TO_END) this.#end();
    } else this.#begin(key);
  }

  #begin(key: string): void {
    this.#key = key;
    this.#hits = key === "" ? 0 : 1;
    this.#misses = 0;
    this.#loudest = this.#tonePower;
  }

  #end(): void {
    const durationMs = Math.round((this.#hits * HOP + EDGES) * 1000 / SAMPLE_RATE);
    if (this.#hits >= WINDOWS_TO_BEGIN && durationMs >= SHORTEST_MS) this.#onDigit(this.#key, durationMs);
    this.#begin("");
  }

  /** The key whose tone fills the window; "" when there is none. */
  #keyInWindow(): string {
    const power = this.#meanSquare();
    if (power < LEAST_POWER) return "";
    const powers = this.#powers;
    for (let i = 0; i < 8; i++) powers[i] = this.#goertzel(COEFFICIENTS[i]!);
    const row = strongest(powers, 0);
    const column = strongest(powers, 4);
    if (!standsOut(powers, 0, row) || !standsOut(powers, 4, column)) return "";
    const low = this.#powerNear(row);
    const high = this.#powerNear(column);
    this.#tonePower = low + high;
    if (low > high * MOST_TWIST || high > low * MOST_TWIST) return "";
    const key = dtmfKey(row, column - 4);
    const held = this.#hits >= WINDOWS_TO_BEGIN && key === this.#key;
    return this.#tonePower < power * (held ? HELD_SHARE : LEAST_SHARE) ? "" : key;
  }

  /** Power at a frequency, or a little beside it. */
  #powerNear(index: number): number {
    const lower = this.#goertzel(LOWER_COEFFICIENTS[index]!);
    const upper = this.#goertzel(UPPER_COEFFICIENTS[index]!);
    return Math.max(this.#powers[index]!, lower, upper);
  }

  #meanSquare(): number {
    let sum = 0;
    for (let i = 0; i < WINDOW; i++) sum += this.#window[i]! * this.#window[i]!;
    return sum / WINDOW;
  }

  /** Mean square of the part of the window that has one frequency. */
  #goertzel(coefficient: number): number {
    const window = this.#window;
    let before = 0;
    let last = 0;
    for (let i = 0; i < WINDOW; i++) {
      const next = window[i]! + coefficient * last - before;
      before = last;
      last = next;
    }
    return 2 * (last * last + before * before - coefficient * last * before) / (WINDOW * WINDOW);
  }
}

function coefficientOf(hz: number): number {
  return 2 * Math.cos(2 * Math.PI * hz / SAMPLE_RATE);
}

function strongest(powers: Float64Array, from: number): number {
  let best = from;
  for (let i = from + 1; i < from + 4; i++) if (powers[i]! > powers[best]!) best = i;
  return best;
}

function standsOut(powers: Float64Array, from: number, best: number): boolean {
  for (let i = from; i < from + 4; i++) {
    if (i !== best && powers[i]! * LEAST_PEAK > powers[best]!) return false;
  }
  return true;
}
