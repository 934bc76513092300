// Where push becomes pull: a bounded queue between callbacks and one reader that awaits.
// It is used for signalling only (invitations, call events, INVITE progress), never for media.
// Role: edge
// Answers to: multitask.Queue of siprtmp, with a bound that the writer learns about.

/** A bounded queue with many writers and one reader. `undefined` cannot be a value: it means the end. */
export class Mailbox<T> implements AsyncIterable<T>, Disposable {
  readonly #capacity: number;
  readonly #values: T[] = [];
  #waiting: ((value: T | undefined) => void) | null = null;
  #closed = false;
  #reason: unknown = undefined;

  /** Starts open and empty. @param capacity how many values may wait for the reader */
  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** Whether {@link Mailbox.close} was called; values may still be queued. */
  get closed(): boolean {
    return this.#closed;
  }

  /** How many values wait for the reader. */
  get size(): number {
    return this.#values.length;
  }

  /** Hands `value` to the reader; false, and the value is not taken, when full or closed. */
  push(value: T): boolean {
    if (this.#closed) return false;
    if (this.#waiting !== null) {
      this.#wake(value);
      return true;
    }
    if (this.#values.length >= this.#capacity) return false;
    this.#values.push(value);
    return true;
  }

  /**
   * Takes no more values. Queued ones are still delivered; then the reader ends, or throws `reason`
   * when one was given. Only the first call counts.
   */
  close(reason?: unknown): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#reason = reason;
    this.#wake(undefined);
  }

  /** Same as close() without a reason. */
  [Symbol.dispose](): void {
    this.close();
  }

  /**
   * The next value; undefined when the mailbox has ended or `signal` was aborted. Throws the reason of
   * close(). A second call before the first has settled is an error: there is one reader.
   */
  async next(signal?: AbortSignal): Promise<T | undefined> {
    if (this.#values.length > 0) return this.#values.shift();
    if (!this.#closed && signal?.aborted !== true) {
      const value = await this.#wait(signal);
      if (value !== undefined) return value;
    }
    if (this.#closed && this.#reason !== undefined) throw this.#reason;
    return undefined;
  }

  /** Yields values until the mailbox ends. Breaking out leaves it open, another loop may go on. */
  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, void> {
    for (;;) {
      const value = await this.next();
      if (value === undefined) return;
      yield value;
    }
  }

  #wait(signal: AbortSignal | undefined): Promise<T | undefined> {
    if (this.#waiting !== null) throw new Error("A mailbox has one reader, a second one has come");
    return new Promise((resolve) => {
      const onAbort = (): void => this.#wake(undefined);
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#waiting = (value) => {
        signal?.removeEventListener("abort", onAbort);
        resolve(value);
      };
    });
  }

  #wake(value: T | undefined): void {
    const waiting = this.#waiting;
    this.#waiting = null;
    waiting?.(value);
  }
}
