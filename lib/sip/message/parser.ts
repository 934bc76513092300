// Messages out of datagrams (RFC 3261 7, 18.3) and out of streams.
// Role: wire

import { decodeUtf8 } from "../../base/bytes.ts";
import { nullIfMalformed } from "../../base/errors.ts";
import { parseDecimal, trimBlanks } from "./grammar.ts";
import { headerKey } from "./header.ts";
import {
  contentLengthOf,
  headLines,
  type MessageHead,
  parseMessageHead,
  SipParseError,
} from "./message_head.ts";
import { type SipMessage, tagOf } from "./message.ts";
import { parseSipUri, type SipUri } from "./uri.ts";

export { type ParseStatus, SipParseError } from "./message_head.ts";

interface DecodedMessage {
  /** The message; its body is an own copy. */
  readonly message: SipMessage;
  /** What was forgiven, one plain line each. */
  readonly warnings: string[];
}

/** Decodes the one message of a datagram. SipParseError when it is malformed. */
export function decodeSipDatagram(bytes: Uint8Array): DecodedMessage {
  const start = skipFiller(bytes);
  const end = findHeadEnd(bytes, start);
  const text = decodeUtf8(bytes.subarray(start, end === null ? undefined : end.head));
  const head = parseMessageHead(end === null && text.endsWith("\n") ? text.slice(0, -1) : text);
  if (head.type === "malformed") throw head.error;
  const { message } = head;
  if (end === null) {
    const fault = "No empty line after the headers";
    if (message.kind === "response") throw new SipParseError(400, fault, null, message);
    throw new SipParseError(400, fault, message.method === "ACK" ? null : message);
  }
  const warnings: string[] = [];
  const available = bytes.length - end.body;
  const length = head.contentLength ?? available;
  if (length !== available) warnings.push(`Content-Length is ${length} but the body has ${available} bytes`);
  message.body = bytes.slice(end.body, end.body + Math.min(length, available));
  return { message, warnings };
}

function skipFiller(bytes: Uint8Array): number {
  let at = 0;
  while (at < bytes.length && isFiller(bytes[at]!)) at++;
  return at;
}

/** Longest head (start line and headers) accepted, in bytes. */
export const MAX_HEAD_BYTES = 64 * 1024;
/** Longest body accepted, in bytes. */
export const MAX_BODY_BYTES = 256 * 1024;

const LF = 10;
const FIRST_CAPACITY = 4096;
/** A buffer above this is given back once it is empty. */
const KEPT_CAPACITY = 64 * 1024;

/**
 * Cuts one stream into messages. After it has thrown, the stream has lost its framing and must be closed.
 *
 *   [CRLF...] start line CRLF headers CRLF CRLF body, cut where Content-Length or the datagram ends first
 *
 * A Content-Length that does not fit its datagram is a warning, not an error: Asterisk 1.6 and others send such.
 */
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
    if (first !== undefined && !canBegin(first)) throw new SipParseError(400, notSipText(first), null);
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
function notSipText(byte: number): string {
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

const CR = 13;

/** Where a head ends and its body begins. */
interface HeadEnd {
  /** Just after the last header's text. */
  readonly head: number;
  /** Just after the empty line. */
  readonly body: number;
}

/** Finds the first empty line at or after `from`; CRLF and bare LF both end lines. Null when there is none yet. */
export function findHeadEnd(bytes: Uint8Array, from: number): HeadEnd | null {
  for (let at = bytes.indexOf(LF, from); at >= 0; at = bytes.indexOf(LF, at + 1)) {
    const next = bytes[at + 1] === CR ? at + 2 : at + 1;
    if (bytes[next] !== LF) continue;
    return { head: bytes[at - 1] === CR ? at - 1 : at, body: next + 1 };
  }
  return null;
}

/** Whether a byte may stand between messages without meaning: CR, LF, NUL. */
export function isFiller(byte: number): boolean {
  return byte === CR || byte === LF || byte === 0;
}

/** Whether a datagram only keeps a NAT binding open: line ends, NULs, blanks, up to four odd bytes, or STUN. */
export function isKeepAlive(bytes: Uint8Array): boolean {
  if (bytes.length <= 4) return true;
  // STUN starts with two zero bits; its requests and answers with 0 or 1. No SIP method does.
  if (bytes[0]! <= 1) return true;
  return bytes.every((byte) => isFiller(byte) || byte === 9 || byte === 32);
}

/** What can be seen without parsing. "rubbish": the parser would refuse it. */
export type PeekedMessage =
  | { readonly type: "rubbish" }
  | { readonly type: "response" }
  | { readonly type: "request"; readonly method: string; readonly uri: SipUri; readonly inDialog: boolean };

const RUBBISH: PeekedMessage = { type: "rubbish" };
const RESPONSE: PeekedMessage = { type: "response" };

const WANTED: readonly string[] = ["via", "from", "to", "call-id", "cseq"];
/** Most header lines looked at: the parser takes no more either. */
const MAX_LINES = 256;

/** Looks at the bytes of a datagram that is no keep-alive. Never throws. */
export function peekMessage(bytes: Uint8Array): PeekedMessage {
  let start = 0;
  while (start < bytes.length && isFiller(bytes[start]!)) start++;
  const end = findHeadEnd(bytes, start);
  if (end === null) return RUBBISH;
  const [first, ...lines] = headLines(decodeUtf8(bytes.subarray(start, end.head)));
  const seen = new Map<string, string>();
  for (const line of lines.slice(0, MAX_LINES)) {
    const colon = line.indexOf(":");
    if (colon > 0) seen.set(headerKey(trimBlanks(line.slice(0, colon))), line.slice(colon + 1));
  }
  if (!WANTED.every((name) => seen.has(name))) return RUBBISH;
  return firstLine(first!, () => tagOf(seen.get("to") ?? null) !== null);
}

function firstLine(line: string, inDialog: () => boolean): PeekedMessage {
  const [first = "", uriText = "", version = ""] = line.split(" ", 4);
  if (first.toUpperCase() === "SIP/2.0") return parseDecimal(uriText, 699) === null ? RUBBISH : RESPONSE;
  if (version.toUpperCase() !== "SIP/2.0") return RUBBISH;
  const uri = uriOf(uriText);
  return uri === null ? RUBBISH : { type: "request", method: first, uri, inDialog: inDialog() };
}

function uriOf(text: string): SipUri | null {
  return nullIfMalformed(() => parseSipUri(text));
}
