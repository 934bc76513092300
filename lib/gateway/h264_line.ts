// The H.264 of one call: RTMP video tags -> RTP payloads and back, and the key-frame requests of both sides.
// A peer that lost its picture gets the last key frame again at once, and the publisher is asked for a new one.
// RFC 6184; RFC 4585 (PLI), RFC 5104 (FIR).
// Role: machine
// Answers to: the H.264 halves of rtmp2rtp and rtp2rtmp in MediaContext of siprtmp.py.

import { ByteWriter } from "../base/bytes.ts";
import type { Clock } from "../base/clock.ts";
import { WireError } from "../base/errors.ts";
import { decodeTag, encodeTag } from "../media/flv_tag.ts";
import { createFrame, type Frame } from "../media/frame.ts";
import { H264Depacketizer } from "../media/h264_depacketizer.ts";
import { H264Packetizer } from "../media/h264_packetizer.ts";
import type { MediaMessage } from "../rtmp/message.ts";
import type { RtpOutlet } from "./audio_line.ts";
import type { TagOutlet } from "./call_media.ts";
import type { H264Chain } from "./video_choice.ts";

/** Least time between two key-frame requests of one side, in ms. */
export const KEY_FRAME_REQUEST_MS = 1000;

/** What an H.264 line is made of. */
export interface H264LineOptions {
  /** What was agreed. */
  readonly chain: H264Chain;
  /** Times of frames and requests. */
  readonly clock: Clock;
  /** What clock.now() was at RTMP time 0 of the client's connection. */
  readonly originMs: number;
  /** Sends to the peer. */
  readonly toSip: RtpOutlet;
  /** Sends to the player. */
  readonly toRtmp: TagOutlet;
  /** The peer must send a key frame; called at most once in KEY_FRAME_REQUEST_MS. */
  readonly askPeer: () => void;
  /** The publisher must send a key frame; called at most once in KEY_FRAME_REQUEST_MS. */
  readonly askPublisher: () => void;
  /** Told where each picture of the client lies on the RTP clock: timestamp, unwrapped, and its RTMP time. */
  readonly onPlaced: (timestamp: number, timeMs: number) => void;
}

/** One call's video, both directions. */
export class H264Line {
  readonly #options: H264LineOptions;
  readonly #packetizer: H264Packetizer;
  readonly #depacketizer: H264Depacketizer;
  readonly #frame = createFrame();
  readonly #tag = new ByteWriter(65536);
  readonly #emitPayload: (payload: Uint8Array, timestamp: number, marker: boolean) => void;
  readonly #emitFrame: (frame: Frame) => void;
  #askedPeerMs = -Infinity;
  #askedPublisherMs = -Infinity;
  #unusable = 0;

  /** Builds both directions. */
  constructor(options: H264LineOptions) {
    const { chain, clock, originMs, toSip, toRtmp } = options;
    this.#options = options;
    this.#packetizer = new H264Packetizer({ clock, packetizationMode: chain.mode });
    this.#depacketizer = new H264Depacketizer({ clock, originMs });
    this.#depacketizer.onKeyFrameWanted = () => this.#askPeer();
    this.#emitPayload = (payload, timestamp, marker) =>
      toSip(payload, timestamp, marker, chain.sendPayloadType);
    this.#emitFrame = (frame) => {
      this.#tag.reset();
      encodeTag(frame, this.#tag);
      toRtmp(9, frame.timeMs, this.#tag.view());
    };
  }

  /** Video messages of the client that could not be sent: another codec, broken, before the first key frame. */
  get unusable(): number {
    return this.#unusable + this.#packetizer.dropped;
  }

  /** Pictures of the peer dropped because a part was missing. */
  get brokenPictures(): number {
    return this.#depacketizer.broken;
  }

  /** Pictures of the client with B slices, which most phones cannot show. */
  get bFrames(): number {
    return this.#packetizer.bFrames;
  }

  /** What the publisher really sends, "42c01e"; null before its first configuration. */
  get profileLevelId(): string | null {
    return this.#packetizer.parameterSets.profileLevelId;
  }

  /** One video message of the RTMP publisher. */
  fromRtmp(message: MediaMessage): void {
    try {
      decodeTag(9, message.timeMs, message.body, this.#frame);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.#unusable++;
      return;
    }
    const dropped = this.#packetizer.dropped;
    this.#packetizer.push(this.#frame, this.#emitPayload);
    if (this.#frame.config || this.#packetizer.dropped !== dropped) return;
    this.#options.onPlaced(this.#packetizer.lastTimestamp, message.timeMs);
  }

  /** RTMP time of a timestamp of the peer as things stand; null before its first picture. */
  peekMs(timestamp: number): number | null {
    return this.#depacketizer.peekMs(timestamp);
  }

  /** Moves the times of the peer's pictures by `ms`, little by little. */
  shift(ms: number): void {
    this.#depacketizer.shift(ms);
  }

  /** One RTP payload of the peer, in order. */
  fromRtp(payload: Uint8Array, timestamp: number, marker: boolean, payloadType: number, lost: number): void {
    if (!this.#options.chain.receivePayloadTypes.includes(payloadType)) return;
    this.#depacketizer.push(payload, timestamp, marker, this.#emitFrame, lost);
  }

  /** The peer asks for a key frame, by RTCP or INFO: it gets the last one at once, the publisher hears of it. */
  keyFrameRequested(): void {
    const nowMs = this.#options.clock.now();
    if (nowMs - this.#askedPublisherMs < KEY_FRAME_REQUEST_MS) return;
    this.#askedPublisherMs = nowMs;
    this.#packetizer.repeatKeyFrame(this.#emitPayload);
    this.#options.askPublisher();
  }

  /** Somebody starts to watch: what follows begins with a key frame. */
  playerChanged(): void {
    this.#depacketizer.waitForKey();
  }

  /** The peer's RTP source changed. */
  sourceChanged(): void {
    this.#depacketizer.restart();
  }

  /** Another stream publishes now. */
  publisherChanged(): void {
    this.#packetizer.restart();
  }

  #askPeer(): void {
    const nowMs = this.#options.clock.now();
    if (nowMs - this.#askedPeerMs < KEY_FRAME_REQUEST_MS) return;
    this.#askedPeerMs = nowMs;
    this.#options.askPeer();
  }
}
