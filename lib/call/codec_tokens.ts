// From the codec list of invite() or accept() to the formats we offer or take, and what each of them is on the
// RTMP side. What the RTMP client and this gateway can do is a value, not knowledge spread over the code.
// Role: wire

import {
  type CodecEntry,
  codecEntry,
  codecOfEncodingName,
  type CodecToken,
  defaultCodecTokens,
  parseCodecToken,
} from "../media/codec.ts";
import type { CodecName } from "../media/frame.ts";
import type { AudioCodecName } from "../codecs/codec.ts";
import { type FormatDetails, type MediaFormat, mediaFormat, sameFormat } from "../sdp/media_format.ts";
import type { ClientAudio } from "./client_audio.ts";

/** Codecs that can be turned into one another. */
export type Transcoding = ReadonlySet<AudioCodecName>;

/** Nothing can be transcoded. */
export const NO_TRANSCODING: Transcoding = new Set();

/** Every module was built. */
export const FULL_TRANSCODING: Transcoding = new Set<AudioCodecName>([
  "speex",
  "pcmu",
  "pcma",
  "g722",
  "aac",
  "opus",
]);

/** What the RTMP side of a call can do. */
export interface RtmpCapability {
  /** Audio the client sends by itself, best first; counts only when it gives no codec list. */
  readonly audio: readonly ("speex" | "pcmu" | "pcma")[];
  /** Which Speex the client is taken to speak when it gives no codec list: the `rate` of connect. */
  readonly rate: "wideband" | "narrowband";
  /** The codecs this gateway can turn into one another; none: audio only passes through as it is. */
  readonly transcoding: Transcoding;
  /** True when this gateway carries video; without it none is offered or taken. */
  readonly video: boolean;
}

/** One format we can use in a call, and what it is on the RTMP side. */
export interface PlannedFormat {
  readonly format: MediaFormat;
  /** Which m-line it belongs to. */
  readonly kind: "audio" | "video";
  /** What the client sends and plays; null for touch tones, which are no media of the client. */
  readonly client: ClientAudio | "h264" | "x-flv" | null;
}

/** What we can use in a call, in the client's order of preference. */
export interface CodecPlan {
  /** True when the client gave a codec list, so that `accepted` must tell it what was agreed. */
  readonly listed: boolean;
  /** Empty: nothing of the client's list can be used. */
  readonly formats: readonly PlannedFormat[];
  /** Names of the list that were left out: unknown, or in need of transcoding that is not there. */
  readonly ignored: readonly string[];
}

/** How a peer may ask for a key frame: RFC 4585 section 6.3.1, RFC 5104 section 3.5.1. */
const KEY_FRAME_REQUESTS: readonly string[] = ["nack pli", "ccm fir"];

/** Touch tones told again in later packets: RFC 2198, two keys back (siprtmp's FAQ). */
const REDUNDANT_TONES: PlannedFormat = {
  format: mediaFormat(100, "red", 8000, { fmtp: "101/101/101" }),
  kind: "audio",
  client: null,
};

/** Every token: what a client that is still to answer may name. */
const ANY_CODEC: readonly CodecToken[] = [
  "wideband",
  "narrowband",
  "pcmu",
  "pcma",
  "dtmf",
  "h264",
  "flv",
];

/** What a client of old sends: Speex at the rate it said in connect. */
export function flashCapability(
  rate: "wideband" | "narrowband",
  transcoding: Transcoding,
  video = true,
): RtmpCapability {
  return { audio: ["speex"], rate, transcoding, video };
}

/** The formats for a client that named `codecs`; an empty list means it named none. */
export function planCodecs(codecs: readonly string[], capability: RtmpCapability): CodecPlan {
  if (codecs.length === 0) return plan(defaultTokens(capability), [], capability, false);
  const tokens: CodecToken[] = [];
  const ignored: string[] = [];
  for (const name of codecs) {
    const token = parseCodecToken(name);
    if (token === null || !isCarried(token, capability)) ignored.push(name);
    else tokens.push(token);
  }
  return plan(tokens, ignored, capability, true);
}

/** Everything a client may come to name when it answers: offers outside of it cannot become a call. */
export function planAnyCodec(capability: RtmpCapability): CodecPlan {
  return plan(ANY_CODEC.filter((token) => isCarried(token, capability)), [], capability, false);
}

function isCarried(token: CodecToken, capability: RtmpCapability): boolean {
  const { kind, transcoded, rtmpCodec } = codecEntry(token);
  return (capability.video || kind === "audio") && (!transcoded || canTranscode(capability, rtmpCodec));
}

function canTranscode({ transcoding }: RtmpCapability, codec: CodecName | null): boolean {
  return [...transcoding].some((name) => name === codec);
}

/** The formats of one m-line, in order of preference. */
export function plannedFormats(codecPlan: CodecPlan, kind: "audio" | "video"): MediaFormat[] {
  return codecPlan.formats.filter((planned) => planned.kind === kind).map((planned) => planned.format);
}

function defaultTokens(capability: RtmpCapability): CodecToken[] {
  const ofSpeex = defaultCodecTokens(capability.rate, canTranscode(capability, "speex"));
  const voices = capability.audio.flatMap((codec): readonly CodecToken[] =>
    codec === "speex" ? ofSpeex.filter((token) => token !== "dtmf" && token !== "flv") : [codec]
  );
  return capability.video ? [...voices, "dtmf", "flv"] : [...voices, "dtmf"];
}

function plan(
  tokens: readonly CodecToken[],
  ignored: readonly string[],
  capability: RtmpCapability,
  listed: boolean,
): CodecPlan {
  const formats: PlannedFormat[] = [];
  for (const token of tokens) {
    const planned = plannedFormat(codecEntry(token));
    if (isMade(planned, capability)) addOnce(formats, planned);
    if (token === "dtmf") addOnce(formats, REDUNDANT_TONES);
  }
  const client = firstVoice(formats) ?? (tokens.includes("aac") ? "aac" : null);
  if (client !== null && canTranscode(capability, client)) addTranscoded(formats, client, capability);
  const voice = formats.some(isVoice);
  return {
    listed,
    formats: voice ? formats : formats.filter((planned) => planned.kind === "video"),
    ignored,
  };
}

/** Two tokens may name one format (`pcmu`, `ulaw`): the first one says what it is to the client. */
function addOnce(formats: PlannedFormat[], planned: PlannedFormat): void {
  const { payloadType } = planned.format;
  if (!formats.some((other) => other.format.payloadType === payloadType)) formats.push(planned);
}

/** What the client sends by its first voice. */
function firstVoice(formats: readonly PlannedFormat[]): ClientAudio | null {
  const client = formats.find(isVoice)?.client ?? null;
  return client === "h264" || client === "x-flv" ? null : client;
}

const [OPUS, G722, SPEEX_16, SPEEX_8, PCMU, PCMA] = [
  mediaFormat(107, "opus", 48000, { channels: 2, fmtp: "useinbandfec=1" }), // RFC 7587 6.1: what is lost is rebuilt
  mediaFormat(9, "G722", 8000),
  mediaFormat(96, "speex", 16000),
  mediaFormat(98, "speex", 8000),
  mediaFormat(0, "pcmu", 8000),
  mediaFormat(8, "pcma", 8000),
] as const;

/** All that can be made of what the client sends: wideband behind what passes through as it is, the rest at the end. */
function addTranscoded(formats: PlannedFormat[], client: ClientAudio, capability: RtmpCapability): void {
  const wide = client === "aac" || client === "opus" ||
    client === "speex" && formats.some(({ format }) => format.payloadType === SPEEX_16.payloadType);
  const best = wide ? [OPUS, G722, SPEEX_16] : [];
  const rest = wide ? [PCMU, PCMA, SPEEX_8] : [PCMU, PCMA, SPEEX_8, G722, OPUS, SPEEX_16];
  const missing = (candidates: readonly MediaFormat[]): PlannedFormat[] =>
    candidates.map((format) => ({ format, kind: "audio" as const, client })).filter((planned) =>
      isMade(planned, capability) &&
      !formats.some((other) => other.format.payloadType === planned.format.payloadType)
    );
  formats.splice(
    formats.findLastIndex((planned) => isVoice(planned) && (passes(planned) || isAmong(best, planned))) + 1,
    0,
    ...missing(best),
  );
  formats.splice(formats.findLastIndex(isVoice) + 1, 0, ...missing(rest));
}

function isAmong(formats: readonly MediaFormat[], planned: PlannedFormat): boolean {
  return formats.some((format) => sameFormat(format, planned.format));
}

/** False for a format that needs a codec that is not there. */
function isMade(planned: PlannedFormat, capability: RtmpCapability): boolean {
  if (!isVoice(planned) || passes(planned)) return true;
  return canTranscode(capability, codecOfEncodingName(planned.format.name));
}

function passes({ format, client }: PlannedFormat): boolean {
  return codecOfEncodingName(format.name) === client;
}

function isVoice(planned: PlannedFormat): boolean {
  return planned.kind === "audio" && planned.client !== null;
}

function plannedFormat(entry: CodecEntry): PlannedFormat {
  const { payloadType, encodingName, clockRate, kind } = entry;
  const channels = encodingName === "opus" ? 2 : 1; // RFC 7587 section 4.1, whatever is in it
  const details = entry.token === "h264" ? h264Details(entry.fmtp) : { fmtp: entry.fmtp, channels };
  return {
    format: mediaFormat(payloadType, encodingName, clockRate, details),
    kind,
    client: clientCodec(entry),
  };
}

/** What we show may be of another level than what we send: each side says what it takes (RFC 6184 8.2.2). */
function h264Details(fmtp: string | null): FormatDetails {
  return { fmtp: `${fmtp};level-asymmetry-allowed=1`, rtcpFb: KEY_FRAME_REQUESTS };
}

function clientCodec(entry: CodecEntry): PlannedFormat["client"] {
  switch (entry.rtmpCodec) {
    case "speex":
    case "pcmu":
    case "pcma":
    case "opus":
    case "aac":
    case "h264":
    case "x-flv":
      return entry.rtmpCodec;
    default:
      return null;
  }
}
