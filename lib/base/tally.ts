// A count of something that has a limit. A process with several workers has one for all of them, which each worker
// sees as its own part and the whole.
// Role: machine
// Answers to: nothing in siprtmp.

/** A count, here and everywhere. */
export interface Tally {
  /** Those of this gateway. */
  readonly here: number;
  /** Those of all gateways of this process. */
  readonly everywhere: number;
  /** There are so many more here; fewer when negative. */
  add(by: number): void;
}

/** The tally of a gateway that is alone. */
export class LocalTally implements Tally {
  #count = 0;

  /** The count. */
  get here(): number {
    return this.#count;
  }

  /** The same: there is nobody else. */
  get everywhere(): number {
    return this.#count;
  }

  /** Counts. */
  add(by: number): void {
    this.#count += by;
  }
}
