// Touch tones as RTP payload: bytes <-> values (RFC 4733 2.3).
//
//   |     event     |E|R|  volume   |           duration            |
//
// Role: wire

import { WireError } from "../base/errors.ts";

/** One report about an event. */
export interface TelephoneEvent {
  /** 0..15 are the touch tones 0-9 * # A-D. */
  readonly event: number;
  /** Whether the event has ended. */
  readonly end: boolean;
  /** Loudness as dBm0 without its sign, 0..63: 10 means -10 dBm0. */
  readonly volume: number;
  /** How long it has lasted so far, in timestamp units, 16 bits. */
  readonly duration: number;
}

/** Bytes of one report. */
export const TELEPHONE_EVENT_LENGTH = 4;

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
