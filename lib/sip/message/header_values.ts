// Typed forms of short headers: CSeq, RAck, delta-seconds, Content-Type, Session-Expires, Warning, Retry-After
// (RFC 3261 20, RFC 3262 7.2, RFC 4028 4).
// Role: wire

import { WireError } from "../../base/errors.ts";
import {
  blankAt,
  clip,
  endOfQuoted,
  formatParams,
  isToken,
  type Params,
  parseDecimal,
  parseParams,
  quote,
  SIP,
  trimBlanks,
  unquote,
} from "./grammar.ts";
import { formatHostPort, parseHostPort } from "./uri.ts";
import { DEFAULT_TRANSPORT, transportRow } from "./transports.ts";

/** Largest CSeq and RSeq number accepted; below 2^31 is the rule (8.1.1.5), some count with all 32 bits. */
const MAX_SEQUENCE = 0xffff_ffff;
/** Largest number of seconds in Expires and the like (20.19). */
const MAX_DELTA_SECONDS = 0xffff_ffff;

export interface CSeq {
  /** Sequence number, 32 bits. */
  readonly sequence: number;
  readonly method: string;
}

/** Parses CSeq. WireError when it is malformed or too large. */
export function parseCSeq(text: string): CSeq {
  const [first, method] = wordAndRest(text);
  const sequence = parseDecimal(first, MAX_SEQUENCE);
  if (sequence === null || !isToken(method)) throw new WireError(SIP, `bad CSeq ${clip(text)}`);
  return { sequence, method };
}

/** What stands before the first blanks, and what behind them. */
function wordAndRest(text: string): [word: string, rest: string] {
  const trimmed = trimBlanks(text);
  const end = blankAt(trimmed);
  return [trimmed.slice(0, end), trimBlanks(trimmed.slice(end))];
}

export function formatCSeq(cseq: CSeq): string {
  return `${cseq.sequence} ${cseq.method}`;
}

/** A RAck value (RFC 3262 7.2): which reliable provisional response a PRACK acknowledges. */
export interface RAck {
  readonly responseSequence: number;
  readonly cseq: CSeq;
}

/** Parses RAck. WireError when it is malformed. */
export function parseRAck(text: string): RAck {
  const [first, cseq] = wordAndRest(text);
  const responseSequence = parseDecimal(first, MAX_SEQUENCE);
  if (responseSequence === null) throw new WireError(SIP, `bad RAck ${clip(text)}`);
  return { responseSequence, cseq: parseCSeq(cseq) };
}

export function formatRAck(rack: RAck): string {
  return `${rack.responseSequence} ${formatCSeq(rack.cseq)}`;
}

/** Most digits of a number of seconds that are looked at. */
const MAX_DIGITS = 100;

/**
 * Seconds as in Expires, Min-Expires, Retry-After and Min-SE; a fraction, parameters, comments and words behind them
 * are ignored. Null for a missing or malformed value; what exceeds 2^32-1 counts as 2^32-1.
 */
export function parseDeltaSeconds(text: string | null): number | null {
  const trimmed = trimBlanks(text ?? "");
  const end = endOfDigits(trimmed, 0);
  if (end === 0 || end > MAX_DIGITS) return null;
  const next = trimmed[end] === "." ? endOfDigits(trimmed, end + 1) : end;
  if (next < trimmed.length && !";(, \t\r\n".includes(trimmed[next]!)) return null;
  return Math.min(Number(trimmed.slice(0, end)), MAX_DELTA_SECONDS);
}

function endOfDigits(text: string, from: number): number {
  let at = from;
  while (at < text.length && text[at]! >= "0" && text[at]! <= "9") at++;
  return at;
}

interface ContentType {
  readonly type: string;
  readonly params: Params;
}

/** Parses Content-Type or one Accept element. WireError when it is malformed. */
export function parseContentType(text: string): ContentType {
  const semicolon = text.indexOf(";");
  const name = semicolon < 0 ? text : text.slice(0, semicolon);
  const slash = name.indexOf("/");
  const type = trimBlanks(name.slice(0, Math.max(slash, 0)));
  const subtype = trimBlanks(name.slice(slash + 1));
  if (!isToken(type) || !isToken(subtype)) throw new WireError(SIP, `bad Content-Type ${clip(text)}`);
  const params = parseParams(semicolon < 0 ? "" : text.slice(semicolon));
  return { type: `${type}/${subtype}`.toLowerCase(), params };
}

/** A Session-Expires value (RFC 4028 4). */
export interface SessionExpires {
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

export function formatSessionExpires(value: SessionExpires): string {
  return `${value.seconds}${value.refresher === null ? "" : `;refresher=${value.refresher}`}`;
}

/** Formats one Warning value (20.43). @param agent host or pseudonym that adds it */
export function formatWarning(code: number, agent: string, text: string): string {
  return `${code} ${agent} ${quote(text)}`;
}

/** The text of one Warning value; the whole value when it does not look like one. */
export function warningText(value: string): string {
  const start = value.indexOf('"');
  if (start < 0) return value;
  const [code, agent] = wordAndRest(value.slice(0, start));
  if (code.length !== 3 || parseDecimal(code, 999) === null || agent === "") return value;
  const end = endOfQuoted(value, start);
  return end < 0 ? value.slice(start + 1) : unquote(value.slice(start, end + 1));
}

/** Starts every branch made by the rules of RFC 3261 (8.1.1.7). */
export const MAGIC_COOKIE = "z9hG4bK";

export interface Via {
  /** In upper case, as in a row of transports.ts, or one this program cannot speak. */
  readonly transport: string;
  /** sent-by host, IPv6 without brackets. */
  readonly host: string;
  readonly port: number | null;
  /** Parameters: branch, received, rport, maddr, ttl and others. */
  readonly params: Params;
}

/** Longest part before the parameters: a host name, and what belongs to it. */
const MAX_SENT_LENGTH = 600;

const MAX_VIA_LENGTH = 4096;

/** Parses one Via value. WireError when protocol or sent-by cannot be read. */
export function parseVia(text: string): Via {
  if (text.length > MAX_VIA_LENGTH) bad(text);
  const semicolon = text.indexOf(";");
  const sent = trimBlanks(semicolon < 0 ? text : text.slice(0, semicolon));
  const first = sent.indexOf("/");
  const second = sent.indexOf("/", first + 1);
  if (first < 0 || second < 0 || sent.length > MAX_SENT_LENGTH) bad(text);
  const protocol = trimBlanks(sent.slice(0, first)).toUpperCase();
  const version = trimBlanks(sent.slice(first + 1, second));
  const rest = trimBlanks(sent.slice(second + 1));
  const transport = rest.slice(0, blankAt(rest));
  if (protocol !== "SIP" || version !== "2.0" || !isToken(transport)) bad(text);
  const { host, port } = parseHostPort(rest.slice(transport.length));
  const params = parseParams(semicolon < 0 ? "" : text.slice(semicolon));
  return { transport: transport.toUpperCase(), host, port, params };
}

function bad(text: string): never {
  throw new WireError(SIP, `bad Via ${clip(text)}`);
}

/**
 * As parseVia, where it is read for its parameters and something is to be done in any case: a response finds its
 * request by the branch, a BYE its call by its tags. Never throws.
 */
export function readVia(text: string): Via {
  try {
    return parseVia(text);
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    return {
      transport: transportRow(DEFAULT_TRANSPORT).via,
      host: "unreadable.invalid",
      port: null,
      params: parseParams(text.slice(0, MAX_VIA_LENGTH)),
    };
  }
}

export function formatVia(via: Via): string {
  return `SIP/2.0/${via.transport} ${formatHostPort(via.host, via.port)}${formatParams(via.params)}`;
}

/** The branch when it was made by the rules of RFC 3261 (magic cookie and something after it), else null. */
export function branchOf(via: Via): string | null {
  const branch = via.params.get("branch") ?? null;
  const hasCookie = branch !== null &&
    branch.slice(0, MAGIC_COOKIE.length).toLowerCase() === MAGIC_COOKIE.toLowerCase();
  return hasCookie && branch.length > MAGIC_COOKIE.length ? branch : null;
}
