// SIP, SIPS and tel URIs (RFC 3261 19.1, RFC 3966) and their comparison (19.1.4).
// Role: wire

import { decodeUtf8 } from "../../base/bytes.ts";
import { WireError } from "../../base/errors.ts";
import {
  ALPHANUMERIC,
  type CharacterSet,
  characterSet,
  clip,
  isMadeOf,
  NO_PARAMS,
  type Params,
  paramValue,
  parseDecimal,
  SIP,
  splitOutside,
  trimBlanks,
} from "./grammar.ts";

/** Longest URI accepted, in characters. */
export const MAX_URI_LENGTH = 4096;

export interface SipUri {
  readonly scheme: "sip" | "sips" | "tel";
  /** User part, unescaped; for tel the number as written. */
  readonly user: string | null;
  /** Password, unescaped; never log it. */
  readonly password: string | null;
  /** Host name or address as written, IPv6 without brackets; empty for tel. */
  readonly host: string;
  readonly port: number | null;
  /** URI parameters: lower-case name -> unescaped value, null for flags such as `lr`. */
  readonly params: Params;
  /** What follows `?`, still escaped; null without it. */
  readonly headers: string | null;
}

/** Longest host name accepted (RFC 1035 2.3.4). */
const MAX_HOST_LENGTH = 255;
const ALNUM = characterSet(ALPHANUMERIC);
const HOST_CHARACTERS = characterSet(`${ALPHANUMERIC}.-_`);
const IPV6_CHARACTERS = characterSet("0123456789ABCDEFabcdef:.");
const SCHEME_CHARACTERS = characterSet(`${ALPHANUMERIC}+.-`);
const LETTERS = characterSet("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");
const NUMBER_CHARACTERS = characterSet("0123456789ABCDEFabcdef*#().-");
const KEYS = characterSet("0123456789*#");

/**
 * A sip URI from its parts; what is left out is absent.
 *
 *   sip:user:password@host:port;param=value;flag?header=value
 *
 * Escapes (%40) are undone in user, password and parameters and put back when formatting; bytes that are not
 * UTF-8 survive the round trip.
 */
export function sipUri(host: string, parts: Partial<Omit<SipUri, "host">> = {}): SipUri {
  const absent = {
    scheme: "sip",
    user: null,
    password: null,
    port: null,
    params: NO_PARAMS,
    headers: null,
  } as const;
  return { ...absent, ...parts, host };
}

/** The scheme in lower case, also of a URI this program cannot use; null when there is none. */
export function schemeOf(text: string): string | null {
  const colon = text.indexOf(":");
  if (colon < 1 || !isMadeOf(text[0]!, LETTERS)) return null;
  const scheme = text.slice(0, colon);
  return isMadeOf(scheme, SCHEME_CHARACTERS) ? scheme.toLowerCase() : null;
}

/** Parses a URI without angle brackets. WireError for bad syntax and for schemes other than sip, sips, tel. */
export function parseSipUri(text: string): SipUri {
  if (text.length > MAX_URI_LENGTH) throw new WireError(SIP, "a URI is too long");
  const scheme = schemeOf(text);
  if (scheme !== "sip" && scheme !== "sips" && scheme !== "tel") {
    throw new WireError(SIP, `not a SIP URI: ${clip(text)}`);
  }
  const rest = text.slice(scheme.length + 1);
  if (scheme === "tel") return parseTel(rest);
  const at = rest.indexOf("@");
  const { user, password } = parseUserInfo(at < 0 ? null : plain(rest.slice(0, at)));
  const question = rest.indexOf("?", at + 1);
  const headers = question < 0 ? null : plain(rest.slice(question + 1));
  const beforeHeaders = rest.slice(at + 1, question < 0 ? undefined : question);
  const semicolon = beforeHeaders.indexOf(";");
  const { host, port } = parseHostPort(semicolon < 0 ? beforeHeaders : beforeHeaders.slice(0, semicolon));
  const params = semicolon < 0 ? NO_PARAMS : parseUriParams(beforeHeaders.slice(semicolon + 1));
  return { scheme, user, password, host, port, params, headers };
}

/** The text, which must not hold what ends or breaks a URI: blanks, control characters, brackets, quotes. */
function plain(text: string): string {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code <= 0x20 || code === 0x7f || text[at] === "<" || text[at] === ">" || text[at] === '"') {
      throw new WireError(SIP, `bad character in URI ${clip(text)}`);
    }
  }
  return text;
}

/** `sip:@host` has no user: some devices write that. */
function parseUserInfo(text: string | null): { user: string | null; password: string | null } {
  if (text === null) return { user: null, password: null };
  const colon = text.indexOf(":");
  const user = unescapeUri(colon < 0 ? text : text.slice(0, colon));
  if (user === "") return { user: null, password: null };
  return { user, password: colon < 0 ? null : unescapeUri(text.slice(colon + 1)) };
}

/** Parses `host`, `host:port`, `[v6]` or `[v6]:port`, blanks around each. WireError when it is none of them. */
export function parseHostPort(text: string): { host: string; port: number | null } {
  const trimmed = text.length > 2 * MAX_HOST_LENGTH ? "" : trimBlanks(text);
  const bracketed = trimmed.startsWith("[");
  const close = bracketed ? trimmed.indexOf("]") : trimmed.indexOf(":");
  const end = close < 0 ? trimmed.length : close;
  const host = bracketed ? trimmed.slice(1, end) : trimBlanks(trimmed.slice(0, end));
  const rest = trimBlanks(trimmed.slice(bracketed ? end + 1 : end));
  if (bracketed ? close < 0 || !isIpv6(host) : !isHostName(host)) {
    throw new WireError(SIP, `bad host ${clip(text)}`);
  }
  // A colon without a port is legal in other URIs (RFC 3986 3.2.3) and harmless here.
  if (rest === "" || rest === ":") return { host, port: null };
  const port = rest.startsWith(":") ? parseDecimal(trimBlanks(rest.slice(1)), 65535) : null;
  if (port === null) throw new WireError(SIP, `bad port ${clip(text)}`);
  return { host, port };
}

function isHostName(text: string): boolean {
  if (text.length > MAX_HOST_LENGTH || !isMadeOf(text, HOST_CHARACTERS)) return false;
  const last = text[text.length - 1]!;
  return isMadeOf(text[0]!, ALNUM) && (last === "." || isMadeOf(last, ALNUM));
}

function isIpv6(text: string): boolean {
  return text.length <= MAX_HOST_LENGTH && text.includes(":") && isMadeOf(text, IPV6_CHARACTERS);
}

/** Formats a host and optional port, IPv6 in brackets. */
export function formatHostPort(host: string, port: number | null): string {
  return (host.includes(":") ? `[${host}]` : host) + (port === null ? "" : `:${port}`);
}

/** Empty parameters have no effect; a value may stand in quotes, and blanks around each part. */
function parseUriParams(text: string): Params {
  const params = new Map<string, string | null>();
  for (const part of splitOutside(text, ";", false)) {
    const equals = part.indexOf("=");
    const name = unescapeUri(plain(trimBlanks(equals < 0 ? part : part.slice(0, equals)))).toLowerCase();
    if (name === "" || params.has(name)) continue;
    params.set(name, equals < 0 ? null : uriParamValue(trimBlanks(part.slice(equals + 1))));
  }
  return params.size === 0 ? NO_PARAMS : params;
}

function uriParamValue(text: string): string | null {
  const value = text.startsWith('"') ? paramValue(text) : unescapeUri(plain(text));
  return value === "" ? null : value;
}

function parseTel(text: string): SipUri {
  const semicolon = text.indexOf(";");
  const number = semicolon < 0 ? text : text.slice(0, semicolon);
  if (!isTelephoneNumber(number)) throw new WireError(SIP, `bad telephone number ${clip(text)}`);
  const params = semicolon < 0 ? NO_PARAMS : parseUriParams(text.slice(semicolon + 1));
  return sipUri("", { scheme: "tel", user: number, params });
}

function isTelephoneNumber(text: string): boolean {
  const digits = text.startsWith("+") ? text.slice(1) : text;
  if (!isMadeOf(digits, NUMBER_CHARACTERS)) return false;
  for (let at = 0; at < digits.length; at++) if (isMadeOf(digits[at]!, KEYS)) return true;
  return false;
}

/** Formats without angle brackets. */
export function formatSipUri(uri: SipUri): string {
  let text = `${uri.scheme}:`;
  if (uri.scheme === "tel") text += uri.user ?? "";
  else {
    if (uri.user !== null) {
      text += escapeUri(uri.user, USER_SAFE);
      if (uri.password !== null) text += `:${escapeUri(uri.password, PASSWORD_SAFE)}`;
      text += "@";
    }
    text += formatHostPort(uri.host, uri.port);
  }
  for (const [name, value] of uri.params) {
    text += `;${escapeUri(name, PARAM_SAFE)}`;
    if (value !== null) text += `=${escapeUri(value, PARAM_SAFE)}`;
  }
  return uri.headers === null ? text : `${text}?${uri.headers}`;
}

/** Parameters that must be in both URIs or in neither (19.1.4). */
const NEVER_IGNORED: readonly string[] = ["user", "ttl", "method", "maddr", "transport"];

/** Whether two URIs are equivalent by RFC 3261 19.1.4 (tel: by RFC 3966 4, visual separators ignored). */
export function sameSipUri(a: SipUri, b: SipUri): boolean {
  if (a.scheme !== b.scheme || a.password !== b.password || a.port !== b.port) return false;
  if (a.scheme === "tel") {
    if (withoutSeparators(a.user ?? "") !== withoutSeparators(b.user ?? "")) return false;
    return a.params.size === b.params.size && sharedParamsAgree(a.params, b.params);
  }
  if (a.user !== b.user || a.host.toLowerCase() !== b.host.toLowerCase()) return false;
  if (NEVER_IGNORED.some((name) => a.params.has(name) !== b.params.has(name))) return false;
  return sharedParamsAgree(a.params, b.params) && headerSet(a.headers) === headerSet(b.headers);
}

function sharedParamsAgree(a: Params, b: Params): boolean {
  for (const [name, value] of a) {
    if (b.has(name) && b.get(name)?.toLowerCase() !== value?.toLowerCase()) return false;
  }
  return true;
}

function headerSet(headers: string | null): string {
  return (headers ?? "").split("&").map(normalHeader).sort().join("&");
}

function normalHeader(text: string): string {
  const equals = text.indexOf("=");
  if (equals < 0) return text.toLowerCase();
  return `${text.slice(0, equals).toLowerCase()}=${text.slice(equals + 1)}`;
}

const SEPARATORS = characterSet("().- \t\r\n");

/** A telephone number without its visual separators (RFC 3966 3), in lower case. */
export function withoutSeparators(number: string): string {
  let result = "";
  for (const character of number) if (!isMadeOf(character, SEPARATORS)) result += character;
  return result.toLowerCase();
}

export const USER_SAFE: CharacterSet = characterSet(`${ALPHANUMERIC}-_.!~*'()&=+$,;?/`);
export const PASSWORD_SAFE: CharacterSet = characterSet(`${ALPHANUMERIC}-_.!~*'()&=+$,`);
export const PARAM_SAFE: CharacterSet = characterSet(`${ALPHANUMERIC}-_.!~*'()[]/:&+$`);

/** Undoes %XX; a % without two hex digits behind it is a %. */
export function unescapeUri(text: string): string {
  let at = text.indexOf("%");
  if (at < 0) return text;
  let result = text.slice(0, at);
  while (at < text.length) {
    const end = endOfEscapes(text, at);
    const next = text.indexOf("%", Math.max(end, at + 1));
    const stop = next < 0 ? text.length : next;
    result += (end === at ? "" : textOf(bytesOf(text, at, end))) + text.slice(end, stop);
    at = stop;
  }
  return result;
}

/** Where the run of %XX that starts at `from` ends. */
function endOfEscapes(text: string, from: number): number {
  let at = from;
  while (text[at] === "%" && hexDigit(text, at + 1) >= 0 && hexDigit(text, at + 2) >= 0) at += 3;
  return at;
}

function bytesOf(text: string, from: number, end: number): Uint8Array {
  const bytes = new Uint8Array((end - from) / 3);
  for (let i = 0; i < bytes.length; i++) {
    const at = from + 3 * i;
    bytes[i] = hexDigit(text, at + 1) * 16 + hexDigit(text, at + 2);
  }
  return bytes;
}

/** -1 when there is none. */
function hexDigit(text: string, at: number): number {
  const code = text.charCodeAt(at);
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const letter = code | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}

function textOf(bytes: Uint8Array): string {
  const text = decodeUtf8(bytes);
  if (!text.includes("\ufffd")) return text;
  let result = "";
  for (let at = 0; at < bytes.length;) {
    const length = utf8LengthAt(bytes, at);
    result += length === 0
      ? String.fromCharCode(0xdc00 + bytes[at]!)
      : decodeUtf8(bytes.subarray(at, at + length));
    at += Math.max(length, 1);
  }
  return result;
}

/** Length of the valid UTF-8 sequence at `at` (RFC 3629 4); 0 when there is none. */
function utf8LengthAt(bytes: Uint8Array, at: number): number {
  const lead = bytes[at]!;
  const length = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
  for (let i = 1; i < length; i++) {
    const lowest = i > 1 ? 0x80 : lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
    const highest = i > 1 ? 0xbf : lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
    const byte = bytes[at + i] ?? 0;
    if (byte < lowest || byte > highest) return 0;
  }
  return length;
}

/** Escapes every character that is not in `safe`. */
export function escapeUri(text: string, safe: CharacterSet): string {
  if (isMadeOf(text, safe)) return text;
  let result = "";
  for (const character of text) {
    const code = character.charCodeAt(0);
    if (code < 128) result += safe[code] === 1 ? character : ESCAPES[code];
    else if (character.isWellFormed()) result += encodeURIComponent(character);
    else result += code >= 0xdc80 && code <= 0xdcff ? ESCAPES[code - 0xdc00] : "%EF%BF%BD";
  }
  return result;
}

/** %XX of each byte. */
const ESCAPES: readonly string[] = Array.from(
  { length: 256 },
  (_, byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`,
);
