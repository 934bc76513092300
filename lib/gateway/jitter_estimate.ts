// How unevenly packets arrive, and so how long the first of them must wait for the others: the spread between
// the fastest and the slowest packet of the last seconds. A jump of the source's time starts the measurement anew.
//
//   transit = arrival - media time          target = greatest transit - least transit + 20 ms, from 20 to 200 ms
//
// RFC 3550 6.4.1 measures a mean deviation; a playout delay must cover the worst of the recent packets instead.
// Role: machine
// Answers to: nothing; siprtmp had no jitter buffer (behaviour 1.8).

/** The least delay ever aimed at. */
export const MIN_TARGET_MS = 20;
/** The greatest delay ever aimed at; what comes later still is lost. */
export const MAX_TARGET_MS = 200;

/** The spread covers between one and two of these. */
const WINDOW_MS = 4000;
/** What is assumed before the first window is full. */
const ASSUMED_SPREAD_MS = 20;
/** A transit this far from the one before is another time scale, not jitter. */
const JUMP_MS = 1000;

/** Follows the arrivals of one stream. */
export class JitterEstimate {
  #assumedMs = ASSUMED_SPREAD_MS;
  #last = NaN;
  #windowEndMs = 0;
  #least = Infinity;
  #greatest = -Infinity;
  #leastBefore = Infinity;
  #greatestBefore = -Infinity;

  /** How long playing should wait after the first packet. */
  get targetMs(): number {
    const most = Math.max(this.#greatest, this.#greatestBefore);
    const least = Math.min(this.#least, this.#leastBefore);
    const spread = most > least ? most - least : 0;
    return Math.min(MAX_TARGET_MS, Math.max(this.#assumedMs, spread) + MIN_TARGET_MS);
  }

  /** A packet has come. @param mediaMs its place on the source's own time scale */
  observe(arrivalMs: number, mediaMs: number): void {
    const transit = arrivalMs - mediaMs;
    if (!(Math.abs(transit - this.#last) <= JUMP_MS)) this.#restart(arrivalMs);
    this.#last = transit;
    if (arrivalMs >= this.#windowEndMs) this.#turn(arrivalMs);
    if (transit < this.#least) this.#least = transit;
    if (transit > this.#greatest) this.#greatest = transit;
  }

  /** The source starts over: its time means something else, the way to it has not changed. */
  restart(): void {
    this.#last = NaN;
  }

  /** What was learnt of the way stays as the assumption for the next window. */
  #restart(arrivalMs: number): void {
    this.#assumedMs = this.targetMs - MIN_TARGET_MS;
    this.#windowEndMs = arrivalMs + WINDOW_MS;
    this.#least = this.#leastBefore = Infinity;
    this.#greatest = this.#greatestBefore = -Infinity;
  }

  #turn(arrivalMs: number): void {
    this.#assumedMs = 0;
    this.#windowEndMs = arrivalMs + WINDOW_MS;
    this.#leastBefore = this.#least;
    this.#greatestBefore = this.#greatest;
    this.#least = Infinity;
    this.#greatest = -Infinity;
  }
}
