// When a worker that broke down is replaced: at once, but one that does so again and again waits longer each time.
// Role: machine

import type { Clock } from "../base/clock.ts";

const FIRST_MS = 50;
const AGAIN_MS = 1_000;
const LONGEST_MS = 30_000;

/** One that has run for so long is as good as new. */
const GOOD_MS = 60_000;

/** Counts the breakdowns of one worker. */
export class RestartSchedule {
  readonly #clock: Clock;
  #lastMs = -Infinity;
  #inARow = 0;

  /** Nothing has happened yet. */
  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** It broke down now; how long to wait before it is replaced, in milliseconds. */
  brokeDown(): number {
    const nowMs = this.#clock.now();
    this.#inARow = nowMs - this.#lastMs < GOOD_MS + this.#delayMs() ? this.#inARow + 1 : 1;
    this.#lastMs = nowMs;
    return this.#delayMs();
  }

  #delayMs(): number {
    if (this.#inARow <= 1) return this.#inARow * FIRST_MS;
    return Math.min(LONGEST_MS, AGAIN_MS * 2 ** (this.#inARow - 2));
  }
}
