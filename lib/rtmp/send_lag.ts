// How long the oldest unsent byte has been waiting. The send queue knows bytes only; what a listener feels is
// time, and 256 KiB are half a minute of speech. A few marks (count of bytes, time) answer in constant time.
// Role: machine
// Answers to: nothing in siprtmp, whose queue grew without bound (defect 10).

const MARKS = 32;
const MARK_SPACING_MS = 50;

/** Marks of one send queue. */
export class SendLag {
  readonly #totals = new Float64Array(MARKS);
  readonly #timesMs = new Float64Array(MARKS);
  #first = 0;
  #count = 0;
  #lastMarkMs = Number.NEGATIVE_INFINITY;

  /** To be told after each put: bytes put so far in all, and the time. */
  note(total: number, nowMs: number): void {
    if (this.#count === MARKS || nowMs - this.#lastMarkMs < MARK_SPACING_MS) return;
    const at = (this.#first + this.#count) % MARKS;
    this.#totals[at] = total;
    this.#timesMs[at] = nowMs;
    this.#count++;
    this.#lastMarkMs = nowMs;
  }

  /** Milliseconds the oldest unsent byte has waited, to about 50 ms; 0 when nothing waits. */
  lagMs(total: number, unsent: number, nowMs: number): number {
    const sent = total - unsent;
    while (this.#count > 0 && this.#totals[this.#first]! <= sent) {
      this.#first = (this.#first + 1) % MARKS;
      this.#count--;
    }
    return this.#count === 0 ? 0 : nowMs - this.#timesMs[this.#first]!;
  }
}
