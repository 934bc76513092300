// The FLV container: a file header, then tags, each followed by its size.
// Adobe FLV file format 10.1, annex E.2-E.4.1.
// Role: wire

import type { ByteWriter } from "../base/bytes.ts";
import { WireError } from "../base/errors.ts";

const PROTOCOL = "FLV file";
const HEADER_OCTETS = 9;
const TAG_HEADER_OCTETS = 11;
const SIZE_OCTETS = 4;
/** A header longer than this is not an FLV file; the standard one has 9 octets. */
const MAX_HEADER_OCTETS = 1024;
const NO_BYTES = new Uint8Array(0);

export interface FlvTag {
  /** 8 audio, 9 video, 18 AMF0 data. */
  readonly type: 8 | 9 | 18;
  /** Milliseconds, 32 bits unsigned. */
  readonly timeMs: number;
  readonly body: Uint8Array;
}

export function encodeFlvHeader(writer: ByteWriter, has: { audio: boolean; video: boolean }): void {
  writer.u24(0x464c56);
  writer.u8(1);
  writer.u8((has.audio ? 4 : 0) | (has.video ? 1 : 0));
  writer.u32(HEADER_OCTETS);
  writer.u32(0);
}

/** Appends one tag and its size field. Bodies of 16 MiB and more do not fit and are refused with a RangeError. */
export function encodeFlvTag(writer: ByteWriter, type: 8 | 9 | 18, timeMs: number, body: Uint8Array): void {
  if (body.length > 0xffffff) throw new RangeError(`An FLV tag of ${body.length} octets is too long`);
  writer.u8(type);
  writer.u24(body.length);
  writer.u24(timeMs >>> 0 & 0xffffff);
  writer.u8(timeMs >>> 0 >>> 24);
  writer.u24(0);
  writer.bytes(body);
  writer.u32(TAG_HEADER_OCTETS + body.length);
}

/**
 * Reads an FLV file from pieces of any size: `feed` a piece, then call `next` until it returns null.
 * Holds at most one unfinished tag (16 MiB) beside the piece.
 *
 *   header  "FLV" 1:8 flags:8 (4 audio, 1 video) header size:32 | 0:32
 *   tag     type:8 body size:24 time:24 time bits 24-31:8 stream id 0:24 | body | 11 + body size:32
 */
export class FlvTagReader {
  /** True once the file header has been read. */
  started = false;
  /** Tags of types that are neither audio, video nor data, and encrypted tags: passed over. */
  skipped = 0;

  #bytes: Uint8Array = NO_BYTES;
  #at = 0;
  #own: Uint8Array<ArrayBuffer> = new Uint8Array(4096);

  /** Octets of an unfinished tag; not 0 at the end of a file means that the file was cut off. */
  get unfinished(): number {
    return this.#bytes.length - this.#at;
  }

  /** Adds a piece; it is borrowed until {@link next} returns null. */
  feed(piece: Uint8Array): void {
    const left = this.unfinished;
    if (left === 0) {
      this.#bytes = piece;
    } else {
      this.#keepOwn(left + piece.length);
      this.#own.set(piece, left);
      this.#bytes = this.#own.subarray(0, left + piece.length);
    }
    this.#at = 0;
  }

  /** The next whole tag, its body valid until the next call; null when more must be fed. @throws WireError */
  next(): FlvTag | null {
    while (this.started || this.#readHeader()) {
      const bytes = this.#bytes;
      const at = this.#at;
      if (bytes.length - at < TAG_HEADER_OCTETS) break;
      const size = bytes[at + 1]! << 16 | bytes[at + 2]! << 8 | bytes[at + 3]!;
      const end = at + TAG_HEADER_OCTETS + size;
      if (bytes.length < end + SIZE_OCTETS) break;
      this.#at = end + SIZE_OCTETS;
      const type = bytes[at]!;
      if (type === 8 || type === 9 || type === 18) {
        const low = bytes[at + 4]! << 16 | bytes[at + 5]! << 8 | bytes[at + 6]!;
        const timeMs = (bytes[at + 7]! << 24 | low) >>> 0;
        return { type, timeMs, body: bytes.subarray(at + TAG_HEADER_OCTETS, end) };
      }
      if ((type & 0xc0) !== 0) throw new WireError(PROTOCOL, `tag type ${type}`);
      this.skipped++;
    }
    this.#keepOwn(this.unfinished);
    return null;
  }

  #readHeader(): boolean {
    const bytes = this.#bytes;
    const known = Math.min(3, bytes.length);
    for (let i = 0; i < known; i++) {
      if (bytes[i] !== "FLV".charCodeAt(i)) throw new WireError(PROTOCOL, "does not start with FLV", i);
    }
    if (bytes.length < HEADER_OCTETS) return false;
    const size = (bytes[5]! << 24 | bytes[6]! << 16 | bytes[7]! << 8 | bytes[8]!) >>> 0;
    if (size < HEADER_OCTETS || size > MAX_HEADER_OCTETS) {
      throw new WireError(PROTOCOL, `header size ${size}`, 5);
    }
    if (bytes.length < size + SIZE_OCTETS) return false;
    this.#at = size + SIZE_OCTETS;
    return this.started = true;
  }

  /** Moves the unfinished rest to the start of our own buffer, with room for `capacity` octets. */
  #keepOwn(capacity: number): void {
    const left = this.unfinished;
    const inPlace = this.#bytes.buffer === this.#own.buffer;
    if (capacity > this.#own.length) {
      const larger = new Uint8Array(Math.max(capacity, 2 * this.#own.length));
      larger.set(this.#bytes.subarray(this.#at));
      this.#own = larger;
    } else if (!inPlace) {
      this.#own.set(this.#bytes.subarray(this.#at));
    } else if (this.#at > 0) {
      this.#own.copyWithin(0, this.#at, this.#bytes.length);
    }
    this.#bytes = this.#own.subarray(0, left);
    this.#at = 0;
  }
}
