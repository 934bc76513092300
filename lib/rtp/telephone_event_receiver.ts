// DTMF received as telephone events (RFC 4733 2.5.2), plain or redundant (RFC 2198): each key is reported once.
// Role: machine

import type { Clock } from "../base/clock.ts";
import {
  decodeRedundancy,
  decodeTelephoneEvents,
  digitOfEvent,
  type TelephoneEvent,
} from "./telephone_event.ts";

/** A key without packets for so long has ended; updates come every 50 ms or faster (RFC 4733 2.5.2.2). */
export const DIGIT_SILENCE_MS = 200;

/** How many reported timestamps are remembered against late packets. */
const REMEMBERED = 32;

export interface EventClocks {
  /** Of the durations, in Hz: the format's clock rate. */
  readonly eventClockRate: number;
  /** Of the timestamps, in Hz; the same as the event's unless given. */
  readonly audioClockRate?: number;
}

/** What a receiver needs. The clocks are those of events of which nothing else is said. */
interface TelephoneEventReceiverOptions extends EventClocks {
  readonly clock: Clock;
  /** Told each key 0-9 * # A-D once, in the order they were pressed. */
  readonly onDigit: (digit: string, durationMs: number) => void;
}

interface Key {
  readonly digit: string;
  readonly event: number;
  readonly clocks: EventClocks;
  timestamp: number;
  /** Longest duration heard of the current segment, in event units. */
  duration: number;
  /** Event units of the segments before. */
  durationBefore: number;
  lastHeardMs: number;
}

/**
 * Reports each key of one stream at its end, when its packets stop coming, or when the next key begins. A key is known by its
 * timestamp, so lost, repeated and reordered packets change nothing. Also understood: long keys sent in segments, and senders
 * that wrongly move the timestamp with every update of one key.
 *
 *     no key -> sounding -> reported
 */
export class TelephoneEventReceiver implements Disposable {
  /** Reports about events that are no DTMF. */
  ignored = 0;
  readonly #options: TelephoneEventReceiverOptions;
  readonly #reported: number[] = [];
  #key: Key | null = null;
  #lastKey: Key | null = null;
  #timer: Disposable | null = null;

  constructor(options: TelephoneEventReceiverOptions) {
    this.#options = options;
  }

  /**
   * Takes the payload of one telephone-event packet, with the unwrapped timestamp RtpSession gives.
   * WireError when it is no telephone event; nothing is changed then.
   */
  push(payload: Uint8Array, timestamp: number, marker: boolean, clocks: EventClocks = this.#options): void {
    let at = timestamp;
    for (const report of decodeTelephoneEvents(payload)) {
      this.#take(report, at, marker && at === timestamp, clocks);
      at += lengthOf(report.duration, clocks);
    }
  }

  /**
   * Takes the payload of one redundant packet; blocks whose payload type is not in `events` are passed over.
   * WireError when it cannot be read.
   */
  pushRedundant(
    payload: Uint8Array,
    timestamp: number,
    marker: boolean,
    events: ReadonlyMap<number, EventClocks>,
  ): void {
    for (const block of decodeRedundancy(payload)) {
      const clocks = events.get(block.payloadType);
      if (clocks === undefined || block.data.length === 0) continue;
      this.push(block.data, timestamp - block.timestampOffset, marker && block.timestampOffset === 0, clocks);
    }
  }

  /** Reports a key that still sounds, and stops. */
  [Symbol.dispose](): void {
    this.#finish();
  }

  #take(report: TelephoneEvent, timestamp: number, marker: boolean, clocks: EventClocks): void {
    const digit = digitOfEvent(report.event);
    if (digit === null) return void this.ignored++;
    if (this.#reported.includes(timestamp)) return;
    const key = this.#key;
    if (key !== null && this.#continues(key, report, timestamp, marker)) {
      return this.#extend(key, report, timestamp);
    }
    if (this.#lastKey !== null && this.#continues(this.#lastKey, report, timestamp, marker)) {
      return this.#remember(timestamp);
    }
    if (key !== null && timestamp < key.timestamp) {
      return this.#takeMissed(digit, report, timestamp, clocks);
    }
    this.#finish();
    this.#begin({
      digit,
      event: report.event,
      clocks,
      timestamp,
      duration: report.duration,
      durationBefore: 0,
      lastHeardMs: this.#options.clock.now(),
    });
    if (report.end) this.#finish();
  }

  /**
   * Whether a report belongs to a key: same timestamp; or no new start and a timestamp within what was heard of
   * the key, which a further key cannot have.
   */
  #continues(key: Key, report: TelephoneEvent, timestamp: number, marker: boolean): boolean {
    if (key.event !== report.event) return false;
    if (timestamp === key.timestamp) return true;
    const heardUntil = key.timestamp + lengthOf(key.duration, key.clocks);
    return !marker && timestamp > key.timestamp && timestamp <= heardUntil;
  }

  #extend(key: Key, report: TelephoneEvent, timestamp: number): void {
    if (timestamp !== key.timestamp) this.#nextSegment(key, timestamp);
    key.duration = Math.max(key.duration, report.duration);
    key.lastHeardMs = this.#options.clock.now();
    if (report.end) this.#finish();
  }

  /** A full segment is followed by one that starts at its end; any other step is a wrongly moving timestamp. */
  #nextSegment(key: Key, timestamp: number): void {
    this.#remember(key.timestamp);
    if (key.duration === 0xffff) {
      key.durationBefore += key.duration;
      key.duration = 0;
    }
    key.timestamp = timestamp;
  }

  /** The end of a key that was passed over altogether while the next one already sounds. */
  #takeMissed(digit: string, report: TelephoneEvent, timestamp: number, clocks: EventClocks): void {
    if (!report.end) return;
    this.#remember(timestamp);
    this.#report(digit, report.duration, clocks);
  }

  #begin(key: Key): void {
    this.#key = key;
    this.#watch(key, DIGIT_SILENCE_MS);
  }

  /** One timer for each key, not for each packet. */
  #watch(key: Key, ms: number): void {
    const { clock } = this.#options;
    this.#timer = clock.after(ms, () => {
      const leftMs = key.lastHeardMs + DIGIT_SILENCE_MS - clock.now();
      if (leftMs > 0) this.#watch(key, leftMs);
      else this.#finish();
    });
  }

  #finish(): void {
    const key = this.#key;
    if (key === null) return;
    this.#key = null;
    this.#lastKey = key;
    this.#timer?.[Symbol.dispose]();
    this.#timer = null;
    this.#remember(key.timestamp);
    this.#report(key.digit, key.durationBefore + key.duration, key.clocks);
  }

  #report(digit: string, units: number, { eventClockRate }: EventClocks): void {
    this.#options.onDigit(digit, Math.round(units * 1000 / eventClockRate));
  }

  #remember(timestamp: number): void {
    this.#reported.push(timestamp);
    if (this.#reported.length > REMEMBERED) this.#reported.shift();
  }
}

function lengthOf(
  duration: number,
  { eventClockRate, audioClockRate = eventClockRate }: EventClocks,
): number {
  return Math.round(duration * audioClockRate / eventClockRate);
}
