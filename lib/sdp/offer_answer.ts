// Offers and answers (RFC 3264): what we propose, what we say to a proposal, what an exchange settled. The client's
// order is the order of an offer; an answer keeps the offerer's order and payload types and has one m= line for each
// of the offer's, port 0 where nothing matches.
// Role: wire

import {
  type AgreedMedia,
  agreeMedia,
  answerFormat,
  directionFrom,
  effectiveDirection,
  type FormatPair,
  narrowedDirection,
  sends,
} from "./agreed_media.ts";
import type { Direction, MediaSection, SessionDescription } from "./description.ts";
import { parseRedPayloadTypes } from "./fmtp.ts";
import { withoutSprop } from "./h264_format.ts";
import {
  describeFormats,
  formatName,
  isAuxiliary,
  isNamed,
  type MediaFormat,
  sameFormat,
} from "./media_format.ts";

export interface LocalMedia {
  readonly kind: "audio" | "video";
  /** Where we receive RTP; 0 offers the line as switched off. */
  readonly port: number;
  /** Formats, preferred first; their payload types are ours. */
  readonly formats: readonly MediaFormat[];
  /** What we want to do, sendrecv unless given. */
  readonly direction?: Direction;
  /** Packet time we would like to receive. */
  readonly ptimeMs?: number;
}

/** What every description of ours starts from. */
export interface SessionFields {
  /** The address we receive at, IPv4 or IPv6 literal. */
  readonly address: string;
  /** Id of the session, the same for all descriptions of one call. */
  readonly sessionId: number | string;
  /** Version, one more with every changed description. */
  readonly sessionVersion: number | string;
  /** True puts the peer on hold, false takes it off hold and says so; left out, nothing is said. */
  readonly hold?: boolean;
}

export type Negotiation =
  | {
    /** At least one medium has a codec in common. */
    type: "answer";
    answer: SessionDescription;
    /** What was settled, one entry for each accepted m= line. */
    agreed: AgreedMedia[];
  }
  | {
    /** Nothing in common: 488. */
    type: "none";
    /** For the log and the Warning header; names both lists, holds no quotes. */
    reason: string;
  };

/** Longest reason text, so that a Warning header stays small. */
const MAX_REASON_LENGTH = 400;

/**
 * Writes an offer with one m= line for each medium, in order.
 *
 * DTMF alone are no match (defect 2), and parameters follow the payload type (defect 3).
 */
export function createOffer(
  options: SessionFields & { readonly media: readonly LocalMedia[] },
): SessionDescription {
  return describeSession(
    options,
    options.media.map((media) => ({
      ...emptySection(media.kind, media.port, "RTP/AVP"),
      formats: media.formats,
      direction: offeredDirection(media.direction ?? "sendrecv", options.hold),
      ptimeMs: media.ptimeMs ?? null,
    })),
  );
}

/**
 * A further offer of ours within a call: the m= lines and payload types of our last description stay (RFC 3264
 * 8), only the direction changes.
 */
export function createReoffer(previous: SessionDescription, options: SessionFields): SessionDescription {
  return describeSession(
    options,
    previous.media.map((section) => ({
      ...section,
      direction: section.port === 0 ? null : offeredDirection("sendrecv", options.hold),
    })),
  );
}

/**
 * Answers an offer with what `media` has of it; each local medium serves one m= line. "none" when no m= line
 * has a codec in common.
 */
export function createAnswer(
  offer: SessionDescription,
  options: SessionFields & { readonly media: readonly LocalMedia[] },
): Negotiation {
  const unused = [...options.media];
  const agreed: AgreedMedia[] = [];
  const sections = offer.media.map((section, index) => {
    const found = isUsable(section)
      ? unused.findIndex((local) => local.kind === section.kind && pairFormats(section, local).length > 0)
      : -1;
    if (found < 0) return refusedSection(section);
    const [local] = unused.splice(found, 1) as [LocalMedia];
    const pairs = pairFormats(section, local);
    const localDirection = heldDirection(local.direction ?? "sendrecv", options.hold);
    agreed.push(agreeMedia({ index, remoteDescription: offer, localDirection, pairs }));
    return answerSection(offer, index, { local, localDirection, pairs });
  });
  if (agreed.length === 0) return { type: "none", reason: mismatchReason(offer.media, options.media) };
  return { type: "answer", answer: describeSession(options, sections), agreed };
}

/**
 * Reads the peer's answer to our offer. m= lines pair by position, else by kind where only one of that kind is left;
 * a missing line counts as refused, one too many is passed over. Payload types may differ between the two sides
 * (RFC 3264 6.1).
 */
export function readAnswer(offer: SessionDescription, answer: SessionDescription): Negotiation {
  const agreed: AgreedMedia[] = [];
  const places = answeringPlaces(offer, answer);
  offer.media.forEach((section, position) => {
    const index = places[position]!;
    const remote = answer.media[index];
    if (remote === undefined || !isUsable(remote) || !isUsable(section)) return;
    const pairs = pairAnswered(section, remote);
    if (pairs.length === 0) return;
    const localDirection = effectiveDirection(offer, section);
    agreed.push(agreeMedia({ index, remoteDescription: answer, localDirection, pairs }));
  });
  if (agreed.length === 0) return { type: "none", reason: mismatchReason(answer.media, offer.media) };
  return { type: "answer", answer, agreed };
}

/** For each m= line of the offer where its answer is; -1: nowhere. */
function answeringPlaces(offer: SessionDescription, answer: SessionDescription): number[] {
  const inPlace = (index: number) => offer.media[index]?.kind === answer.media[index]?.kind;
  return offer.media.map(({ kind }, index) => {
    if (inPlace(index)) return index;
    const strays = (media: readonly MediaSection[]) =>
      [...media.keys()].filter((at) => media[at]!.kind === kind && !inPlace(at));
    const [found] = strays(answer.media);
    return found !== undefined && strays(answer.media).length === 1 && strays(offer.media).length === 1
      ? found
      : -1;
  });
}

function describeSession(fields: SessionFields, media: MediaSection[]): SessionDescription {
  // Hold is c=0.0.0.0 and sendonly, as phones of siprtmp's time expect; IPv6 has no such custom.
  const zero = fields.hold === true && !fields.address.includes(":");
  return {
    originUser: "-",
    sessionId: String(fields.sessionId),
    sessionVersion: String(fields.sessionVersion),
    originAddress: fields.address,
    connection: zero ? "0.0.0.0" : fields.address,
    direction: null,
    otherAttributes: [],
    media,
  };
}

function emptySection(kind: string, port: number, protocol: string): MediaSection {
  return {
    kind,
    port,
    protocol,
    formats: [],
    otherFormats: [],
    connection: null,
    rtcpPort: null,
    rtcpAddress: null,
    direction: null,
    ptimeMs: null,
    otherAttributes: [],
  };
}

/** A first offer leaves sendrecv unsaid; taking off hold says it. */
function offeredDirection(wanted: Direction, hold: boolean | undefined): Direction | null {
  const direction = heldDirection(wanted, hold);
  return direction === "sendrecv" && hold === undefined ? null : direction;
}

function heldDirection(wanted: Direction, hold: boolean | undefined): Direction {
  return hold === true ? directionFrom(sends(wanted), false) : wanted;
}

/** Plain RTP with a port: media over SRTP, UDPTL or TCP are refused. */
function isUsable(section: MediaSection): boolean {
  return section.port !== 0 && /^RTP\/AVPF?$/i.test(section.protocol);
}

/** A refused m= line repeats the formats, which then mean nothing (RFC 3264 6). */
function refusedSection(section: MediaSection): MediaSection {
  const types = section.formats.map((format) => String(format.payloadType));
  return {
    ...emptySection(section.kind, 0, section.protocol),
    otherFormats: [...types, ...section.otherFormats],
  };
}

function answerSection(
  offer: SessionDescription,
  index: number,
  choice: { local: LocalMedia; localDirection: Direction; pairs: readonly FormatPair[] },
): MediaSection {
  const offered = offer.media[index]!;
  const direction = narrowedDirection(choice.localDirection, offer, offered);
  const unsaid = direction === "sendrecv" && offered.direction === null && offer.direction === null;
  return {
    ...emptySection(offered.kind, choice.local.port, offered.protocol),
    formats: choice.pairs.map((pair) => pair.local),
    direction: unsaid ? null : direction,
    ptimeMs: choice.local.ptimeMs ?? null,
  };
}

/** The offered formats we have, in the offer's order, each beside our answer to it; empty without a codec. */
function pairFormats(offered: MediaSection, local: LocalMedia): FormatPair[] {
  const codecs = offered.formats.filter((format) => !isAuxiliary(format) && findSame(format, local.formats));
  if (codecs.length === 0) return [];
  const pairs: FormatPair[] = [];
  for (const remote of offered.formats) {
    const ours = isNamed(remote, "telephone-event")
      ? findTelephoneEvent(remote, local.formats, codecs)
      : findSame(remote, local.formats);
    if (ours !== undefined) pairs.push({ remote, local: answerFormat(remote, ours) });
  }
  return narrowRedundancy(pairs);
}

function findSame(format: MediaFormat, among: readonly MediaFormat[]): MediaFormat | undefined {
  return among.find((other) => sameFormat(format, other));
}

/** DTMF run on the clock of the codec they interrupt (RFC 4733 2.1): that rate is ours, too. */
function findTelephoneEvent(
  offered: MediaFormat,
  local: readonly MediaFormat[],
  codecs: readonly MediaFormat[],
): MediaFormat | undefined {
  const exact = findSame(offered, local);
  if (exact !== undefined) return exact;
  const codecHasRate = codecs.some((codec) => codec.clockRate === offered.clockRate);
  return codecHasRate ? local.find((format) => isNamed(format, "telephone-event")) : undefined;
}

/** red may only name DTMF that were agreed as well, since only those are read from it; else it is dropped. */
function narrowRedundancy(pairs: FormatPair[]): FormatPair[] {
  const agreed = pairs.filter((pair) => isNamed(pair.remote, "telephone-event"))
    .map((pair) => pair.remote.payloadType);
  const result: FormatPair[] = [];
  for (const pair of pairs) {
    if (!isNamed(pair.remote, "red")) {
      result.push(pair);
      continue;
    }
    const types = parseRedPayloadTypes(pair.remote.fmtp).filter((type) => agreed.includes(type));
    if (types.length > 0) result.push({ ...pair, local: { ...pair.local, fmtp: types.join("/") } });
  }
  return result;
}

/**
 * The answered formats beside those of our offer. What was not offered is passed over, since it may not be sent
 * (RFC 3264 6.1), but for DTMF on further clocks, which we can hear and send.
 */
function pairAnswered(ours: MediaSection, answered: MediaSection): FormatPair[] {
  const pairs: FormatPair[] = [];
  for (const written of answered.formats) {
    const remote = meantFormat(written, ours.formats);
    const local = ours.formats.find((format) => isSameType(format, remote)) ??
      findSame(remote, ours.formats) ?? onlyOneLike(remote, ours.formats);
    if (local !== undefined) pairs.push({ remote, local });
  }
  if (pairs.every((pair) => isAuxiliary(pair.remote))) return [];
  const numbers = pairs.filter((pair) => ours.formats.includes(pair.local)).map((pair) =>
    pair.local.payloadType
  );
  return pairs.filter(({ local }) => ours.formats.includes(local) || !numbers.includes(local.payloadType));
}

/** A payload type of ours that is repeated without a usable a=rtpmap stands for what we said of it. */
function meantFormat(written: MediaFormat, ours: readonly MediaFormat[]): MediaFormat {
  if (written.clockRate > 0) return written;
  const offered = ours.find((format) => format.payloadType === written.payloadType);
  if (offered === undefined || written.name !== "" && !isNamed(offered, written.name.toLowerCase())) {
    return written;
  }
  const fmtp = written.fmtp ?? (isNamed(offered, "h264") ? withoutSprop(offered.fmtp) : offered.fmtp);
  return { ...offered, fmtp, rtcpFb: written.rtcpFb };
}

/**
 * What else an answered format can only be: DTMF on a clock we did not offer, by the peer's own number; H.264
 * under a new number and with another profile, when we offered H.264 once.
 */
function onlyOneLike(remote: MediaFormat, ours: readonly MediaFormat[]): MediaFormat | undefined {
  const name = remote.name.toLowerCase();
  const [like, ...others] = ours.filter((format) => isNamed(format, name));
  if (like === undefined) return undefined;
  if (name === "telephone-event") return { ...remote, fmtp: like.fmtp };
  return name === "h264" && others.length === 0 ? like : undefined;
}

/** A payload type we offered and they kept is accepted even when they write other parameters. */
function isSameType(ours: MediaFormat, theirs: MediaFormat): boolean {
  return ours.payloadType === theirs.payloadType && ours.clockRate === theirs.clockRate &&
    isNamed(theirs, ours.name.toLowerCase());
}

function mismatchReason(
  theirs: readonly MediaSection[],
  ours: readonly { readonly kind: string; readonly formats: readonly MediaFormat[] }[],
): string {
  if (theirs.length === 0) return "The peer describes no media";
  const remote = theirs.map(describeSection).join("; ");
  const local = ours.map((media) => `${media.kind} ${describeFormats(media.formats)}`).join("; ") ||
    "nothing";
  const reason = `No common media format: peer has ${remote}, gateway has ${local}`;
  return reason.length <= MAX_REASON_LENGTH ? reason : `${reason.slice(0, MAX_REASON_LENGTH - 3)}...`;
}

function describeSection(section: MediaSection): string {
  if (section.port === 0) return `${section.kind} refused`;
  const others = section.otherFormats.length > 0 ? `${section.otherFormats.length} other formats` : "nothing";
  const formats = section.formats.map(formatName).join(", ") || others;
  const over = isUsable(section) ? "" : ` over ${section.protocol}`;
  const noCodec = section.formats.length > 0 && section.formats.every(isAuxiliary) ? " without a codec" : "";
  return `${section.kind}${over} ${formats}${noCodec}`;
}
