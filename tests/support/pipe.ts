// Two byte streams tied together in memory, with the send queue of the real one and planned failures.
// No sockets and, except for a flush that has to wait, no timers.
// Role: edge

import { TransportError } from "../../lib/base/errors.ts";
import type { Endpoint } from "../../lib/net/endpoint.ts";
import { OutBuffer } from "../../lib/net/out_buffer.ts";
import type { ByteStream } from "../../lib/net/byte_stream.ts";

/** How the pipe behaves; the same for both ends. */
export interface PipeOptions {
  /** As for the real connection. */
  softUnsent?: number;
  /** As for the real connection. */
  hardUnsent?: number;
  /** Bytes that fit between the ends before writes stall; default 64 KiB. */
  window?: number;
  /** At most so many bytes per read; default: all there are. 1 cuts everything into single bytes. */
  maxRead?: number;
}

/** One end of a pipe. */
export class PipeEnd implements ByteStream {
  /** The other end. */
  readonly peer: Endpoint;
  /** This end. */
  readonly local: Endpoint;
  /** How many reads from now on end normally before one throws; Infinity: never. */
  readsUntilFailure = Infinity;
  /** How many writes from now on succeed before one fails; Infinity: never. */
  writesUntilFailure = Infinity;
  /** What is put from now on is lost, as when a cable is pulled; the other end hears nothing, not even an end. */
  unplugged = false;
  /** All bytes this end has sent into the pipe. */
  sentBytes = 0;
  readonly #window: number;
  readonly #maxRead: number;
  readonly #out: OutBuffer;
  readonly #inbox: Uint8Array[] = [];
  #inboxBytes = 0;
  #other: PipeEnd | null = null;
  #closed = false;
  #ended = false;
  #failure: TransportError | null = null;
  #wakeReader: (() => void) | null = null;
  #wakeWriter: (() => void) | null = null;

  /** Made by {@link pipePair}. */
  constructor(local: Endpoint, peer: Endpoint, options: PipeOptions) {
    this.local = local;
    this.peer = peer;
    this.#window = options.window ?? 64 * 1024;
    this.#maxRead = options.maxRead ?? Infinity;
    this.#out = new OutBuffer(options, {
      to: { write: (bytes) => this.#write(bytes) },
      overflow: (unsent) => this.fail(new TransportError(`too slow: ${unsent} bytes unsent`, "timeout")),
      failed: (error) =>
        this.fail(error instanceof TransportError ? error : new TransportError("write failed", "closed")),
    });
  }

  /** Ties two ends together. */
  static join(a: PipeEnd, b: PipeEnd): void {
    a.#other = b;
    b.#other = a;
  }

  /** Whether this end was closed. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Bytes put and not yet in the pipe. */
  get unsent(): number {
    return this.#out.unsent;
  }

  /** As {@link ByteStream.read}. */
  async read(into: Uint8Array): Promise<number | null> {
    if (this.readsUntilFailure-- <= 0) throw new TransportError("read failed as planned", "closed");
    while (this.#inboxBytes === 0 && !this.#ended && !this.#closed) {
      await new Promise<void>((resolve) => this.#wakeReader = resolve);
    }
    if (this.#closed) return this.#endOfRead();
    if (this.#inboxBytes === 0) return null;
    return this.#takeInbox(into.subarray(0, Math.min(into.length, this.#maxRead)));
  }

  /** As {@link ByteStream.put}. */
  put(bytes: Uint8Array): boolean {
    return this.unplugged || this.#out.put(bytes);
  }

  /** As {@link ByteStream.flush}. */
  flush(withinMs: number): Promise<boolean> {
    return this.#out.flush(withinMs);
  }

  /** Closes this end: the other one reads what is in the pipe, then null. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#out.close();
    this.#wakeAll();
    this.#other?.endInput();
  }

  /** Same as close(). */
  [Symbol.dispose](): void {
    this.close();
  }

  /** Breaks this end: its read throws, the other end sees the end. */
  fail(failure: TransportError): void {
    if (this.#closed) return;
    this.#failure = failure;
    this.close();
  }

  /** The other end has closed. */
  endInput(): void {
    this.#ended = true;
    this.#wakeAll();
  }

  /** The other end has made room. */
  wakeWriter(): void {
    this.#wakeWriter?.();
  }

  async #write(bytes: Uint8Array): Promise<number> {
    if (this.writesUntilFailure-- <= 0) throw new TransportError("write failed as planned", "closed");
    const other = this.#other!;
    let space = this.#window - other.#inboxBytes;
    while (space <= 0 && !other.#closed && !this.#closed) {
      await new Promise<void>((resolve) => this.#wakeWriter = resolve);
      space = this.#window - other.#inboxBytes;
    }
    if (this.#closed || other.#closed) throw new TransportError("the other end is closed", "closed");
    const sent = bytes.slice(0, space);
    other.#inbox.push(sent);
    other.#inboxBytes += sent.length;
    this.sentBytes += sent.length;
    other.#wakeReader?.();
    return sent.length;
  }

  #takeInbox(into: Uint8Array): number {
    const first = this.#inbox[0]!;
    const count = Math.min(first.length, into.length);
    into.set(first.subarray(0, count));
    if (count === first.length) this.#inbox.shift();
    else this.#inbox[0] = first.subarray(count);
    this.#inboxBytes -= count;
    this.#other?.wakeWriter();
    return count;
  }

  #endOfRead(): null {
    const failure = this.#failure;
    this.#failure = null;
    if (failure !== null) throw failure;
    return null;
  }

  #wakeAll(): void {
    this.#wakeReader?.();
    this.#wakeWriter?.();
    this.#other?.wakeWriter();
  }
}

/** Two connected ends: what is put into one is read from the other. */
export function pipePair(options: PipeOptions = {}): [PipeEnd, PipeEnd] {
  const left: Endpoint = { hostname: "127.0.0.1", port: 40001 };
  const right: Endpoint = { hostname: "127.0.0.1", port: 40002 };
  const a = new PipeEnd(left, right, options);
  const b = new PipeEnd(right, left, options);
  PipeEnd.join(a, b);
  return [a, b];
}

/** Reads until the end, an error, or `count` bytes. */
export async function readBytes(stream: ByteStream, count = Infinity): Promise<Uint8Array> {
  const whole: number[] = [];
  const buffer = new Uint8Array(4096);
  while (whole.length < count) {
    const got = await stream.read(buffer.subarray(0, Math.min(buffer.length, count - whole.length)));
    if (got === null) break;
    whole.push(...buffer.subarray(0, got));
  }
  return Uint8Array.from(whole);
}
