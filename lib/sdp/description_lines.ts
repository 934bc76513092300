// The lines of a session description before anybody reads them: limits, order, and mending of what real
// phones send (upper-case attribute names, port counts, doubled spaces, lines that are none). RFC 8866 5.
// Role: wire

import { WireError } from "../base/errors.ts";

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
export interface SdpLines {
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
