// Keys of a phone that are sent one after the other, each in steps at absolute times, whatever a step sends: their queue, its
// bounds and its timer.
// Role: machine

import type { Clock } from "./clock.ts";

/** How long a key sounds unless told otherwise, in ms. */
const DEFAULT_KEY_MS = 160;
/** The shortest key: 40 ms are the least that receivers must recognise (ITU-T Q.24). */
const MIN_KEY_MS = 40;
const MAX_KEY_MS = 10_000;
/** Most keys that wait. */
export const MAX_QUEUED_KEYS = 128;

const KEYS = /^[0-9*#A-D]+$/;

export interface QueuedKey {
  /** 0-9 * # A-D. */
  readonly key: string;
  readonly durationMs: number;
}

export abstract class PacedKeys implements Disposable {
  /** Disposed, perhaps by what it sends. */
  protected closed = false;
  readonly #clock: Clock;
  readonly #queue: QueuedKey[] = [];
  #timer: Disposable | null = null;
  #dueMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Keys waiting, without the one that sounds. */
  get pending(): number {
    return this.#queue.length;
  }

  /**
   * Queues keys 0-9 * # A-D, each of `durationMs` (kept within 40 ms and 10 s). False, and nothing queued, when there is no
   * key, one is unknown, the queue has no room for all, or this is disposed.
   */
  enqueue(digits: string, durationMs: number = DEFAULT_KEY_MS): boolean {
    const keys = digits.toUpperCase();
    if (this.closed || !KEYS.test(keys) || this.#queue.length + keys.length > MAX_QUEUED_KEYS) return false;
    const wantedMs = Number.isFinite(durationMs) ? durationMs : DEFAULT_KEY_MS;
    const keptMs = Math.min(MAX_KEY_MS, Math.max(MIN_KEY_MS, wantedMs));
    for (const key of keys) this.#queue.push({ key, durationMs: keptMs });
    if (!this.waiting) this.begin(this.restart());
    return true;
  }

  /** Stops at once and for good; what waits is forgotten. */
  [Symbol.dispose](): void {
    this.closed = true;
    this.#timer?.[Symbol.dispose]();
    this.#timer = null;
    this.#queue.length = 0;
  }

  /** The first key after a pause is there: sends the first step of it. */
  protected abstract begin(nowMs: number): void;

  /** The time of the next step has come. */
  protected abstract step(): void;

  /** True while a further step is due. */
  protected get waiting(): boolean {
    return this.#timer !== null;
  }

  protected takeKey(): QueuedKey | undefined {
    return this.#queue.shift();
  }

  /** The times of further steps count from now, which it gives. */
  protected restart(): number {
    return this.#dueMs = this.#clock.now();
  }

  /** The next step is due this long after the one before was, not after now: late timers do not add up. */
  protected wait(ms: number): void {
    this.#dueMs += ms;
    this.#timer = this.#clock.after(this.#dueMs - this.#clock.now(), () => {
      this.#timer = null;
      this.step();
    });
  }
}
