// The receive buffer of one connection: filled from its stream, consumed from the front, reused for life.
// It grows only while reads fill it, so that an idle or audio-only client costs a few KiB.
// Role: edge
// Answers to: SockStream of rtmp.py.

import type { ByteStream } from "../net/tcp.ts";

const FIRST_BYTES = 4 * 1024;
const LARGEST_BYTES = 64 * 1024;

/** Bytes that were read and not yet consumed. */
export class ReadBuffer {
  readonly #stream: ByteStream;
  #bytes = new Uint8Array(FIRST_BYTES);
  #start = 0;
  #end = 0;

  /** Empty. */
  constructor(stream: ByteStream) {
    this.#stream = stream;
  }

  /** How much can be consumed now. */
  get length(): number {
    return this.#end - this.#start;
  }

  /** What can be consumed now, borrowed: valid until the next fill. */
  view(): Uint8Array {
    return this.#bytes.subarray(this.#start, this.#end);
  }

  /** Passes over the first `count` bytes. */
  consume(count: number): void {
    this.#start += count;
  }

  /** Reads once; false when the stream has ended. Throws TransportError. */
  async fill(): Promise<boolean> {
    this.#makeRoom();
    const count = await this.#stream.read(this.#bytes.subarray(this.#end));
    if (count === null) return false;
    this.#end += count;
    return true;
  }

  /** Reads until `count` bytes (at most 4096) can be consumed; false when the stream ends before. */
  async need(count: number): Promise<boolean> {
    while (this.length < count) {
      if (!await this.fill()) return false;
    }
    return true;
  }

  #makeRoom(): void {
    const wasFull = this.#end === this.#bytes.length;
    if (wasFull && this.#bytes.length < LARGEST_BYTES) {
      const larger = new Uint8Array(2 * this.#bytes.length);
      larger.set(this.view());
      this.#bytes = larger;
    } else if (this.#start > 0) this.#bytes.copyWithin(0, this.#start, this.#end);
    else return;
    this.#end -= this.#start;
    this.#start = 0;
  }
}
