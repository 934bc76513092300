// The send queue of one stream: two buffers that swap roles. One is being written, the other is filled;
// the runtime does not copy on write, so the one in flight is never touched before its write has settled.
// All that was put during one write leaves in the next one.
// Role: edge
// Answers to: the write task and its queue in siprtmp's rtmp.Protocol.

import { systemClock } from "../base/clock.ts";

/** Above this put() returns false, unless told otherwise. */
const DEFAULT_SOFT_UNSENT = 256 * 1024;

/** Above this the stream is given up, unless told otherwise. */
const DEFAULT_HARD_UNSENT = 4 * 1024 * 1024;

/** First size of a buffer; after a burst larger ones are given back when they drain. */
const INITIAL_BUFFER = 4 * 1024;
const KEPT_BUFFER = 64 * 1024;

/** Where the bytes go. */
export interface OutBufferOutlets {
  /** Writes some of the bytes and says how many; they stay untouched until it settles. */
  write(bytes: Uint8Array): Promise<number>;
  /** More than the hard mark is unsent; the buffer takes no more. */
  overflow(unsent: number): void;
  /** A write failed; the buffer takes no more. */
  failed(error: unknown): void;
}

interface FlushWait {
  done(sent: boolean): void;
}

/** A bounded send queue with one write in flight. */
export class OutBuffer {
  readonly #softUnsent: number;
  readonly #hardUnsent: number;
  readonly #outlets: OutBufferOutlets;
  #filling: Uint8Array<ArrayBuffer> = new Uint8Array(INITIAL_BUFFER);
  #idle: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  #filled = 0;
  #inFlight = 0;
  #running = false;
  #closed = false;
  readonly #waits = new Set<FlushWait>();

  /** Starts empty; see the limits for the defaults. */
  constructor(limits: { softUnsent?: number; hardUnsent?: number }, outlets: OutBufferOutlets) {
    this.#softUnsent = limits.softUnsent ?? DEFAULT_SOFT_UNSENT;
    this.#hardUnsent = limits.hardUnsent ?? DEFAULT_HARD_UNSENT;
    this.#outlets = outlets;
  }

  /** Bytes taken by put() and not yet by the outlet. */
  get unsent(): number {
    return this.#filled + this.#inFlight;
  }

  /** Copies `bytes`; false when more than the soft mark is unsent now, or when closed. */
  put(bytes: Uint8Array): boolean {
    if (this.#closed) return false;
    if (this.unsent + bytes.length > this.#hardUnsent) {
      const unsent = this.unsent;
      this.close();
      this.#outlets.overflow(unsent);
      return false;
    }
    this.#append(bytes);
    if (!this.#running && this.#filled > 0) void this.#pump();
    return this.unsent <= this.#softUnsent;
  }

  /** Waits until nothing is unsent; false when time is up or the buffer was closed before. */
  flush(withinMs: number): Promise<boolean> {
    if (this.unsent === 0) return Promise.resolve(true);
    if (this.#closed) return Promise.resolve(false);
    return new Promise((resolve) => {
      const wait: FlushWait = {
        done: (sent) => {
          this.#waits.delete(wait);
          timer[Symbol.dispose]();
          resolve(sent);
        },
      };
      const timer = systemClock.after(withinMs, () => wait.done(false));
      this.#waits.add(wait);
    });
  }

  /** Takes no more; what is unsent stays unsent. */
  close(): void {
    this.#closed = true;
    for (const wait of this.#waits) wait.done(false);
  }

  #append(bytes: Uint8Array): void {
    const needed = this.#filled + bytes.length;
    if (needed > this.#filling.length) {
      const larger = new Uint8Array(Math.max(needed, 2 * this.#filling.length));
      larger.set(this.#filling.subarray(0, this.#filled));
      this.#filling = larger;
    }
    this.#filling.set(bytes, this.#filled);
    this.#filled = needed;
  }

  async #pump(): Promise<void> {
    this.#running = true;
    try {
      // What is put in the same turn of the event loop leaves in one write.
      await Promise.resolve();
      while (this.#filled > 0 && !this.#closed) await this.#writeFilled();
    } catch (error) {
      const wasClosed = this.#closed;
      this.close();
      if (!wasClosed) this.#outlets.failed(error);
    }
    this.#running = false;
    if (this.unsent === 0) { for (const wait of this.#waits) wait.done(true); }
  }

  async #writeFilled(): Promise<void> {
    const writing = this.#filling;
    const end = this.#filled;
    this.#filling = this.#idle;
    this.#filled = 0;
    this.#inFlight = end;
    for (let at = 0; at < end && !this.#closed;) {
      const count = await this.#outlets.write(writing.subarray(at, end));
      at += count;
      this.#inFlight = end - at;
    }
    this.#idle = writing.length > KEPT_BUFFER ? new Uint8Array(INITIAL_BUFFER) : writing;
  }
}
