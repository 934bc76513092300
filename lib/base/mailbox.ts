// Where push becomes pull: a bounded queue between callbacks and one reader that awaits.
// It is used for signalling only (invitations, call events, INVITE progress), never for media.
// Role: edge
// Answers to: multitask.Queue of siprtmp, with a bound that the writer learns about.

interface Waiting<T> {
  resolve(value: T | undefined): void;
  reject(reason: unknown): void;
}

/** A bounded queue with many writers and one reader. `undefined` cannot be a value: it means the end. */
export class Mailbox<T> implements AsyncIterable<T>, Disposable {
  readonly #capacity: number;
  readonly #values: T[] = [];
  #waiting: Waiting<T> | null = null;
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
   * The next value; undefined when the mailbox has ended or `signal` was aborted. Rejects with the reason of
   * close(). A second call before the first has settled is an error: there is one reader.
   */
  next(signal?: AbortSignal): Promise<T | undefined> {
    if (this.#values.length > 0) return Promise.resolve(this.#values.shift());
    if (!this.#closed && signal?.aborted !== true) return this.#wait(signal);
    return this.#closed && this.#reason !== undefined
      ? Promise.reject(this.#reason)
      : Promise.resolve(undefined);
  }

  /** Yields values until the mailbox ends. Breaking out leaves it open, another loop may go on. */
  [Symbol.asyncIterator](): AsyncGenerator<T, void, void> {
    return new MailboxReader(this);
  }

  #wait(signal: AbortSignal | undefined): Promise<T | undefined> {
    if (this.#waiting !== null) {
      return Promise.reject(new Error("A mailbox has one reader, a second one has come"));
    }
    return new Promise((resolve, reject) => {
      this.#waiting = signal === undefined ? { resolve, reject } : this.#waitWith(signal, resolve, reject);
    });
  }

  #waitWith(signal: AbortSignal, resolve: Waiting<T>["resolve"], reject: Waiting<T>["reject"]): Waiting<T> {
    const onAbort = (): void => this.#wake(undefined);
    signal.addEventListener("abort", onAbort, { once: true });
    return {
      resolve: (value) => {
        signal.removeEventListener("abort", onAbort);
        resolve(value);
      },
      reject,
    };
  }

  #wake(value: T | undefined): void {
    const waiting = this.#waiting;
    this.#waiting = null;
    if (waiting === null) return;
    if (value === undefined && this.#closed && this.#reason !== undefined) waiting.reject(this.#reason);
    else waiting.resolve(value);
  }
}

/** One loop over a mailbox. Written out, because thousands of them wait at a time: a generator takes twice as much. */
class MailboxReader<T> implements AsyncGenerator<T, void, void> {
  #mailbox: Mailbox<T> | null;
  readonly #give = (value: T | undefined): IteratorResult<T, void> => {
    if (value !== undefined && this.#mailbox !== null) return { value, done: false };
    this.#mailbox = null;
    return { value: undefined, done: true };
  };
  readonly #fail = (reason: unknown): never => {
    this.#mailbox = null;
    throw reason;
  };

  constructor(mailbox: Mailbox<T>) {
    this.#mailbox = mailbox;
  }

  next(): Promise<IteratorResult<T, void>> {
    if (this.#mailbox === null) return Promise.resolve({ value: undefined, done: true });
    return this.#mailbox.next().then(this.#give, this.#fail);
  }

  return(): Promise<IteratorResult<T, void>> {
    this.#mailbox = null;
    return Promise.resolve({ value: undefined, done: true });
  }

  throw(reason: unknown): Promise<IteratorResult<T, void>> {
    this.#mailbox = null;
    return Promise.reject(reason);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#mailbox = null;
    return Promise.resolve();
  }
}
