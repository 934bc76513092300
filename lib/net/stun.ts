// STUN binding requests and their answers: what address and port others see us at (RFC 8489 5, 14).
// Role: wire

import { ByteReader, ByteWriter, decodeUtf8, encodeUtf8, fromHex, toHex } from "../base/bytes.ts";
import type { Clock } from "../base/clock.ts";
import { WireError } from "../base/errors.ts";
import { decodeIp, type Endpoint, formatIp } from "./endpoint.ts";

/** The port of STUN servers (RFC 8489 18.6). */
export const STUN_PORT = 3478;
/** Bytes of a transaction id. */
export const STUN_ID_BYTES = 12;

/** A binding message. `id` is the transaction id in hexadecimal: 24 digits. */
export type StunMessage =
  | {
    readonly type: "request";
    readonly id: string;
    /** Attributes that must be understood and are not (RFC 8489 6.3.1): the answer is 420. */
    readonly unknown: readonly number[];
  }
  | { readonly type: "indication"; readonly id: string }
  | {
    readonly type: "success";
    readonly id: string;
    /** Where the server saw the request come from. */
    readonly mapped: Endpoint;
  }
  | {
    readonly type: "error";
    readonly id: string;
    /** 300 to 699. */
    readonly code: number;
    readonly reason: string;
    /** With 420: what the server did not understand. */
    readonly unknown: readonly number[];
  };

const STUN = "STUN";
const HEADER_BYTES = 20;
const COOKIE = 0x2112a442;
/** A datagram of STUN that is longer is nobody's binding answer. */
const MAX_MESSAGE_BYTES = 2048;
/** Characters of a reason phrase that are kept (RFC 8489 14.8 allows fewer than 128). */
const MAX_REASON = 127;

const TYPES = { request: 0x0001, indication: 0x0011, success: 0x0101, error: 0x0111 } as const;

const MAPPED_ADDRESS = 0x0001;
const MESSAGE_INTEGRITY = 0x0008;
const ERROR_CODE = 0x0009;
const UNKNOWN_ATTRIBUTES = 0x000a;
const XOR_MAPPED_ADDRESS = 0x0020;
/** The lower half of the types must be understood (RFC 8489 14). */
const FIRST_OPTIONAL = 0x8000;
/** SOURCE-ADDRESS, CHANGED-ADDRESS, REFLECTED-FROM of RFC 3489 say nothing we need; nor does a signature. */
const HARMLESS: ReadonlySet<number> = new Set([0x0004, 0x0005, 0x000b, MESSAGE_INTEGRITY, 0x001c]);

const FAMILY_IPV4 = 1;
const FAMILY_IPV6 = 2;

/** Whether these bytes are a STUN message as far as their header tells; nothing of SIP or RTP looks like it. */
export function isStun(bytes: Uint8Array): boolean {
  if (bytes.length < HEADER_BYTES || bytes.length > MAX_MESSAGE_BYTES || bytes[0]! >= 0x40) return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const length = view.getUint16(2);
  return view.getUint32(4) === COOKIE && length % 4 === 0 && length + HEADER_BYTES === bytes.length;
}

/** Encodes a message; `mapped` must be an IP address. */
export function encodeStun(message: StunMessage): Uint8Array {
  const writer = new ByteWriter(64);
  writer.u16(TYPES[message.type]);
  writer.u16(0);
  writer.u32(COOKIE);
  writer.bytes(fromHex(message.id));
  if (message.type === "success") {
    putAttribute(writer, XOR_MAPPED_ADDRESS, encodeAddress(message.mapped, message.id));
  }
  if (message.type === "error") {
    putAttribute(writer, ERROR_CODE, encodeError(message.code, message.reason));
    if (message.unknown.length > 0) putAttribute(writer, UNKNOWN_ATTRIBUTES, encodeTypes(message.unknown));
  }
  // A request with attributes of no known meaning is only ever made by tests.
  if (message.type === "request") {
    for (const type of message.unknown) putAttribute(writer, type, new Uint8Array(0));
  }
  writer.setU16(2, writer.length - HEADER_BYTES);
  return writer.take();
}

/** Decodes a binding message. WireError when it is malformed, of another method, or an answer without use. */
export function decodeStun(bytes: Uint8Array): StunMessage {
  if (!isStun(bytes)) throw new WireError(STUN, "not a STUN message");
  const reader = new ByteReader(bytes, STUN);
  const type = reader.u16();
  reader.skip(6);
  const id = toHex(reader.bytes(STUN_ID_BYTES));
  const found = readAttributes(reader, id);
  switch (type) {
    case TYPES.request:
      return { type: "request", id, unknown: found.unknown };
    case TYPES.indication:
      return { type: "indication", id };
    case TYPES.success:
      return { type: "success", id, mapped: usableAddress(found) };
    case TYPES.error:
      if (found.error === null) throw new WireError(STUN, "an error without its code");
      return { type: "error", id, ...found.error, unknown: found.notUnderstood };
    default:
      throw new WireError(STUN, `message type 0x${type.toString(16).padStart(4, "0")} is no binding`);
  }
}

/** The answer a server owes to a message from `from`: only requests have one. */
export function answerStun(message: StunMessage, from: Endpoint): StunMessage | null {
  if (message.type !== "request") return null;
  const { id, unknown } = message;
  if (unknown.length > 0) return { type: "error", id, code: 420, reason: "Unknown Attribute", unknown };
  return { type: "success", id, mapped: from };
}

interface Attributes {
  mapped: Endpoint | null;
  xorMapped: Endpoint | null;
  error: { readonly code: number; readonly reason: string } | null;
  notUnderstood: readonly number[];
  readonly unknown: number[];
}

/** Of repeated attributes the first counts (RFC 8489 14). */
function readAttributes(reader: ByteReader, id: string): Attributes {
  const found: Attributes = {
    mapped: null,
    xorMapped: null,
    error: null,
    notUnderstood: [],
    unknown: [],
  };
  while (reader.remaining > 0) {
    const type = reader.u16();
    const length = reader.u16();
    const value = reader.bytes(length);
    reader.skip(padding(length));
    if (type === XOR_MAPPED_ADDRESS) found.xorMapped ??= decodeAddress(value, id);
    else if (type === MAPPED_ADDRESS) found.mapped ??= decodeAddress(value, null);
    else if (type === ERROR_CODE) found.error ??= decodeError(value);
    else if (type === UNKNOWN_ATTRIBUTES) found.notUnderstood = decodeTypes(value);
    else if (type < FIRST_OPTIONAL && !HARMLESS.has(type)) found.unknown.push(type);
  }
  return found;
}

function usableAddress(found: Attributes): Endpoint {
  const [unknown] = found.unknown;
  if (unknown !== undefined) {
    throw new WireError(STUN, `an answer with the unknown attribute 0x${unknown.toString(16)}`);
  }
  const mapped = found.xorMapped ?? found.mapped;
  if (mapped === null) throw new WireError(STUN, "a success without an address");
  return mapped;
}

function padding(length: number): number {
  return -length & 3;
}

function putAttribute(writer: ByteWriter, type: number, value: Uint8Array): void {
  writer.u16(type);
  writer.u16(value.length);
  writer.bytes(value);
  for (let i = padding(value.length); i > 0; i--) writer.u8(0);
}

/** The cookie and the id hide the address from NATs that rewrite what looks like one (RFC 8489 14.2). */
function mask(id: string): Uint8Array {
  return fromHex(COOKIE.toString(16) + id);
}

function encodeAddress(endpoint: Endpoint, id: string): Uint8Array {
  const address = decodeIp(endpoint.hostname);
  if (address === null) throw new WireError(STUN, `${endpoint.hostname} is not an IP address`);
  const hidden = mask(id);
  const writer = new ByteWriter(HEADER_BYTES);
  writer.u16(address.length === 4 ? FAMILY_IPV4 : FAMILY_IPV6);
  writer.u16(endpoint.port ^ COOKIE >>> 16);
  for (const [i, byte] of address.entries()) writer.u8(byte ^ hidden[i]!);
  return writer.take();
}

/** @param id of an XOR-MAPPED-ADDRESS; null: the address is written plainly */
function decodeAddress(value: Uint8Array, id: string | null): Endpoint {
  const reader = new ByteReader(value, STUN);
  reader.skip(1);
  const family = reader.u8();
  const port = reader.u16() ^ (id === null ? 0 : COOKIE >>> 16);
  if (family !== FAMILY_IPV4 && family !== FAMILY_IPV6) {
    throw new WireError(STUN, `an address of the unknown family ${family}`);
  }
  const address = reader.bytes(family === FAMILY_IPV4 ? 4 : 16).slice();
  if (reader.remaining > 0) throw new WireError(STUN, "an address that is too long");
  const hidden = id === null ? null : mask(id);
  if (hidden !== null) { for (let i = 0; i < address.length; i++) address[i]! ^= hidden[i]!; }
  return { hostname: formatIp(address), port };
}

function encodeError(code: number, reason: string): Uint8Array {
  const writer = new ByteWriter(64);
  writer.u16(0);
  writer.u8(Math.floor(code / 100));
  writer.u8(code % 100);
  writer.bytes(encodeUtf8(clipReason(reason)));
  return writer.take();
}

function decodeError(value: Uint8Array): { code: number; reason: string } {
  const reader = new ByteReader(value, STUN);
  reader.skip(2);
  const code = (reader.u8() & 7) * 100 + reader.u8();
  if (code < 300 || code > 699) throw new WireError(STUN, `error ${code} is out of range`);
  return { code, reason: clipReason(decodeUtf8(reader.rest())) };
}

function clipReason(reason: string): string {
  return [...reason].slice(0, MAX_REASON).join("");
}

function encodeTypes(types: readonly number[]): Uint8Array {
  const writer = new ByteWriter(16);
  for (const type of types) writer.u16(type);
  return writer.take();
}

function decodeTypes(value: Uint8Array): number[] {
  const reader = new ByteReader(value, STUN);
  const types: number[] = [];
  while (reader.remaining > 1) types.push(reader.u16());
  return types;
}

export type StunOutcome =
  | {
    /** The server told where it sees us. */
    readonly type: "mapped";
    readonly mapped: Endpoint;
  }
  | { readonly type: "refused"; readonly code: number; readonly reason: string }
  | { readonly type: "silent" };

interface StunQueryOptions {
  readonly clock: Clock;
  /** Transaction id, 24 random hexadecimal digits. */
  readonly id: string;
  /** Sends one request; the bytes may be kept. */
  readonly send: (bytes: Uint8Array) => void;
  /** Told the end, once, never from inside start(). */
  readonly onOutcome: (outcome: StunOutcome) => void;
  /** Requests sent at most; 7 when left out. */
  readonly requests?: number;
}

const RTO_MS = 500;
const REQUESTS = 7;
const LAST_WAIT_MS = 16 * RTO_MS;

/**
 *   0             2             4                           8
 *   | 00 type     | length      | magic cookie 21 12 a4 42   |
 *   | transaction id, 12 bytes                                           |
 *   ( | attribute type | length | value, padded to 4 bytes | )*
 *
 *   types: 0001 request   0011 indication   0101 success   0111 error
 *
 * No authentication, no other method. Old servers (RFC 3489) that send MAPPED-ADDRESS only are understood.
 */
export class StunQuery implements Disposable {
  readonly #options: StunQueryOptions;
  readonly #request: Uint8Array;
  #left: number;
  #waitMs = RTO_MS;
  #timer: Disposable | null = null;
  #over = false;

  /** Sends nothing yet. */
  constructor(options: StunQueryOptions) {
    this.#options = options;
    this.#left = options.requests ?? REQUESTS;
    this.#request = encodeStun({ type: "request", id: options.id, unknown: [] });
  }

  /** Sends the first request. */
  start(): void {
    this.#left -= 1;
    this.#options.send(this.#request);
    const last = this.#left <= 0;
    this.#timer = this.#options.clock.after(
      last ? LAST_WAIT_MS : this.#waitMs,
      () => last ? this.#end({ type: "silent" }) : this.start(),
    );
    this.#waitMs *= 2;
  }

  /** Takes a message; false when it is not the answer to this question. */
  receive(message: StunMessage): boolean {
    if (this.#over || message.id !== this.#options.id) return false;
    if (message.type === "success") this.#end({ type: "mapped", mapped: message.mapped });
    else if (message.type === "error") {
      this.#end({ type: "refused", code: message.code, reason: message.reason });
    } else return false;
    return true;
  }

  /** Gives up silently. */
  [Symbol.dispose](): void {
    this.#over = true;
    this.#timer?.[Symbol.dispose]();
  }

  #end(outcome: StunOutcome): void {
    this[Symbol.dispose]();
    this.#options.onOutcome(outcome);
  }
}
