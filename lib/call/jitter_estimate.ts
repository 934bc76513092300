// How unevenly packets arrive, and so how long the first of them must wait for the others: the spread between
// the fastest and the slowest packet of the last seconds. A jump of the source's time starts the measurement anew,
// and so does the end of a stall, which no delay could have covered.
//
//   transit = arrival - media time          target = greatest transit - least transit + 20 ms, from 20 to 200 ms
//
// RFC 3550 6.4.1 measures a mean deviation; a playout delay must cover the worst of the recent packets instead.
// Role: machine

/** The least delay ever aimed at. */
export const MIN_TARGET_MS = 20;
/** The greatest delay ever aimed at; what comes later still is lost. */
export const MAX_TARGET_MS = 200;

/** The spread covers between one and two of these. */
const WINDOW_MS = 4000;
/** What is assumed before the first window is full. */
const ASSUMED_SPREAD_MS = 20;
/** Packets farther apart than this are a stall, or another time scale: no jitter that could be waited for. */
const STALL_MS = 2 * MAX_TARGET_MS;

/** Follows the arrivals of one stream. */
export class JitterEstimate {
  /** Holds until the window is full; then what the window has shown, for the next start. */
  #assumedMs = ASSUMED_SPREAD_MS;
  #learntMs = ASSUMED_SPREAD_MS;
  #known = false;
  #windowEndMs = 0;
  #least = Infinity;
  #greatest = -Infinity;
  #leastBefore = Infinity;
  #greatestBefore = -Infinity;

  /** How long playing should wait after the first packet. */
  get targetMs(): number {
    return Math.min(MAX_TARGET_MS, Math.max(this.#assumedMs, this.#spreadMs) + MIN_TARGET_MS);
  }

  get #spreadMs(): number {
    const spread = Math.max(this.#greatest, this.#greatestBefore) - Math.min(this.#least, this.#leastBefore);
    return spread > 0 ? spread : 0;
  }

  /** A packet has come. @param mediaMs its place on the source's own time scale */
  observe(arrivalMs: number, mediaMs: number): void {
    const transit = arrivalMs - mediaMs;
    const isEarly = Math.max(this.#greatest, this.#greatestBefore) - transit > STALL_MS;
    if (!this.#known || isEarly) this.#restart(arrivalMs);
    if (arrivalMs >= this.#windowEndMs) this.#turn(arrivalMs);
    if (transit - Math.min(this.#least, this.#leastBefore) > STALL_MS) return;
    if (transit < this.#least) this.#least = transit;
    if (transit > this.#greatest) this.#greatest = transit;
  }

  /** The source starts over: its time means something else, the way to it has not changed. */
  restart(): void {
    this.#known = false;
  }

  /** What was learnt of the way stays as the assumption for the next window. */
  #restart(arrivalMs: number): void {
    this.#known = true;
    this.#assumedMs = this.#learntMs;
    this.#windowEndMs = arrivalMs + WINDOW_MS;
    this.#least = this.#leastBefore = Infinity;
    this.#greatest = this.#greatestBefore = -Infinity;
  }

  #turn(arrivalMs: number): void {
    if (this.#greatest >= this.#least) this.#learntMs = this.#spreadMs;
    this.#assumedMs = 0;
    this.#windowEndMs = arrivalMs + WINDOW_MS;
    this.#leastBefore = this.#least;
    this.#greatestBefore = this.#greatest;
    this.#least = Infinity;
    this.#greatest = -Infinity;
  }
}
