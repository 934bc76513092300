// How often something happened lately, per key, in constant memory per key: counts of the present and the
// previous window, the previous one weighed by what is left of it. Keys are bounded; when there are too many
// the one that was counted longest ago is forgotten.
// Role: machine

import type { Clock } from "../../base/clock.ts";

interface Count {
  /** Number of the window that `present` is about. */
  window: number;
  present: number;
  previous: number;
}

const MAX_KEYS = 20_000;

/** Counts per key over a sliding window. */
export class SlidingWindow {
  readonly #windowMs: number;
  readonly #clock: Clock;
  readonly #maxKeys: number;
  /** In the order of the last count, the oldest first. */
  readonly #counts = new Map<string, Count>();

  /** Starts at zero. @param maxKeys keys remembered at most */
  constructor(windowMs: number, clock: Clock, maxKeys: number = MAX_KEYS) {
    this.#windowMs = windowMs;
    this.#clock = clock;
    this.#maxKeys = maxKeys;
  }

  get size(): number {
    return this.#counts.size;
  }

  add(key: string): void {
    const window = this.#window();
    const count = this.#at(key, window);
    this.#counts.delete(key);
    this.#counts.set(key, { ...count, window, present: count.present + 1 });
    const [oldest] = this.#counts.keys();
    if (oldest !== undefined && this.#counts.size > this.#maxKeys) this.#counts.delete(oldest);
  }

  /** How many in the window that ends now, as an estimate. */
  count(key: string): number {
    const now = this.#clock.now();
    const { present, previous } = this.#at(key, this.#window());
    return present + previous * (1 - now % this.#windowMs / this.#windowMs);
  }

  clear(key: string): void {
    this.#counts.delete(key);
  }

  #window(): number {
    return Math.floor(this.#clock.now() / this.#windowMs);
  }

  #at(key: string, window: number): Count {
    const count = this.#counts.get(key);
    const age = count === undefined ? Infinity : window - count.window;
    if (count === undefined || age > 1) return { window, present: 0, previous: 0 };
    return age === 0 ? count : { window, present: 0, previous: count.present };
  }
}
