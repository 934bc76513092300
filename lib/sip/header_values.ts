// Typed forms of short headers: CSeq, RAck, delta-seconds, Content-Type, Session-Expires, Warning, Retry-After
// (RFC 3261 20, RFC 3262 7.2, RFC 4028 4).
// Role: wire
// Answers to: the isdigit() checks spread over siprtmp.

import { WireError } from "../base/errors.ts";
import { clip, isToken, type Params, parseDecimal, parseParams, quote, SIP } from "./grammar.ts";

/** Largest CSeq and RSeq number accepted (8.1.1.5: below 2^31). */
export const MAX_SEQUENCE = 0x7fff_ffff;
/** Largest number of seconds in Expires and the like (20.19). */
export const MAX_DELTA_SECONDS = 0xffff_ffff;

/** A CSeq value. */
export interface CSeq {
  /** Sequence number, below 2^31. */
  readonly sequence: number;
  /** Method, as written. */
  readonly method: string;
}

/** Parses CSeq. WireError when it is malformed or too large. */
export function parseCSeq(text: string): CSeq {
  const match = /^([0-9]+)\s+(\S+)$/.exec(text.trim());
  const sequence = match ? parseDecimal(match[1]!, MAX_SEQUENCE) : null;
  if (!match || sequence === null || !isToken(match[2]!)) throw new WireError(SIP, `bad CSeq ${clip(text)}`);
  return { sequence, method: match[2]! };
}

/** Formats CSeq. */
export function formatCSeq(cseq: CSeq): string {
  return `${cseq.sequence} ${cseq.method}`;
}

/** A RAck value (RFC 3262 7.2): which reliable provisional response a PRACK acknowledges. */
export interface RAck {
  /** RSeq of the response. */
  readonly responseSequence: number;
  /** CSeq of the request that was answered. */
  readonly cseq: CSeq;
}

/** Parses RAck. WireError when it is malformed. */
export function parseRAck(text: string): RAck {
  const match = /^([0-9]+)\s+(.*)$/.exec(text.trim());
  const responseSequence = match ? parseDecimal(match[1]!, MAX_SEQUENCE) : null;
  if (!match || responseSequence === null) throw new WireError(SIP, `bad RAck ${clip(text)}`);
  return { responseSequence, cseq: parseCSeq(match[2]!) };
}

/** Formats RAck. */
export function formatRAck(rack: RAck): string {
  return `${rack.responseSequence} ${formatCSeq(rack.cseq)}`;
}

/**
 * Seconds as in Expires, Min-Expires, Retry-After and Min-SE; parameters and comments behind them are ignored.
 * Null for a missing or malformed value; what exceeds 2^32-1 counts as 2^32-1.
 */
export function parseDeltaSeconds(text: string | null): number | null {
  const match = /^([0-9]{1,100})\s*(?:[;(].*)?$/.exec(text?.trim() ?? "");
  return match ? Math.min(Number(match[1]), MAX_DELTA_SECONDS) : null;
}

/** A media type with its parameters. */
export interface ContentType {
  /** Lower-case type and subtype, "application/sdp". */
  readonly type: string;
  /** Parameters. */
  readonly params: Params;
}

/** Parses Content-Type or one Accept element. WireError when it is malformed. */
export function parseContentType(text: string): ContentType {
  const semicolon = text.indexOf(";");
  const [type, subtype, ...more] = (semicolon < 0 ? text : text.slice(0, semicolon)).split("/").map((t) =>
    t.trim()
  );
  if (!isToken(type ?? "") || !isToken(subtype ?? "") || more.length > 0) {
    throw new WireError(SIP, `bad Content-Type ${clip(text)}`);
  }
  const params = parseParams(semicolon < 0 ? "" : text.slice(semicolon));
  return { type: `${type}/${subtype}`.toLowerCase(), params };
}

/** A Session-Expires value (RFC 4028 4). */
export interface SessionExpires {
  /** The session interval. */
  readonly seconds: number;
  /** Who refreshes; null when it is not said. */
  readonly refresher: "uac" | "uas" | null;
}

/** Parses Session-Expires. WireError when it is malformed. */
export function parseSessionExpires(text: string): SessionExpires {
  const seconds = parseDeltaSeconds(text);
  if (seconds === null) throw new WireError(SIP, `bad Session-Expires ${clip(text)}`);
  const semicolon = text.indexOf(";");
  const refresher = parseParams(semicolon < 0 ? "" : text.slice(semicolon)).get("refresher")?.toLowerCase();
  return { seconds, refresher: refresher === "uac" || refresher === "uas" ? refresher : null };
}

/** Formats Session-Expires. */
export function formatSessionExpires(value: SessionExpires): string {
  return `${value.seconds}${value.refresher === null ? "" : `;refresher=${value.refresher}`}`;
}

/** Formats one Warning value (20.43). @param agent host or pseudonym that adds it */
export function formatWarning(code: number, agent: string, text: string): string {
  return `${code} ${agent} ${quote(text)}`;
}

/** The text of one Warning value; the whole value when it does not look like one. */
export function warningText(value: string): string {
  const match = /^[0-9]{3} \S+ "((?:[^"\\]|\\.)*)"$/.exec(value.trim());
  return match ? match[1]!.replace(/\\(.)/g, "$1") : value;
}
