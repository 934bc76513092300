// How long the oldest unsent byte has been waiting. The send queue knows bytes only; what a listener feels is
// time, and 256 KiB are half a minute of speech. A few marks (count of bytes, time) answer in constant time.
// Role: machine
// Answers to: nothing in siprtmp, whose queue grew without bound (defect 10).

const MARKS = 32;
const MARK_SPACING_MS = 50;

/** Marks of one send queue. */
export class SendLag {
  /** From this byte on... */
  readonly #starts = new Float64Array(MARKS);
  /** ...bytes were put at this time or at most a little later. */
  readonly #timesMs = new Float64Array(MARKS);
  #first = 0;
  #count = 0;
  #lastMarkMs = Number.NEGATIVE_INFINITY;

  /** To be told before each put: bytes put so far in all, and the time. */
  note(total: number, nowMs: number): void {
    if (this.#count === MARKS || nowMs - this.#lastMarkMs < MARK_SPACING_MS) return;
    const at = (this.#first + this.#count) % MARKS;
    this.#starts[at] = total;
    this.#timesMs[at] = nowMs;
    this.#count++;
    this.#lastMarkMs = nowMs;
  }

  /** Milliseconds the oldest unsent byte has waited, at most 50 ms too many; 0 when nothing waits. */
  lagMs(total: number, unsent: number, nowMs: number): number {
    if (unsent === 0) {
      this.#count = 0;
      this.#lastMarkMs = Number.NEGATIVE_INFINITY;
      return 0;
    }
    const sent = total - unsent;
    while (this.#count > 1 && this.#starts[(this.#first + 1) % MARKS]! <= sent) {
      this.#first = (this.#first + 1) % MARKS;
      this.#count--;
    }
    return this.#count === 0 ? 0 : nowMs - this.#timesMs[this.#first]!;
  }
}
