// DTMF sent as telephone events (RFC 4733 2.5.1): for each key updates every 20 ms, the end three times, a pause, the next key.
// Role: machine

import type { Clock } from "../base/clock.ts";
import { PacedKeys, type QueuedKey } from "../base/pacer.ts";
import {
  encodeRedundancy,
  encodeTelephoneEvent,
  eventOfDigit,
  type RedundantBlock,
} from "./telephone_event.ts";

const UPDATE_MS = 20;
const PAUSE_MS = 80;
const END_PACKETS = 3;
const MAX_DURATION = 0xffff;
const VOLUME = 10;
const REPEATED_KEYS = 2;

export interface TelephoneEventSenderOptions {
  readonly clock: Clock;
  /** Clock of the stream's RTP timestamps (the audio codec's), in Hz. */
  readonly audioClockRate: number;
  readonly eventClockRate: number;
  readonly payloadType: number;
  /** Payload type of red when it was agreed, else null. */
  readonly redundancyPayloadType: number | null;
  /** The stream's timestamp at a moment of `clock`, as RtpSession.send() takes it. */
  readonly timestampAt: (nowMs: number) => number;
  /** Where packets go: RtpSession.send(). The payload is the sender's own. */
  readonly send: (payload: Uint8Array, timestamp: number, marker: boolean, payloadType: number) => void;
}

interface Tone extends QueuedKey {
  readonly event: number;
  timestamp: number;
  /** Event clock units of the segments before. */
  unitsBefore: number;
  updates: number;
  ends: number;
}

/**
 * Sends the keys of one call, one after the other. The first update has the marker; keys longer than 16 bits of duration are
 * split into segments; with RFC 2198 agreed, each packet repeats the last two keys.
 *
 *     idle -> sounding -> ending (3 packets) -> pausing -> sounding | idle
 */
export class TelephoneEventSender extends PacedKeys {
  readonly #options: TelephoneEventSenderOptions;
  /** Ends of the last keys, for redundancy; oldest first. */
  readonly #past: { timestamp: number; data: Uint8Array }[] = [];
  #tone: Tone | null = null;
  #freeTimestamp = -Infinity;

  constructor(options: TelephoneEventSenderOptions) {
    super(options.clock);
    this.#options = options;
  }

  /** True while a key sounds or its end is repeated: audio should not be sent now (RFC 4733 2.5.1.1). */
  get active(): boolean {
    return this.#tone !== null;
  }

  /** Stops at once and for good; what waits is forgotten. */
  override [Symbol.dispose](): void {
    super[Symbol.dispose]();
    this.#tone = null;
  }

  protected override begin(nowMs: number): void {
    const next = this.takeKey();
    if (next === undefined) return;
    // A stream that stands still while keys sound must not give two keys one timestamp.
    const timestamp = Math.max(Math.round(this.#options.timestampAt(nowMs)), this.#freeTimestamp);
    const event = eventOfDigit(next.key)!;
    this.#tone = { ...next, event, timestamp, unitsBefore: 0, updates: 0, ends: 0 };
    this.step();
  }

  /** One packet and the timer for the next (RFC 4733 2.5.1.2). */
  protected override step(): void {
    const tone = this.#tone;
    if (tone === null) return this.begin(this.restart());
    const coveredMs = UPDATE_MS * (tone.updates + 1);
    if (coveredMs < tone.durationMs) this.#sendUpdate(tone, coveredMs);
    else this.#sendEnd(tone);
    if (this.closed) return; // by the outlet
    if (tone.ends === END_PACKETS) this.#finish(tone);
    else this.wait(UPDATE_MS);
  }

  #sendUpdate(tone: Tone, coveredMs: number): void {
    const marker = tone.updates === 0;
    tone.updates++;
    this.#sendReport(tone, { units: this.#segmented(tone, coveredMs), end: false, marker });
  }

  /** RFC 4733 2.5.1.4: the end is sent three times, unchanged. */
  #sendEnd(tone: Tone): void {
    const units = this.#segmented(tone, tone.durationMs);
    tone.ends++;
    this.#sendReport(tone, { units, end: true, marker: tone.updates === 0 && tone.ends === 1 });
  }

  /** Units of the current segment; a full one is closed first without an end (RFC 4733 2.5.1.3). */
  #segmented(tone: Tone, coveredMs: number): number {
    const { audioClockRate, eventClockRate } = this.#options;
    let units = Math.round(coveredMs * eventClockRate / 1000) - tone.unitsBefore;
    while (units > MAX_DURATION) {
      this.#sendReport(tone, { units: MAX_DURATION, end: false, marker: false });
      tone.unitsBefore += MAX_DURATION;
      tone.timestamp += Math.round(MAX_DURATION * audioClockRate / eventClockRate);
      units -= MAX_DURATION;
    }
    return units;
  }

  #sendReport(tone: Tone, report: { units: number; end: boolean; marker: boolean }): void {
    const { payloadType, redundancyPayloadType, send } = this.#options;
    const { event, timestamp } = tone;
    const data = encodeTelephoneEvent({ event, end: report.end, volume: VOLUME, duration: report.units });
    if (redundancyPayloadType === null) send(data, timestamp, report.marker, payloadType);
    else {
      const payload = encodeRedundancy(this.#earlier(timestamp), { payloadType, data });
      send(payload, timestamp, report.marker, redundancyPayloadType);
    }
    if (report.end && tone.ends === END_PACKETS) this.#remember(timestamp, data);
  }

  #earlier(timestamp: number): RedundantBlock[] {
    const blocks: RedundantBlock[] = [];
    for (const past of this.#past) {
      const timestampOffset = timestamp - past.timestamp;
      blocks.push({ payloadType: this.#options.payloadType, timestampOffset, data: past.data });
    }
    return blocks;
  }

  #remember(timestamp: number, data: Uint8Array): void {
    this.#past.push({ timestamp, data });
    if (this.#past.length > REPEATED_KEYS) this.#past.shift();
  }

  #finish(tone: Tone): void {
    const { audioClockRate, eventClockRate } = this.#options;
    const units = Math.round(tone.durationMs * eventClockRate / 1000) - tone.unitsBefore;
    this.#freeTimestamp = tone.timestamp +
      Math.ceil(units * audioClockRate / eventClockRate + PAUSE_MS * audioClockRate / 1000);
    this.#tone = null;
    // The last end leaves 40 ms after the first, which covers the last 20 ms of the key.
    this.wait(Math.max(UPDATE_MS, PAUSE_MS - UPDATE_MS));
  }
}
