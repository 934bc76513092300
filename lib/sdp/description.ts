// Session descriptions: text <-> values (RFC 8866), the only face of the library sdp-transform, which takes single lines apart
// and puts them together. What it is given is bounded and mended first, and lines it has no use for are kept.
// Role: wire

import {
  type MediaDescription,
  parse,
  type SessionDescription as LibrarySession,
  write,
} from "sdp-transform";
import { decodeUtf8 } from "../base/bytes.ts";
import { WireError } from "../base/errors.ts";
import { isEventList } from "./fmtp.ts";
import { mappedFormat, type MediaFormat, mediaFormat, staticFormat } from "./media_format.ts";

// @ts-types="npm:@types/sdp-transform@3.0.0"

/** Who sends, as seen by the side that wrote the description (RFC 8866 6.7). */
export type Direction = "sendrecv" | "sendonly" | "recvonly" | "inactive";

export interface MediaSection {
  readonly kind: string;
  /** Where the writer receives RTP; 0 refuses or ends this medium. */
  readonly port: number;
  readonly protocol: string;
  /** RTP formats in the order of the line; empty for other protocols. */
  readonly formats: readonly MediaFormat[];
  /** Formats of the line that are no RTP payload types. */
  readonly otherFormats: readonly string[];
  /** Address of a c= line of its own, or null. */
  readonly connection: string | null;
  /** Port of a=rtcp (RFC 3605), or null. */
  readonly rtcpPort: number | null;
  /** Address of a=rtcp, or null. */
  readonly rtcpAddress: string | null;
  /** Direction of its own, or null. */
  readonly direction: Direction | null;
  /** Packet time the writer would like to receive, or null. */
  readonly ptimeMs: number | null;
  /** Attributes without a field here, as "name" or "name:value". */
  readonly otherAttributes: readonly string[];
}

export interface SessionDescription {
  readonly originUser: string;
  /** Session id of o=: digits, possibly more than a number holds. */
  readonly sessionId: string;
  /** Version of o=: digits; grows with every change. */
  readonly sessionVersion: string;
  readonly originAddress: string;
  /** Address of the session's c= line, or null. */
  readonly connection: string | null;
  /** Direction for all media that have none of their own, or null. */
  readonly direction: Direction | null;
  /** Session attributes without a field here. */
  readonly otherAttributes: readonly string[];
  /** The m= lines in order. */
  readonly media: readonly MediaSection[];
}

/**
 * Reads a description. Lines that are no `x=` lines and unknown types are passed over; a missing o=, s= or t=
 * is forgiven. WireError when v=0 is missing, an m= or c= line is broken, or a limit is exceeded.
 */
export function parseSdp(input: string | Uint8Array): SessionDescription {
  if (input.length > MAX_SDP_LENGTH) throw sdpError(`${input.length} bytes exceed ${MAX_SDP_LENGTH}`);
  const blocks = readSdpLines(typeof input === "string" ? input : decodeUtf8(input));
  const library = parse(blocks.flatMap((block) => block.lines).join("\r\n"));
  const origin = library.origin;
  return {
    originUser: String(origin?.username ?? "-"),
    sessionId: String(origin?.sessionId ?? "0"),
    sessionVersion: String(origin?.sessionVersion ?? "0"),
    originAddress: String(origin?.address ?? "0.0.0.0"),
    connection: textOf(library.connection?.ip),
    direction: directionOf(library.direction),
    otherAttributes: blocks[0]!.otherAttributes,
    media: library.media.map((media, index) => readSection(media, blocks[index + 1]!)),
  };
}

function readSection(media: MediaDescription, block: SdpLines): MediaSection {
  const { kind, port, protocol, formats } = block.mediaLine!;
  const isRtp = /(?:^|\/)RTP\/S?AVPF?$/i.test(protocol);
  const types = isRtp ? payloadTypes(formats) : [];
  const ptimeMs = Number(media.ptime);
  const rtcpPort = Number(media.rtcp?.port);
  return {
    kind,
    port,
    protocol,
    formats: types.map((payloadType) => readFormat(payloadType, media)),
    otherFormats: isRtp ? formats.filter((format) => payloadTypes([format]).length === 0) : formats,
    connection: textOf(media.connection?.ip),
    rtcpPort: rtcpPort >= 1 && rtcpPort <= 65_535 ? rtcpPort : null,
    rtcpAddress: textOf(media.rtcp?.address),
    direction: directionOf(media.direction),
    ptimeMs: ptimeMs > 0 && ptimeMs <= 1000 ? ptimeMs : null,
    otherAttributes: block.otherAttributes,
  };
}

/** The numbers 0..127 of a format list, each once. */
function payloadTypes(formats: readonly string[]): number[] {
  const types = new Set<number>();
  for (const format of formats) {
    if (/^\d{1,3}$/.test(format) && Number(format) <= 127) types.add(Number(format));
  }
  return [...types];
}

function readFormat(payloadType: number, media: MediaDescription): MediaFormat {
  const known = staticFormat(payloadType);
  const map = media.rtp.find((entry) => entry.payload === payloadType);
  const name = String(map?.codec ?? "");
  const clockRate = Number(map?.rate ?? 0);
  const channels = Number(map?.encoding ?? 1);
  const parameters = media.fmtp.filter((entry) => entry.payload === payloadType);
  const details = {
    fmtp: parameters.map((entry) => String(entry.config).trim()).join(";") || null,
    rtcpFb: readFeedback(payloadType, media),
  };
  const usable = clockRate >= 0 && clockRate <= 1e9;
  if (name === "" && known === null && isEventList(details.fmtp)) {
    return mediaFormat(payloadType, "telephone-event", 8000, details);
  }
  if (name === "" || known !== null && clockRate === 0 || !usable) {
    return mediaFormat(payloadType, known?.name ?? "", known?.clockRate ?? 0, {
      ...details,
      channels: known?.channels ?? 1,
    });
  }
  return mappedFormat(payloadType, name, clockRate, {
    ...details,
    channels: Number.isInteger(channels) && channels >= 1 && channels <= 255 ? channels : 1,
  });
}

function readFeedback(payloadType: number, media: MediaDescription): string[] {
  const found = new Set<string>();
  for (const entry of media.rtcpFb ?? []) {
    if (String(entry.payload) !== "*" && Number(entry.payload) !== payloadType) continue;
    const type = `${entry.type} ${entry.subtype ?? ""}`.trim();
    if (type !== "") found.add(type);
  }
  return [...found];
}

function textOf(value: string | undefined): string | null {
  return value === undefined ? null : String(value);
}

function directionOf(value: string | undefined): Direction | null {
  switch (value) {
    case "sendrecv":
    case "sendonly":
    case "recvonly":
    case "inactive":
      return value;
    default:
      return null;
  }
}

/**
 * Writes a description: v, o, s=-, c, t=0 0, attributes; then for each m= line its c=, every rtpmap, every
 * fmtp, and the other attributes. The same value always gives the same bytes. Lines end in CR LF.
 */
export function formatSdp(description: SessionDescription): string {
  const { originUser, sessionId, sessionVersion, originAddress } = description;
  // The library would turn the version into a number, which cannot hold 64 bits.
  const text = write(toLibrary(description));
  const head = `v=0\r\no=${originUser} ${sessionId} ${sessionVersion} IN IP${ipVersion(originAddress)} ` +
    `${originAddress}\r\n`;
  return head + text.slice(text.indexOf("s=-\r\n"));
}

function ipVersion(address: string): 4 | 6 {
  return address.includes(":") ? 6 : 4;
}

function toLibrary(description: SessionDescription): LibrarySession {
  return {
    version: 0,
    origin: { username: "-", sessionId: 0, sessionVersion: 0, netType: "IN", ipVer: 4, address: "-" },
    name: "-",
    timing: { start: 0, stop: 0 },
    ...connectionFields(description.connection),
    ...directionFields(description.direction),
    ...otherFields(description.otherAttributes),
    media: description.media.map(toLibrarySection),
  };
}

function toLibrarySection(section: MediaSection): LibrarySession["media"][number] {
  const { formats, rtcpPort, rtcpAddress } = section;
  const withFmtp = formats.filter((format) => format.fmtp !== null);
  const feedback = formats.flatMap((format) =>
    format.rtcpFb.map((type) => ({ payload: format.payloadType, type }))
  );
  return {
    type: section.kind,
    port: section.port,
    protocol: section.protocol,
    payloads: [...formats.map((format) => String(format.payloadType)), ...section.otherFormats].join(" "),
    ...connectionFields(section.connection),
    rtp: formats.filter((format) => format.name !== "").map(toLibraryFormat),
    fmtp: withFmtp.map((format) => ({ payload: format.payloadType, config: format.fmtp! })),
    ...(feedback.length > 0 ? { rtcpFb: feedback } : {}),
    ...(rtcpPort === null ? {} : { rtcp: toLibraryRtcp(rtcpPort, rtcpAddress) }),
    ...(section.ptimeMs === null ? {} : { ptime: section.ptimeMs }),
    ...directionFields(section.direction),
    ...otherFields(section.otherAttributes),
  };
}

function toLibraryFormat(format: MediaFormat): LibrarySession["media"][number]["rtp"][number] {
  const { payloadType: payload, name: codec, clockRate: rate, channels } = format;
  return channels === 1 ? { payload, codec, rate } : { payload, codec, rate, encoding: channels };
}

function toLibraryRtcp(port: number, address: string | null): NonNullable<MediaDescription["rtcp"]> {
  return address === null ? { port } : { port, netType: "IN", ipVer: ipVersion(address), address };
}

function connectionFields(address: string | null): { connection?: { version: number; ip: string } } {
  return address === null ? {} : { connection: { version: ipVersion(address), ip: address } };
}

function directionFields(direction: Direction | null): { direction?: Direction } {
  return direction === null ? {} : { direction };
}

function otherFields(attributes: readonly string[]): { invalid?: { value: string }[] } {
  return attributes.length === 0 ? {} : { invalid: attributes.map((value) => ({ value })) };
}

/** Longest description read, in bytes or characters. */
export const MAX_SDP_LENGTH = 65_536;
/** Most lines of a description. */
const MAX_SDP_LINES = 1000;
const MAX_SDP_LINE_LENGTH = 4096;
/** Most m= lines of a description. */
const MAX_SDP_MEDIA = 16;
/** Most formats of one m= line. */
const MAX_SDP_FORMATS = 128;

/** Attributes the library is given; all others are kept as text. */
const READ_ATTRIBUTES: ReadonlySet<string> = new Set([
  "rtpmap",
  "fmtp",
  "rtcp",
  "rtcp-fb",
  "ptime",
  "sendrecv",
  "sendonly",
  "recvonly",
  "inactive",
]);

interface SdpMediaLine {
  readonly kind: string;
  /** 0..65535, the count of hierarchical encoding left out. */
  readonly port: number;
  readonly protocol: string;
  readonly formats: readonly string[];
}

/** What was found before the first m= line, or from one m= line to the next. */
interface SdpLines {
  /** The m= line; null before the first one. */
  readonly mediaLine: SdpMediaLine | null;
  readonly lines: string[];
  /** Attributes the library is not given, as written. */
  readonly otherAttributes: string[];
}

export function sdpError(message: string): WireError {
  return new WireError("SDP", message);
}

/** Cuts a description into one entry for the session and one for each m= line. */
export function readSdpLines(text: string): SdpLines[] {
  const lines = text.split(/\r\n|\r|\n/, MAX_SDP_LINES + 1);
  if (lines.length > MAX_SDP_LINES) throw sdpError(`more than ${MAX_SDP_LINES} lines`);
  let block: SdpLines = { mediaLine: null, lines: [], otherAttributes: [] };
  const blocks = [block];
  let versionSeen = false;
  for (const line of lines) {
    if (line.length > MAX_SDP_LINE_LENGTH) {
      throw sdpError(`a line of ${line.length} characters exceeds ${MAX_SDP_LINE_LENGTH}`);
    }
    const trimmed = line.trim();
    if (!/^[a-z]=/i.test(trimmed)) continue;
    const type = trimmed[0]!.toLowerCase();
    const value = trimmed.slice(2).trim();
    if (!versionSeen && !(type === "v" && value === "0")) throw sdpError("it does not begin with v=0");
    versionSeen = true;
    if (type === "m") {
      block = openBlock(value);
      if (blocks.push(block) > MAX_SDP_MEDIA + 1) throw sdpError(`more than ${MAX_SDP_MEDIA} m= lines`);
    } else readLine(type, value, block);
  }
  if (!versionSeen) throw sdpError("it is empty");
  return blocks;
}

function openBlock(value: string): SdpLines {
  const [kind = "", ports = "", protocol = "", ...formats] = value.split(/\s+/, 3 + MAX_SDP_FORMATS + 1);
  const match = /^(\d{1,5})(?:\/\d{1,5})?$/.exec(ports);
  const port = Number(match?.[1]);
  if (!/^[\w.+-]{1,32}$/.test(kind) || !(port <= 65_535) || !/^[\w/.+-]{1,32}$/.test(protocol)) {
    throw sdpError(`broken m= line "${value.slice(0, 80)}"`);
  }
  if (formats.length > MAX_SDP_FORMATS) throw sdpError(`more than ${MAX_SDP_FORMATS} formats in an m= line`);
  const mediaLine = { kind: kind.toLowerCase(), port, protocol, formats };
  // The library only has to open a new section here: the line itself is read above.
  return { mediaLine, lines: [`m=x 0 x x`], otherAttributes: [] };
}

function readLine(type: string, value: string, block: SdpLines): void {
  switch (type) {
    case "o":
      block.lines.push(`o=${value.replace(/\s+/g, " ")}`);
      break;
    case "c":
      block.lines.push(`c=${mendConnection(value)}`);
      break;
    case "a":
      readAttribute(value, block);
      break;
  }
}

/** "IN IP4 224.2.1.1/127" without the time to live, which only multicast has. */
function mendConnection(value: string): string {
  const match = /^IN +IP([46]) +([0-9a-z._:%-]{1,255})(?:\/\S*)?$/i.exec(value);
  if (match === null) throw sdpError(`broken c= line "${value.slice(0, 80)}"`);
  return `IN IP${match[1]} ${match[2]}`;
}

function readAttribute(value: string, block: SdpLines): void {
  const colon = value.indexOf(":");
  const name = (colon < 0 ? value : value.slice(0, colon)).trim().toLowerCase();
  if (!READ_ATTRIBUTES.has(name)) {
    if (value !== "") block.otherAttributes.push(value);
    return;
  }
  const text = colon < 0 ? "" : `:${value.slice(colon + 1).trim().replace(/\s+/g, " ")}`;
  const rest = name === "rtpmap" ? text.replace(/ ?\/ ?/g, "/") : text;
  block.lines.push(`a=${name}${rest}`);
}
