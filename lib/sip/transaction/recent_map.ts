// What is needed for a while after the last word of a transaction (RFC 3261 17.1.2.2 timer K, 13.2.2.4): its key, or
// the ACK that repetitions get again. Nothing else of the transaction is kept, and all of them share one timer.
// Entries are forgotten in two generations, so each is known for at least its time and at most twice as long.
// Role: machine

import type { Clock } from "../../base/clock.ts";

/** Values by key that are forgotten after a time, the same for all. */
export class RecentMap<V> implements Disposable {
  readonly #clock: Clock;
  readonly #limit: number;
  #recent = new Map<string, V>();
  #older = new Map<string, V>();
  #timer: Disposable | null = null;

  /** Empty. @param limit above so many keys the older ones are forgotten early */
  constructor(clock: Clock, limit: number) {
    this.#clock = clock;
    this.#limit = limit;
  }

  get size(): number {
    return this.#recent.size + this.#older.size;
  }

  /** Knows `key` for `keptMs` at least, with this value from now on; 0: not at all. */
  set(key: string, value: V, keptMs: number): void {
    if (keptMs === 0) return;
    if (this.#recent.size >= this.#limit) this.#turn();
    this.#older.delete(key);
    this.#recent.set(key, value);
    this.#timer ??= this.#clock.after(keptMs, () => this.#elapsed(keptMs));
  }

  has(key: string): boolean {
    return this.#recent.has(key) || this.#older.has(key);
  }

  /** Its value; undefined when it is not known. */
  get(key: string): V | undefined {
    return this.#recent.has(key) ? this.#recent.get(key) : this.#older.get(key);
  }

  /** Forgets all; nothing stays on the clock. */
  [Symbol.dispose](): void {
    this.#recent.clear();
    this.#older.clear();
    this.#timer?.[Symbol.dispose]();
    this.#timer = null;
  }

  #elapsed(keptMs: number): void {
    this.#turn();
    this.#timer = this.size === 0 ? null : this.#clock.after(keptMs, () => this.#elapsed(keptMs));
  }

  #turn(): void {
    this.#older = this.#recent;
    this.#recent = new Map();
  }
}
