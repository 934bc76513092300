// A number of bytes that many caches share: who finds it spent keeps nothing, and nobody is worse off than
// without a cache.
// Role: machine

/** Bytes to be shared. */
export class ByteBudget {
  readonly #total: number;
  #used = 0;

  constructor(total: number) {
    this.#total = total;
  }

  /** Bytes taken and not given back. */
  get used(): number {
    return this.#used;
  }

  /** Takes bytes; false, and nothing is taken, when so many are not left. */
  take(bytes: number): boolean {
    if (this.#used + bytes > this.#total) return false;
    this.#used += bytes;
    return true;
  }

  /** Gives bytes back. */
  give(bytes: number): void {
    this.#used -= bytes;
  }
}
