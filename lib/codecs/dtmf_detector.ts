// Hears DTMF in sound of 8 kHz: the Goertzel filter on the eight frequencies of ITU-T Q.23, over windows that
// overlap, with the tests that keep voices out (one frequency of each group, both alike in level, nearly all of the
// sound). A key counts when it lasted the 40 ms that receivers must recognise (ITU-T Q.24).
// Role: machine

import { type G711Law, g711Samples } from "./g711_tables.ts";
import { createToneBank, goertzelCoefficient, ToneFilter } from "./tone_filter.ts";

const SAMPLE_RATE = 8000;
/** A window begins every 5.1 ms. */
const HOP = 41;
/** 25.6 ms, 205 samples: long enough to tell the frequencies apart, shorter than the shortest key. */
const BLOCKS = 5;
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
/**
 * Between these lies the slope (tone_filter.ts) of every key that fills its share of the sound, whatever the rest is:
 * for the lowest frequencies, the lower one stronger, with rumble; for the highest, the higher one stronger, with
 * hiss. Most of speech lies below.
 */
const SLOPES = { least: 0.2, most: 2.4 };
const HELD_SLOPES = { least: 0.14, most: 2.9 };
/**
 * So much of the sound the row must have at least before the columns are looked at: a seventh of the share of a key
 * that is held (8 dB of twist), halved, because an off frequency is measured beside its place.
 */
const LEAST_ROW_SHARE = 0.03;
/** The stronger frequency may exceed the weaker one by so much: 8 dB, as the longest lines make it. */
const MOST_TWIST = 10 ** 0.8;
/** The strongest frequency of a group exceeds the others of it by so much: 8 dB. */
const LEAST_PEAK = 10 ** 0.8;
/** A window whose tone has fallen below this share of its loudest lies half beyond its end. */
const FADED = 0.25;

/** Telephones may be off by 1.5 % (ITU-T Q.24): the strongest frequencies are looked for beside their place, too. */
const DETUNED = 0.012;

export const DTMF_ROWS: readonly number[] = [697, 770, 852, 941];
export const DTMF_COLUMNS: readonly number[] = [1209, 1336, 1477, 1633];

const FREQUENCIES = [...DTMF_ROWS, ...DTMF_COLUMNS];
const BANK = createToneBank(FREQUENCIES, SAMPLE_RATE, HOP, BLOCKS);
const LOWER_COEFFICIENTS = FREQUENCIES.map((hz) => goertzelCoefficient(hz * (1 - DETUNED), SAMPLE_RATE));
const UPPER_COEFFICIENTS = FREQUENCIES.map((hz) => goertzelCoefficient(hz * (1 + DETUNED), SAMPLE_RATE));

/**
 * Hears the keys in one stream of sound.
 *
 * Every G.711 call without telephone events is listened to, so each sample is filtered once: windows are sums of the
 * blocks they share, turned by the phase between them (tone_filter.ts).
 *
 *   silence -> two windows with the same key: sounding -> several windows without it: reported
 */
export class DtmfDetector {
  readonly #onDigit: (digit: string, durationMs: number) => void;
  readonly #filter = new ToneFilter(BANK);
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
    for (let at = 0; at < samples.length;) {
      at += this.#filter.fill(samples, at);
      if (this.#filter.ready) this.#judge(this.#keyInWindow());
    }
  }

  /** Takes octets of G.711 of 8 kHz, any number of them. */
  pushG711(law: G711Law, octets: Uint8Array): void {
    const samples = g711Samples(law);
    for (let at = 0; at < octets.length;) {
      at += this.#filter.fillCoded(octets, at, samples);
      if (this.#filter.ready) this.#judge(this.#keyInWindow());
    }
  }

  /** The sound has a gap: a key that still sounds is told. */
  interrupt(): void {
    this.#filter.reset();
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
    const power = this.#filter.meanSquare;
    if (power < LEAST_POWER || !this.#mayBeKey()) return "";
    const powers = this.#filter.measure("lower");
    const row = strongest(powers, 0);
    if (powers[row]! < power * LEAST_ROW_SHARE || !standsOut(powers, 0, row)) return "";
    this.#filter.measure("upper");
    const column = strongest(powers, 4);
    if (!standsOut(powers, 4, column)) return "";
    const low = this.#powerNear(powers, row);
    const high = this.#powerNear(powers, column);
    this.#tonePower = low + high;
    if (low > high * MOST_TWIST || high > low * MOST_TWIST) return "";
    const key = dtmfKey(row, column - 4);
    const held = this.#hits >= WINDOWS_TO_BEGIN && key === this.#key;
    return this.#tonePower < power * (held ? HELD_SHARE : LEAST_SHARE) ? "" : key;
  }

  #mayBeKey(): boolean {
    const { least, most } = this.#hits > 0 ? HELD_SLOPES : SLOPES;
    const { slope } = this.#filter;
    return slope > least && slope < most;
  }

  /** Power at a frequency, or a little beside it. */
  #powerNear(powers: Float64Array, index: number): number {
    const lower = this.#filter.powerAt(LOWER_COEFFICIENTS[index]!);
    const upper = this.#filter.powerAt(UPPER_COEFFICIENTS[index]!);
    return Math.max(powers[index]!, lower, upper);
  }
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

const KEYS = ["123A", "456B", "789C", "*0#D"];
/** Peak of a sine of 0 dBm0, which is 3.17 dB below the loudest sine of mu-law (ITU-T G.711 table 2b). */
const DBM0_PEAK = 32124 * 10 ** (-3.17 / 20);
/** Each of the two sines at -10 dBm0. */
const SINE_PEAK = DBM0_PEAK * 10 ** (-10 / 20);
/** The tone swells and fades so long: a hard edge would sound on other frequencies, too. */
const EDGE_SECONDS = 0.002;

/** The key of a row and a column, each 0 to 3. */
export function dtmfKey(row: number, column: number): string {
  return KEYS[row]![column]!;
}

/** The frequencies of a key 0-9 * # A-D in Hz; null for anything else. */
export function dtmfFrequencies(key: string): { readonly low: number; readonly high: number } | null {
  const row = KEYS.findIndex((keys) => key.length === 1 && keys.includes(key));
  if (row < 0) return null;
  return { low: DTMF_ROWS[row]!, high: DTMF_COLUMNS[KEYS[row]!.indexOf(key)]! };
}

/** The samples of one key, block after block. */
export class DtmfTone {
  readonly #low: number;
  readonly #high: number;
  readonly #length: number;
  readonly #edge: number;
  #at = 0;

  /** At its start. @throws Error when `key` is none of 0-9 * # A-D */
  constructor(key: string, sampleRate: number, durationMs: number) {
    const frequencies = dtmfFrequencies(key);
    if (frequencies === null) throw new Error(`"${key}" is no DTMF key`);
    this.#low = 2 * Math.PI * frequencies.low / sampleRate;
    this.#high = 2 * Math.PI * frequencies.high / sampleRate;
    this.#length = Math.round(durationMs * sampleRate / 1000);
    this.#edge = Math.round(EDGE_SECONDS * sampleRate);
  }

  /** Fills the block; silence behind the end. False when there was nothing but silence. */
  fill(samples: Int16Array): boolean {
    const begun = this.#at;
    for (let i = 0; i < samples.length; i++) samples[i] = this.#next();
    return begun < this.#length;
  }

  #next(): number {
    const at = this.#at++;
    const distance = Math.min(at, this.#length - 1 - at);
    if (distance < 0) return 0;
    const level = distance < this.#edge ? (distance + 1) / (this.#edge + 1) : 1;
    return Math.round(level * SINE_PEAK * (Math.sin(this.#low * at) + Math.sin(this.#high * at)));
  }
}
