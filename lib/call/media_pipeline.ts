// The bridges of one call, chosen once from what was agreed: audio with DTMF, H.264, or everything in x-flv; and the
// onMetaData that a player may be told first. No message or packet is asked for its codec.
// Role: machine

import { encodeAmf0 } from "../amf/amf0.ts";
import { AmfEcmaArray } from "../amf/value.ts";
import type { Clock } from "../base/clock.ts";
import { builtInCodecs, type CodecRegistry } from "../codecs/registry.ts";
import { AudioBridge } from "./audio_bridge.ts";
import type { TagSink } from "./call_media.ts";
import { DtmfStream, type DtmfTransport } from "./dtmf_stream.ts";
import { H264Bridge } from "./h264_bridge.ts";
import { type MediaWarning, MediaWarnings, videoWarning } from "./media_warnings.ts";
import type { AudioChain, H264Chain, MediaChoice, XflvChain } from "./negotiation.ts";
import type { TranscodeServices } from "./transcode_bridge.ts";
import { XflvBridge } from "./xflv_bridge.ts";
import { LipSync, PublisherClock, StreamAnchor } from "../media/publisher_clock.ts";
import { isFrame, type Tag } from "../media/tag.ts";
import type { MediaMessage } from "../rtmp/message.ts";
import type { RtcpEvent } from "../rtp/rtcp_channel.ts";
import type { RtpReceiver, RtpSink } from "../rtp/session.ts";

/** What a line needs of an RTP session; RtpSession is one. */
export interface PipelineSession extends RtpSink {
  receiver: RtpReceiver | null;
  onSourceChange: ((ssrc: number) => void) | null;
  onRtcp: ((event: RtcpEvent) => void) | null;
  /** Asks the peer for a key frame; false when it cannot be asked yet. */
  sendFeedback(kind: "pli" | "fir"): boolean;
  anchor(timestamp: number, atMs: number): void;
}

interface MessageTaker {
  fromRtmp(message: MediaMessage, tag: Tag): void;
}

interface MediaPipelineOptions {
  readonly choice: MediaChoice;
  /** What its codecs are; absent: those that are built in. */
  readonly registry?: CodecRegistry;
  readonly clock: Clock;
  /** What turns one codec into another; absent: audio only passes through. */
  readonly transcoding?: TranscodeServices;
  /** What clock.now() was at RTMP time 0 of the client. */
  readonly originMs: number;
  readonly session: (kind: "audio" | "video", clockRate: number) => PipelineSession;
  readonly toRtmp: TagSink;
  /** Whether somebody listens now, who is to be told first which streams there will be; null: nobody ever is. */
  readonly announces?: (() => boolean) | null;
  readonly onDigit: (digit: string, durationMs: number) => void;
  readonly askPublisher: () => void;
  /** The peer must send a key frame, and RTCP cannot ask it. */
  readonly askPeerByInfo: () => void;
  /** Told what is wrong with a stream, each thing once. */
  readonly onWarning: (warning: MediaWarning) => void;
}

const VIDEO_CLOCK_RATE = 90_000;

export class MediaPipeline implements Disposable {
  readonly #options: MediaPipelineOptions;
  readonly #publisher: PublisherClock;
  readonly #announced: AnnouncedOutlet | null;
  readonly #warnings: MediaWarnings;
  /** In a call without video only those pictures are worth a word that no call could carry. */
  readonly #unsentVideo: MessageTaker = {
    fromRtmp: ({ body }, tag) => {
      if (!isFrame(tag) || tag.track !== 0 || tag.codec === "h264") return;
      if (body.length > 1) this.#warnings.note(videoWarning(tag.codec), tag.codec);
    },
  };
  #lipSync: LipSync | null = null;
  readonly audio: AudioBridge | null;
  /** DTMF on an audio line that is silent otherwise, beside x-flv; null: in the audio, or nowhere. */
  readonly #tones: DtmfStream | null;
  readonly video: H264Bridge | null;
  readonly xflv: XflvBridge | null;

  constructor(options: MediaPipelineOptions) {
    const { choice, toRtmp, announces = null, registry } = options;
    this.#announced = announces === null ? null : new AnnouncedOutlet(choice, toRtmp, announces, registry);
    this.#options = this.#announced === null ? options : { ...options, toRtmp: this.#announced };
    this.#warnings = new MediaWarnings(options.onWarning);
    this.#publisher = new PublisherClock(options.clock);
    const { audio, video } = choice;
    this.audio = this.#createAudio(audio);
    this.video = video.kind === "h264" ? this.#createVideo(video) : null;
    this.xflv = video.kind === "x-flv" ? this.#createXflv(video) : null;
    this.#tones = this.xflv === null ? null : this.#createTones();
    if (this.audio !== null && this.video !== null && "clockRate" in audio) {
      const rates = { audio: audio.clockRate, video: VIDEO_CLOCK_RATE };
      this.#lipSync = new LipSync(this.audio, this.video, rates);
    }
  }

  /** What takes messages of this type of the client; null: nothing. */
  takerOf(type: MediaMessage["type"]): MessageTaker | null {
    if (this.xflv !== null) return this.xflv;
    return type === 8 ? this.audio : type === 9 ? this.video ?? this.#unsentVideo : null;
  }

  publisherChanged(): void {
    this.#publisher.restart();
    this.audio?.publisherChanged();
    this.video?.publisherChanged();
    this.xflv?.publisherChanged();
  }

  /** Queues DTMF; false when they cannot go this way. */
  sendDigits(digits: string, durationMs: number, way: DtmfTransport): boolean {
    const { audio } = this;
    return audio === null
      ? this.#tones?.send(digits, durationMs, way) ?? false
      : audio.sendDigits(digits, durationMs, way);
  }

  playerChanged(): void {
    this.#announced?.playerChanged();
    this.audio?.playerChanged();
    this.video?.playerChanged();
    this.xflv?.playerChanged();
  }

  takeSprop(sprop: string | null): void {
    this.video?.takeSprop(sprop);
  }

  keyFrameRequested(): void {
    this.video?.keyFrameRequested();
    this.xflv?.keyFrameRequested();
  }

  /** What did not go as it should, for the log; empty when all went well. */
  complaints(): string[] {
    const { audio, video, xflv } = this;
    const found: string[] = [];
    if (audio !== null && audio.unusable > 0) {
      found.push(`${audio.unusable} audio messages of the client dropped (${audio.firstUnusable})`);
    }
    if (audio !== null) found.push(...transcodingOf(audio));
    if (video !== null && video.unusable > 0) {
      found.push(
        `${video.unusable} pictures of the client dropped: before its first key frame in the call, or malformed`,
      );
    }
    if (video !== null && video.brokenPictures > 0) {
      found.push(`${video.brokenPictures} pictures of the peer incomplete`);
    }
    if (video !== null && video.bFrames > 0) {
      found.push(`${video.bFrames} pictures of the client are B-frames, which many phones cannot show`);
    }
    if (xflv !== null && xflv.unusable > 0) {
      found.push(`${xflv.unusable} messages of the client dropped: malformed, or too long for x-flv`);
    }
    if (xflv !== null && xflv.lost > 0) found.push(`${xflv.lost} x-flv messages of the peer incomplete`);
    return found;
  }

  [Symbol.dispose](): void {
    this.audio?.[Symbol.dispose]();
    this.video?.[Symbol.dispose]();
    this.#tones?.[Symbol.dispose]();
  }

  #createAudio(chain: AudioChain): AudioBridge | null {
    if (chain.kind !== "codec") return null;
    const { choice } = this.#options;
    const session = this.#options.session("audio", chain.clockRate);
    const bridge = new AudioBridge({
      ...this.#options,
      ...choice,
      chain,
      toSip: session,
      onPlaced: choice.video.kind === "h264" ? this.#anchored(session, chain.clockRate) : null,
    });
    session.receiver = bridge;
    session.onSourceChange = () => {
      bridge.sourceChanged();
      this.#lipSync?.audioChanged();
    };
    session.onRtcp = (event) => {
      if (event.type === "sr") this.#lipSync?.audioReported(event.clock);
    };
    return bridge;
  }

  #createVideo(chain: H264Chain): H264Bridge {
    const session = this.#options.session("video", VIDEO_CLOCK_RATE);
    const bridge = new H264Bridge({
      ...this.#options,
      chain,
      toSip: session,
      askPeer: () => this.#askPeer(chain, session),
      onPlaced: this.#anchored(session, VIDEO_CLOCK_RATE),
    });
    session.receiver = bridge;
    session.onSourceChange = () => {
      bridge.sourceChanged();
      this.#lipSync?.videoChanged();
    };
    session.onRtcp = (event) => {
      if (event.type === "pli" || event.type === "fir") bridge.keyFrameRequested();
      else if (event.type === "sr") this.#lipSync?.videoReported(event.clock);
    };
    return bridge;
  }

  #createXflv(chain: XflvChain): XflvBridge {
    const { askPeerByInfo: askPeer } = this.#options;
    const session = this.#options.session("video", VIDEO_CLOCK_RATE);
    const bridge = new XflvBridge({ ...this.#options, chain, toSip: session, askPeer });
    session.receiver = bridge;
    session.onSourceChange = () => bridge.sourceChanged();
    return bridge;
  }

  /** Other gateways of siprtmp's kind send DTMF on the audio line, although all else is in x-flv. */
  #createTones(): DtmfStream | null {
    const { choice: { telephoneEvents, redundancy }, clock, onDigit } = this.#options;
    if (telephoneEvents.length === 0) return null;
    const { clockRate } = telephoneEvents[0]!;
    const session = this.#options.session("audio", clockRate);
    const tones = new DtmfStream({
      telephoneEvents,
      redundancy,
      clockRate,
      sentSound: null,
      heardSound: [],
      clock,
      toSip: session,
      onDigit,
    });
    session.receiver = tones;
    return tones;
  }

  /** Sender reports of audio and video are made from one clock, the publisher's; one stream alone needs none. */
  #anchored(session: PipelineSession, clockRate: number): (timestamp: number, timeMs: number) => void {
    const anchor = new StreamAnchor(
      this.#publisher,
      clockRate,
      (timestamp, atMs) => session.anchor(timestamp, atMs),
    );
    return (timestamp, timeMs) => anchor.placed(timestamp, timeMs);
  }

  /** By RTCP when both sides named it (RFC 4585, RFC 5104), else by SIP INFO (RFC 5168). */
  #askPeer(chain: H264Chain, session: PipelineSession): void {
    const asked = chain.rtcpFb.includes("nack pli")
      ? session.sendFeedback("pli")
      : chain.rtcpFb.includes("ccm fir") && session.sendFeedback("fir");
    if (!asked) this.#options.askPeerByInfo();
  }
}

/** How the transcoding went: broken audio, concealment, delays. */
function transcodingOf(audio: AudioBridge): string[] {
  const { broken: { fromRtmp, fromRtp }, transcodingSummary } = audio;
  const found: string[] = [];
  if (fromRtmp > 0) found.push(`${fromRtmp} audio messages of the client malformed`);
  if (fromRtp > 0) found.push(`${fromRtp} audio packets of the peer malformed`);
  if (transcodingSummary !== "") found.push(`transcoded ${transcodingSummary}`);
  return found;
}

const AVC_ID = 7;

/** The body of onMetaData for what was agreed; null: x-flv, where the remote party's own metadata comes through. */
export function metadataOf(
  { audio, video }: MediaChoice,
  registry: CodecRegistry = builtInCodecs,
): Uint8Array | null {
  const sound = audio.kind === "codec" ? registry.named(audio.receive[0]?.toClient ?? "") : null;
  if (video.kind === "x-flv" || (sound === null && video.kind === "none")) return null;
  const members = {
    duration: 0,
    ...(sound !== null && { audiocodecid: sound.flv?.ids[0] ?? 0 }),
    ...(video.kind === "h264" && { videocodecid: AVC_ID }),
  };
  return encodeAmf0(["onMetaData", new AmfEcmaArray(members)]); // as an object, ffmpeg does not read it
}

/** Puts the metadata in front of what each player gets. */
export class AnnouncedOutlet implements TagSink {
  readonly #metadata: Uint8Array | null;
  readonly #sink: TagSink;
  readonly #heard: () => boolean;
  #due = true;

  /** Nothing is said before the first tag. @param heard whether what is put now reaches anybody */
  constructor(
    choice: MediaChoice,
    sink: TagSink,
    heard: () => boolean,
    registry: CodecRegistry = builtInCodecs,
  ) {
    this.#metadata = metadataOf(choice, registry);
    this.#sink = sink;
    this.#heard = heard;
  }

  playerChanged(): void {
    this.#due = true;
  }

  play(type: 8 | 9 | 18, timeMs: number, body: Uint8Array): void {
    if (this.#due && this.#heard()) this.#announce();
    this.#sink.play(type, timeMs, body);
  }

  /** At time 0: programs made with ffmpeg's libraries take later metadata for a stream of its own. */
  #announce(): void {
    this.#due = false;
    if (this.#metadata !== null) this.#sink.play(18, 0, this.#metadata);
  }
}
