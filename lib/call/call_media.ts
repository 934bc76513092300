// What a call needs of its media, whatever carries it: offers and answers as SIP bodies, RTMP messages in,
// tags out. media_context.ts is the real one; tests of the call logic use a recording one.
// Role: wire

import type { DtmfTransport } from "./dtmf_stream.ts";
import type { CodecRegistry } from "../codecs/registry.ts";
import type { Tag } from "../media/tag.ts";
import type { MediaMessage } from "../rtmp/message.ts";
import type { RtpStats } from "../rtp/rtcp_channel.ts";
import type { Direction } from "../sdp/description.ts";
import type { SipBody } from "../sip/message/body.ts";

/** What the client reports as `accepted(audio, video)`: empty when it gave no codec list (behaviour 1.5). */
export type AcceptedReport = readonly [] | readonly [audio: string | null, video: string | null];

export type MediaOutcome =
  | { type: "agreed"; report: AcceptedReport }
  | { type: "none"; reason: string };

/** Outcome of reading the peer's offer: `answer` is the body to send back. */
export type AnswerOutcome =
  | { type: "agreed"; report: AcceptedReport; answer: SipBody }
  | { type: "none"; reason: string };

export interface TagSink {
  /** One tag: 8 audio, 9 video, 18 data. The body is borrowed. */
  play(type: 8 | 9 | 18, timeMs: number, body: Uint8Array): void;
}

/** Level of a status for the publisher. Programs like ffmpeg show only errors, and end with one. */
export type WarningLevel = "error" | "warning";

/** Told what is missing of the peer's media, in words. */
export interface WatchOutlets {
  /** There is no audio, although some should be; once a call. */
  quiet(text: string): void;
  /** There has been nothing for so long that the call is to end. */
  dead(reason: string, seconds: number): void;
}

/** The media of one call. Owned by the call's task; disposing it, once or again, frees its sockets and ports. */
export interface CallMedia extends Disposable {
  /** Where tags for the RTMP player go; null drops them. */
  toRtmp: TagSink | null;
  /** Told each DTMF digit of the peer once. */
  onDigit: ((digit: string, durationMs: number) => void) | null;
  /** The peer lost its picture: the publisher should send a key frame; rate-limited. */
  onKeyFrameWanted: (() => void) | null;
  /** Something about what the client sends that its publisher can change: a status code, what it means, how bad it is. */
  onPublisherWarning: ((code: string, text: string, level: WarningLevel) => void) | null;
  /** We need a key frame of the peer and RTCP cannot ask for it; rate-limited. */
  onPictureWanted: (() => void) | null;
  /** True while the remote side has put us on hold. */
  readonly heldByRemote: boolean;
  makeOffer(): SipBody;
  takeAnswer(answer: SipBody): MediaOutcome;
  /** Reads the peer's offer, first or renewed, answers it and starts the media. */
  takeOffer(offer: SipBody): AnswerOutcome;
  /** One message from the RTMP publisher; consumed when it returns. @param tag its header, where it has been read by now */
  fromRtmp(message: MediaMessage, tag?: Tag): void;
  /** Another stream publishes from now on: its next time means "now". */
  publisherChanged(): void;
  /** Another stream plays from now on: its video begins with a key frame. */
  playerChanged(): void;
  keyFrameRequested(): void;
  /** Changes our own hold; the next offer or answer says so. */
  setHold(on: boolean): void;
  /** Queues DTMF as RTP events, unless in-band; false when the peer cannot take them this way. */
  sendDigits(digits: string, durationMs: number, way?: DtmfTransport): boolean;
  /** Media are agreed before the call is up: silence is sent from now on, until the client's own audio comes. */
  earlyMedia(): void;
  /** The call is up: whether the peer's media come is watched from now on. */
  watch(outlets: WatchOutlets): void;
  /** What is agreed, and the counters so far; empty before anything is agreed. */
  streams(): readonly StreamRecord[];
  summary(): string;
}

export type MediaOpening =
  | { type: "open"; media: CallMedia }
  /** Nothing of the client's codec list can be used. */
  | { type: "none"; reason: string }
  /** There is no port left, or too many calls. */
  | { type: "failed"; reason: string };

/** Opens media for calls and judges offers before anybody is alerted. */
export interface MediaFactory {
  /** The codecs that its calls may have; absent: those that are built in. */
  readonly registry?: CodecRegistry;
  /**
   * Binds the sockets of a call; unless it succeeds nothing is left open.
   * @param localAddress what the peer is told
   * @param codecs the client's tokens; empty: it gave none
   */
  open(localAddress: string, codecs: readonly string[]): MediaOpening;
  /**
   * The address a caller is told for its answer: the one that faces the media address of its offer, which may be of
   * another family than its signalling; `hop`, the one its signalling sees, when there is no offer.
   */
  addressFacing(offer: SipBody | null, hop: string): string;
  /** The description with addresses for its host names, as far as they resolve in 2 s. */
  withAddresses(description: SipBody): Promise<SipBody>;
  /** Null when a call with this offer can work; else the text of the Warning header. */
  objection(offer: SipBody): string | null;
}

/** A codec on the wire, and what it is on the RTMP side; another one there: it is transcoded. */
export interface StreamCodec {
  readonly payloadType: number;
  readonly codec: string;
  /** Null: there is no RTMP side. */
  readonly client: string | null;
}

export interface StreamCodecs {
  readonly clockRate: number;
  readonly send: StreamCodec;
  /** What may arrive, the preferred one first. */
  readonly receive: readonly StreamCodec[];
}

export interface StreamRecord extends StreamCodecs {
  readonly kind: "audio" | "video";
  /** Ours: "sendonly" means we send. */
  readonly direction: Direction;
  /** The remote party does not want to hear us. */
  readonly heldByRemote: boolean;
  /** Where it is sent to: "203.0.113.9:4000"; null: nowhere now. */
  readonly peer: string | null;
  readonly stats: RtpStats;
}
