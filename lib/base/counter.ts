// A count of something that has a limit. A process with several workers has one for all of them, which each worker
// sees as its own part and the whole.
// Role: machine

export interface Counter {
  readonly here: number;
  readonly everywhere: number;
  /** There are so many more here; fewer when negative. */
  add(by: number): void;
}

export class LocalCounter implements Counter {
  #count = 0;

  get here(): number {
    return this.#count;
  }

  /** The same: there is nobody else. */
  get everywhere(): number {
    return this.#count;
  }

  add(by: number): void {
    this.#count += by;
  }
}
