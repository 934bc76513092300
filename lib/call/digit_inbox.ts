// DTMF of the remote party, told to the client once for each digit: some phones send a digit both in the media and in
// SIP INFO. Each digit of one way is held against one of the other; two of one way are two digits.
// Role: machine

import type { Clock } from "../base/clock.ts";

/** RTP events or tones, or SIP INFO. */
export type DigitSource = "media" | "info";

interface Told {
  readonly source: DigitSource;
  readonly digit: string;
  readonly atMs: number;
  readonly durationMs: number;
}

/** The two ways of one digit are so close, its own length left out. */
const TOGETHER_MS = 1000;
const REMEMBERED = 32;

export class DigitInbox {
  readonly #clock: Clock;
  readonly #tell: (digit: string, durationMs: number) => void;
  readonly #told: Told[] = [];

  /** @param tell told each digit once */
  constructor(clock: Clock, tell: (digit: string, durationMs: number) => void) {
    this.#clock = clock;
    this.#tell = tell;
  }

  take(source: DigitSource, digit: string, durationMs: number): void {
    const atMs = this.#clock.now();
    const same = this.#told.findIndex((told) =>
      told.source !== source && told.digit === digit &&
      atMs - told.atMs <= TOGETHER_MS + Math.max(durationMs, told.durationMs)
    );
    if (same >= 0) return void this.#told.splice(same, 1);
    this.#told.push({ source, digit, atMs, durationMs });
    if (this.#told.length > REMEMBERED) this.#told.shift();
    this.#tell(digit, durationMs);
  }
}
