// Messages out of a TCP byte stream (RFC 3261 18.3), however it is cut, and the keep-alives between them
// (RFC 5626 4.4.1: CRLFCRLF asks, CRLF answers).
//
//   ( *CRLF message )* with message = head CRLF CRLF + Content-Length bytes
//
// Role: wire

import { decodeUtf8 } from "../../base/bytes.ts";
import { findHeadEnd, isFiller } from "./framing.ts";
import type { SipMessage } from "./message.ts";
import { type MessageHead, parseMessageHead } from "./message_head.ts";
import { contentLengthOf } from "./message_rules.ts";
import { SipParseError } from "./parse_error.ts";

/** Longest head (start line and headers) accepted, in bytes. */
export const MAX_HEAD_BYTES = 64 * 1024;
/** Longest body accepted, in bytes. */
export const MAX_BODY_BYTES = 256 * 1024;

const LF = 10;
const FIRST_CAPACITY = 4096;
/** A buffer above this is given back once it is empty. */
const KEPT_CAPACITY = 64 * 1024;

/** Cuts one stream into messages. After it has thrown, the stream has lost its framing and must be closed. */
export class SipStreamParser {
  #buffer = new Uint8Array(FIRST_CAPACITY);
  #start = 0;
  #end = 0;
  /** How far the search for the empty line has come. */
  #searched = 0;
  #head: MessageHead | null = null;
  #lineEnds = 0;

  /** Bytes of a message that has begun and not ended. */
  get pendingBytes(): number {
    return this.#end - this.#start + (this.#head === null ? 0 : 1);
  }

  /**
   * Takes bytes and reports whatever they complete, in order, before it returns.
   * SipParseError when the framing is lost: no usable Content-Length, or limits exceeded.
   * @param onKeepAlive called for each CRLFCRLF between messages, which wants a CRLF back
   * @param onMalformed called for a bad message whose length is known; the stream goes on
   */
  push(
    bytes: Uint8Array,
    onMessage: (message: SipMessage, warnings: string[]) => void,
    onKeepAlive: () => void = ignore,
    onMalformed: (error: SipParseError) => void = ignore,
  ): void {
    this.#append(bytes);
    for (;;) {
      if (this.#head === null) {
        this.#skipBetweenMessages(onKeepAlive);
        this.#head = this.#takeHead();
        if (this.#head === null) return;
      }
      const head = this.#head;
      const length = head.contentLength ?? 0;
      if (this.#end - this.#start < length) return;
      const body = this.#buffer.slice(this.#start, this.#start + length);
      this.#consume(length);
      this.#head = null;
      if (head.type === "malformed") onMalformed(head.error);
      else onMessage(Object.assign(head.message, { body }), warningsFor(head));
    }
  }

  #append(bytes: Uint8Array): void {
    if (this.#end + bytes.length > this.#buffer.length) this.#makeRoom(bytes.length);
    this.#buffer.set(bytes, this.#end);
    this.#end += bytes.length;
  }

  #makeRoom(more: number): void {
    const used = this.#end - this.#start;
    // A read is bounded by its caller; what stays unparsed is bounded by the two limits.
    const wanted = Math.max(FIRST_CAPACITY, 2 * (used + more));
    const target = wanted > this.#buffer.length ? new Uint8Array(wanted) : this.#buffer;
    target.set(this.#buffer.subarray(this.#start, this.#end));
    this.#buffer = target;
    this.#searched -= this.#start;
    this.#start = 0;
    this.#end = used;
  }

  #consume(count: number): void {
    this.#start += count;
    if (this.#start === this.#end) this.#start = this.#end = 0;
    if (this.#end === 0 && this.#buffer.length > KEPT_CAPACITY) this.#buffer = new Uint8Array(FIRST_CAPACITY);
    this.#searched = this.#start;
  }

  #skipBetweenMessages(onKeepAlive: () => void): void {
    let at = this.#start;
    for (; at < this.#end; at++) {
      const byte = this.#buffer[at]!;
      if (byte === LF) {
        this.#lineEnds++;
        if (this.#lineEnds % 2 === 0) onKeepAlive();
      } else if (!isFiller(byte)) {
        this.#lineEnds = 0;
        break;
      }
    }
    if (at > this.#start) this.#consume(at - this.#start);
  }

  #takeHead(): MessageHead | null {
    const bytes = this.#buffer.subarray(0, this.#end);
    const first = bytes[this.#start];
    if (first !== undefined && !canBegin(first)) throw new SipParseError(400, strangerText(first), null);
    const end = findHeadEnd(bytes, this.#searched);
    if ((end?.head ?? this.#end) - this.#start > MAX_HEAD_BYTES) {
      throw new SipParseError(513, "Message Too Large", null);
    }
    if (end === null) {
      this.#searched = Math.max(this.#start, this.#end - 2);
      return null;
    }
    const head = parseMessageHead(decodeUtf8(bytes.subarray(this.#start, end.head)));
    if (head.type === "malformed" && head.contentLength === null) throw head.error;
    if (head.type === "message" && contentLengthOf(head.message.headers) === "bad") throw lostFraming();
    if (head.contentLength !== null && head.contentLength > MAX_BODY_BYTES) throw tooLarge(head);
    this.#consume(end.body - this.#start);
    return head;
  }
}

function ignore(): void {}

/** A message begins with a visible character; whoever sends another will never send its empty line. */
function canBegin(byte: number): boolean {
  return byte > 0x20 && byte < 0x7f;
}

/** Programs are most often wrong about the port: the first octet tells RTMP (its version) and TLS (its record type). */
function strangerText(byte: number): string {
  if (byte === 3) return "this is RTMP, which has a port of its own";
  if (byte === 0x16) return "this is TLS, which this port does not speak";
  return `no SIP begins with octet 0x${byte.toString(16).padStart(2, "0")}`;
}

function warningsFor(head: MessageHead): string[] {
  return head.contentLength === null ? ["Content-Length is missing on a stream, taken as 0"] : [];
}

/** What a datagram may do without, a stream may not: nobody knows where the next message begins. */
function lostFraming(): SipParseError {
  return new SipParseError(400, "Bad Content-Length header", null);
}

function tooLarge(head: MessageHead): SipParseError {
  const request = head.type === "message" && head.message.kind === "request" && head.message.method !== "ACK";
  return new SipParseError(513, "Message Too Large", request ? head.message : null);
}
