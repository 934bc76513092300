// The media of one call of the gateway: between the RTP streams of its media session and the tags of an RTMP client stands
// a pipeline, built when an answer is known and kept while that stays the same.
// Role: edge

import type { Logger } from "../base/log.ts";
import type { Codecs } from "../codecs/codecs.ts";
import { createTag, readTag, type Tag } from "../media/tag.ts";
import type { RtpPorts } from "../net/rtp_ports.ts";
import type { MediaMessage } from "../rtmp/message.ts";
import type { AgreedMedia } from "../sdp/agreed_media.ts";
import type { SessionDescription } from "../sdp/description.ts";
import type { SipBody } from "../sip/message/body.ts";
import { MediaPipeline } from "./media_pipeline.ts";
import type { CallStreams, StreamServices } from "./call_streams.ts";
import type {
  AcceptedReport,
  AnswerOutcome,
  CallMedia,
  MediaOutcome,
  StreamRecord,
  TagSink,
  WarningLevel,
  WatchOutlets,
} from "./call_media.ts";
import type { CodecPlan } from "./codec_tokens.ts";
import {
  acceptedReport,
  chooseMedia,
  describeChoice,
  localMedia,
  type MediaChoice,
  type OfferSide,
  planForAnswer,
  planKeeping,
  sameChoice,
  streamCodecs,
} from "./negotiation.ts";
import { MediaSession, type OwnMedia } from "./media_session.ts";
import { levelOf, type MediaWarning } from "./media_warnings.ts";
import { PublisherConfigs } from "./publisher_configs.ts";
import type { DtmfTransport } from "./dtmf_stream.ts";

export interface MediaServices extends StreamServices {
  readonly ports: RtpPorts;
  readonly codecs: Codecs;
}

/** Where only the formats count. */
const ANY_PORTS = { audio: 9, video: 9 };

/** Filled by each call, and read before it returns. */
const header = createTag();

export interface MediaContextOptions {
  readonly services: MediaServices;
  readonly log: Logger;
  readonly plan: CodecPlan;
  readonly localAddress: string;
  readonly bind: string;
  /** What clock.now() was at RTMP time 0 of the client. */
  readonly originMs: number;
  /** Whether players are told first which streams there will be. */
  readonly announced?: boolean;
  /** Called once when the media is disposed. */
  readonly onEnd: () => void;
}

export class MediaContext implements CallMedia, TagSink {
  toRtmp: TagSink | null = null;
  onDigit: ((digit: string, durationMs: number) => void) | null = null;
  onKeyFrameWanted: (() => void) | null = null;
  onPublisherWarning: ((code: string, text: string, level: WarningLevel) => void) | null = null;
  onPictureWanted: (() => void) | null = null;
  readonly #options: MediaContextOptions;
  readonly #log: Logger;
  readonly #session: MediaSession;
  #choice: MediaChoice | null = null;
  #chosen: MediaChoice | null = null;
  #pipeline: MediaPipeline | null = null;
  readonly #configs: PublisherConfigs;
  #wasHeldByRemote = false;
  #ended = false;
  #early = false;

  constructor(options: MediaContextOptions) {
    this.#options = options;
    this.#configs = new PublisherConfigs(options.services.codecs.registry);
    this.#log = options.log.category("media");
    if (options.plan.ignored.length > 0) {
      this.#log.warn(`unsupported codecs of the client ignored: ${options.plan.ignored.join(", ")}`);
    }
    this.#session = new MediaSession({
      ...options,
      log: this.#log,
      kinds: localMedia(options.plan, ANY_PORTS).map(({ kind }) => kind),
      user: {
        mediaFor: (offer) => this.#mediaFor(offer),
        renewed: (ours) => this.#configs.video.describedIn(ours),
        objection: (agreed, offeredBy) => this.#objection(agreed, offeredBy),
        connect: (_agreed, streams) => this.#connect(streams),
        hasSound: () => this.#hasSound,
      },
    });
  }

  get heldByRemote(): boolean {
    return this.#session.heldByRemote;
  }

  makeOffer(): SipBody {
    return this.#session.makeOffer();
  }

  takeAnswer(answer: SipBody): MediaOutcome {
    const outcome = this.#session.takeAnswer(answer);
    return outcome.type === "none" ? outcome : { ...outcome, report: this.#report() };
  }

  takeOffer(offer: SipBody): AnswerOutcome {
    const outcome = this.#session.takeOffer(offer);
    return outcome.type === "none" ? outcome : { ...outcome, report: this.#report() };
  }

  fromRtmp(message: MediaMessage, tag: Tag = readTag(message.type, message.body, header)): void {
    if (tag.content === "config") this.#configs.note(message, tag);
    this.#pipeline?.takerOf(message.type)?.fromRtmp(message, tag);
  }

  publisherChanged(): void {
    this.#configs.forget();
    this.#pipeline?.publisherChanged();
  }

  playerChanged(): void {
    this.#pipeline?.playerChanged();
  }

  keyFrameRequested(): void {
    this.#pipeline?.keyFrameRequested();
  }

  setHold(on: boolean): void {
    this.#session.hold = on;
  }

  sendDigits(digits: string, durationMs: number, way: DtmfTransport = "rtp"): boolean {
    return this.#pipeline?.sendDigits(digits, durationMs, way) ?? false;
  }

  /** The peer has described early media: it may wait for ours before it sends any. */
  earlyMedia(): void {
    this.#early = true;
    this.#pipeline?.audio?.startSilence(this.#options.services.ticker);
  }

  watch(outlets: WatchOutlets): void {
    this.#session.watch(outlets);
  }

  /** Whether audio is a stream of its own: in x-flv it is not. */
  get #hasSound(): boolean {
    const kind = this.#choice?.audio.kind ?? "none";
    return kind !== "none" && kind !== "x-flv";
  }

  streams(): StreamRecord[] {
    const choice = this.#choice;
    if (choice === null) return [];
    return (["audio", "video"] as const).flatMap((kind) => {
      const codecs = streamCodecs(choice, kind);
      const record = codecs === null ? null : this.#session.streams.record(kind, codecs);
      return record === null ? [] : [record];
    });
  }

  summary(): string {
    const parts = this.#session.streams.summary();
    return [...parts, ...(this.#pipeline?.complaints() ?? [])].join("; ") || "no media";
  }

  /** For its lines: one tag, unless we hold. */
  play(type: 8 | 9 | 18, timeMs: number, body: Uint8Array): void {
    if (!this.#session.hold) this.toRtmp?.play(type, timeMs, body);
  }

  [Symbol.dispose](): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#pipeline?.[Symbol.dispose]();
    this.#pipeline = null;
    this.#session[Symbol.dispose]();
    this.#options.onEnd();
  }

  #mediaFor(offer: SessionDescription | null): OwnMedia[] {
    const { plan } = this.#options;
    const answering = offer === null ? plan : planForAnswer(offer, plan, this.#choice);
    return localMedia(answering, ANY_PORTS).map(({ kind, formats }) => ({
      kind,
      formats: formats.map((format) => this.#configs.video.described(format)),
    }));
  }

  #objection(agreed: readonly AgreedMedia[], offeredBy: OfferSide): string | null {
    const choice = this.#chosen = this.#choose(agreed, offeredBy);
    const nothing = choice.audio.kind === "none" && choice.video.kind === "none";
    return nothing ? "the codecs both sides name cannot be used here" : null;
  }

  /** Bridges are kept while the choice stays the same, so a hold or a session refresh does not restart the sound. */
  #connect(streams: CallStreams): void {
    const choice = this.#chosen!;
    const wasHeld = this.#wasHeldByRemote;
    this.#wasHeldByRemote = this.heldByRemote;
    if (wasHeld && !this.heldByRemote) this.#pipeline?.audio?.publisherChanged(); // a new talk spurt, with its marker
    if (!sameChoice(choice, this.#choice)) this.#build(choice, streams);
    else if (choice.video.kind === "h264") this.#pipeline?.takeSprop(choice.video.sprop);
    this.#choice = choice;
  }

  #report(): AcceptedReport {
    return this.#choice === null ? [] : acceptedReport(this.#choice, this.#options.plan);
  }

  /** What is in use stays while it may: the client was told of it, and has no way to hear of another. */
  #choose(agreed: readonly AgreedMedia[], offeredBy: OfferSide): MediaChoice {
    const { plan } = this.#options;
    return this.#choice === null
      ? chooseMedia(agreed, plan, offeredBy)
      : chooseMedia(agreed, planKeeping(plan, this.#choice), "local");
  }

  #build(choice: MediaChoice, streams: CallStreams): void {
    this.#pipeline?.[Symbol.dispose]();
    streams.detach();
    this.#pipeline = new MediaPipeline({
      choice,
      clock: this.#options.services.clock,
      transcoding: this.#options.services,
      registry: this.#options.services.codecs.registry,
      originMs: this.#options.originMs,
      announces: this.#options.announced === true ? () => this.toRtmp !== null && !this.#session.hold : null,
      session: (kind, clockRate) => streams.session(kind, clockRate),
      toRtmp: this,
      onDigit: (digit, durationMs) => this.onDigit?.(digit, durationMs),
      askPublisher: () => this.onKeyFrameWanted?.(),
      askPeerByInfo: () => this.onPictureWanted?.(),
      onWarning: (warning) => this.#noteWarning(warning),
    });
    this.#configs.prime(this);
    if (this.#early) this.#pipeline.audio?.startSilence(this.#options.services.ticker);
    this.#log.info(describeChoice(choice));
  }

  #noteWarning(warning: MediaWarning): void {
    const { text, status } = warning;
    this.#log.warn(text);
    if (status !== null) this.onPublisherWarning?.(status, text, levelOf(warning));
  }
}
