// How long the process was held up by other work on the machine: what arrives meanwhile is late, and what is measured
// then says nothing about a gateway.
// Role: machine

import type { Clock } from "../../lib/base/clock.ts";

const PERIOD_MS = 10;

/** Watches until it is disposed. */
export class StallWatch implements Disposable {
  /** The longest hold-up since the last reset, in ms. */
  worstMs = 0;
  readonly #clock: Clock;
  #timer: Disposable;
  #dueMs = 0;

  /** Starts to watch. */
  constructor(clock: Clock) {
    this.#clock = clock;
    this.#timer = this.#arm();
  }

  /** Forgets what was. */
  reset(): void {
    this.worstMs = 0;
    this.#dueMs = Math.max(this.#dueMs, this.#clock.now());
  }

  /** Stops. */
  [Symbol.dispose](): void {
    this.#timer[Symbol.dispose]();
  }

  #arm(): Disposable {
    this.#dueMs = this.#clock.now() + PERIOD_MS;
    return this.#clock.after(PERIOD_MS, () => {
      this.worstMs = Math.max(this.worstMs, this.#clock.now() - this.#dueMs);
      this.#timer = this.#arm();
    });
  }
}
