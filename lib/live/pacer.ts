// When a tag of a file is due: at its time since the start, less what the player may have in advance.
// Role: machine

/** A tag this much before its predecessor starts a new time line. */
const MAX_DISORDER_MS = 1_000;

export class Pacer {
  readonly #now: () => number;
  #startedAtMs = 0;
  #startMs: number | null = null;
  #lastMs = 0;

  /** The first tag is due at once. @param now monotonic milliseconds */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** The next tag is due at once, whatever its time. */
  restart(): void {
    this.#startMs = null;
  }

  /** Milliseconds until a tag of this time may be sent; 0 or less: now. */
  dueInMs(timeMs: number, readAheadMs: number): number {
    if (this.#startMs === null || timeMs < this.#lastMs - MAX_DISORDER_MS) {
      this.#startMs = timeMs;
      this.#startedAtMs = this.#now();
    }
    this.#lastMs = timeMs;
    return this.#startedAtMs + (timeMs - this.#startMs) - readAheadMs - this.#now();
  }
}
