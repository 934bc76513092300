// The first byte of every RTMPT answer tells the client how long to wait before it asks again: 1 while bytes
// flow, longer step by step when nothing does, back to 1 at once.
// Role: machine

const STEPS = [1, 3, 5, 9, 17, 33] as const;

/** Empty exchanges before the next longer step. */
const EXCHANGES_PER_STEP = 10;

export class PollInterval {
  #empty = 0;

  /** The byte for an answer. @param active whether the request or the answer carries bytes */
  next(active: boolean): number {
    this.#empty = active ? 0 : Math.min(this.#empty + 1, STEPS.length * EXCHANGES_PER_STEP);
    return STEPS[Math.min(Math.floor(this.#empty / EXCHANGES_PER_STEP), STEPS.length - 1)]!;
  }
}
