// A call over x-flv, siprtmp's own RTP payload: every message of the client, audio and data too, in one stream
// (behaviour.md 1.9). Two gateways' users agree on it when neither names codecs.
// Role: machine
// Answers to: the x-flv branches of rtmp2rtp and rtp2rtmp in MediaContext of siprtmp.py.

import { ByteWriter } from "../base/bytes.ts";
import type { Clock } from "../base/clock.ts";
import { WireError } from "../base/errors.ts";
import { decodeTag, encodeTag } from "../media/flv_tag.ts";
import { createFrame, type Frame, tagTypeOf } from "../media/frame.ts";
import { XflvDepacketizer, XflvPacketizer } from "../media/xflv.ts";
import type { MediaMessage } from "../rtmp/message.ts";
import type { RtpOutlet } from "./audio_line.ts";
import type { TagOutlet } from "./call_media.ts";
import type { XflvChain } from "./video_choice.ts";

/** What an x-flv line is made of. */
export interface XflvLineOptions {
  /** The agreed payload types. */
  readonly chain: XflvChain;
  /** Times of messages. */
  readonly clock: Clock;
  /** What clock.now() was at RTMP time 0 of the client's connection. */
  readonly originMs: number;
  /** Sends to the peer. */
  readonly toSip: RtpOutlet;
  /** Sends to the player. */
  readonly toRtmp: TagOutlet;
}

/** One call's media in x-flv, both directions. */
export class XflvLine {
  readonly #packetizer: XflvPacketizer;
  readonly #depacketizer: XflvDepacketizer;
  readonly #receivePayloadType: number;
  readonly #frame = createFrame();
  readonly #tag = new ByteWriter(4096);
  readonly #emitPayload: (payload: Uint8Array, timestamp: number, marker: boolean) => void;
  readonly #emitFrame: (frame: Frame) => void;
  #broken = 0;

  /** Builds both directions. */
  constructor(options: XflvLineOptions) {
    const { chain, clock, originMs, toSip, toRtmp } = options;
    this.#packetizer = new XflvPacketizer(clock);
    this.#depacketizer = new XflvDepacketizer(clock, originMs);
    this.#receivePayloadType = chain.receivePayloadType;
    this.#emitPayload = (payload, timestamp, marker) =>
      toSip(payload, timestamp, marker, chain.sendPayloadType);
    this.#emitFrame = (frame) => {
      this.#tag.reset();
      encodeTag(frame, this.#tag);
      toRtmp(tagTypeOf(frame), frame.timeMs, this.#tag.view());
    };
  }

  /** Messages of the client that could not be sent: broken, or too long for the format. */
  get unusable(): number {
    return this.#packetizer.dropped + this.#broken;
  }

  /** Messages of the peer given up because packets were missing. */
  get lost(): number {
    return this.#depacketizer.broken;
  }

  /** One message of the RTMP publisher. */
  fromRtmp(message: MediaMessage): void {
    try {
      decodeTag(message.type, message.timeMs, message.body, this.#frame);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.#broken++;
      return;
    }
    this.#packetizer.push(this.#frame, this.#emitPayload);
  }

  /** One RTP payload of the peer. */
  fromRtp(payload: Uint8Array, timestamp: number, marker: boolean, payloadType: number): void {
    if (payloadType !== this.#receivePayloadType) return;
    this.#depacketizer.push(payload, timestamp, marker, this.#emitFrame);
  }

  /** The peer's RTP source changed: its next timestamp means "now". */
  sourceChanged(): void {
    this.#depacketizer.restart();
  }

  /** Another stream publishes now: its next time means "now". */
  publisherChanged(): void {
    this.#packetizer.restart();
  }
}
