// Byte buffers that are needed for a moment: while a message or a packet waits for its socket. Thousands of idle
// connections then share the few that are in use, and what was used last, and is still near the processor, is used
// next.
// Role: machine

import { viewOf } from "../base/bytes.ts";

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
