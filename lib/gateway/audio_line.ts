// The audio of one call, chosen once when the answer is known: RTMP message -> frame -> RTP payload, and back,
// and the touch tones that travel in the same stream (RFC 4733).
// Plain functions on borrowed bytes; nothing is allocated per packet.
// Role: machine
// Answers to: the audio halves of rtmp2rtp and rtp2rtmp in MediaContext, and rtmp_sendDTMF, of siprtmp.py.

import { ByteWriter } from "../base/bytes.ts";
import type { Clock } from "../base/clock.ts";
import { WireError } from "../base/errors.ts";
import {
  type AudioDepacketizer,
  type AudioPacketizer,
  createAudioDepacketizer,
  createAudioPacketizer,
} from "../media/audio_packets.ts";
import { decodeTag, encodeTag } from "../media/flv_tag.ts";
import { createFrame, type Frame } from "../media/frame.ts";
import type { MediaMessage } from "../rtmp/message.ts";
import { DigitReceiver } from "../rtp/digit_receiver.ts";
import { DigitSender } from "../rtp/digit_sender.ts";
import type { AgreedFormat } from "../sdp/agreed_media.ts";
import type { TagOutlet } from "./call_media.ts";
import type { G711Chain, SpeexChain } from "./negotiation.ts";

/** Sends one RTP payload; borrowed. */
export type RtpOutlet = (
  payload: Uint8Array,
  timestamp: number,
  marker: boolean,
  payloadType: number,
) => void;

/** What an audio line is made of. */
export interface AudioLineOptions {
  /** What was agreed. */
  readonly chain: SpeexChain | G711Chain;
  /** The agreed touch tone format; null: the peer takes none. */
  readonly telephoneEvent: AgreedFormat | null;
  /** The agreed redundancy (RFC 2198) for touch tones, or null. */
  readonly redundancy: AgreedFormat | null;
  /** Times of frames and tones. */
  readonly clock: Clock;
  /** What clock.now() was at RTMP time 0 of the client's connection. */
  readonly originMs: number;
  /** Sends to the peer. */
  readonly toSip: RtpOutlet;
  /** Sends to the player. */
  readonly toRtmp: TagOutlet;
  /** Told each touch tone of the peer once. */
  readonly onDigit: (digit: string, durationMs: number) => void;
}

/** One call's audio, both directions. */
export class AudioLine implements Disposable {
  /** Messages of the RTMP side that could not be sent on: another codec, broken. */
  unusable = 0;
  /** Codec of the first unusable message, for the log; null while all is well. */
  firstUnusable: string | null = null;
  readonly #packetizer: AudioPacketizer;
  readonly #depacketizers: (AudioDepacketizer | null)[] = new Array(128).fill(null);
  readonly #frame = createFrame();
  readonly #tag = new ByteWriter(2048);
  readonly #ticksPerMs: number;
  readonly #digitSender: DigitSender | null;
  readonly #digitReceiver: DigitReceiver | null;
  readonly #eventTypes: readonly number[];
  readonly #redundancyType: number | null;
  #lastTimestamp = 0;
  #lastSentMs: number;
  readonly #emitPayload: (payload: Uint8Array, timestamp: number, marker: boolean) => void;
  readonly #emitFrame: (frame: Frame) => void;

  /** Builds both chains. */
  constructor(options: AudioLineOptions) {
    const { chain, clock, originMs, toSip, toRtmp } = options;
    const { sendPayloadType, clockRate, ptimeMs } = chain;
    this.#packetizer = createAudioPacketizer({ codec: chain.kind, clockRate, clock, ptimeMs });
    for (const { payloadType, codec, clockRate } of chain.receive) {
      this.#depacketizers[payloadType] = createAudioDepacketizer({ codec, clockRate, clock, originMs });
    }
    this.#ticksPerMs = clockRate / 1000;
    this.#lastSentMs = clock.now();
    this.#emitPayload = (payload, timestamp, marker) => {
      this.#lastTimestamp = timestamp;
      this.#lastSentMs = clock.now();
      toSip(payload, timestamp, marker, sendPayloadType);
    };
    this.#eventTypes = options.telephoneEvent === null ? [] : [options.telephoneEvent.receivePayloadType];
    this.#redundancyType = options.redundancy?.receivePayloadType ?? null;
    this.#digitSender = this.#createDigitSender(options);
    this.#digitReceiver = this.#createDigitReceiver(options);
    this.#emitFrame = (frame) => {
      this.#tag.reset();
      encodeTag(frame, this.#tag);
      toRtmp(8, frame.timeMs, this.#tag.view());
    };
  }

  /** One audio message of the RTMP publisher. */
  fromRtmp(message: MediaMessage): void {
    if (this.#digitSender?.active) return; // audio and events share the stream: RFC 4733 section 2.5.1.1
    try {
      decodeTag(8, message.timeMs, message.body, this.#frame);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      return this.#countUnusable("broken");
    }
    if (this.#frame.data.length === 0) return; // Flash says so when its microphone falls silent
    const dropped = this.#packetizer.dropped;
    this.#packetizer.push(this.#frame, this.#emitPayload);
    if (this.#packetizer.dropped !== dropped) this.#countUnusable(this.#frame.codec);
  }

  /** One RTP payload of the peer, in order; false when its payload type is not ours. */
  fromRtp(
    payload: Uint8Array,
    timestamp: number,
    marker: boolean,
    payloadType: number,
    lost: number,
  ): boolean {
    const depacketizer = this.#depacketizers[payloadType];
    if (!depacketizer) return this.#digitFromRtp(payload, timestamp, marker, payloadType);
    depacketizer.push(payload, timestamp, marker, this.#emitFrame, lost);
    return true;
  }

  /** The peer's RTP source changed: its next timestamp means "now". */
  sourceChanged(): void {
    for (const depacketizer of this.#depacketizers) depacketizer?.restart();
  }

  /** Another stream publishes now: its next time means "now". */
  publisherChanged(): void {
    this.#packetizer.restart();
  }

  /** Queues touch tones; false when the peer takes none or the queue is full. */
  sendDigits(digits: string, durationMs: number): boolean {
    return this.#digitSender?.enqueue(digits, durationMs) ?? false;
  }

  /** Stops the touch tones. */
  [Symbol.dispose](): void {
    this.#digitSender?.[Symbol.dispose]();
    this.#digitReceiver?.[Symbol.dispose]();
  }

  #createDigitSender(options: AudioLineOptions): DigitSender | null {
    const { telephoneEvent, redundancy, clock, chain, toSip } = options;
    if (telephoneEvent === null) return null;
    return new DigitSender({
      clock,
      audioClockRate: chain.clockRate,
      eventClockRate: telephoneEvent.clockRate,
      payloadType: telephoneEvent.sendPayloadType,
      redundancyPayloadType: redundancy?.sendPayloadType ?? null,
      timestampAt: (nowMs) => Math.round(this.#lastTimestamp + (nowMs - this.#lastSentMs) * this.#ticksPerMs),
      send: toSip,
    });
  }

  #createDigitReceiver(options: AudioLineOptions): DigitReceiver | null {
    const { telephoneEvent, clock, chain, onDigit } = options;
    if (telephoneEvent === null) return null;
    const { clockRate: eventClockRate } = telephoneEvent;
    return new DigitReceiver({ clock, eventClockRate, audioClockRate: chain.clockRate, onDigit });
  }

  #digitFromRtp(payload: Uint8Array, timestamp: number, marker: boolean, payloadType: number): boolean {
    const receiver = this.#digitReceiver;
    if (receiver === null) return false;
    try {
      if (payloadType === this.#redundancyType) {
        receiver.pushRedundant(payload, timestamp, marker, this.#eventTypes);
      } else if (this.#eventTypes.includes(payloadType)) receiver.push(payload, timestamp, marker);
      else return false;
      return true;
    } catch (error) {
      if (error instanceof WireError) return false;
      throw error;
    }
  }

  #countUnusable(codec: string): void {
    this.unusable++;
    this.firstUnusable ??= codec;
  }
}
