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
import type { AgreedFormat } from "../sdp/agreed_media.ts";
import type { TagOutlet } from "./call_media.ts";
import type { G711Chain, SpeexChain } from "./negotiation.ts";
import { TouchTones } from "./touch_tones.ts";

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
  /** Told where each message of the client lies on the RTP clock: timestamp, unwrapped, and its RTMP time. */
  readonly onPlaced: (timestamp: number, timeMs: number) => void;
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
  readonly #tones: TouchTones;
  readonly #onPlaced: (timestamp: number, timeMs: number) => void;
  /** What the last payload of the peer was taken by. */
  #hearing: AudioDepacketizer | null = null;
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
    this.#tones = new TouchTones({ ...options, clockRate });
    this.#onPlaced = options.onPlaced;
    this.#emitPayload = (payload, timestamp, marker) => {
      this.#tones.audioSent(timestamp);
      toSip(payload, timestamp, marker, sendPayloadType);
    };
    this.#emitFrame = (frame) => {
      this.#tag.reset();
      encodeTag(frame, this.#tag);
      toRtmp(8, frame.timeMs, this.#tag.view());
    };
  }

  /** One audio message of the RTMP publisher. */
  fromRtmp(message: MediaMessage): void {
    if (this.#tones.active) return;
    try {
      decodeTag(8, message.timeMs, message.body, this.#frame);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      return this.#countUnusable("broken");
    }
    if (this.#frame.data.length === 0) return; // Flash says so when its microphone falls silent
    const dropped = this.#packetizer.dropped;
    this.#packetizer.push(this.#frame, this.#emitPayload);
    if (this.#packetizer.dropped !== dropped) return this.#countUnusable(this.#frame.codec);
    this.#onPlaced(this.#packetizer.timeline.lastTimestamp, message.timeMs);
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
    if (!depacketizer) return this.#tones.fromRtp(payload, timestamp, marker, payloadType);
    this.#hearing = depacketizer;
    depacketizer.push(payload, timestamp, marker, this.#emitFrame, lost);
    return true;
  }

  /** RTMP time of a timestamp of the peer as things stand; null before its first audio. */
  peekMs(timestamp: number): number | null {
    return this.#hearing?.timeline.peekMs(timestamp) ?? null;
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
    return this.#tones.send(digits, durationMs);
  }

  /** Stops the touch tones. */
  [Symbol.dispose](): void {
    this.#tones[Symbol.dispose]();
  }

  #countUnusable(codec: string): void {
    this.unusable++;
    this.firstUnusable ??= codec;
  }
}
