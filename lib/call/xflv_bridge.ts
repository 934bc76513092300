// A call over x-flv, siprtmp's own RTP payload: every message of the client, audio and data too, in one stream. Decoder
// configurations, which RTMP sends once, are repeated before key frames and now and then, since a packet may be lost.
// Role: machine

import { ByteWriter } from "../base/bytes.ts";
import { WireError } from "../base/errors.ts";
import { decodeTag, encodeTag } from "../media/flv_tag.ts";
import { cloneFrame, createFrame, type Frame, tagTypeOf } from "../media/frame.ts";
import type { Tag } from "../media/tag.ts";
import { XflvDepacketizer, XflvPacketizer } from "../codecs/xflv.ts";
import type { MediaMessage } from "../rtmp/message.ts";
import { KeyFrameGate, type VideoBridgeOptions } from "./video_bridge.ts";
import { MediaWarnings } from "./media_warnings.ts";
import type { XflvChain } from "./negotiation.ts";

/** Configurations of audio are repeated so often; those of video with every key frame. */
const REPEAT_MS = 5000;
/** A larger configuration is sent, but not kept. */
const MAX_CONFIG_OCTETS = 4096;

const TOO_LONG =
  "message of the client dropped: too long for x-flv (65535 octets); lower the bit rate of its video";
const BROKEN = "malformed x-flv from the remote party";

export class XflvBridge {
  readonly #options: VideoBridgeOptions<XflvChain>;
  readonly #packetizer: XflvPacketizer;
  readonly #depacketizer: XflvDepacketizer;
  readonly #frame = createFrame();
  readonly #tag = new ByteWriter(4096);
  readonly #emitPayload: (payload: Uint8Array, timestamp: number, marker: boolean) => void;
  readonly #emitFrame: (frame: Frame) => void;
  readonly #warnings: MediaWarnings;
  readonly #toPeer: KeyFrameGate;
  readonly #toPublisher: KeyFrameGate;
  /** Configurations of the client and of the peer: audio, video. */
  #sentConfigs: readonly Frame[] = [];
  #heardConfigs: readonly Frame[] = [];
  #repeatedMs = 0;
  #fresh = false;
  /** A player that joins late gets the configurations, then pictures from a key frame on. */
  #playerIsNew = false;
  #waitingForKey = false;
  #hasVideo = false;
  #broken = 0;

  constructor(options: VideoBridgeOptions<XflvChain>) {
    const { chain, clock, originMs, toSip } = options;
    this.#options = options;
    this.#packetizer = new XflvPacketizer(clock);
    this.#depacketizer = new XflvDepacketizer(clock, originMs);
    this.#depacketizer.onKeyFrameWanted = () => {
      if (this.#hasVideo) this.#askPeer();
    };
    this.#warnings = new MediaWarnings(options.onWarning);
    this.#toPeer = new KeyFrameGate(clock);
    this.#toPublisher = new KeyFrameGate(clock);
    this.#emitPayload = (payload, timestamp, marker) =>
      toSip.send(payload, timestamp, marker, chain.sendPayloadType);
    this.#emitFrame = (frame) => this.#hear(frame);
  }

  /** Messages of the client that could not be sent: broken, or too long for the format. */
  get unusable(): number {
    return this.#packetizer.dropped + this.#broken;
  }

  /** Messages of the peer given up because packets were missing or made no sense. */
  get lost(): number {
    return this.#depacketizer.broken;
  }

  /** @param tag the header of the message, where it has been read by now */
  fromRtmp(message: MediaMessage, tag?: Tag): void {
    const frame = this.#frame;
    try {
      decodeTag(message.type, message.timeMs, message.body, frame, tag);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.#broken++;
      return this.#warnings.log("malformed message from the client", error.message);
    }
    if (frame.config) {
      this.#sentConfigs = withConfig(this.#sentConfigs, frame);
      this.#fresh ||= frame.kind === "video";
    } else this.#repeatConfigs(frame);
    const { dropped } = this.#packetizer;
    this.#packetizer.push(frame, this.#emitPayload);
    if (this.#packetizer.dropped !== dropped) this.#warnings.log(TOO_LONG);
  }

  fromRtp(payload: Uint8Array, timestamp: number, marker: boolean, payloadType: number): void {
    if (!this.#options.chain.receivePayloadTypes.includes(payloadType)) return;
    const { unsupported } = this.#depacketizer;
    this.#depacketizer.push(payload, timestamp, marker, this.#emitFrame);
    if (this.#depacketizer.unsupported !== unsupported) this.#warnings.log(BROKEN);
  }

  keyFrameRequested(): void {
    if (this.#toPublisher.admits()) this.#options.askPublisher();
  }

  playerChanged(): void {
    this.#playerIsNew = true;
    this.#waitingForKey = this.#heardConfigs.some((config) => config.kind === "video");
    if (this.#waitingForKey) this.#askPeer();
  }

  sourceChanged(): void {
    this.#depacketizer.restart();
  }

  /** Another stream publishes now: its next time means "now". */
  publisherChanged(): void {
    this.#sentConfigs = [];
    this.#packetizer.restart();
  }

  #repeatConfigs(frame: Frame): void {
    if (this.#sentConfigs.length === 0) return;
    const nowMs = this.#options.clock.now();
    const pictureStarts = frame.kind === "video" && frame.key;
    const due = pictureStarts ? !this.#fresh : nowMs - this.#repeatedMs >= REPEAT_MS;
    if (pictureStarts) this.#fresh = false;
    if (!due) return;
    this.#repeatedMs = nowMs;
    for (const config of this.#sentConfigs) {
      if (!pictureStarts && config.kind === "video") continue; // it would start the decoder anew
      config.timeMs = frame.timeMs;
      this.#packetizer.push(config, this.#emitPayload);
    }
  }

  #hear(frame: Frame): void {
    if (frame.config) this.#heardConfigs = withConfig(this.#heardConfigs, frame);
    if (frame.kind === "video") this.#hasVideo = true;
    if (this.#playerIsNew) this.#introduce(frame.timeMs);
    if (frame.kind === "video" && this.#waitingForKey && !frame.config) {
      if (!frame.key) return;
      this.#waitingForKey = false;
    }
    this.#play(frame);
  }

  #introduce(timeMs: number): void {
    this.#playerIsNew = false;
    for (const config of this.#heardConfigs) {
      config.timeMs = timeMs;
      this.#play(config);
    }
  }

  #play(frame: Frame): void {
    this.#tag.reset();
    encodeTag(frame, this.#tag);
    this.#options.toRtmp.play(tagTypeOf(frame), frame.timeMs, this.#tag.view());
  }

  #askPeer(): void {
    if (this.#toPeer.admits()) this.#options.askPeer();
  }
}

/** The configurations with this one in place of the old one of its kind; an own copy. */
function withConfig(configs: readonly Frame[], frame: Frame): readonly Frame[] {
  const others = configs.filter((config) => config.kind !== frame.kind);
  return frame.data.length > MAX_CONFIG_OCTETS ? others : [...others, cloneFrame(frame)];
}
