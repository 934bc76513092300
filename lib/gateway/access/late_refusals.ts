// Refusals that are told late, so that guessing is slow. Each holds a timer and its client's connection, so they are
// bounded, and give way: one more than there may be, or a client that needs a place, and the one that has waited longest
// is told at once. Nobody who shows the right thing waits here, or for those who do.
// Role: edge

import { type Clock, delay } from "../../base/clock.ts";

/** Refusals that wait at a time. */
export const MAX_LATE_REFUSALS = 256;

/** All refusals of a gateway that wait. */
export class LateRefusals {
  readonly #clock: Clock;
  /** The oldest first. */
  readonly #waiting = new Set<AbortController>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** How many wait. */
  get size(): number {
    return this.#waiting.size;
  }

  /** Settles when the refusal may be told: after this time, when `signal` aborts, or when another needs its place. */
  async wait(ms: number, signal: AbortSignal): Promise<void> {
    if (this.#waiting.size >= MAX_LATE_REFUSALS) this.makeRoom();
    const early = new AbortController();
    this.#waiting.add(early);
    const hasten = (): void => early.abort();
    signal.addEventListener("abort", hasten, { once: true });
    if (signal.aborted) early.abort();
    try {
      await delay(this.#clock, ms, early.signal);
    } finally {
      signal.removeEventListener("abort", hasten);
      this.#waiting.delete(early);
    }
  }

  /** The one that has waited longest is told now; false when none waits. */
  makeRoom(): boolean {
    const [oldest] = this.#waiting;
    if (oldest === undefined) return false;
    this.#waiting.delete(oldest);
    oldest.abort();
    return true;
  }
}
