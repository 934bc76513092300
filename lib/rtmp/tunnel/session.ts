// One RTMPT client as a ByteStream: what its requests carry is read, what is put waits for its next request.
// Requests are numbered; a repeated number (a proxy or client that saw no answer) gets the same answer again,
// a gap ends the session, because bytes are missing.
// Role: edge

import { type Clock, delay } from "../../base/clock.ts";
import { TransportError } from "../../base/errors.ts";
import { type Endpoint, formatEndpoint } from "../../net/endpoint.ts";
import type { ByteStream, SendLimits } from "../../net/byte_stream.ts";

/** Most bytes in one answer; the rest goes with the next. */
const MAX_REPLY_BYTES = 1024 * 1024;

/** Most bytes that may wait for the reader. */
const MAX_INPUT_BYTES = 8 * 1024 * 1024;

/** Above it the client has to wait for its answer until the reader caught up. */
const SOFT_INPUT_BYTES = 256 * 1024;

/** How long an answer is held for what the request brings about: a command gets its result at once. */
const SETTLE_MS = 50;
const CATCH_UP_MS = 10_000;

const DEFAULT_SOFT_UNSENT = 256 * 1024;
const DEFAULT_HARD_UNSENT = 4 * 1024 * 1024;

export interface SessionOptions extends SendLimits {
  /** The client, as the request that opened the session showed it. */
  peer: Endpoint;
  local: Endpoint;
  clock: Clock;
  /** Told once when the session has ended. */
  onClose: () => void;
}

export class TunnelSession implements ByteStream {
  readonly peer: Endpoint;
  readonly local: Endpoint;
  readonly #options: SessionOptions;
  readonly #input = new ByteQueue();
  readonly #output = new ByteQueue();
  readonly #interval = new PollInterval();
  readonly #waits = new Set<() => void>();
  #wakeReader: (() => void) | null = null;
  #sequence: number | null = null;
  #reply: Promise<Uint8Array | null> = Promise.resolve(null);
  #failure: TransportError | null = null;
  #inputEnded = false;
  #closed = false;
  #heardMs: number;

  /** Open until close(), a failure, or silence. */
  constructor(options: SessionOptions) {
    this.#options = options;
    this.peer = options.peer;
    this.local = options.local;
    this.#heardMs = options.clock.now();
  }

  /** Bytes that no answer has taken yet. */
  get unsent(): number {
    return this.#output.length;
  }

  get closed(): boolean {
    return this.#closed;
  }

  async read(into: Uint8Array): Promise<number | null> {
    for (;;) {
      if (this.#closed) return this.#endOfRead();
      if (this.#input.length > 0) return this.#readInput(into);
      if (this.#inputEnded) return null;
      const waiting = Promise.withResolvers<void>();
      this.#wakeReader = waiting.resolve;
      this.#changed(); // all input is dealt with
      await waiting.promise;
      this.#wakeReader = null;
    }
  }

  #readInput(into: Uint8Array): number {
    const count = this.#input.shiftInto(into);
    if (this.#waits.size > 0) this.#changed();
    return count;
  }

  put(bytes: Uint8Array): boolean {
    if (this.#closed) return false;
    const { softUnsent = DEFAULT_SOFT_UNSENT, hardUnsent = DEFAULT_HARD_UNSENT } = this.#options;
    if (this.unsent + bytes.length > hardUnsent) {
      this.#fail(`${this.#name()} is too slow: ${this.unsent} bytes unsent`, "timeout");
      return false;
    }
    this.#output.push(bytes);
    return this.unsent <= softUnsent;
  }

  async flush(withinMs: number): Promise<boolean> {
    await this.#until(() => this.unsent === 0, withinMs);
    return this.unsent === 0;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#changed();
    this.#wakeReader?.();
    this.#options.onClose();
  }

  /** Same as close(). */
  [Symbol.dispose](): void {
    this.close();
  }

  /**
   * One request and the body of its answer; null when the session has ended. `bytes` are consumed when this
   * returns, empty for an idle request.
   */
  exchange(sequence: number, bytes: Uint8Array): Promise<Uint8Array | null> {
    this.#heardMs = this.#options.clock.now();
    if (this.#closed) return Promise.resolve(null);
    if (sequence === this.#sequence) return this.#reply;
    if (this.#sequence !== null && sequence !== this.#sequence + 1) {
      this.#fail(`${this.#name()} sent request ${sequence} after ${this.#sequence}`, "failed");
      return Promise.resolve(null);
    }
    if (this.#input.length + bytes.length > MAX_INPUT_BYTES) {
      this.#fail(`${this.#name()} sends faster than it can be served`, "failed");
      return Promise.resolve(null);
    }
    this.#sequence = sequence;
    this.#input.push(bytes);
    this.#reply = this.#answer(bytes.length > 0, this.#reply);
    this.#wakeReader?.();
    return this.#reply;
  }

  /** The client has said that it closes; what came before is still read. */
  endInput(): void {
    this.#inputEnded = true;
    this.#wakeReader?.();
  }

  /** Ends the session when the client has asked nothing since `sinceMs`. */
  checkSilence(sinceMs: number): void {
    if (this.#heardMs < sinceMs) this.#fail(`${this.#name()} asks no more`, "timeout");
  }

  async #answer(sent: boolean, previous: Promise<unknown>): Promise<Uint8Array | null> {
    await previous;
    if (sent) await this.#until(() => this.#inputIsRead(), SETTLE_MS);
    if (this.#input.length > SOFT_INPUT_BYTES) {
      await this.#until(() => this.#input.length <= SOFT_INPUT_BYTES, CATCH_UP_MS);
    }
    if (this.#closed && this.unsent === 0) return null;
    const reply = new Uint8Array(1 + Math.min(this.unsent, MAX_REPLY_BYTES));
    reply[0] = this.#interval.next(sent || reply.length > 1);
    this.#output.shiftInto(reply.subarray(1));
    this.#changed();
    return reply;
  }

  #inputIsRead(): boolean {
    return this.#input.length === 0 && this.#wakeReader !== null;
  }

  /** Waits for a condition that read(), an answer or the end brings about. */
  async #until(condition: () => boolean, withinMs: number): Promise<void> {
    if (this.#closed || condition()) return;
    const stop = new AbortController();
    const look = (): void => {
      if (this.#closed || condition()) stop.abort();
    };
    this.#waits.add(look);
    await delay(this.#options.clock, withinMs, stop.signal);
    this.#waits.delete(look);
  }

  #changed(): void {
    for (const look of this.#waits) look();
  }

  #fail(message: string, code: "timeout" | "failed"): void {
    if (this.#closed) return;
    this.#failure = new TransportError(message, code);
    this.close();
  }

  #endOfRead(): null {
    const failure = this.#failure;
    this.#failure = null;
    if (failure !== null) throw failure;
    return null;
  }

  #name(): string {
    return `RTMPT client ${formatEndpoint(this.peer)}`;
  }
}

const INITIAL = 4 * 1024;
const KEPT = 64 * 1024;

/** A first-in first-out queue of bytes. */
export class ByteQueue {
  #buffer = new Uint8Array(0);
  #start = 0;
  #end = 0;

  /** Bytes waiting. */
  get length(): number {
    return this.#end - this.#start;
  }

  /** Copies `bytes` to the end. */
  push(bytes: Uint8Array): void {
    if (this.#end + bytes.length > this.#buffer.length) this.#makeRoom(bytes.length);
    this.#buffer.set(bytes, this.#end);
    this.#end += bytes.length;
  }

  /** Moves up to `into.length` bytes from the front; says how many. */
  shiftInto(into: Uint8Array): number {
    const count = Math.min(this.length, into.length);
    into.set(this.#buffer.subarray(this.#start, this.#start + count));
    this.#start += count;
    if (this.#start === this.#end) this.clear();
    return count;
  }

  clear(): void {
    this.#start = 0;
    this.#end = 0;
    if (this.#buffer.length > KEPT) this.#buffer = new Uint8Array(0);
  }

  #makeRoom(more: number): void {
    const waiting = this.#buffer.subarray(this.#start, this.#end);
    const needed = waiting.length + more;
    if (needed <= this.#buffer.length / 2) this.#buffer.copyWithin(0, this.#start, this.#end);
    else {
      const larger = new Uint8Array(Math.max(INITIAL, 2 * needed));
      larger.set(waiting);
      this.#buffer = larger;
    }
    this.#end -= this.#start;
    this.#start = 0;
  }
}

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
