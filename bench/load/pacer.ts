// One timer for everybody who sends: each of N senders is due once per period, spread evenly over it. How late the
// timer came is kept: it is the load end's own lag.
// Role: edge

import { Histogram } from "./histogram.ts";

/** Sends what is due; `dueMs` counts from the start of the pacer. */
export type SendDue = (index: number, round: number) => void;

/** How the senders are spread. */
export interface PacerOptions {
  /** Time between two sendings of one sender. */
  readonly periodMs: number;
  /** How many senders. */
  readonly count: number;
  /** Called for each sender in turn. */
  readonly send: SendDue;
}

/** Sleep between two looks at the clock, in ms. */
const STEP_MS = 1;

/** Calls `send` for everybody at their times until stopped. */
export class Pacer {
  /** How late the first due sender of each round of the timer was. */
  readonly lag: Histogram = new Histogram();
  readonly #options: PacerOptions;
  readonly #startMs = performance.now();
  readonly #stepMs: number;
  #sent = 0;
  #timer: ReturnType<typeof setTimeout> | null = null;

  /** Starts at once. */
  constructor(options: PacerOptions) {
    this.#options = options;
    this.#stepMs = options.periodMs / Math.max(1, options.count);
    if (options.count > 0) this.#arm();
  }

  /** Sends nothing more. */
  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #arm(): void {
    this.#timer = setTimeout(() => {
      this.#arm();
      this.#sendDue(performance.now() - this.#startMs);
    }, STEP_MS);
  }

  #sendDue(nowMs: number): void {
    const { count, send } = this.#options;
    const lateMs = nowMs - this.#sent * this.#stepMs;
    if (lateMs < 0) return;
    // The sleep itself is no lag.
    this.lag.record(Math.max(0, lateMs - Math.max(STEP_MS, this.#stepMs)) * 1000);
    while (this.#sent * this.#stepMs <= nowMs) {
      send(this.#sent % count, Math.floor(this.#sent / count));
      this.#sent++;
    }
  }
}
