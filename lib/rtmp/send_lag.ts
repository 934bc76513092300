// How long the oldest unsent byte has been waiting. The send queue knows bytes only; what a listener feels is
// time, and 256 KiB are half a minute of speech. A few marks (count of bytes, time) answer in constant time.
// A peer that reads what it is sent needs a single mark; room for more is made when its queue begins to stand.
// Role: machine

const MARKS = 32;
const MARK_SPACING_MS = 50;
const NO_MARKS = new Float64Array(0);

/** Marks of one send queue. */
export class SendLag {
  /** The first mark: the oldest unsent bytes were put at this time or at most a little later. */
  #firstMs = 0;
  /** The marks behind it, in a ring: from this byte on, bytes were put at that time or a little later. */
  #starts = NO_MARKS;
  #timesMs = NO_MARKS;
  #at = 0;
  /** All of them, the first one included. */
  #count = 0;
  #lastMarkMs = Number.NEGATIVE_INFINITY;

  /** To be told before each put: bytes put so far in all, how many of them are unsent, and the time. */
  note(total: number, unsent: number, nowMs: number): void {
    if (unsent === 0) this.#clear();
    if (this.#count > MARKS || nowMs - this.#lastMarkMs < MARK_SPACING_MS) return;
    this.#lastMarkMs = nowMs;
    if (this.#count++ === 0) {
      this.#firstMs = nowMs;
      return;
    }
    if (this.#starts.length === 0) {
      this.#starts = new Float64Array(MARKS);
      this.#timesMs = new Float64Array(MARKS);
    }
    const at = (this.#at + this.#count - 2) % MARKS;
    this.#starts[at] = total;
    this.#timesMs[at] = nowMs;
  }

  /** Milliseconds the oldest unsent byte has waited, at most 50 ms too many; 0 when nothing waits. */
  lagMs(total: number, unsent: number, nowMs: number): number {
    if (unsent === 0) {
      this.#clear();
      return 0;
    }
    const sent = total - unsent;
    while (this.#count > 1 && this.#starts[this.#at]! <= sent) {
      this.#firstMs = this.#timesMs[this.#at]!;
      this.#at = (this.#at + 1) % MARKS;
      this.#count--;
    }
    return this.#count === 0 ? 0 : nowMs - this.#firstMs;
  }

  #clear(): void {
    this.#count = 0;
    this.#lastMarkMs = Number.NEGATIVE_INFINITY;
    if (this.#starts.length > 0) this.#starts = this.#timesMs = NO_MARKS;
  }
}
