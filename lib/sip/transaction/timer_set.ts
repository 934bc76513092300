// The running timers of one state machine, by name: starting one again replaces it, and clearing the set
// leaves nothing behind on the clock.
// RFC 3261 17 (every transaction owns its timers).
// Role: machine

import type { Clock } from "../../base/clock.ts";

/** Named one-shot timers that report to one function. */
export class TimerSet<Name extends string> implements Disposable {
  readonly #clock: Clock;
  readonly #fired: (name: Name) => void;
  readonly #running = new Map<Name, Disposable>();

  /** An empty set. @param fired told the name of each timer that ran out; it is no longer running then */
  constructor(clock: Clock, fired: (name: Name) => void) {
    this.#clock = clock;
    this.#fired = fired;
  }

  /** How many timers are running. */
  get size(): number {
    return this.#running.size;
  }

  /** Starts (or restarts) one timer; null means that this timer is not used. */
  start(name: Name, ms: number | null): void {
    this.stop(name);
    if (ms === null) return;
    const timer = this.#clock.after(ms, () => {
      this.#running.delete(name);
      this.#fired(name);
    });
    this.#running.set(name, timer);
  }

  /** Stops one timer; a timer that is not running is fine. */
  stop(name: Name): void {
    this.#running.get(name)?.[Symbol.dispose]();
    this.#running.delete(name);
  }

  [Symbol.dispose](): void {
    for (const timer of this.#running.values()) timer[Symbol.dispose]();
    this.#running.clear();
  }
}
