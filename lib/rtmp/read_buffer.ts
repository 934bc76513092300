// The receive buffer of one connection: filled from its stream, consumed from the front, reused for life.
// A pending read holds it, for hours in an idle client: it grows only while reads fill it, and shrinks when they
// have not needed it for long, so that an idle or audio-only client costs half a KiB.
// Role: edge

import type { ByteStream } from "../net/byte_stream.ts";

const FIRST_BYTES = 4 * 1024;
const LARGEST_BYTES = 64 * 1024;
/** Holds two messages of 20 ms. */
const SMALLEST_BYTES = 512;
/** So many reads in a row that left three quarters unused shrink it. */
const READS_TO_SHRINK = 25;

/** Bytes that were read and not yet consumed. */
export class ReadBuffer {
  readonly #stream: ByteStream;
  #bytes = new Uint8Array(FIRST_BYTES);
  #start = 0;
  #end = 0;
  #smallReads = 0;

  /** Empty. */
  constructor(stream: ByteStream) {
    this.#stream = stream;
  }

  get length(): number {
    return this.#end - this.#start;
  }

  get capacity(): number {
    return this.#bytes.length;
  }

  /** The bytes; those from {@link start} to {@link end} can be consumed now. Borrowed: valid until the next fill. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** Where what can be consumed begins in {@link bytes}. */
  get start(): number {
    return this.#start;
  }

  get end(): number {
    return this.#end;
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
    return this.filled(await this.read());
  }

  /** Begins to read once; what it resolves to must be handed to {@link filled}. Rejects with TransportError. */
  read(): Promise<number | null> {
    this.#makeRoom();
    return this.#stream.read(this.#end === 0 ? this.#bytes : this.#bytes.subarray(this.#end));
  }

  /** Takes the outcome of {@link read}; false when the stream has ended. */
  filled(count: number | null): boolean {
    if (count === null) return false;
    this.#end += count;
    this.#smallReads = 4 * this.#end <= this.#bytes.length ? this.#smallReads + 1 : 0;
    return true;
  }

  /** Nothing long is expected from now on. Does nothing while bytes wait to be consumed. */
  shrink(): void {
    if (this.length > 0) return;
    this.#resize(SMALLEST_BYTES);
  }

  /** Reads until `count` bytes (at most 4096) can be consumed; false when the stream ends before. */
  async need(count: number): Promise<boolean> {
    while (this.length < count) {
      if (!await this.fill()) return false;
    }
    return true;
  }

  #makeRoom(): void {
    const size = this.#bytes.length;
    if (this.#end === size && size < LARGEST_BYTES) return this.#resize(2 * size);
    if (this.#smallReads >= READS_TO_SHRINK && size > SMALLEST_BYTES && 2 * this.length <= size) {
      return this.#resize(size / 2);
    }
    if (this.#start === 0) return;
    if (this.#end > this.#start) this.#bytes.copyWithin(0, this.#start, this.#end);
    this.#end -= this.#start;
    this.#start = 0;
  }

  #resize(size: number): void {
    const bytes = new Uint8Array(size);
    bytes.set(this.view());
    this.#bytes = bytes;
    this.#end -= this.#start;
    this.#start = 0;
    this.#smallReads = 0;
  }
}
