// What a call's media will be, decided once from what was agreed in SDP: how audio and video travel each way,
// what `accepted` tells the client, and what a 488 tells the peer.
// RFC 3264 6 and 7 (who chooses), RFC 3261 20.43 (Warning).
// Role: wire

import { maskSecrets } from "../base/mask_secrets.ts";
import type { AcceptedReport, StreamCodec, StreamCodecs, StreamRecord } from "./call_media.ts";
import {
  type CodecPlan,
  planAnyCodec,
  type PlannedFormat,
  plannedFormats,
  type RtmpCapability,
} from "./codec_tokens.ts";
import type { AgreedFormat, AgreedMedia } from "../sdp/agreed_media.ts";
import type { SessionDescription } from "../sdp/description.ts";
import { parseFmtp } from "../sdp/fmtp.ts";
import { agreedPacketizationMode, withoutSprop } from "../sdp/h264_format.ts";
import { isNamed } from "../sdp/media_format.ts";
import { createAnswer, type LocalMedia } from "../sdp/offer_answer.ts";

/** Which side wrote the offer: its order of formats decides. */
export type OfferSide = "local" | "remote";

export type AudioChain =
  /** No audio was agreed. */
  | { readonly kind: "none" }
  /** Audio rides on the x-flv video line; the audio line stays silent. */
  | { readonly kind: "x-flv" }
  | NegotiatedAudio;

/** A stream of audio; codecs by the names of the registry. */
export interface NegotiatedAudio {
  readonly kind: "codec";
  readonly client: string;
  /** What the remote party is sent: another codec than that of the client is made by transcoding. */
  readonly remote: string;
  readonly clockRate: number;
  readonly sendPayloadType: number;
  readonly receive: readonly ReceivedAudio[];
  /** Packet time the peer asked for; null: ours. */
  readonly ptimeMs: number | null;
}

export interface ReceivedAudio {
  readonly payloadType: number;
  readonly codec: string;
  readonly clockRate: number;
  /** What the client gets; another codec than it is: transcoded. */
  readonly toClient: string;
}

export interface MediaChoice {
  readonly audio: AudioChain;
  readonly video: VideoChain;
  /** DTMF as RTP events (RFC 4733): the first is sent, all may arrive; empty: the peer takes none. */
  readonly telephoneEvents: readonly AgreedFormat[];
  /** Redundancy (RFC 2198) for the DTMF; null: not agreed. */
  readonly redundancy: AgreedFormat | null;
  /** Payload types of comfort noise (RFC 3389) that may arrive. */
  readonly comfortNoise: readonly number[];
}

/** Decides the media from what was agreed (sdp's createAnswer or readAnswer) and what we had planned. */
export function chooseMedia(
  agreed: readonly AgreedMedia[],
  plan: CodecPlan,
  offeredBy: OfferSide,
): MediaChoice {
  const media = agreed.find((media) => media.kind === "audio");
  const video = chooseVideo(
    candidates(agreed.find((media) => media.kind === "video"), plan, offeredBy),
  );
  const audio: AudioChain = video.kind === "x-flv" ? { kind: "x-flv" } : chooseAudio(media, plan, offeredBy);
  return {
    audio,
    video,
    telephoneEvents: chooseEvents(media, audio),
    redundancy: media?.redundancy ?? null,
    comfortNoise: media?.comfortNoise.flatMap((format) => format.receivePayloadTypes) ?? [],
  };
}

/** Sent are the DTMF on the clock of the audio we send (RFC 4733 2.1), else any. */
function chooseEvents(media: AgreedMedia | undefined, audio: AudioChain): AgreedFormat[] {
  if (media === undefined || media.telephoneEvent === null) return [];
  const clockRate = "clockRate" in audio ? audio.clockRate : null;
  const sent = media.telephoneEvents.find((format) => format.clockRate === clockRate) ?? media.telephoneEvent;
  return [sent, ...media.telephoneEvents.filter((format) => format !== sent)];
}

/** Whether two choices need the same lines; the parameter sets of a picture do not count. */
export function sameChoice(a: MediaChoice, b: MediaChoice | null): boolean {
  const text = (choice: MediaChoice | null) =>
    JSON.stringify(choice, (key, value) => key === "sprop" ? null : value);
  return text(a) === text(b);
}

/** The plan with what is in use in front, for a renewed offer: the client was told of it, and of no other. */
export function planKeeping(plan: CodecPlan, choice: MediaChoice): CodecPlan {
  const inUse = plan.formats.filter((planned) => isInUse(planned, choice));
  return { ...plan, formats: [...new Set([...inUse, ...plan.formats])] };
}

function isInUse({ format, client, remote }: PlannedFormat, { audio, video }: MediaChoice): boolean {
  if (video.kind !== "none" && client === video.kind) return true;
  if (audio.kind === "none" || audio.kind === "x-flv") return false;
  const [first] = audio.receive;
  return remote === first?.codec && format.clockRate === first.clockRate;
}

export function describeChoice({ audio, video }: MediaChoice): string {
  const sound = "clockRate" in audio
    ? `${soundOf(audio)} at ${audio.clockRate} Hz, payload type ${audio.sendPayloadType}`
    : audio.kind;
  const picture = video.kind === "none" ? "none" : `${video.kind}, payload type ${video.sendPayloadType}`;
  return `audio: ${sound}; video: ${picture}`;
}

function soundOf({ client, remote }: NegotiatedAudio): string {
  return client === remote ? client : `${client} of the client transcoded to ${remote}`;
}

/** What `accepted` tells the client: nothing when it gave no codec list (behaviour 1.5). */
export function acceptedReport(choice: MediaChoice, plan: CodecPlan): AcceptedReport {
  if (!plan.listed) return [];
  return [reportedAudio(choice.audio), reportedVideo(choice.video)];
}

/**
 * Why a call with this offer cannot work whatever its callee answers, in words that name both sides' formats;
 * null when it can. For an early 488, before anybody is alerted (behaviour 1.12, row 10).
 */
export function objectionTo(offer: SessionDescription, capability: RtmpCapability): string | null {
  const media = localMedia(planAnyCodec(capability), { audio: 9, video: 9 });
  const trial = createAnswer(offer, { address: "0.0.0.0", sessionId: 0, sessionVersion: 0, media });
  return trial.type === "none" ? trial.reason : null;
}

/**
 * The plan to answer an offer with: nothing that would have to be transcoded when something passes through as it is,
 * unless the call is already being transcoded.
 */
export function planForAnswer(
  offer: SessionDescription,
  plan: CodecPlan,
  inUse: MediaChoice | null,
): CodecPlan {
  if (inUse?.audio.kind === "codec" && inUse.audio.client !== inUse.audio.remote) return plan;
  const passing = { ...plan, formats: plan.formats.filter((planned) => !needsTranscoding(planned)) };
  if (passing.formats.length === plan.formats.length) return plan;
  const media = localMedia(passing, { audio: 9, video: 9 }).filter(({ kind }) => kind === "audio");
  const trial = createAnswer(offer, { address: "0.0.0.0", sessionId: 0, sessionVersion: 0, media });
  return trial.type === "answer" ? passing : plan;
}

function needsTranscoding({ kind, client, remote }: PlannedFormat): boolean {
  return kind === "audio" && client !== null && remote !== client;
}

/** The m-lines of a plan for sdp's createOffer and createAnswer: audio, then video, none without formats. */
export function localMedia(
  plan: CodecPlan,
  ports: { readonly audio: number; readonly video: number },
): LocalMedia[] {
  return (["audio", "video"] as const)
    .map((kind) => ({ kind, port: ports[kind], formats: plannedFormats(plan, kind) }))
    .filter((media) => media.formats.length > 0);
}

/** Longest text of a Warning header; much of it comes from the peer. */
const MAX_WARNING_LENGTH = 400;

/**
 * The value of a Warning header for a 488: code 305, incompatible media format (RFC 3261 20.43).
 * @param agent host or name of this gateway
 */
export function formatWarning(agent: string, text: string): string {
  const plain = maskSecrets(text.slice(0, MAX_WARNING_LENGTH)).replace(/\p{Cc}+/gu, " ").slice(
    0,
    MAX_WARNING_LENGTH,
  ).toWellFormed();
  return `305 ${agent} "${plain.replace(/["\\]/g, "\\$&")}"`;
}

/** The offerer's order: ours is the plan's, the peer's is that of the agreed list. */
function candidates(media: AgreedMedia | undefined, plan: CodecPlan, offeredBy: OfferSide): Candidate[] {
  const found: Candidate[] = [];
  for (const agreed of media?.formats ?? []) {
    const planned = plan.formats.find((candidate) =>
      candidate.kind === media?.kind && matches(candidate, agreed)
    );
    if (planned !== undefined) found.push({ agreed, planned });
  }
  if (offeredBy === "remote") return found;
  return found.sort((a, b) => plan.formats.indexOf(a.planned) - plan.formats.indexOf(b.planned));
}

function matches(planned: PlannedFormat, agreed: AgreedFormat): boolean {
  return isNamed(agreed, planned.format.name.toLowerCase()) && planned.format.clockRate === agreed.clockRate;
}

function chooseAudio(media: AgreedMedia | undefined, plan: CodecPlan, offeredBy: OfferSide): AudioChain {
  const formats = candidates(media, plan, offeredBy).flatMap((candidate) => audioCandidate(candidate) ?? []);
  if (offeredBy === "remote") formats.sort((a, b) => Number(isTranscoded(a)) - Number(isTranscoded(b)));
  const [first] = formats;
  if (first === undefined) return { kind: "none" };
  const { codec, toClient, clockRate } = first.received[0]!;
  return {
    kind: "codec",
    client: toClient,
    remote: codec,
    clockRate,
    sendPayloadType: first.sendPayloadType,
    receive: formats.flatMap((format) => format.received),
    ptimeMs: media?.ptimeMs ?? null,
  };
}

/** An agreed format of the audio m-line: what is sent with it, and what arrives. */
interface AudioCandidate {
  readonly sendPayloadType: number;
  /** One entry for each payload type it may arrive with; never empty. */
  readonly received: readonly ReceivedAudio[];
}

function audioCandidate(
  { agreed, planned: { remote: codec, client: toClient } }: Candidate,
): AudioCandidate | null {
  if (toClient === null) return null;
  const { sendPayloadType, receivePayloadTypes, clockRate } = agreed;
  const received = receivePayloadTypes.map((payloadType) => ({ payloadType, codec, clockRate, toClient }));
  return { sendPayloadType, received };
}

/** The caller's order counts, but what passes through as it is comes first. */
function isTranscoded({ received: [first] }: AudioCandidate): boolean {
  return first?.codec !== first?.toClient;
}

function reportedAudio(audio: AudioChain): string | null {
  switch (audio.kind) {
    case "none":
      return null;
    case "x-flv":
      return "default";
    case "codec":
      return audio.client;
  }
}

function reportedVideo(video: VideoChain): string | null {
  switch (video.kind) {
    case "none":
      return null;
    case "x-flv":
      return "default";
    case "h264":
      return "h264";
  }
}

const VIDEO_CLOCK_RATE = 90_000;

/** The codecs of one medium; null: it is not carried, or rides in another. */
export function streamCodecs({ audio, video }: MediaChoice, kind: StreamRecord["kind"]): StreamCodecs | null {
  if (kind === "video") {
    if (video.kind === "none") return null;
    const of = (payloadType: number): StreamCodec => ({ payloadType, codec: video.kind, client: video.kind });
    return {
      clockRate: VIDEO_CLOCK_RATE,
      send: of(video.sendPayloadType),
      receive: video.receivePayloadTypes.map(of),
    };
  }
  if (audio.kind === "none" || audio.kind === "x-flv") return null;
  const { clockRate, sendPayloadType: payloadType, receive, remote: codec, client } = audio;
  return {
    clockRate,
    send: { payloadType, codec, client },
    receive: receive.map(({ payloadType, codec, toClient }) => ({ payloadType, codec, client: toClient })),
  };
}

export type VideoChain =
  /** No video was agreed. */
  | { readonly kind: "none" }
  | H264Chain
  | XflvChain;

/** H.264 passed through (RFC 6184). */
export interface H264Chain {
  readonly kind: "h264";
  /** Packetization mode both sides take: 0 has no FU-A and STAP-A. */
  readonly mode: 0 | 1;
  /** The peer's parameters, without its parameter sets; null: it gave none. */
  readonly fmtp: string | null;
  /** The peer's sprop-parameter-sets; null: it gave none. They may change while all else stays. */
  readonly sprop: string | null;
  /** Our parameters as the peer was told, without parameter sets. */
  readonly localFmtp: string | null;
  readonly rtcpFb: readonly string[];
  readonly sendPayloadType: number;
  /** Payload types of what may arrive: peers that offer several modes may use each. */
  readonly receivePayloadTypes: readonly number[];
}

/** Every message of the client in x-flv, audio too (behaviour 1.9). */
export interface XflvChain {
  readonly kind: "x-flv";
  readonly sendPayloadType: number;
  readonly receivePayloadTypes: readonly number[];
}

/** An agreed format beside the plan's. */
export interface Candidate {
  readonly agreed: AgreedFormat;
  readonly planned: PlannedFormat;
}

const SPROP = "sprop-parameter-sets";

/** The first of the formats both sides have decides the codec. */
export function chooseVideo(found: readonly Candidate[]): VideoChain {
  const [first] = found;
  if (first === undefined) return { kind: "none" };
  const { sendPayloadType, receivePayloadTypes } = first.agreed;
  if (first.planned.client === "x-flv") return { kind: "x-flv", sendPayloadType, receivePayloadTypes };
  return chooseH264(found.filter(({ planned }) => planned.client === "h264").map(({ agreed }) => agreed));
}

/** Of several modes the one that may cut pictures into packets: without it they take datagrams of any size. */
function chooseH264(formats: readonly AgreedFormat[]): H264Chain {
  const isCut = (format: AgreedFormat) => agreedPacketizationMode(format.localFmtp, format.fmtp) === 1;
  const cut = formats.find(isCut);
  const { fmtp, localFmtp, rtcpFb, sendPayloadType } = cut ?? formats[0]!;
  return {
    kind: "h264",
    mode: cut === undefined ? 0 : 1,
    fmtp: withoutSprop(fmtp),
    sprop: parseFmtp(fmtp).get(SPROP) ?? null,
    localFmtp: withoutSprop(localFmtp),
    rtcpFb,
    sendPayloadType,
    receivePayloadTypes: formats.flatMap((format) => format.receivePayloadTypes),
  };
}
