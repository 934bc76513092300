// The DTMF of one audio stream, both ways: as telephone events (RFC 4733), redundant ones too (RFC 2198),
// and in-band in G.711 where nothing better was agreed. Audio rests while a key of ours sounds.
// Role: machine

import type { Clock } from "../base/clock.ts";
import { WireError } from "../base/errors.ts";
import { DtmfDetector } from "../codecs/dtmf_detector.ts";
import { InbandDtmfSender } from "../codecs/inband_dtmf_sender.ts";
import type { G711Law } from "../codecs/g711_tables.ts";
import { type EventClocks, TelephoneEventReceiver } from "../rtp/telephone_event_receiver.ts";
import { TelephoneEventSender } from "../rtp/telephone_event_sender.ts";
import type { AgreedFormat } from "../sdp/agreed_media.ts";
import { parseRedPayloadTypes } from "../sdp/fmtp.ts";
import type { RtpSink } from "../rtp/session.ts";

/** How DTMF leaves: as events, or in-band in G.711. */
export type DtmfTransport = "rtp" | "inband";

interface InbandFormat {
  readonly payloadType: number;
  readonly law: G711Law;
}

export interface DtmfStreamOptions {
  /** The agreed DTMF formats: the first is sent, all are heard; empty: the peer takes none. */
  readonly telephoneEvents: readonly AgreedFormat[];
  /** The agreed redundancy (RFC 2198), or null. */
  readonly redundancy: AgreedFormat | null;
  readonly clockRate: number;
  /** G.711 that we send; null: another codec, which carries no tones. */
  readonly sentSound: InbandFormat | null;
  /** G.711 that may arrive; heard only when no events were agreed. */
  readonly heardSound: readonly InbandFormat[];
  readonly clock: Clock;
  readonly toSip: RtpSink;
  readonly onDigit: (digit: string, durationMs: number) => void;
}

/** A longer payload (250 ms) is no live audio: it is not listened to. */
const MAX_HEARD_OCTETS = 2000;

export class DtmfStream implements Disposable {
  /** Packets of the peer that were no DTMF although their payload type says so. */
  unreadable = 0;
  readonly #options: DtmfStreamOptions;
  readonly #clock: Clock;
  /** What sends and hears keys is made with the first one: most calls have none. */
  #sender: TelephoneEventSender | null = null;
  #receiver: TelephoneEventReceiver | null = null;
  readonly #events: ReadonlyMap<number, EventClocks>;
  #soundSender: InbandDtmfSender | null = null;
  readonly #detector: DtmfDetector | null;
  #lastTimestamp = 0;
  #lastSentMs: number;
  #closed = false;

  constructor(options: DtmfStreamOptions) {
    const { telephoneEvents, clock, clockRate } = options;
    this.#options = options;
    this.#clock = clock;
    this.#lastSentMs = clock.now();
    this.#events = heardEvents(telephoneEvents, clockRate);
    const listens = telephoneEvents.length === 0 && options.heardSound.length > 0;
    this.#detector = listens ? new DtmfDetector(options.onDigit) : null;
  }

  /** True while a key of ours sounds: audio and events share the stream (RFC 4733 section 2.5.1.1). */
  get active(): boolean {
    return this.#sender?.active === true || this.#soundSender?.active === true;
  }

  /** Audio with an earlier timestamp would lie under a key that was sent in-band. */
  get freeTimestamp(): number {
    return this.#soundSender?.endTimestamp ?? -Infinity;
  }

  /** Audio was sent with this timestamp; tones go on from it. */
  audioSent(timestamp: number): void {
    this.#lastTimestamp = timestamp;
    this.#lastSentMs = this.#clock.now();
  }

  get timestampNow(): number {
    return this.#timestampAt(this.#clock.now());
  }

  /** Queues DTMF; false when they cannot go this way, one is unknown, or the queue is full. */
  send(digits: string, durationMs: number, way: DtmfTransport = "rtp"): boolean {
    if (this.#closed) return false;
    const sender = way === "rtp"
      ? this.#sender ??= this.#createSender()
      : this.#soundSender ??= this.#createSoundSender();
    return sender?.enqueue(digits, durationMs) ?? false;
  }

  /** Listens to one payload of the peer's audio, when that is the only way its keys can come. */
  hear(payload: Uint8Array, payloadType: number, lost: number): void {
    const detector = this.#detector;
    if (detector === null) return;
    const law = this.#lawOf(payloadType);
    if (lost > 0 || law === null || payload.length > MAX_HEARD_OCTETS) detector.interrupt();
    if (law === null || payload.length > MAX_HEARD_OCTETS) return;
    detector.pushG711(law, payload);
  }

  #lawOf(payloadType: number): G711Law | null {
    const { heardSound } = this.#options;
    for (let i = 0; i < heardSound.length; i++) {
      if (heardSound[i]!.payloadType === payloadType) return heardSound[i]!.law;
    }
    return null;
  }

  /** Takes one RTP payload of the peer; false when it is no DTMF. */
  fromRtp(payload: Uint8Array, timestamp: number, marker: boolean, payloadType: number): boolean {
    const clocks = this.#events.get(payloadType);
    const redundant = this.#options.redundancy?.receivePayloadTypes.includes(payloadType) === true;
    if (this.#closed || clocks === undefined && !redundant) return false;
    const receiver = this.#receiver ??= this.#createReceiver();
    if (receiver === null) return false;
    try {
      if (clocks !== undefined) receiver.push(payload, timestamp, marker, clocks);
      else receiver.pushRedundant(payload, timestamp, marker, this.#events);
      return true;
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.unreadable++;
      return false;
    }
  }

  /** Stops at once; a key of the peer that still sounds is told. */
  [Symbol.dispose](): void {
    this.#closed = true;
    this.#sender?.[Symbol.dispose]();
    this.#soundSender?.[Symbol.dispose]();
    this.#detector?.interrupt();
    this.#receiver?.[Symbol.dispose]();
  }

  #createSender(): TelephoneEventSender | null {
    const { telephoneEvents: [telephoneEvent], redundancy, clock, clockRate, toSip } = this.#options;
    if (telephoneEvent === undefined) return null;
    return new TelephoneEventSender({
      clock,
      audioClockRate: clockRate,
      eventClockRate: telephoneEvent.clockRate,
      payloadType: telephoneEvent.sendPayloadType,
      redundancyPayloadType: carries(redundancy, telephoneEvent) ? redundancy.sendPayloadType : null,
      timestampAt: (nowMs) => this.#timestampAt(nowMs),
      send: (payload, timestamp, marker, payloadType) => toSip.send(payload, timestamp, marker, payloadType),
    });
  }

  #createReceiver(): TelephoneEventReceiver | null {
    const { telephoneEvents: [telephoneEvent], clock, clockRate: audioClockRate, onDigit } = this.#options;
    if (telephoneEvent === undefined) return null;
    const { clockRate: eventClockRate } = telephoneEvent;
    return new TelephoneEventReceiver({ clock, eventClockRate, audioClockRate, onDigit });
  }

  #createSoundSender(): InbandDtmfSender | null {
    const { sentSound, clock, toSip } = this.#options;
    if (sentSound === null) return null;
    return new InbandDtmfSender({
      clock,
      law: sentSound.law,
      timestampAt: (nowMs) => this.#timestampAt(nowMs),
      send: (payload, timestamp, marker) => {
        this.audioSent(timestamp);
        toSip.send(payload, timestamp, marker, sentSound.payloadType);
      },
    });
  }

  #timestampAt(nowMs: number): number {
    const ticks = (nowMs - this.#lastSentMs) * this.#options.clockRate / 1000;
    return Math.round(this.#lastTimestamp + ticks);
  }
}

/**
 * Where one clock of events was agreed, their timestamps are those of the audio, whatever its clock; where several
 * were, a peer takes the events of the clock it runs on (RFC 4733 2.1).
 */
function heardEvents(formats: readonly AgreedFormat[], audioClockRate: number): Map<number, EventClocks> {
  const oneClock = formats.every((format) => format.clockRate === formats[0]!.clockRate);
  const heard = new Map<number, EventClocks>();
  for (const { clockRate: eventClockRate, receivePayloadTypes } of formats) {
    const clocks = oneClock ? { eventClockRate, audioClockRate } : { eventClockRate };
    for (const payloadType of receivePayloadTypes) {
      if (!heard.has(payloadType)) heard.set(payloadType, clocks);
    }
  }
  return heard;
}

/** Whether redundancy was agreed for these events: it names them, or nothing at all. */
function carries(redundancy: AgreedFormat | null, events: AgreedFormat): redundancy is AgreedFormat {
  if (redundancy === null) return false;
  const types = parseRedPayloadTypes(redundancy.fmtp);
  return types.length === 0 || types.includes(events.sendPayloadType);
}
