// DTMF as RTP payload (RFC 4733 2.3), and redundant data (RFC 2198), which carries earlier payloads again: bytes <-> values.
// Role: wire

import { WireError } from "../base/errors.ts";

//   |     event     |E|R|  volume   |           duration            |

export interface TelephoneEvent {
  /** 0..15 are the DTMF 0-9 * # A-D. */
  readonly event: number;
  readonly end: boolean;
  /** Loudness as dBm0 without its sign, 0..63: 10 means -10 dBm0. */
  readonly volume: number;
  /** How long it has lasted so far, in timestamp units, 16 bits. */
  readonly duration: number;
}

/** Bytes of one report. */
const TELEPHONE_EVENT_LENGTH = 4;

/** Most reports read from one packet (RFC 4733 2.5.1.5 allows several). */
const MAX_EVENTS = 16;

const DIGITS = "0123456789*#ABCD";

/** The four bytes of a report. */
export function encodeTelephoneEvent(report: TelephoneEvent): Uint8Array {
  const { event, end, volume, duration } = report;
  return Uint8Array.of(event, (end ? 0x80 : 0) | volume & 0x3f, duration >>> 8, duration);
}

/** The first report of a payload. WireError below four bytes. */
export function decodeTelephoneEvent(payload: Uint8Array): TelephoneEvent {
  return decodeTelephoneEvents(payload)[0]!;
}

/**
 * All reports of a payload: usually one; further ones follow in time, each starting where the one before ended.
 * WireError when the payload is no whole number of reports.
 */
export function decodeTelephoneEvents(payload: Uint8Array): TelephoneEvent[] {
  const count = payload.length / TELEPHONE_EVENT_LENGTH;
  if (!Number.isInteger(count) || count < 1 || count > MAX_EVENTS) {
    throw new WireError("telephone-event", `${payload.length} bytes are no events of 4 bytes`);
  }
  const reports: TelephoneEvent[] = [];
  for (let at = 0; at < payload.length; at += TELEPHONE_EVENT_LENGTH) {
    reports.push({
      event: payload[at]!,
      end: payload[at + 1]! >= 0x80,
      volume: payload[at + 1]! & 0x3f,
      duration: payload[at + 2]! << 8 | payload[at + 3]!,
    });
  }
  return reports;
}

/** The event code of a key 0-9 * # A-D (either case); null for anything else. */
export function eventOfDigit(digit: string): number | null {
  const code = digit.length === 1 ? DIGITS.indexOf(digit.toUpperCase()) : -1;
  return code < 0 ? null : code;
}

/** The key of an event code 0..15; null for other events. */
export function digitOfEvent(event: number): string | null {
  return DIGITS[event] ?? null;
}

//   |1|   block PT  |  timestamp offset (14)    | block length (10) |   for each earlier block
//   |0|   block PT  |                                                  for the newest one, last

export interface RedundantBlock {
  /** Payload type of the block, 0..127. */
  readonly payloadType: number;
  /** How much earlier than the packet's timestamp, 0..16383; 0 for the newest. */
  readonly timestampOffset: number;
  /** The payload; borrowed after decoding. */
  readonly data: Uint8Array;
}

/** Most blocks of one packet, the newest included. */
const MAX_RED_BLOCKS = 16;
/** The largest offset the 14 bits hold. */
const MAX_RED_OFFSET = 16_383;
/** The longest earlier block the 10 bits hold. */
const MAX_RED_LENGTH = 1023;

/** The blocks of a packet, oldest first as sent; the newest is the last. WireError when they do not fit. */
export function decodeRedundancy(payload: Uint8Array): RedundantBlock[] {
  const headers: { payloadType: number; timestampOffset: number; length: number }[] = [];
  let at = 0;
  while (at < payload.length && payload[at]! >= 0x80) {
    if (headers.length === MAX_RED_BLOCKS - 1) throw broken(`more than ${MAX_RED_BLOCKS} blocks`);
    if (payload.length - at < 4) throw broken("a cut block header");
    const fields = payload[at + 1]! << 16 | payload[at + 2]! << 8 | payload[at + 3]!;
    headers.push({
      payloadType: payload[at]! & 0x7f,
      timestampOffset: fields >>> 10,
      length: fields & 0x3ff,
    });
    at += 4;
  }
  if (at >= payload.length) throw broken("no newest block");
  const newest = payload[at++]!;
  const blocks: RedundantBlock[] = [];
  for (const { payloadType, timestampOffset, length } of headers) {
    if (length > payload.length - at) throw broken("a block longer than the packet");
    blocks.push({ payloadType, timestampOffset, data: payload.subarray(at, at + length) });
    at += length;
  }
  blocks.push({ payloadType: newest, timestampOffset: 0, data: payload.subarray(at) });
  return blocks;
}

function broken(message: string): WireError {
  return new WireError("RTP redundancy", message);
}

/**
 * Writes a packet: earlier blocks first, the newest (offset 0) last. Earlier blocks that are too old, too long
 * or too many for the format are left out, oldest first.
 */
export function encodeRedundancy(
  earlier: readonly RedundantBlock[],
  newest: Omit<RedundantBlock, "timestampOffset">,
): Uint8Array {
  const fitting = earlier.filter((block) =>
    block.timestampOffset >= 0 && block.timestampOffset <= MAX_RED_OFFSET &&
    block.data.length <= MAX_RED_LENGTH
  ).slice(-(MAX_RED_BLOCKS - 1));
  const dataLength = fitting.reduce((sum, block) => sum + block.data.length, newest.data.length);
  const bytes = new Uint8Array(4 * fitting.length + 1 + dataLength);
  let header = 0;
  let data = 4 * fitting.length + 1;
  for (const block of fitting) {
    const fields = block.timestampOffset << 10 | block.data.length;
    bytes[header++] = 0x80 | block.payloadType;
    bytes[header++] = fields >>> 16;
    bytes[header++] = fields >>> 8;
    bytes[header++] = fields;
    bytes.set(block.data, data);
    data += block.data.length;
  }
  bytes[header] = newest.payloadType & 0x7f;
  bytes.set(newest.data, data);
  return bytes;
}
