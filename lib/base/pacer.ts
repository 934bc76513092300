// Calls at absolute deadlines, one each period, on a tick that many share: what is paced (silence, tones) neither drifts with
// late ticks nor leaves in a burst after a pause of the process.
// Role: machine

import type { Ticker } from "./ticker.ts";

export interface PacerOptions {
  readonly ticker: Ticker;
  /** Looks at each so many ticks; 1 unless given. */
  readonly every?: number;
  readonly periodMs: number;
  /** The first deadline; absent: the first tick. */
  readonly startMs?: number;
  /** A deadline this close is due: ticks are not exact. */
  readonly earlyMs: number;
  /** Of deadlines missed by so much only the last one is kept. */
  readonly maxLateMs: number;
  /** @param resumed the first call, or others were left out before it */
  run(index: number, resumed: boolean): void;
}

/** Calls from its making until it is disposed, which it may be by what it calls. */
export class Pacer implements Disposable {
  readonly #options: PacerOptions;
  #ticking: Disposable | null;
  #startMs: number;
  #next = 0;
  #resumed = true;

  constructor(options: PacerOptions) {
    this.#options = options;
    this.#startMs = options.startMs ?? NaN;
    this.#ticking = options.ticker.add((nowMs) => this.#tick(nowMs), options.every);
  }

  /** The deadline of index 0; NaN before the first tick. */
  get startMs(): number {
    return this.#startMs;
  }

  [Symbol.dispose](): void {
    this.#ticking?.[Symbol.dispose]();
    this.#ticking = null;
  }

  #tick(nowMs: number): void {
    const { periodMs, earlyMs, maxLateMs } = this.#options;
    if (Number.isNaN(this.#startMs)) this.#startMs = nowMs;
    const lateMs = nowMs - (this.#startMs + this.#next * periodMs);
    if (lateMs >= maxLateMs) {
      this.#next += Math.floor((lateMs + earlyMs) / periodMs);
      this.#resumed = true;
    }
    while (this.#ticking !== null && this.#startMs + this.#next * periodMs <= nowMs + earlyMs) {
      const resumed = this.#resumed;
      this.#resumed = false;
      this.#options.run(this.#next++, resumed);
    }
  }
}
