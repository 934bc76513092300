// Touch tones as sound: the two sines of each key (ITU-T Q.23), as samples.
// Role: machine

/** Frequencies of the rows, in Hz. */
export const DTMF_ROWS: readonly number[] = [697, 770, 852, 941];
/** Frequencies of the columns, in Hz. */
export const DTMF_COLUMNS: readonly number[] = [1209, 1336, 1477, 1633];

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
    if (frequencies === null) throw new Error(`"${key}" is no touch tone`);
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
