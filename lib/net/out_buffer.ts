// What a connection has not sent yet: one write is in flight, what is put meanwhile is gathered behind it, up to a bound. The
// buffers come from a pool that thousands of idle connections share; what was used last, and is still near the processor, is
// used next.
// Role: edge

import { viewOf } from "../base/bytes.ts";
import { systemClock } from "../base/clock.ts";
import { messageOf, TransportError, type TransportErrorCode } from "../base/errors.ts";

const SMALLEST = 512;
/** ...to here; longer buffers are left to the collector. */
const LARGEST = 64 * 1024;

/** Bytes kept of each size. */
const KEPT_BYTES = 512 * 1024;

/**
 * Who takes a buffer owns it until it gives it back, and gives it back once, when nobody else can touch it any more
 * (a write has settled).
 */
export class PooledBuffer {
  /** All of it; what is in it is not cleared. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Gives it back to its pool, as {@link BufferPool.give} does; made once, for the end of a promise. */
  readonly release: () => void;
  #view: Uint8Array<ArrayBuffer>;

  constructor(size: number, pool: BufferPool) {
    this.bytes = new Uint8Array(size);
    this.#view = this.bytes;
    this.release = () => pool.give(this);
  }

  /** The bytes from `start` to `end`; the view is kept, because messages of one length follow each other. */
  view(start: number, end: number): Uint8Array<ArrayBuffer> {
    return this.#view = viewOf(this.bytes, start, end, this.#view);
  }
}

export class BufferPool {
  readonly #free: PooledBuffer[][] = [];
  #lent = 0;

  /** Empty. */
  constructor() {
    for (let size = SMALLEST; size <= LARGEST; size *= 2) this.#free.push([]);
  }

  /** Buffers taken and not given back. */
  get lent(): number {
    return this.#lent;
  }

  /** Bytes that wait to be taken. */
  get keptBytes(): number {
    return this.#free.reduce((sum, buffers, index) => sum + buffers.length * (SMALLEST << index), 0);
  }

  /** A buffer of at least so many bytes. */
  take(atLeast: number): PooledBuffer {
    this.#lent++;
    if (atLeast > LARGEST) return new PooledBuffer(atLeast, this);
    const index = indexOf(atLeast);
    return this.#free[index]!.pop() ?? new PooledBuffer(SMALLEST << index, this);
  }

  /** Takes a buffer of {@link BufferPool.take} back; it may be somebody else's from now on. */
  give(buffer: PooledBuffer): void {
    this.#lent--;
    const { length } = buffer.bytes;
    if (length > LARGEST) return;
    const buffers = this.#free[indexOf(length)]!;
    if ((buffers.length + 1) * length <= KEPT_BYTES) buffers.push(buffer);
  }
}

/** 0 for up to 512 bytes, 1 for up to 1024, and so on. */
function indexOf(bytes: number): number {
  return bytes <= SMALLEST ? 0 : 23 - Math.clz32(bytes - 1);
}

/** Above this put() returns false, unless told otherwise. */
const DEFAULT_SOFT_UNSENT = 256 * 1024;

/** Above this the stream is given up, unless told otherwise. */
const DEFAULT_HARD_UNSENT = 4 * 1024 * 1024;

/** Shared by every stream of this thread. */
const pool = new BufferPool();

/** What bytes are written to. */
export interface Writable {
  /** Writes some of the bytes and says how many; they stay untouched until it settles. */
  write(bytes: Uint8Array): Promise<number>;
  /**
   * Writes what can be written without waiting and says how much that was; done with the bytes when it returns. Throws
   * as write() rejects. Absent: there is no such way.
   */
  writeNow?(bytes: Uint8Array): number;
}

/** Where the bytes go. */
interface OutBufferOutlets {
  readonly to: Writable;
  /** More than the hard mark is unsent; the buffer takes no more. */
  overflow(unsent: number): void;
  /** A write failed; the buffer takes no more. */
  failed(error: unknown): void;
}

const NOTHING = new Uint8Array(0);

interface FlushWait {
  done(sent: boolean): void;
}

/**
 * A bounded send queue with one write in flight.
 *
 * Both buffers are borrowed from a pool and given back when they are empty: a stream that has nothing to send holds
 * none. Per write there is one promise and nothing else: what goes on is a function made once.
 */
export class OutBuffer {
  readonly #softUnsent: number;
  readonly #hardUnsent: number;
  readonly #outlets: OutBufferOutlets;
  readonly #to: Writable;
  #filling: PooledBuffer | null = null;
  #filled = 0;
  /** What is being written: from where to where. */
  #writing: PooledBuffer | null = null;
  #at = 0;
  #end = 0;
  #running = false;
  #closed = false;
  #waits: Set<FlushWait> | null = null;
  readonly #written = (count: number): void => this.#advance(count);
  readonly #failed = (error: unknown): void => this.#fail(error);

  /** Starts empty; see the limits for the defaults. */
  constructor(limits: { softUnsent?: number; hardUnsent?: number }, outlets: OutBufferOutlets) {
    this.#softUnsent = limits.softUnsent ?? DEFAULT_SOFT_UNSENT;
    this.#hardUnsent = limits.hardUnsent ?? DEFAULT_HARD_UNSENT;
    this.#outlets = outlets;
    this.#to = outlets.to;
  }

  /** Bytes taken by put() and not yet by the outlet. */
  get unsent(): number {
    return this.#filled + this.#end - this.#at;
  }

  /** Bytes of memory held for what is unsent; 0 when nothing is. */
  get heldBytes(): number {
    return (this.#filling?.bytes.length ?? 0) + (this.#writing?.bytes.length ?? 0);
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
    const rest = this.#running ? bytes : this.#writeNow(bytes);
    if (rest.length > 0) this.#append(rest);
    return this.unsent <= this.#softUnsent && !this.#closed;
  }

  /** Waits until nothing is unsent; false when time is up or the buffer was closed before. */
  flush(withinMs: number): Promise<boolean> {
    if (this.unsent === 0) return Promise.resolve(true);
    if (this.#closed) return Promise.resolve(false);
    const waits = this.#waits ??= new Set();
    return new Promise((resolve) => {
      const wait: FlushWait = {
        done: (sent) => {
          waits.delete(wait);
          timer[Symbol.dispose]();
          resolve(sent);
        },
      };
      const timer = systemClock.after(withinMs, () => wait.done(false));
      waits.add(wait);
    });
  }

  /** Takes no more; what is unsent stays unsent. */
  close(): void {
    this.#closed = true;
    this.#endWaits(false);
    if (!this.#running) this.#rest();
  }

  /** Nothing waits: what goes at once need not be copied. Gives the rest. */
  #writeNow(bytes: Uint8Array): Uint8Array {
    if (this.#to.writeNow === undefined) return bytes;
    try {
      const written = this.#to.writeNow(bytes);
      return written === bytes.length ? NOTHING : bytes.subarray(written);
    } catch (error) {
      this.#fail(error);
      return NOTHING;
    }
  }

  #append(bytes: Uint8Array): void {
    const needed = this.#filled + bytes.length;
    const filling = this.#filling;
    const roomy = filling !== null && needed <= filling.bytes.length ? filling : this.#grow(needed);
    roomy.bytes.set(bytes, this.#filled);
    this.#filled = needed;
    if (this.#running) return;
    this.#running = true;
    this.#writeFilled();
  }

  #grow(needed: number): PooledBuffer {
    const larger = pool.take(needed);
    const old = this.#filling;
    if (old !== null) {
      larger.bytes.set(old.view(0, this.#filled));
      pool.give(old);
    }
    return this.#filling = larger;
  }

  #writeFilled(): void {
    if (this.#closed || this.#filled === 0) return this.#rest();
    this.#writing = this.#filling;
    this.#at = 0;
    this.#end = this.#filled;
    this.#filling = null;
    this.#filled = 0;
    this.#write(this.#writing!);
  }

  #write(buffer: PooledBuffer): void {
    try {
      this.#to.write(buffer.view(this.#at, this.#end)).then(this.#written, this.#failed);
    } catch (error) {
      this.#fail(error);
    }
  }

  #advance(count: number): void {
    this.#at += count;
    if (this.#at < this.#end && !this.#closed) return this.#write(this.#writing!);
    if (this.#at < this.#end) return this.#rest();
    this.#giveWritten();
    this.#writeFilled();
  }

  #fail(error: unknown): void {
    const wasClosed = this.#closed;
    this.#closed = true;
    this.#endWaits(false);
    this.#rest();
    if (!wasClosed) this.#outlets.failed(error);
  }

  #giveWritten(): void {
    if (this.#writing !== null) pool.give(this.#writing);
    this.#writing = null;
    this.#at = 0;
    this.#end = 0;
  }

  /** No write is in flight: all is sent, or the rest never will be (and still counts as unsent). */
  #rest(): void {
    this.#running = false;
    const { unsent } = this;
    this.#giveWritten();
    if (this.#filling !== null) pool.give(this.#filling);
    this.#filling = null;
    this.#filled = unsent;
    if (unsent === 0) this.#endWaits(true);
  }

  #endWaits(sent: boolean): void {
    if (this.#waits !== null) { for (const wait of this.#waits) wait.done(sent); }
  }
}

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

/** By `code` where the runtime gives one (errno names), else by class. */
const CODES: Readonly<Record<string, TransportErrorCode>> = {
  EADDRINUSE: "addr-in-use",
  AddrInUse: "addr-in-use",
  ECONNREFUSED: "refused",
  ConnectionRefused: "refused",
  EHOSTUNREACH: "unreachable",
  ENETUNREACH: "unreachable",
  EADDRNOTAVAIL: "unreachable",
  EHOSTDOWN: "unreachable",
  ENETDOWN: "unreachable",
  AddrNotAvailable: "unreachable",
  NetworkUnreachable: "unreachable",
  HostUnreachable: "unreachable",
  ETIMEDOUT: "timeout",
  TimedOut: "timeout",
  ECONNRESET: "closed",
  ECONNABORTED: "closed",
  EPIPE: "closed",
  ENOTCONN: "closed",
  ConnectionReset: "closed",
  ConnectionAborted: "closed",
  BrokenPipe: "closed",
  NotConnected: "closed",
  BadResource: "closed",
  Interrupted: "closed",
};

/** Puts what was tried before what happened, and keeps the runtime's error as the cause. */
export function transportError(attempt: string, error: unknown): TransportError {
  if (error instanceof TransportError) return error;
  const errno = error instanceof Error && "code" in error ? String(error.code) : "";
  const name = error instanceof Error ? error.name : "";
  return new TransportError(`${attempt}: ${plainReason(error)}`, CODES[errno] ?? CODES[name] ?? "failed", {
    cause: error,
  });
}

/** Whether the runtime says so because the socket was closed on this side. */
export function isClosedHere(error: unknown): boolean {
  return error instanceof Deno.errors.Interrupted || error instanceof Deno.errors.BadResource;
}

function plainReason(error: unknown): string {
  return messageOf(error).replace(/ \(os error \d+\)$/, "");
}
