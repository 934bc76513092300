// Reads the tags of an open FLV file from any position on, in pieces: next() takes what has been read, fill()
// reads on. So whoever plays a file waits for the disk only where a piece ends.
// Role: edge

import { WireError } from "../base/errors.ts";
import type { DiskFile } from "./disk.ts";
import { type FlvTag, FlvTagReader } from "./tag.ts";

const PIECE_BYTES = 65536;
/** Header before and size field behind the body of a tag. */
const TAG_FRAME_BYTES = 15;

/** A reading position in an FLV file. The file stays its owner's. */
export class FlvCursor {
  /** Where the tag that next() returned last begins. */
  tagPosition = 0;
  readonly #file: DiskFile;
  readonly #piece = new Uint8Array(PIECE_BYTES);
  #reader = new FlvTagReader();
  #readAt = 0;

  /** At the start of the file, where its header is. */
  constructor(file: DiskFile) {
    this.#file = file;
  }

  /** Where the next tag begins. */
  get position(): number {
    return this.#readAt - this.#reader.unfinished;
  }

  /** Bytes of a tag that was read in part; at the end of the file: it was cut off. */
  get unfinished(): number {
    return this.#reader.unfinished;
  }

  /** The next whole tag, its body valid until the next call; null when fill() is needed. @throws WireError */
  next(): FlvTag | null {
    const tag = this.#reader.next();
    if (tag !== null) this.tagPosition = this.position - tag.body.length - TAG_FRAME_BYTES;
    return tag;
  }

  /** Reads on, when next() has returned null; false at the end of the file. @throws TransportError, WireError */
  async fill(): Promise<boolean> {
    const count = await this.#file.readAt(this.#readAt, this.#piece);
    if (count === 0 && !this.#reader.started) throw new WireError("FLV file", "ends before its first tag");
    if (count === 0) return false;
    this.#readAt += count;
    this.#reader.feed(this.#piece.subarray(0, count));
    return true;
  }

  /** The next whole tag, read from the file if need be; null at the end. @throws TransportError, WireError */
  async read(): Promise<FlvTag | null> {
    for (;;) {
      const tag = this.next();
      if (tag !== null || !await this.fill()) return tag;
    }
  }

  /** Goes to the beginning of a tag; 0 is the beginning of the file. */
  moveTo(position: number): void {
    this.#reader = new FlvTagReader();
    this.#reader.started = position > 0;
    this.#readAt = position;
  }
}
