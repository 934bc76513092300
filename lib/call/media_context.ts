// The media of one call: sockets, offer and answer, and the two chains between RTMP tags and RTP payloads.
// The chains are built when an answer is known and kept while it stays the same, so a hold or a session
// refresh does not restart the sound.
// Role: edge

import type { Logger } from "../base/log.ts";
import { createTag, readTag, type Tag } from "../media/tag.ts";
import type { MediaMessage } from "../rtmp/message.ts";
import { type MediaTimeouts, MediaWatch, QUIET_MS } from "../rtp/media_watch.ts";
import { type AgreedMedia, withEarlierNumbers } from "../sdp/agreed_media.ts";
import type { SessionDescription } from "../sdp/description.ts";
import { createAnswer, createOffer, createReoffer, readAnswer } from "../sdp/offer_answer.ts";
import type { SipBody } from "../sip/message/body.ts";
import { MediaPipeline } from "./media_pipeline.ts";
import { CallStreams, type MediaServices } from "./call_streams.ts";
import type {
  AnswerOutcome,
  CallMedia,
  MediaOutcome,
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
import { levelOf, type MediaWarning } from "./media_warnings.ts";
import { PublishedAudio } from "./published_audio.ts";
import { PublishedVideo } from "./published_video.ts";
import { readSdpBody, sdpBody } from "./sdp_body.ts";
import type { DtmfTransport } from "./dtmf_stream.ts";
import type { StreamRecord } from "./stream_record.ts";

export type { MediaServices } from "./call_streams.ts";

/** Ticks of 10 ms between two looks at whether the peer's media come. */
const TICKS_PER_LOOK = 100;

/** Filled by each call, and read before it returns. */
const header = createTag();

const NO_TIMEOUTS: MediaTimeouts = { initialMs: 0, silenceMs: 0 };

/** One call's own settings. */
export interface MediaContextOptions {
  readonly services: MediaServices;
  /** The client's log. */
  readonly log: Logger;
  /** Formats to offer or take. */
  readonly plan: CodecPlan;
  /** Address the peer is told. */
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
  /** Where tags for the player go. */
  toRtmp: TagSink | null = null;
  /** Told each touch tone of the peer. */
  onDigit: ((digit: string, durationMs: number) => void) | null = null;
  /** Told when the publisher should send a key frame. */
  onKeyFrameWanted: (() => void) | null = null;
  /** Told what the publisher could do better. */
  onPublisherWarning: ((code: string, text: string, level: WarningLevel) => void) | null = null;
  /** Told when the peer must be asked for a key frame by INFO. */
  onPictureWanted: (() => void) | null = null;
  readonly #options: MediaContextOptions;
  readonly #log: Logger;
  readonly #streams: CallStreams;
  readonly #sessionId: number;
  #version: number;
  #local: SessionDescription | null = null;
  #choice: MediaChoice | null = null;
  #agreed: readonly AgreedMedia[] = [];
  #pipeline: MediaPipeline | null = null;
  readonly #published = new PublishedVideo();
  readonly #publishedAudio = new PublishedAudio();
  #hold = false;
  #wasHeld = false;
  #heldByRemote = false;
  #ended = false;
  #early = false;
  #watching: Disposable | null = null;

  /** Binds the audio sockets. Errors: TransportError when there is no port. */
  constructor(options: MediaContextOptions) {
    this.#options = options;
    this.#log = options.log.category("media");
    this.#sessionId = Math.floor(options.services.clock.wallMs() / 1000);
    this.#version = this.#sessionId;
    if (options.plan.ignored.length > 0) {
      this.#log.warn(`codecs of the client that cannot be used here: ${options.plan.ignored.join(", ")}`);
    }
    const kinds = localMedia(options.plan, { audio: 9, video: 9 }).map(({ kind }) => kind);
    this.#streams = new CallStreams(kinds, { ...options, log: this.#log });
  }

  /** True while the remote side holds us. */
  get heldByRemote(): boolean {
    return this.#heldByRemote;
  }

  /** Our offer; after the first it keeps the payload types that are in use. */
  makeOffer(): SipBody {
    const fields = this.#fields();
    this.#local = this.#local === null
      ? createOffer({ ...fields, media: this.#localMedia() })
      : createReoffer(this.#published.describedIn(this.#local), fields);
    return sdpBody(this.#local);
  }

  /** Reads the answer to our last offer. */
  takeAnswer(answer: SipBody): MediaOutcome {
    const description = readSdpBody(answer);
    if (typeof description === "string") return { type: "none", reason: description };
    if (this.#local === null) return { type: "none", reason: "there was no offer to answer" };
    const outcome = readAnswer(this.#local, description);
    if (outcome.type === "none") return outcome;
    return this.#apply(outcome.agreed, "local", answer.from);
  }

  /** Reads the peer's offer and answers it. */
  takeOffer(offer: SipBody): AnswerOutcome {
    const description = readSdpBody(offer);
    if (typeof description === "string") return { type: "none", reason: description };
    const plan = planForAnswer(description, this.#options.plan, this.#choice);
    const outcome = createAnswer(description, { ...this.#fields(), media: this.#localMedia(plan) });
    if (outcome.type === "none") return outcome;
    const applied = this.#apply(outcome.agreed, "remote", offer.from);
    if (applied.type === "none") return applied;
    this.#local = outcome.answer;
    return { ...applied, answer: sdpBody(outcome.answer) };
  }

  fromRtmp(message: MediaMessage, tag: Tag = readTag(message.type, message.body, header)): void {
    if (tag.content === "config") this.#noteConfig(message);
    this.#pipeline?.takerOf(message.type)?.fromRtmp(message, tag);
  }

  #noteConfig(message: MediaMessage): void {
    this.#published.note(message);
    this.#publishedAudio.note(message);
  }

  /** Another stream publishes. */
  publisherChanged(): void {
    this.#published.forget();
    this.#publishedAudio.forget();
    this.#pipeline?.publisherChanged();
  }

  /** Another stream plays. */
  playerChanged(): void {
    this.#pipeline?.playerChanged();
  }

  /** The peer asks for a key frame by INFO. */
  keyFrameRequested(): void {
    this.#pipeline?.keyFrameRequested();
  }

  setHold(on: boolean): void {
    this.#hold = on;
    this.#wasHeld ||= on;
  }

  /** Touch tones as RTP events, or as sound. */
  sendDigits(digits: string, durationMs: number, way: DtmfTransport = "rtp"): boolean {
    return this.#pipeline?.sendDigits(digits, durationMs, way) ?? false;
  }

  /** The peer has described early media: it may wait for ours before it sends any. */
  earlyMedia(): void {
    this.#early = true;
    this.#pipeline?.audio?.startSilence(this.#options.services.ticker);
  }

  /** Once a second, on the ticks of all calls. */
  watch(outlets: WatchOutlets): void {
    const { clock, ticker, timeouts = NO_TIMEOUTS } = this.#options.services;
    const watch = new MediaWatch(timeouts, {
      quiet: () => {
        const { from, oddity } = this.#streams.peerText("audio");
        outlets.quiet(`no audio from ${from} for ${QUIET_MS / 1000} s${oddity}`);
      },
      dead: (seconds) => {
        const { from } = this.#streams.peerText(this.#hasSound ? "audio" : "video");
        outlets.dead(`no RTP from ${from} for ${seconds} s`);
      },
    }, clock.now());
    const look = (nowMs: number): void => watch.look(nowMs, this.#streams.life(this.#hasSound));
    this.#watching ??= ticker.add(look, TICKS_PER_LOOK);
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
      const record = codecs === null ? null : this.#streams.record(kind, codecs);
      return record === null ? [] : [record];
    });
  }

  summary(): string {
    const parts = this.#streams.summary();
    return [...parts, ...(this.#pipeline?.complaints() ?? [])].join("; ") || "no media";
  }

  /** For its lines: one tag, unless we hold. */
  play(type: 8 | 9 | 18, timeMs: number, body: Uint8Array): void {
    if (!this.#hold) this.toRtmp?.play(type, timeMs, body);
  }

  /** Ends RTCP politely and frees the ports. */
  [Symbol.dispose](): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#watching?.[Symbol.dispose]();
    this.#pipeline?.[Symbol.dispose]();
    this.#pipeline = null;
    this.#streams[Symbol.dispose]();
    this.#options.onEnd();
  }

  #localMedia(plan = this.#options.plan): ReturnType<typeof localMedia> {
    const ports = { audio: this.#streams.port("audio"), video: this.#streams.port("video") };
    return localMedia(plan, ports).map((media) => ({
      ...media,
      formats: media.formats.map((format) => this.#published.described(format)),
    }));
  }

  #fields() {
    const sessionVersion = this.#version++;
    const fields = { address: this.#options.localAddress, sessionId: this.#sessionId, sessionVersion };
    return this.#wasHeld ? { ...fields, hold: this.#hold } : fields;
  }

  /** @param from where the peer's description came from */
  #apply(settled: readonly AgreedMedia[], offeredBy: OfferSide, from: readonly string[] = []): MediaOutcome {
    if (this.#ended) return { type: "none", reason: "the call is over" };
    const agreed = withEarlierNumbers(settled, this.#agreed);
    const choice = this.#choose(agreed, offeredBy);
    if (choice.audio.kind === "none" && choice.video.kind === "none") {
      return { type: "none", reason: "the codecs both sides name cannot be used here" };
    }
    const lost = agreed.map((media) => this.#streams.objection(media, from)).find((why) => why !== null);
    if (lost) return { type: "none", reason: `the peer only listens, and cannot be sent to: ${lost}` };
    const wasHeld = this.#heldByRemote;
    this.#heldByRemote = agreed.some((media) => media.heldByRemote);
    if (wasHeld && !this.#heldByRemote) this.#pipeline?.audio?.publisherChanged(); // a new talk spurt, with its marker
    if (!sameChoice(choice, this.#choice)) this.#build(choice);
    else if (choice.video.kind === "h264") this.#pipeline?.takeSprop(choice.video.sprop);
    this.#choice = choice;
    this.#agreed = agreed;
    this.#streams.keepOnly(agreed);
    for (const media of agreed) this.#streams.direct(media, from);
    return { type: "agreed", report: acceptedReport(choice, this.#options.plan) };
  }

  /** What is in use stays while it may: the client was told of it, and has no way to hear of another. */
  #choose(agreed: readonly AgreedMedia[], offeredBy: OfferSide): MediaChoice {
    const { plan } = this.#options;
    return this.#choice === null
      ? chooseMedia(agreed, plan, offeredBy)
      : chooseMedia(agreed, planKeeping(plan, this.#choice), "local");
  }

  #build(choice: MediaChoice): void {
    this.#pipeline?.[Symbol.dispose]();
    this.#streams.detach();
    this.#pipeline = new MediaPipeline({
      choice,
      clock: this.#options.services.clock,
      transcoding: this.#options.services,
      originMs: this.#options.originMs,
      announces: this.#options.announced === true ? () => this.toRtmp !== null && !this.#hold : null,
      session: (kind, clockRate) => this.#streams.session(kind, clockRate),
      toRtmp: this,
      onDigit: (digit, durationMs) => this.onDigit?.(digit, durationMs),
      askPublisher: () => this.onKeyFrameWanted?.(),
      askPeerByInfo: () => this.onPictureWanted?.(),
      onWarning: (warning) => this.#noteWarning(warning),
    });
    for (const { config } of [this.#published, this.#publishedAudio]) {
      if (config !== null) this.fromRtmp(config);
    }
    if (this.#early) this.#pipeline.audio?.startSilence(this.#options.services.ticker);
    this.#log.info(describeChoice(choice));
  }

  #noteWarning(warning: MediaWarning): void {
    const { text, status } = warning;
    this.#log.warn(text);
    if (status !== null) this.onPublisherWarning?.(status, text, levelOf(warning));
  }
}
