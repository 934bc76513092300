// Addresses in From, To, Contact, Route and Refer-To (RFC 3261 20.10, 25.1), and what people type to be called.
// Role: wire

import { WireError } from "../../base/errors.ts";
import {
  characterSet,
  clip,
  endOfBrackets,
  endOfQuoted,
  formatParams,
  isMadeOf,
  NO_PARAMS,
  type Params,
  parseParams,
  quote,
  SIP,
  splitOutside,
  trimBlanks,
  unquote,
} from "./grammar.ts";
import {
  formatSipUri,
  parseHostPort,
  parseSipUri,
  schemeOf,
  type SipUri,
  sipUri,
  withoutSeparators,
} from "./uri.ts";

/** An address: display name, URI and the parameters of the header that carries it (tag, expires, q). */
export interface NameAddr {
  /** Display name without quotes; null when there is none. */
  readonly displayName: string | null;
  readonly uri: SipUri;
  /** Header parameters: lower-case name -> value without quotes. */
  readonly params: Params;
}

/** Longest address that is looked at, in characters: a URI, and a long name. */
const MAX_ADDRESS_LENGTH = 16 * 1024;

interface AddressParts {
  /** What stands before the bracket. */
  readonly name: string;
  readonly uri: string;
  /** What stands behind it: header parameters, from their first `;`. */
  readonly params: string;
  /** Whether there are brackets around the URI, none, or one that is never closed. */
  readonly brackets: "both" | "none" | "open";
}

/**
 * Without brackets everything from the first `;` belongs to the header (20.10), brackets in quotes there included.
 * A `<` without `>` is taken as closed there, too. Null for what is too long.
 */
function cutAddress(text: string): AddressParts | null {
  if (text.length > MAX_ADDRESS_LENGTH) return null;
  const trimmed = trimBlanks(text);
  const open = bracketAt(trimmed);
  const close = open < 0 ? -1 : endOfBrackets(trimmed, open);
  const semicolon = trimmed.indexOf(";", open + 1);
  const end = close >= 0 ? close : semicolon < 0 ? trimmed.length : semicolon;
  return {
    name: trimBlanks(trimmed.slice(0, Math.max(open, 0))),
    uri: trimBlanks(trimmed.slice(open + 1, end)),
    params: trimmed.slice(close >= 0 ? close + 1 : end),
    brackets: open < 0 ? "none" : close < 0 ? "open" : "both",
  };
}

/** Where the `<` of the URI is; -1 for an address without brackets. A display name may hold other brackets. */
function bracketAt(text: string): number {
  const quoted = text.startsWith('"') ? endOfQuoted(text, 0) : -1;
  const from = quoted + 1;
  const bareEnd = from === 0 && hasKnownScheme(text, 0) ? text.indexOf(";") : -1;
  let first = -1;
  for (let at = text.indexOf("<", from); at >= 0; at = text.indexOf("<", at + 1)) {
    if (bareEnd >= 0 && at > bareEnd) return first;
    if (first < 0) first = at;
    if (hasKnownScheme(text, at + 1)) return at;
  }
  return first;
}

function hasKnownScheme(text: string, from: number): boolean {
  const start = trimBlanks(text.slice(from, from + 10)).toLowerCase();
  return start.startsWith("sip:") || start.startsWith("sips:") || start.startsWith("tel:");
}

/**
 * Parses one address. What is odd and has one meaning is taken: names with commas or brackets and without quotes,
 * quotes that are never closed, empty parameters. WireError when there is no URI that can be used.
 *
 *   "Display name" <sip:user@host;uri-param>;header-param      Display name <sip:...>      sip:user@host;header-param
 */
export function parseNameAddr(text: string): NameAddr {
  const parts = cutAddress(text);
  if (parts === null || parts.brackets === "open") {
    throw new WireError(SIP, `an address has no end: ${clip(text)}`);
  }
  const uri = parseSipUri(parts.uri);
  if (parts.brackets === "none" && uri.headers !== null) {
    throw new WireError(SIP, "an address with ? needs angle brackets");
  }
  return { displayName: parseDisplayName(parts.name), uri, params: paramsOf(parts.params) };
}

/** What stands for an address that cannot be read (RFC 3323 4.1.1.3). */
const UNREADABLE_URI = sipUri("anonymous.invalid", { user: "anonymous" });

/** As parseNameAddr, for From and To: a URI that cannot be read costs nobody a call, and never throws. */
export function readNameAddr(text: string): NameAddr {
  try {
    return parseNameAddr(text);
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    const parts = cutAddress(text);
    const displayName = parts === null ? null : parseDisplayName(parts.name);
    return { displayName, uri: UNREADABLE_URI, params: paramsOf(parts?.params ?? "") };
  }
}

/** One hop of Route or Record-Route: brackets belong around it, without them all of it is the URI. */
export function parseRoute(text: string): NameAddr {
  const trimmed = trimBlanks(text);
  return bracketAt(trimmed) < 0 ? nameAddrOf(parseSipUri(trimmed)) : parseNameAddr(trimmed);
}

/** The header parameters of an address, also when the rest of it cannot be read. */
export function headerParamsOf(text: string): Params {
  return paramsOf(cutAddress(text)?.params ?? "");
}

/** The grammar wants tokens or a quoted string; devices send any characters here, which harms nobody. */
function parseDisplayName(text: string): string | null {
  const end = text.startsWith('"') ? endOfQuoted(text, 0) : -1;
  const name = end >= 0 && end === text.length - 1
    ? unquote(text)
    : trimBlanks(text.replaceAll('"', "").replaceAll("\\", ""));
  return name === "" ? null : name;
}

export function parseNameAddrList(text: string): NameAddr[] {
  return splitOutside(text, ",", true).filter((one) => one !== "").map(parseNameAddr);
}

/** Formats with brackets always, the display name always quoted. */
export function formatNameAddr(address: NameAddr): string {
  const name = address.displayName === null || address.displayName === ""
    ? ""
    : `${quote(address.displayName)} `;
  return `${name}<${formatSipUri(address.uri)}>${formatParams(address.params)}`;
}

/** An address without display name and header parameters. */
export function nameAddrOf(uri: SipUri): NameAddr {
  return { displayName: null, uri, params: NO_PARAMS };
}

export function withParam(address: NameAddr, name: string, value: string | null): NameAddr {
  return { ...address, params: new Map(address.params).set(name, value) };
}

/**
 * What a person typed to be called: `"Name" <sip:u@h>`, `sip:u@h:port`, `u@h`, `tel:+1-201...`, or a bare number or
 * name, which belongs to `domain` (a host or host:port). WireError when nothing callable can be made of it.
 */
export function parseDestination(text: string, domain: string): NameAddr {
  const trimmed = text.trim();
  if (trimmed.startsWith('"') && endOfQuoted(trimmed, 0) < 0) {
    throw new WireError(SIP, `a quote is never closed: ${clip(trimmed)}`);
  }
  if (bracketAt(trimmed) >= 0) {
    const address = parseNameAddr(trimmed);
    return { ...address, uri: inDomain(address.uri, domain) };
  }
  if (trimmed.startsWith('"')) throw new WireError(SIP, `a name without an address: ${clip(trimmed)}`);
  const scheme = schemeOf(trimmed);
  if (scheme === "sip" || scheme === "sips" || scheme === "tel") {
    return nameAddrOf(inDomain(parseSipUri(trimmed), domain));
  }
  if (scheme !== null && !scheme.includes(".") && !endsWithPort(trimmed)) {
    throw new WireError(SIP, `only sip:, sips: and tel: can be called: ${clip(trimmed)}`);
  }
  if (trimmed.includes("@") || isAddress(trimmed)) return nameAddrOf(parseSipUri(`sip:${trimmed}`));
  if (trimmed === "") throw new WireError(SIP, "the address is empty");
  return nameAddrOf(atDomain(trimmed, domain, NO_PARAMS));
}

const DIGITS = characterSet("0123456789");
const HEX_AND_COLON = characterSet("0123456789ABCDEFabcdef:.");
const NUMBER_AND_SEPARATORS = characterSet("0123456789().- \t\r\n");

function endsWithPort(text: string): boolean {
  return isMadeOf(text.slice(text.lastIndexOf(":") + 1), DIGITS);
}

/** IPv4 or bracketed IPv6, with or without port: meant as a host, never as a number. */
function isAddress(text: string): boolean {
  if (text.length > 64 || !(text.startsWith("[") || text.split(".").length === 4)) return false;
  try {
    const { host } = parseHostPort(text);
    return text.startsWith("[") ||
      host.split(".").every((part) => part.length <= 3 && isMadeOf(part, DIGITS));
  } catch (error) {
    if (error instanceof WireError) return false;
    throw error;
  }
}

function inDomain(uri: SipUri, domain: string): SipUri {
  if (uri.scheme === "tel") return atDomain(uri.user ?? "", domain, new Map([["user", "phone"]]));
  // A host of digits only cannot be a host name (RFC 1123): `sip:7140` means the number.
  if (uri.user === null && uri.port === null && isMadeOf(uri.host, DIGITS)) {
    return atDomain(uri.host, domain, uri.params);
  }
  return uri;
}

function atDomain(user: string, domain: string, params: Params): SipUri {
  const { host, port } = parseSipUri(`sip:${bracketed(domain)}`);
  return sipUri(host, { user: isNumber(user) ? withoutSeparators(user) : user, port, params });
}

function isNumber(text: string): boolean {
  const rest = text.startsWith("+") ? text.slice(1) : text;
  if (!isMadeOf(rest, NUMBER_AND_SEPARATORS)) return false;
  for (let at = 0; at < rest.length; at++) if (isMadeOf(rest[at]!, DIGITS)) return true;
  return false;
}

/** An IPv6 address gets its brackets. */
function bracketed(domain: string): string {
  const colon = domain.indexOf(":");
  const isIpv6 = colon !== domain.lastIndexOf(":") && isMadeOf(domain, HEX_AND_COLON);
  return isIpv6 ? `[${domain}]` : domain;
}

function paramsOf(text: string): Params {
  return text === "" ? NO_PARAMS : parseParams(text);
}
