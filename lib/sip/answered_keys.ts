// Transactions of ours that have their final answer and only absorb its repetitions (RFC 3261 17.1.2.2, timer K): of
// each nothing is kept but its key, and all of them share one timer. Keys are forgotten in two generations, so each
// is known for at least the time of timer K and at most twice as long.
// Role: machine
// Answers to: the completed state of siprtmp's transactions, each with a timer of its own.

import type { Clock } from "../base/clock.ts";

/** The keys of one transaction layer. */
export class AnsweredKeys implements Disposable {
  readonly #clock: Clock;
  readonly #limit: number;
  #recent = new Set<string>();
  #older = new Set<string>();
  #timer: Disposable | null = null;

  /** Empty. @param limit above so many keys the older ones are forgotten early */
  constructor(clock: Clock, limit: number) {
    this.#clock = clock;
    this.#limit = limit;
  }

  /** Keys that are known. */
  get size(): number {
    return this.#recent.size + this.#older.size;
  }

  /** Knows `key` for `keptMs` at least; 0: not at all. */
  add(key: string, keptMs: number): void {
    if (keptMs === 0) return;
    if (this.#recent.size >= this.#limit) this.#turn();
    this.#recent.add(key);
    this.#timer ??= this.#clock.after(keptMs, () => this.#elapsed(keptMs));
  }

  /** Whether a response belongs to one of them. */
  has(key: string): boolean {
    return this.#recent.has(key) || this.#older.has(key);
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
    this.#recent = new Set();
  }
}
