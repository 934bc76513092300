// What an offer/answer exchange settled for one m= line, in our own terms: where to send, which payload types
// each way, who may speak, and whether the peer has put us on hold. RFC 3264 5.1, 6.1, 8.4; RFC 3605.
// Role: wire

import type { Direction, MediaSection, SessionDescription } from "./description.ts";
import { answerH264Fmtp } from "./h264_format.ts";
import { isAuxiliary, isNamed, type MediaFormat } from "./media_format.ts";

/** An address and port of a description; the host is an IP literal, or rarely a name that is left to resolve. */
interface MediaEndpoint {
  /** IP literal without brackets, or a domain name. */
  readonly hostname: string;
  readonly port: number;
}

export interface AgreedFormat {
  /** Payload type the peer wants to receive: what we send. */
  readonly sendPayloadType: number;
  /** Payload types it may arrive with: ours first, then the peer's own one where that means nothing else. */
  readonly receivePayloadTypes: readonly number[];
  readonly name: string;
  readonly clockRate: number;
  readonly channels: number;
  /** The peer's parameters, or null. */
  readonly fmtp: string | null;
  /** Our parameters as the peer was told, or null. */
  readonly localFmtp: string | null;
  readonly rtcpFb: readonly string[];
}

export interface AgreedMedia {
  readonly kind: "audio" | "video";
  readonly index: number;
  /** Where to send RTP; null while the peer takes none (its address is 0.0.0.0, ::, or missing). */
  readonly remote: MediaEndpoint | null;
  /** Where to send RTCP; null together with remote. */
  readonly rtcpRemote: MediaEndpoint | null;
  /** Our direction: "sendonly" means we send. */
  readonly direction: Direction;
  /** True when the peer keeps this medium on hold: it does not want to hear us. */
  readonly heldByRemote: boolean;
  /** Codecs, preferred first; never empty, never telephone-event, red or CN. */
  readonly formats: readonly AgreedFormat[];
  /** DTMF on the clock of the first codec, else any; null when not agreed. */
  readonly telephoneEvent: AgreedFormat | null;
  readonly telephoneEvents: readonly AgreedFormat[];
  /** RFC 2198 redundancy, or null. */
  readonly redundancy: AgreedFormat | null;
  /** RFC 3389 comfort noise formats that may arrive: those of the peer's description, agreed or not. */
  readonly comfortNoise: readonly AgreedFormat[];
  /** Packet time the peer would like to receive, or null. */
  readonly ptimeMs: number | null;
}

/** A format of the peer's description beside the one of ours that it equals. */
export interface FormatPair {
  readonly remote: MediaFormat;
  readonly local: MediaFormat;
}

interface AgreementInput {
  readonly index: number;
  readonly remoteDescription: SessionDescription;
  /** Our direction in this exchange, before the peer's is taken into account. */
  readonly localDirection: Direction;
  /** The formats in common, preferred first. */
  readonly pairs: readonly FormatPair[];
}

export function sends(direction: Direction): boolean {
  return direction === "sendrecv" || direction === "sendonly";
}

export function receives(direction: Direction): boolean {
  return direction === "sendrecv" || direction === "recvonly";
}

export function directionFrom(send: boolean, receive: boolean): Direction {
  if (send) return receive ? "sendrecv" : "sendonly";
  return receive ? "recvonly" : "inactive";
}

/** The direction a section states, its own or the session's; sendrecv when nothing is said (RFC 8866 6.7). */
export function effectiveDirection(description: SessionDescription, media: MediaSection): Direction {
  return media.direction ?? description.direction ?? "sendrecv";
}

/** Our direction: what we want, narrowed to what the peer's section leaves us (RFC 3264 6.1). */
export function narrowedDirection(
  wanted: Direction,
  description: SessionDescription,
  media: MediaSection,
): Direction {
  const theirs = effectiveDirection(description, media);
  const mayBeSentTo = receives(theirs) && remoteEndpoint(description, media) !== null;
  return directionFrom(sends(wanted) && mayBeSentTo, receives(wanted) && sends(theirs));
}

/** Whether the peer's description puts this medium on hold: sendonly, inactive, or the address 0.0.0.0 or ::. */
export function held(description: SessionDescription, media: MediaSection): boolean {
  if (!receives(effectiveDirection(description, media))) return true;
  const address = media.connection ?? description.connection;
  return address !== null && isUnspecifiedAddress(address);
}

function isUnspecifiedAddress(address: string): boolean {
  return address === "0.0.0.0" || address.includes(":") && /^[0:]+$/.test(address);
}

/** Where the section's writer receives RTP; null for port 0, no address, or an unspecified one. */
export function remoteEndpoint(description: SessionDescription, media: MediaSection): MediaEndpoint | null {
  const hostname = media.connection ?? description.connection;
  if (hostname === null || media.port === 0 || isUnspecifiedAddress(hostname)) return null;
  return { hostname, port: media.port };
}

/** Where the section's writer receives RTCP: a=rtcp (RFC 3605), else the port above RTP. */
export function rtcpEndpoint(description: SessionDescription, media: MediaSection): MediaEndpoint | null {
  const rtp = remoteEndpoint(description, media);
  if (rtp === null) return null;
  const stated = media.rtcpAddress;
  const hostname = stated === null || isUnspecifiedAddress(stated) ? rtp.hostname : stated;
  return { hostname, port: media.rtcpPort ?? Math.min(65_535, rtp.port + 1) };
}

export function agreeMedia(input: AgreementInput): AgreedMedia {
  const { index, remoteDescription, localDirection, pairs } = input;
  const media = remoteDescription.media[index]!;
  const named = (name: string) => pairs.filter((pair) => isNamed(pair.remote, name));
  const ours = pairs.map((pair) => pair.local.payloadType);
  const formats = agreedFormats(pairs.filter((pair) => !isAuxiliary(pair.remote)), ours);
  const telephoneEvents = agreedFormats(named("telephone-event"), ours);
  const clockRate = formats[0]?.clockRate;
  return {
    kind: media.kind === "video" ? "video" : "audio",
    index,
    remote: remoteEndpoint(remoteDescription, media),
    rtcpRemote: rtcpEndpoint(remoteDescription, media),
    direction: narrowedDirection(localDirection, remoteDescription, media),
    heldByRemote: held(remoteDescription, media),
    formats,
    telephoneEvent: telephoneEvents.find((format) => format.clockRate === clockRate) ??
      telephoneEvents[0] ?? null,
    telephoneEvents,
    redundancy: agreedFormats(named("red"), ours)[0] ?? null,
    comfortNoise: agreedFormats([...named("cn"), ...comfortNoiseBeside(media, pairs)], ours),
    ptimeMs: media.ptimeMs,
  };
}

/** Comfort noise needs no answer of ours to be understood: what is not agreed is known by the peer's own number. */
function comfortNoiseBeside(media: MediaSection, pairs: readonly FormatPair[]): FormatPair[] {
  const taken = pairs.flatMap(({ remote, local }) => [remote.payloadType, local.payloadType]);
  return media.formats.filter((format) => isNamed(format, "cn") && !taken.includes(format.payloadType))
    .map((format) => ({ remote: format, local: format }));
}

/**
 * A peer should send the numbers of our description (RFC 3264 5.1, 6.1); some send those of their own. A number that
 * both descriptions give to different formats is ours.
 * @param ours every payload type of ours in this exchange
 */
function agreedFormats(pairs: readonly FormatPair[], ours: readonly number[]): AgreedFormat[] {
  return pairs.map(({ remote, local }) => ({
    sendPayloadType: remote.payloadType,
    receivePayloadTypes: remote.payloadType === local.payloadType || ours.includes(remote.payloadType)
      ? [local.payloadType]
      : [local.payloadType, remote.payloadType],
    name: remote.name,
    clockRate: remote.clockRate,
    channels: remote.channels,
    fmtp: remote.fmtp,
    localFmtp: local.fmtp,
    rtcpFb: commonFeedback(remote, local),
  }));
}

/**
 * What was agreed anew in a call, where a number of before that means nothing else now goes on to mean what it did: it
 * may not change (RFC 3264 8.3.2), and packets with it may be under way.
 */
export function withEarlierNumbers(
  now: readonly AgreedMedia[],
  before: readonly AgreedMedia[],
): AgreedMedia[] {
  return now.map((media) => {
    const earlier = before.find(({ kind }) => kind === media.kind);
    return earlier === undefined ? media : withNumbersOf(media, earlier);
  });
}

function withNumbersOf(media: AgreedMedia, before: AgreedMedia): AgreedMedia {
  const taken = allFormats(media).flatMap((format) => format.receivePayloadTypes);
  const known = allFormats(before);
  const extended = (format: AgreedFormat): AgreedFormat => {
    const earlier = known.find((other) => isSameEncoding(other, format))?.receivePayloadTypes ?? [];
    const own = format.receivePayloadTypes;
    const free = earlier.filter((type) => !taken.includes(type));
    const all = [...own, ...free];
    // The same numbers stay in their order, so that whoever compares sees that nothing changed.
    const same = all.length === earlier.length && all.every((type) => earlier.includes(type));
    return { ...format, receivePayloadTypes: same ? earlier : all };
  };
  const telephoneEvents = media.telephoneEvents.map(extended);
  const sent = media.telephoneEvent === null ? -1 : media.telephoneEvents.indexOf(media.telephoneEvent);
  return {
    ...media,
    formats: media.formats.map(extended),
    telephoneEvents,
    telephoneEvent: telephoneEvents[sent] ?? null,
    redundancy: media.redundancy === null ? null : extended(media.redundancy),
    comfortNoise: media.comfortNoise.map(extended),
  };
}

function allFormats({ formats, telephoneEvents, redundancy, comfortNoise }: AgreedMedia): AgreedFormat[] {
  return [...formats, ...telephoneEvents, ...(redundancy === null ? [] : [redundancy]), ...comfortNoise];
}

function isSameEncoding(a: AgreedFormat, b: AgreedFormat): boolean {
  return isNamed(a, b.name.toLowerCase()) && a.clockRate === b.clockRate && a.channels === b.channels;
}

export function commonFeedback(a: MediaFormat, b: MediaFormat): string[] {
  return a.rtcpFb.filter((type) => b.rtcpFb.includes(type));
}

/** What our answer says for an offered format we have: the offer's name and payload type, our parameters. */
export function answerFormat(offered: MediaFormat, local: MediaFormat): MediaFormat {
  const fmtp = isNamed(offered, "h264") ? answerH264Fmtp(offered.fmtp, local.fmtp) : local.fmtp;
  return { ...offered, fmtp, rtcpFb: commonFeedback(offered, local) };
}
