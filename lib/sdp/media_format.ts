// A format of an m= line as a value: payload type, encoding name, clock rate, channels and parameters
// (RFC 8866 6.6, RFC 3551 6), and when two of them mean the same codec (RFC 3264 6.1).
// Role: wire

import { compatibleH264 } from "./h264_format.ts";

/** One format. The payload type belongs to one side's description; everything else describes the codec. */
export interface MediaFormat {
  /** 0..127, as numbered by the side that wrote the description. */
  readonly payloadType: number;
  /** Encoding name as written; compare in lower case. "" when a dynamic type has no usable rtpmap. */
  readonly name: string;
  /** RTP clock in Hz; 0 when unknown. */
  readonly clockRate: number;
  /** Audio channels; 1 for everything else. */
  readonly channels: number;
  /** Parameters of a=fmtp without the payload type, or null. */
  readonly fmtp: string | null;
  /** Values of a=rtcp-fb for this format, e.g. "nack pli", "ccm fir". */
  readonly rtcpFb: readonly string[];
}

interface FormatDetails {
  /** Audio channels, 1 unless given. */
  readonly channels?: number;
  readonly fmtp?: string | null;
  readonly rtcpFb?: readonly string[];
}

export function mediaFormat(
  payloadType: number,
  name: string,
  clockRate: number,
  details: FormatDetails = {},
): MediaFormat {
  const { channels = 1, fmtp = null, rtcpFb = [] } = details;
  return { payloadType, name, clockRate, channels, fmtp, rtcpFb };
}

/** The static payload types of RFC 3551 tables 4 and 5: type -> name, clock rate, channels. */
const STATIC_FORMATS: ReadonlyMap<number, readonly [string, number, number]> = new Map([
  [0, ["PCMU", 8000, 1]],
  [3, ["GSM", 8000, 1]],
  [4, ["G723", 8000, 1]],
  [5, ["DVI4", 8000, 1]],
  [6, ["DVI4", 16000, 1]],
  [7, ["LPC", 8000, 1]],
  [8, ["PCMA", 8000, 1]],
  [9, ["G722", 8000, 1]],
  [10, ["L16", 44100, 2]],
  [11, ["L16", 44100, 1]],
  [12, ["QCELP", 8000, 1]],
  [13, ["CN", 8000, 1]],
  [14, ["MPA", 90000, 1]],
  [15, ["G728", 8000, 1]],
  [16, ["DVI4", 11025, 1]],
  [17, ["DVI4", 22050, 1]],
  [18, ["G729", 8000, 1]],
  [25, ["CelB", 90000, 1]],
  [26, ["JPEG", 90000, 1]],
  [28, ["nv", 90000, 1]],
  [31, ["H261", 90000, 1]],
  [32, ["MPV", 90000, 1]],
  [33, ["MP2T", 90000, 1]],
  [34, ["H263", 90000, 1]],
]);

/** What a static payload type means when the description has no rtpmap for it; null for dynamic types. */
export function staticFormat(payloadType: number): MediaFormat | null {
  const known = STATIC_FORMATS.get(payloadType);
  return known === undefined ? null : mediaFormat(payloadType, known[0], known[1], { channels: known[2] });
}

/** Clock rates of encodings that have only one, for descriptions that leave it out. */
const USUAL_CLOCK_RATES: ReadonlyMap<string, number> = new Map([
  ["pcmu", 8000],
  ["pcma", 8000],
  ["g722", 8000],
  ["gsm", 8000],
  ["g723", 8000],
  ["g728", 8000],
  ["g729", 8000],
  ["ilbc", 8000],
  ["amr", 8000],
  ["amr-wb", 16000],
  ["opus", 48000],
  ["telephone-event", 8000],
  ["red", 8000],
  ["cn", 8000],
  ["h263", 90000],
  ["h263-1998", 90000],
  ["h264", 90000],
  ["h265", 90000],
  ["vp8", 90000],
  ["vp9", 90000],
  ["av1", 90000],
  ["x-flv", 90000],
]);

/**
 * A format as its a=rtpmap names it. What can only be a slip is mended: a clock rate left out (0), G.722 with the
 * rate of its samples (RFC 3551 4.5.2 says 8000), opus with another number of channels than 2 (RFC 7587 4.1).
 */
export function mappedFormat(
  payloadType: number,
  name: string,
  clockRate: number,
  details: FormatDetails = {},
): MediaFormat {
  const encoding = name.toLowerCase();
  const rate = clockRate > 0 ? clockRate : USUAL_CLOCK_RATES.get(encoding) ?? 0;
  if (encoding === "g722" && rate === 16000) return mediaFormat(payloadType, name, 8000, details);
  if (encoding === "opus") return mediaFormat(payloadType, name, rate, { ...details, channels: 2 });
  return mediaFormat(payloadType, name, rate, details);
}

/** Whether a format only accompanies others (DTMF, redundancy, comfort noise): no call rests on it. */
export function isAuxiliary(format: MediaFormat): boolean {
  return isNamed(format, "telephone-event") || isNamed(format, "red") || isNamed(format, "cn");
}

/** Whether the format has this encoding name (given in lower case). */
export function isNamed(format: { readonly name: string }, lowerCaseName: string): boolean {
  return format.name.toLowerCase() === lowerCaseName;
}

/**
 * Whether two formats of different descriptions are the same codec: name without case, clock rate, channels,
 * and for H.264 a packetization mode and profile that can work together (RFC 6184 8.2.2). Payload types and
 * other parameters do not count.
 */
export function sameFormat(a: MediaFormat, b: MediaFormat): boolean {
  const name = a.name.toLowerCase();
  if (name === "" || name !== b.name.toLowerCase()) return false;
  if (a.clockRate !== b.clockRate || a.channels !== b.channels) return false;
  return name !== "h264" || compatibleH264(a.fmtp, b.fmtp);
}

/** "PCMU/8000", "opus/48000/2"; a format without a name shows its payload type. */
export function formatName(format: MediaFormat): string {
  if (format.name === "") return `payload type ${format.payloadType}`;
  const channels = format.channels === 1 ? "" : `/${format.channels}`;
  return `${format.name}/${format.clockRate}${channels}`;
}

/** A list for logs and Warning headers: "speex/16000, PCMU/8000"; "nothing" when empty. */
export function describeFormats(formats: readonly MediaFormat[]): string {
  return formats.map(formatName).join(", ") || "nothing";
}
