// A clock that tests turn by hand: no test waits for real time.
// Role: machine

import type { Clock } from "../../lib/base/clock.ts";

interface FakeTimer {
  readonly dueMs: number;
  readonly order: number;
  readonly run: () => void;
}

/** 2026-01-01T00:00:00Z: where the wall clock of tests starts. */
const WALL_START_MS = Date.UTC(2026, 0, 1);

/** A clock that stands still until it is advanced. */
export class FakeClock implements Clock {
  readonly #timers = new Set<FakeTimer>();
  #nowMs: number;
  #order = 0;

  /** Starts at rest. @param startMs first value of now() */
  constructor(startMs = 0) {
    this.#nowMs = startMs;
  }

  /** How many timers are set. */
  get pending(): number {
    return this.#timers.size;
  }

  /** When the next timer is due (as now()), or null. */
  get nextDueMs(): number | null {
    return this.#next()?.dueMs ?? null;
  }

  /** Fake monotonic milliseconds. */
  now(): number {
    return this.#nowMs;
  }

  /** Fake wall clock, in step with now(). */
  wallMs(): number {
    return WALL_START_MS + this.#nowMs;
  }

  /** Sets a timer that fires from advance(). */
  after(ms: number, run: () => void): Disposable {
    const timer: FakeTimer = { dueMs: this.#nowMs + Math.max(0, ms), order: this.#order++, run };
    this.#timers.add(timer);
    return { [Symbol.dispose]: () => void this.#timers.delete(timer) };
  }

  /** Lets `ms` pass: fires all timers due on the way, in order, also those set by other timers. */
  advance(ms: number): void {
    const endMs = this.#nowMs + ms;
    while (this.#fireNext(endMs));
    this.#nowMs = Math.max(this.#nowMs, endMs);
  }

  /** Like advance(), but lets promises settle before, between and after the timers. */
  async advanceAsync(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    await settle();
    while (this.#fireNext(endMs)) await settle();
    this.#nowMs = Math.max(this.#nowMs, endMs);
    await settle();
  }

  #fireNext(endMs: number): boolean {
    const timer = this.#next();
    if (timer === null || timer.dueMs > endMs) return false;
    this.#timers.delete(timer);
    this.#nowMs = Math.max(this.#nowMs, timer.dueMs);
    timer.run();
    return true;
  }

  #next(): FakeTimer | null {
    let first: FakeTimer | null = null;
    for (const timer of this.#timers) {
      if (
        first === null || timer.dueMs < first.dueMs ||
        timer.dueMs === first.dueMs && timer.order < first.order
      ) first = timer;
    }
    return first;
  }
}

/** Lets every promise reaction that is ready run, however long the chain (up to 50 links). */
export async function settle(): Promise<void> {
  for (let i = 0; i < 50; i++) await Promise.resolve();
}
