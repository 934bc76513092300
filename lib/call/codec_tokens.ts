// From the codec list of invite() or accept() to the formats we offer or take, and what each of them is on the
// RTMP side. What a token stands for is said by its codec (behaviour 1.6).
// Role: wire

import type { TranscodedOffer } from "../codecs/codec.ts";
import { builtInCodecs, type CodecRegistry, type NamedToken } from "../codecs/registry.ts";
import { type MediaFormat, sameFormat } from "../sdp/media_format.ts";

export type Transcoding = ReadonlySet<string>;

export const NO_TRANSCODING: Transcoding = new Set();

export interface RtmpCapability {
  /** Audio the client sends by itself, best first; counts only when it gives no codec list. */
  readonly audio: readonly string[];
  /** Which Speex the client is taken to speak when it gives no codec list: the `rate` of connect. */
  readonly rate: "wideband" | "narrowband";
  /** The codecs this gateway can turn into one another; none: audio only passes through as it is. */
  readonly transcoding: Transcoding;
  /** True when this gateway carries video; without it none is offered or taken. */
  readonly video: boolean;
  readonly registry: CodecRegistry;
}

/** One format we can use in a call, and what it is on the RTMP side. */
export interface PlannedFormat {
  readonly format: MediaFormat;
  readonly kind: "audio" | "video";
  readonly remote: string;
  /** The codec that the client sends and plays; null for DTMF, which is no media of the client. */
  readonly client: string | null;
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

/** What a client of old sends: Speex at the rate it said in connect. */
export function flashCapability(
  rate: RtmpCapability["rate"],
  transcoding: Transcoding,
  video = true,
  registry: CodecRegistry = builtInCodecs,
): RtmpCapability {
  return { audio: ["speex"], rate, transcoding, video, registry };
}

/** The formats for a client that named `codecs`; an empty list means it named none. */
export function planCodecs(codecs: readonly string[], capability: RtmpCapability): CodecPlan {
  if (codecs.length === 0) return plan(defaultTokens(capability), [], capability, false);
  const tokens: NamedToken[] = [];
  const ignored: string[] = [];
  for (const name of codecs) {
    const token = capability.registry.token(name);
    if (token === null || !isCarried(token, capability)) ignored.push(name);
    else tokens.push(token);
  }
  return plan(tokens, ignored, capability, true);
}

/** Everything a client may come to name when it answers: offers outside of it cannot become a call. */
export function planAnyCodec(capability: RtmpCapability): CodecPlan {
  const tokens = capability.registry.tokens.filter((token) =>
    token.late !== true && !isTranscoded(token) && isCarried(token, capability)
  );
  return plan(tokens, [], capability, false);
}

function isTranscoded({ client, remote }: NamedToken): boolean {
  return client !== null && client !== remote;
}

function isCarried(token: NamedToken, { video, transcoding }: RtmpCapability): boolean {
  return (video || token.kind === "audio") && (!isTranscoded(token) || transcoding.has(token.client!));
}

/** The formats of one m-line, in order of preference. */
export function plannedFormats(codecPlan: CodecPlan, kind: "audio" | "video"): MediaFormat[] {
  return codecPlan.formats.filter((planned) => planned.kind === kind).map((planned) => planned.format);
}

/** The client's own codecs, for a client of Speex at its rate; G.711 made of Speex too; DTMF; x-flv. */
function defaultTokens(capability: RtmpCapability): NamedToken[] {
  const { registry: { tokens }, audio, rate, video, transcoding } = capability;
  const sounds = audio.flatMap((codec) => {
    const own = tokens.filter(({ client, kind }) => client === codec && kind === "audio");
    const from = codec === "speex" ? own.findIndex(({ token }) => token === rate) : 0;
    return transcoding.has(codec) ? own.slice(from) : own.slice(from, from + 1);
  });
  const beside = tokens.filter(({ token }) => token === "dtmf" || video && token === "flv");
  return [...sounds, ...beside];
}

function plan(
  tokens: readonly NamedToken[],
  ignored: readonly string[],
  capability: RtmpCapability,
  listed: boolean,
): CodecPlan {
  const formats: PlannedFormat[] = [];
  for (const { formats: named, kind, client, remote } of tokens) {
    for (const format of named) {
      const planned = { format, kind, client, remote };
      if (isMade(planned, capability)) addOnce(formats, planned);
    }
  }
  const client = formats.find(isSound)?.client ?? tokens.find(isSound)?.client ?? null;
  if (client !== null && capability.transcoding.has(client)) addTranscoded(formats, client, capability);
  const audible = formats.some(isSound);
  return {
    listed,
    formats: audible ? formats : formats.filter((planned) => planned.kind === "video"),
    ignored,
  };
}

/** Two tokens may name one format (`pcmu`, `ulaw`): the first one says what it is to the client. */
function addOnce(formats: PlannedFormat[], planned: PlannedFormat): void {
  const { payloadType } = planned.format;
  if (!formats.some((other) => other.format.payloadType === payloadType)) formats.push(planned);
}

/** All that can be made of what the client sends: wideband behind what passes through as it is, the rest at the end. */
function addTranscoded(formats: PlannedFormat[], client: string, capability: RtmpCapability): void {
  const { registry, transcoding } = capability;
  const offers = registry.codecs.flatMap(({ name, transcode }) =>
    transcoding.has(name) ? transcode?.offers.map((offer) => ({ ...offer, remote: name })) ?? [] : []
  );
  const wide = isWideband(formats, client, registry);
  const rank = wide ? "wide" : "narrow";
  offers.sort((a, b) => a.rank[rank] - b.rank[rank]);
  const best = wide ? offers.filter(({ wideband }) => wideband) : [];
  const missing = (candidates: typeof offers): PlannedFormat[] =>
    candidates.filter(({ format }) =>
      !formats.some((other) => other.format.payloadType === format.payloadType)
    )
      .map(({ format, remote }) => ({ format, kind: "audio", client, remote }));
  const isBest = ({ format }: PlannedFormat) => best.some((offer) => sameFormat(offer.format, format));
  formats.splice(
    formats.findLastIndex((planned) => isSound(planned) && (passes(planned) || isBest(planned))) + 1,
    0,
    ...missing(best),
  );
  formats.splice(formats.findLastIndex(isSound) + 1, 0, ...missing(offers));
}

/** Whether the client's codec is more than telephone quality; Speex is in the form that it has named. */
function isWideband(formats: readonly PlannedFormat[], client: string, registry: CodecRegistry): boolean {
  const codec = registry.named(client);
  const own: readonly TranscodedOffer[] = codec?.transcode?.offers ?? [];
  if (own.length === 0) return true;
  const wide = own.filter(({ wideband }) => wideband);
  return wide.length === own.length ||
    wide.some(({ format }) => formats.some((planned) => planned.format.payloadType === format.payloadType));
}

/** False for a format that needs a codec that is not there. */
function isMade(planned: PlannedFormat, { transcoding }: RtmpCapability): boolean {
  return !isSound(planned) || passes(planned) || transcoding.has(planned.remote);
}

function passes({ remote, client }: PlannedFormat): boolean {
  return remote === client;
}

function isSound({ kind, client }: Pick<PlannedFormat, "kind" | "client">): boolean {
  return kind === "audio" && client !== null;
}
