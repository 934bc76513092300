// Cursor reading and writing over one buffer, big-endian unless named otherwise, and small byte helpers.
// The reader hands out views and never copies; the writer grows one buffer and is reused.
// Role: wire

import { WireError } from "./errors.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const scratch = new DataView(new ArrayBuffer(8));
const scratchBytes = new Uint8Array(scratch.buffer);

/** Reads values one after the other; past the end it throws {@link WireError}. */
export class ByteReader {
  /** The next byte to read. */
  offset = 0;
  readonly #bytes: Uint8Array;
  readonly #protocol: string;

  /**
   * Starts at the first byte.
   * @param bytes read in place; views of them are handed out
   * @param protocol names the format in errors
   */
  constructor(bytes: Uint8Array, protocol: string) {
    this.#bytes = bytes;
    this.#protocol = protocol;
  }

  /** How many bytes are left. */
  get remaining(): number {
    return this.#bytes.length - this.offset;
  }

  /** Unsigned 8 bits. */
  u8(): number {
    return this.#bytes[this.#take(1)]!;
  }

  /** Unsigned 16 bits. */
  u16(): number {
    const at = this.#take(2);
    return this.#bytes[at]! << 8 | this.#bytes[at + 1]!;
  }

  /** Unsigned 24 bits. */
  u24(): number {
    const at = this.#take(3);
    return this.#bytes[at]! << 16 | this.#bytes[at + 1]! << 8 | this.#bytes[at + 2]!;
  }

  /** Unsigned 32 bits. */
  u32(): number {
    const at = this.#take(4);
    const bytes = this.#bytes;
    return (bytes[at]! << 24 | bytes[at + 1]! << 16 | bytes[at + 2]! << 8 | bytes[at + 3]!) >>> 0;
  }

  /** Unsigned 32 bits, little-endian (the RTMP message stream id). */
  u32le(): number {
    const at = this.#take(4);
    const bytes = this.#bytes;
    return (bytes[at + 3]! << 24 | bytes[at + 2]! << 16 | bytes[at + 1]! << 8 | bytes[at]!) >>> 0;
  }

  /** Signed 16 bits. */
  i16(): number {
    return this.u16() << 16 >> 16;
  }

  /** IEEE 754 double. */
  f64(): number {
    const at = this.#take(8);
    for (let i = 0; i < 8; i++) scratchBytes[i] = this.#bytes[at + i]!;
    return scratch.getFloat64(0);
  }

  /** The next `count` bytes, as a view. */
  bytes(count: number): Uint8Array {
    const at = this.#take(count);
    return this.#bytes.subarray(at, at + count);
  }

  /** All that is left, as a view. */
  rest(): Uint8Array {
    return this.bytes(this.remaining);
  }

  /** Passes over `count` bytes. */
  skip(count: number): void {
    this.#take(count);
  }

  /** The next `count` bytes as text; broken UTF-8 becomes U+FFFD. */
  utf8(count: number): string {
    return decoder.decode(this.bytes(count));
  }

  #take(count: number): number {
    const at = this.offset;
    if (!(count >= 0 && count <= this.#bytes.length - at)) {
      throw new WireError(this.#protocol, `${count} bytes needed, ${this.#bytes.length - at} left`, at);
    }
    this.offset = at + count;
    return at;
  }
}

/**
 * The bytes from `start` to `end`, as subarray() gives them; `last` itself when it is that view already. The packets
 * of one stream lie in the same place again and again, and a view costs a hundred bytes of garbage each time.
 */
export function viewOf<T extends ArrayBufferLike>(
  bytes: Uint8Array<T>,
  start: number,
  end: number,
  last: Uint8Array<T>,
): Uint8Array<T> {
  const same = last.length === end - start && last.byteOffset === bytes.byteOffset + start &&
    last.buffer === bytes.buffer;
  return same ? last : bytes.subarray(start, end);
}

/** Appends values to one growing buffer; values wider than their field are cut to it. */
export class ByteWriter {
  #bytes: Uint8Array<ArrayBuffer>;
  #length = 0;
  /** What view() gave last. */
  #view: Uint8Array<ArrayBuffer>;

  /** Starts empty. @param capacity expected size in bytes; the buffer grows when it is exceeded */
  constructor(capacity = 256) {
    this.#bytes = new Uint8Array(capacity);
    this.#view = this.#bytes;
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#length;
  }

  /** Appends 8 bits. */
  u8(value: number): void {
    const at = this.#grow(1); // first, because growing replaces the buffer
    this.#bytes[at] = value;
  }

  /** Appends 16 bits. */
  u16(value: number): void {
    this.#put16(this.#grow(2), value);
  }

  /** Appends 24 bits. */
  u24(value: number): void {
    this.#put24(this.#grow(3), value);
  }

  /** Appends 32 bits. */
  u32(value: number): void {
    this.#put32(this.#grow(4), value);
  }

  /** Appends 32 bits, little-endian. */
  u32le(value: number): void {
    const at = this.#grow(4);
    for (let i = 0; i < 4; i++) this.#bytes[at + i] = value >>> 8 * i;
  }

  /** Appends 16 bits of a signed value. */
  i16(value: number): void {
    this.#put16(this.#grow(2), value);
  }

  /** Appends an IEEE 754 double. */
  f64(value: number): void {
    const at = this.#grow(8);
    scratch.setFloat64(0, value);
    for (let i = 0; i < 8; i++) this.#bytes[at + i] = scratchBytes[i]!;
  }

  /** Appends a copy of `view`. */
  bytes(view: Uint8Array): void {
    const at = this.#grow(view.length);
    this.#bytes.set(view, at);
  }

  /** Appends text as UTF-8 and returns its length in bytes. */
  utf8(text: string): number {
    const encoded = encoder.encode(text);
    this.bytes(encoded);
    return encoded.length;
  }

  /** Overwrites 8 bits already written. */
  setU8(at: number, value: number): void {
    this.#check(at, 1);
    this.#bytes[at] = value;
  }

  /** Overwrites 16 bits already written. */
  setU16(at: number, value: number): void {
    this.#check(at, 2);
    this.#put16(at, value);
  }

  /** Overwrites 24 bits already written. */
  setU24(at: number, value: number): void {
    this.#check(at, 3);
    this.#put24(at, value);
  }

  /** Overwrites 32 bits already written. */
  setU32(at: number, value: number): void {
    this.#check(at, 4);
    this.#put32(at, value);
  }

  /** What was written, borrowed: valid until the next write or reset. */
  view(): Uint8Array<ArrayBuffer> {
    const view = this.#view;
    if (view.length === this.#length && view.buffer === this.#bytes.buffer) return view;
    return this.#view = this.#bytes.subarray(0, this.#length);
  }

  /** What was written as an own copy; the writer is empty afterwards. */
  take(): Uint8Array<ArrayBuffer> {
    const copy = this.#bytes.slice(0, this.#length);
    this.#length = 0;
    return copy;
  }

  /** Forgets what was written and keeps the buffer. */
  reset(): void {
    this.#length = 0;
  }

  #put16(at: number, value: number): void {
    this.#bytes[at] = value >>> 8;
    this.#bytes[at + 1] = value;
  }

  #put24(at: number, value: number): void {
    this.#bytes[at] = value >>> 16;
    this.#put16(at + 1, value);
  }

  #put32(at: number, value: number): void {
    this.#put16(at, value >>> 16);
    this.#put16(at + 2, value);
  }

  #check(at: number, count: number): void {
    if (!(at >= 0 && at + count <= this.#length)) {
      throw new RangeError(`${count} bytes at ${at} lie outside the ${this.#length} written`);
    }
  }

  #grow(count: number): number {
    const at = this.#length;
    const needed = at + count;
    if (needed > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(needed, 2 * this.#bytes.length));
      larger.set(this.#bytes.subarray(0, at));
      this.#bytes = larger;
    }
    this.#length = needed;
    return at;
  }
}

/** All parts in one new array. */
export function concatBytes(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  let length = 0;
  for (const part of parts) length += part.length;
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Lower-case hexadecimal digits, without spaces. */
export function toHex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += byte.toString(16).padStart(2, "0");
  return text;
}

/** Bytes from hexadecimal digits; white space is ignored, anything else is a {@link WireError}. */
export function fromHex(text: string): Uint8Array<ArrayBuffer> {
  const digits = text.replace(/\s+/g, "");
  if (digits.length % 2 !== 0 || /[^0-9a-fA-F]/.test(digits)) {
    throw new WireError("hexadecimal text", "an even number of digits 0-9 a-f is needed");
  }
  const bytes = new Uint8Array(digits.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = parseInt(digits.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}

/** Whether both hold the same bytes (not in constant time). */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Text as UTF-8. */
export function encodeUtf8(text: string): Uint8Array<ArrayBuffer> {
  return encoder.encode(text);
}

/** UTF-8 as text; never throws: broken sequences become U+FFFD, a byte order mark is kept. */
export function decodeUtf8(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}

/** Without any of `characters` at both ends. */
export function trimCharacters(text: string, characters: string): string {
  let start = 0;
  while (start < text.length && characters.includes(text[start]!)) start++;
  return trimEndCharacters(text.slice(start), characters);
}

/** Without any of `characters` at the end. */
export function trimEndCharacters(text: string, characters: string): string {
  let end = text.length;
  while (end > 0 && characters.includes(text[end - 1]!)) end--;
  return text.slice(0, end);
}
