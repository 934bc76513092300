// How a stream of bytes ends for its reader. The reader is the owner, so it is the reader who learns why the writing side
// gave up: once, and after that the stream has simply ended.
// Role: machine

import type { TransportError } from "../base/errors.ts";

export class EndOfStream {
  #failure: TransportError | null = null;

  /** Whether something has failed and was not told yet. */
  get hasFailed(): boolean {
    return this.#failure !== null;
  }

  /** Something else than the peer's end will end it. */
  failed(failure: TransportError): void {
    this.#failure = failure;
  }

  /** What a read of a stream that has ended resolves to. Throws what has failed, once. */
  told(): null {
    const failure = this.#failure;
    this.#failure = null;
    if (failure !== null) throw failure;
    return null;
  }
}
