// Calls at absolute deadlines, one each period, on a tick that many share: what is paced (silence, tones) neither drifts with
// late ticks nor leaves in a burst after a pause of the process. Keys of a phone are paced so too, one after the other.
// Role: machine

import type { Clock } from "./clock.ts";
import type { Ticker } from "./ticker.ts";

export interface PacerOptions {
  readonly ticker: Ticker;
  /** Looks at each so many ticks; 1 unless given. */
  readonly every?: number;
  readonly periodMs: number;
  /** The first deadline; absent: the first tick. */
  readonly startMs?: number;
  /** A deadline this close is due: ticks are not exact. */
  readonly earlyMs: number;
  /** Of deadlines missed by so much only the last one is kept. */
  readonly maxLateMs: number;
  /** @param resumed the first call, or others were left out before it */
  run(index: number, resumed: boolean): void;
}

/** Calls from its making until it is disposed, which it may be by what it calls. */
export class Pacer implements Disposable {
  readonly #options: PacerOptions;
  #ticking: Disposable | null;
  #startMs: number;
  #next = 0;
  #resumed = true;

  constructor(options: PacerOptions) {
    this.#options = options;
    this.#startMs = options.startMs ?? NaN;
    this.#ticking = options.ticker.add((nowMs) => this.#tick(nowMs), options.every);
  }

  /** The deadline of index 0; NaN before the first tick. */
  get startMs(): number {
    return this.#startMs;
  }

  [Symbol.dispose](): void {
    this.#ticking?.[Symbol.dispose]();
    this.#ticking = null;
  }

  #tick(nowMs: number): void {
    const { periodMs, earlyMs, maxLateMs } = this.#options;
    if (Number.isNaN(this.#startMs)) this.#startMs = nowMs;
    const lateMs = nowMs - (this.#startMs + this.#next * periodMs);
    if (lateMs >= maxLateMs) {
      this.#next += Math.floor((lateMs + earlyMs) / periodMs);
      this.#resumed = true;
    }
    while (this.#ticking !== null && this.#startMs + this.#next * periodMs <= nowMs + earlyMs) {
      const resumed = this.#resumed;
      this.#resumed = false;
      this.#options.run(this.#next++, resumed);
    }
  }
}

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
