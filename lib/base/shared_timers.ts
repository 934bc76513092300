// A clock that needs one timer of the runtime, however many are set: a timer of the runtime takes 760 bytes, an entry
// here 150. Registrations wait for their refresh by the thousand, transactions for repetitions of their answers.
// What a timer throws is our bug: it is handed to the owner, and the other timers go on.
// Role: machine

import type { Clock } from "./clock.ts";

class Entry implements Disposable {
  readonly dueMs: number;
  /** Of two that are due together, the one set first runs first. */
  readonly order: number;
  /** Where it stands in the heap; -1: it has run or was disposed. */
  place = -1;
  run: (() => void) | null;
  readonly #remove: (entry: Entry) => void;

  constructor(remove: (entry: Entry) => void, run: () => void, dueMs: number, order: number) {
    this.#remove = remove;
    this.run = run;
    this.dueMs = dueMs;
    this.order = order;
  }

  /** Who keeps the handle of a timer that is over keeps nothing else. */
  [Symbol.dispose](): void {
    this.run = null;
    this.#remove(this);
  }
}

/** Sets of timers that share one; fires in order of time. */
export class SharedTimers implements Clock {
  readonly #clock: Clock;
  readonly #onError: (error: unknown) => void;
  /** A binary heap: the earliest first. */
  readonly #heap: Entry[] = [];
  #timer: Disposable | null = null;
  #timerDueMs = Infinity;
  #order = 0;
  readonly #removed = (entry: Entry): void => this.#remove(entry);

  /** Sets nothing yet. @param onError told what a timer threw */
  constructor(clock: Clock, onError: (error: unknown) => void) {
    this.#clock = clock;
    this.#onError = onError;
  }

  get size(): number {
    return this.#heap.length;
  }

  now(): number {
    return this.#clock.now();
  }

  wallMs(): number {
    return this.#clock.wallMs();
  }

  /** Calls `run` once after `ms` milliseconds unless the result is disposed before. */
  after(ms: number, run: () => void): Disposable {
    const entry = new Entry(this.#removed, run, this.now() + Math.max(0, ms), this.#order++);
    this.#heap.push(entry);
    this.#rise(entry, this.#heap.length - 1);
    if (entry.dueMs < this.#timerDueMs) this.#arm();
    return entry;
  }

  /** A timer below that comes too early by that finds nothing to do. */
  #remove(entry: Entry): void {
    const { place } = entry;
    if (place < 0) return;
    entry.place = -1;
    const last = this.#heap.pop()!;
    if (last !== entry) this.#put(last, place);
    if (this.#heap.length === 0) this.#disarm();
  }

  #fire(): void {
    this.#timer = null;
    this.#timerDueMs = Infinity;
    const nowMs = this.now();
    for (let first = this.#heap[0]; first !== undefined && first.dueMs <= nowMs; first = this.#heap[0]) {
      const { run } = first;
      first[Symbol.dispose]();
      try {
        run?.();
      } catch (error) {
        this.#onError(error);
      }
    }
    this.#arm();
  }

  #arm(): void {
    this.#disarm();
    const first = this.#heap[0];
    if (first === undefined) return;
    this.#timerDueMs = first.dueMs;
    this.#timer = this.#clock.after(first.dueMs - this.now(), () => this.#fire());
  }

  #disarm(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = null;
    this.#timerDueMs = Infinity;
  }

  /** Finds the place for an entry that takes over the place of another. */
  #put(entry: Entry, place: number): void {
    if (!this.#rise(entry, place)) this.#sink(entry, place);
  }

  #rise(entry: Entry, from: number): boolean {
    let place = from;
    while (place > 0) {
      const above = (place - 1) >> 1;
      const parent = this.#heap[above]!;
      if (!isBefore(entry, parent)) break;
      this.#set(parent, place);
      place = above;
    }
    this.#set(entry, place);
    return place !== from;
  }

  #sink(entry: Entry, from: number): void {
    const heap = this.#heap;
    let place = from;
    while (true) {
      const left = heap[2 * place + 1];
      if (left === undefined) break;
      const right = heap[2 * place + 2];
      const least = right !== undefined && isBefore(right, left) ? right : left;
      if (!isBefore(least, entry)) break;
      const below = least.place;
      this.#set(least, place);
      place = below;
    }
    this.#set(entry, place);
  }

  #set(entry: Entry, place: number): void {
    this.#heap[place] = entry;
    entry.place = place;
  }
}

function isBefore(one: Entry, other: Entry): boolean {
  return one.dueMs < other.dueMs || one.dueMs === other.dueMs && one.order < other.order;
}
