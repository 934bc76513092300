// Where push becomes pull: a bounded queue between callbacks and one reader that awaits.
// It is used for signalling only (invitations, call events, INVITE progress), never for media.
// Role: edge

/** A bounded queue with many writers and one reader. `undefined` cannot be a value: it means the end. */
export class Mailbox<T> implements AsyncIterable<T>, Disposable {
  readonly #capacity: number;
  readonly #values: T[] = [];
  #waiting: ((value: T | undefined) => void) | null = null;
  #taker: ((value: T) => void) | null = null;
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

  get size(): number {
    return this.#values.length;
  }

  /** Hands `value` to the reader; false, and the value is not taken, when full or closed. */
  push(value: T): boolean {
    if (this.#closed) return false;
    if (this.#taker !== null) {
      this.#taker(value);
      return true;
    }
    if (this.#waiting !== null) {
      this.#wake(value);
      return true;
    }
    if (this.#values.length >= this.#capacity) return false;
    this.#values.push(value);
    return true;
  }

  /** Takes one last value, whether there is room or not, and no more after it; nothing when closed already. */
  end(last: T): void {
    if (this.#closed) return;
    if (this.#taker === null && this.#waiting === null) this.#values.push(last);
    else this.push(last);
    this.#closed = true;
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

  /** Why it was closed; undefined without a reason, and as long as it is open. */
  get reason(): unknown {
    return this.#reason;
  }

  /**
   * The next value; undefined when the mailbox has ended or `signal` was aborted. Rejects with the reason of
   * close(). A second call before the first has settled is an error: there is one reader.
   */
  next(signal?: AbortSignal): Promise<T | undefined> {
    return new Promise((resolve, reject) => {
      const settle = (value: T | undefined): void => {
        if (value === undefined && this.#reason !== undefined) reject(this.#reason);
        else resolve(value);
      };
      if (signal?.aborted === true) return settle(this.#values.shift());
      this.await(signal === undefined ? settle : this.#until(signal, settle));
    });
  }

  /**
   * Calls `take` once, at once or later, with the next value, or with undefined when the mailbox has ended. What
   * next() and a loop are made of. Throws when somebody waits already.
   */
  await(take: (value: T | undefined) => void): void {
    this.#refuseSecond();
    if (this.#values.length > 0 || this.#closed) return take(this.#values.shift());
    this.#waiting = take;
  }

  /**
   * Calls `take` with each value, those that wait now and those to come, from inside push(): a reader for good, which
   * costs nothing while it waits. It is not told of the end, and what it throws is the writer's.
   */
  handTo(take: (value: T) => void): void {
    this.#refuseSecond();
    this.#taker = take;
    for (const value of this.#values.splice(0)) take(value);
  }

  /** Yields values until the mailbox ends. Breaking out leaves it open, another loop may go on. */
  [Symbol.asyncIterator](): MailboxReader<T> {
    return new MailboxReader(this);
  }

  #refuseSecond(): void {
    if (this.#waiting === null && this.#taker === null) return;
    throw new Error("A mailbox has one reader, a second one has come");
  }

  #until(signal: AbortSignal, take: (value: T | undefined) => void): (value: T | undefined) => void {
    const onAbort = (): void => this.#wake(undefined);
    signal.addEventListener("abort", onAbort, { once: true });
    return (value) => {
      signal.removeEventListener("abort", onAbort);
      take(value);
    };
  }

  #wake(value: T | undefined): void {
    const waiting = this.#waiting;
    this.#waiting = null;
    waiting?.(value);
  }
}

/** One reader of a mailbox. Written out, because thousands of them wait at a time: a generator takes twice as much. */
export class MailboxReader<T> implements AsyncGenerator<T, void, void> {
  #mailbox: Mailbox<T> | null;

  constructor(mailbox: Mailbox<T>) {
    this.#mailbox = mailbox;
  }

  /** As {@link Mailbox.handTo}, instead of a loop. */
  handTo(take: (value: T) => void): void {
    this.#mailbox?.handTo(take);
  }

  next(): Promise<IteratorResult<T, void>> {
    return new Promise((resolve, reject) => {
      const mailbox = this.#mailbox;
      if (mailbox === null) return resolve({ value: undefined, done: true });
      mailbox.await((value) => {
        if (value !== undefined && this.#mailbox !== null) return resolve({ value, done: false });
        this.#mailbox = null;
        if (value === undefined && mailbox.reason !== undefined) reject(mailbox.reason);
        else resolve({ value: undefined, done: true });
      });
    });
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
