// The H.264 of one call: RTMP video tags -> RTP payloads and back, and the key-frame requests of both sides.
// A peer that lost its picture gets the last key frame again at once, and the publisher is asked for a new one
// (RFC 6184; RFC 4585 PLI, RFC 5104 FIR).
// Role: machine

import { ByteWriter } from "../base/bytes.ts";
import { WireError } from "../base/errors.ts";
import { decodeTag, encodeTag } from "../media/flv_tag.ts";
import { createFrame, type Frame } from "../media/frame.ts";
import { H264Depacketizer } from "../codecs/h264/depacketizer.ts";
import { type H264Drop, H264Packetizer } from "../codecs/h264/packetizer.ts";
import { parseSprop } from "../codecs/h264/parameter_sets.ts";
import type { Tag } from "../media/tag.ts";
import type { MediaMessage } from "../rtmp/message.ts";
import { KeyFrameGate, type VideoBridgeOptions } from "./video_bridge.ts";
import {
  answerWarning,
  B_FRAMES,
  codecWarning,
  MediaWarnings,
  profileWarning,
  remoteProfileWarning,
  unsentWarning,
} from "./media_warnings.ts";
import type { H264Chain } from "./negotiation.ts";

const UNSUPPORTED = "remote party sends H.264 packets that were not negotiated";
const WRONG_MARKERS =
  "RTP markers of the remote party do not end its pictures: they are shown one picture later";
const MALFORMED = "malformed H.264 from the remote party";

/** Pictures of the client in a row that could not be sent, about a second of them: it is told why. */
const UNSENT_IN_ROW = 25;
/** The same before its first key frame, which some encoders send every ten seconds only. */
const UNSENT_BEFORE_KEY = 300;

interface H264BridgeOptions extends VideoBridgeOptions<H264Chain> {
  /** Told where each picture of the client lies on the RTP clock: timestamp, unwrapped, and its RTMP time. */
  readonly onPlaced: (timestamp: number, timeMs: number) => void;
}

export class H264Bridge implements Disposable {
  readonly #options: H264BridgeOptions;
  readonly #packetizer: H264Packetizer;
  readonly #depacketizer: H264Depacketizer;
  readonly #frame = createFrame();
  readonly #tag = new ByteWriter(65536);
  readonly #emitPayload: (payload: Uint8Array, timestamp: number, marker: boolean) => void;
  readonly #emitFrame: (frame: Frame) => void;
  readonly #warnings: MediaWarnings;
  /** The profile and level that were last looked at, of the client and of the peer. */
  #sentProfile: string | null = null;
  #heardProfile: string | null = null;
  /** A key frame is needed of the peer, or of the publisher: asked for until it comes. */
  #wantsKey = false;
  #owesKey = false;
  readonly #toPeer: KeyFrameGate;
  readonly #toPublisher: KeyFrameGate;
  #unusable = 0;
  /** Pictures of the client that could not be sent, since the last one that was. */
  #unsentInRow = 0;

  constructor(options: H264BridgeOptions) {
    const { chain, clock, originMs, toSip, toRtmp } = options;
    this.#options = options;
    this.#warnings = new MediaWarnings(options.onWarning);
    this.#toPeer = new KeyFrameGate(clock);
    this.#toPublisher = new KeyFrameGate(clock);
    this.#packetizer = new H264Packetizer({ clock, packetizationMode: chain.mode });
    this.#depacketizer = new H264Depacketizer({ clock, originMs });
    this.#depacketizer.onKeyFrameWanted = () => {
      this.#wantsKey = true;
      this.#askPeer();
    };
    this.#emitPayload = (payload, timestamp, marker) =>
      toSip.send(payload, timestamp, marker, chain.sendPayloadType);
    this.#emitFrame = (frame) => {
      if (frame.config) this.#checkHeard();
      else if (frame.key) this.#wantsKey = false;
      this.#tag.reset();
      encodeTag(frame, this.#tag);
      toRtmp.play(9, frame.timeMs, this.#tag.view());
    };
    this.#warnings.note(answerWarning(chain));
    this.takeSprop(chain.sprop);
  }

  /** Video messages of the client that could not be sent: another codec, broken, before the first key frame. */
  get unusable(): number {
    return this.#unusable + this.#packetizer.dropped;
  }

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

  /** Parameter sets of the peer's description (RFC 6184 8.1); those in the stream count as soon as they come. */
  takeSprop(sprop: string | null): void {
    if (sprop === null) return;
    try {
      for (const set of parseSprop(sprop)) this.#depacketizer.parameterSets.update(set);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.#warnings.log("parameter sets in the SDP of the remote party", error.message);
    }
  }

  /** One video message of the RTMP publisher. @param tag its header, where it has been read by now */
  fromRtmp(message: MediaMessage, tag?: Tag): void {
    const frame = this.#frame;
    try {
      decodeTag(9, message.timeMs, message.body, frame, tag);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.#unusable++;
      return this.#warnings.log("malformed video tag from the client", error.message);
    }
    if (!frame.media) return;
    const { dropped } = this.#packetizer;
    this.#packetizer.push(frame, this.#emitPayload);
    if (this.#packetizer.dropped !== dropped) return this.#noteDropped(frame);
    if (frame.config) return this.#checkSent();
    this.#unsentInRow = 0;
    this.#checkSent();
    if (this.#packetizer.sentKey) this.#owesKey = false;
    else if (this.#owesKey) this.#serve();
    this.#options.onPlaced(this.#packetizer.lastTimestamp, message.timeMs);
  }

  /** RTMP time of a timestamp of the peer as things stand; null before its first picture. */
  peekMs(timestamp: number): number | null {
    return this.#depacketizer.peekMs(timestamp);
  }

  shift(ms: number): void {
    this.#depacketizer.shift(ms);
  }

  fromRtp(payload: Uint8Array, timestamp: number, marker: boolean, payloadType: number, lost: number): void {
    if (!this.#options.chain.receivePayloadTypes.includes(payloadType)) return;
    const { unsupported, malformed, wrongMarkers } = this.#depacketizer;
    this.#depacketizer.push(payload, timestamp, marker, this.#emitFrame, lost);
    if (this.#wantsKey) this.#askPeer();
    if (this.#depacketizer.unsupported !== unsupported) this.#warnings.log(UNSUPPORTED);
    if (this.#depacketizer.malformed !== malformed) this.#warnings.log(MALFORMED);
    if (this.#depacketizer.wrongMarkers !== wrongMarkers) this.#warnings.log(WRONG_MARKERS);
  }

  /** The peer asks for a key frame, by RTCP or INFO: it gets the last one at once, the publisher hears of it. */
  keyFrameRequested(): void {
    this.#owesKey = true;
    this.#serve();
  }

  /** A request that comes too early is served as soon as the next may pass, unless a key frame was sent by then. */
  #serve(): void {
    if (!this.#toPublisher.admits()) return;
    this.#owesKey = false;
    this.#packetizer.repeatKeyFrame(this.#emitPayload);
    this.#options.askPublisher();
  }

  /** Somebody starts to watch: what follows begins with a key frame. */
  playerChanged(): void {
    this.#depacketizer.waitForKey();
  }

  sourceChanged(): void {
    this.#depacketizer.restart();
  }

  publisherChanged(): void {
    this.#packetizer.restart();
  }

  /** No picture of the peer leaves any more. */
  [Symbol.dispose](): void {
    this.#depacketizer[Symbol.dispose]();
  }

  /** Once a picture is sent: what it is, beside what the peer takes. */
  #checkSent(): void {
    if (this.#packetizer.bFrames > 0) this.#warnings.note(B_FRAMES);
    const { profileLevelId } = this.#packetizer.parameterSets;
    if (profileLevelId === null || profileLevelId === this.#sentProfile) return;
    this.#sentProfile = profileLevelId;
    this.#warnings.note(profileWarning(profileLevelId, this.#options.chain));
  }

  #checkHeard(): void {
    const { profileLevelId } = this.#depacketizer.parameterSets;
    if (profileLevelId === null || profileLevelId === this.#heardProfile) return;
    this.#heardProfile = profileLevelId;
    this.#warnings.note(remoteProfileWarning(profileLevelId, this.#options.chain));
  }

  /** What comes before the first key frame is no warning, unless there is none for long. */
  #noteDropped(frame: Frame): void {
    const { lastDrop } = this.#packetizer;
    if (frame.codec === "h264" && !frame.config && lastDrop !== null) this.#noteUnsent(lastDrop);
    if (frame.codec !== "h264") this.#warnings.note(codecWarning(frame.codec));
    else if (frame.config) this.#warnings.log("unreadable decoder configuration (AVC) from the client");
    else if (frame.key) {
      this.#warnings.log("key frame of the client dropped: malformed, or without parameter sets");
    }
  }

  #noteUnsent(reason: H264Drop): void {
    const waits = reason === "no key frame";
    if (waits && this.#unsentInRow % UNSENT_IN_ROW === 0 && this.#toPublisher.admits()) {
      this.#options.askPublisher();
    }
    const patience = waits ? UNSENT_BEFORE_KEY : UNSENT_IN_ROW;
    if (++this.#unsentInRow === patience) this.#warnings.note(unsentWarning(reason), reason);
  }

  #askPeer(): void {
    if (this.#toPeer.admits()) this.#options.askPeer();
  }
}
