// Addresses in From, To, Contact, Route and Refer-To (RFC 3261 20.10, 25.1), and what people type to be called.
//
//   "Display name" <sip:user@host;uri-param>;header-param      Display name <sip:...>      sip:user@host;header-param
//
// Role: wire
// Answers to: siprtmp's Address class; FAQ question 9 (bare numbers and tel: belong to the account's domain).

import { WireError } from "../base/errors.ts";
import {
  clip,
  endOfQuoted,
  formatParams,
  isToken,
  NO_PARAMS,
  type Params,
  parseParams,
  quote,
  SIP,
  splitOutside,
  unquote,
} from "./grammar.ts";
import { formatSipUri, parseSipUri, schemeOf, type SipUri, sipUri, withoutSeparators } from "./uri.ts";

/** An address: display name, URI and the parameters of the header that carries it (tag, expires, q). */
export interface NameAddr {
  /** Display name without quotes; null when there is none. */
  readonly displayName: string | null;
  /** The URI. */
  readonly uri: SipUri;
  /** Header parameters: lower-case name -> value without quotes. */
  readonly params: Params;
}

/** Parses one address; without brackets everything from the first `;` belongs to the header (20.10). */
export function parseNameAddr(text: string): NameAddr {
  const trimmed = text.trim();
  const open = openBracket(trimmed);
  if (open < 0) return parseBareAddress(trimmed);
  const close = trimmed.indexOf(">", open);
  if (close < 0) throw new WireError(SIP, `an address has < without >: ${clip(trimmed)}`);
  const displayName = parseDisplayName(trimmed.slice(0, open).trim());
  const uri = parseSipUri(trimmed.slice(open + 1, close));
  return { displayName, uri, params: paramsOf(trimmed.slice(close + 1)) };
}

function openBracket(text: string): number {
  return text.indexOf("<", text.startsWith('"') ? endOfQuoted(text, 0) : 0);
}

function parseBareAddress(text: string): NameAddr {
  const semicolon = text.indexOf(";");
  const uri = parseSipUri((semicolon < 0 ? text : text.slice(0, semicolon)).trim());
  if (uri.headers !== null) throw new WireError(SIP, "an address with ? needs angle brackets");
  return { displayName: null, uri, params: paramsOf(semicolon < 0 ? "" : text.slice(semicolon)) };
}

function parseDisplayName(text: string): string | null {
  if (text === "") return null;
  if (text.startsWith('"')) {
    if (endOfQuoted(text, 0) !== text.length - 1) {
      throw new WireError(SIP, "text after a quoted display name");
    }
    return unquote(text);
  }
  // The grammar wants ASCII tokens; phones send any letters here, which harms nobody.
  for (const word of text.split(/[ \t]+/)) {
    // deno-lint-ignore no-control-regex
    if (!isToken(word.replace(/[^\u0000-\u007f]/g, "x"))) {
      throw new WireError(SIP, `bad display name ${clip(text)}`);
    }
  }
  return text;
}

/** Parses a comma-separated list of addresses. */
export function parseNameAddrList(text: string): NameAddr[] {
  return splitOutside(text, ",", true).map(parseNameAddr);
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

/** The address with one header parameter set. */
export function withParam(address: NameAddr, name: string, value: string | null): NameAddr {
  return { ...address, params: new Map(address.params).set(name, value) };
}

/**
 * What a person typed to be called: `"Name" <sip:u@h>`, `sip:u@h:port`, `u@h`, `tel:+1-201...`, or a bare number or
 * name, which belongs to `domain` (a host or host:port). WireError when nothing callable can be made of it.
 */
export function parseDestination(text: string, domain: string): NameAddr {
  const trimmed = text.trim();
  if (openBracket(trimmed) >= 0) {
    const address = parseNameAddr(trimmed);
    return { ...address, uri: inDomain(address.uri, domain) };
  }
  if (/^(sips?|tel):/i.test(trimmed)) return nameAddrOf(inDomain(parseSipUri(trimmed), domain));
  if (schemeOf(trimmed) !== null && !/[@.]/.test(schemeOf(trimmed)!) && !/:\d+$/.test(trimmed)) {
    throw new WireError(SIP, `only sip:, sips: and tel: can be called: ${clip(trimmed)}`);
  }
  if (trimmed.includes("@") || isAddress(trimmed)) return nameAddrOf(parseSipUri(`sip:${trimmed}`));
  if (trimmed === "") throw new WireError(SIP, "the address is empty");
  return nameAddrOf(atDomain(trimmed, domain, NO_PARAMS));
}

/** IPv4 or bracketed IPv6, with or without port: meant as a host, never as a number. */
function isAddress(text: string): boolean {
  return /^\d{1,3}(\.\d{1,3}){3}(:\d+)?$/.test(text) || /^\[[0-9A-Fa-f:.]+\](:\d+)?$/.test(text);
}

function inDomain(uri: SipUri, domain: string): SipUri {
  if (uri.scheme === "tel") return atDomain(uri.user ?? "", domain, new Map([["user", "phone"]]));
  // A host of digits only cannot be a host name (RFC 1123): `sip:7140` means the number.
  if (uri.user === null && uri.port === null && /^\d+$/.test(uri.host)) {
    return atDomain(uri.host, domain, uri.params);
  }
  return uri;
}

function atDomain(user: string, domain: string, params: Params): SipUri {
  const { host, port } = parseSipUri(`sip:${bracketed(domain)}`);
  const number = /^\+?[\d\s().-]*\d[\d\s().-]*$/.test(user);
  return sipUri(host, { user: number ? withoutSeparators(user) : user, port, params });
}

function bracketed(domain: string): string {
  return /^[0-9A-Fa-f:.]*:[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*$/.test(domain) ? `[${domain}]` : domain;
}

function paramsOf(text: string): Params {
  return text === "" ? NO_PARAMS : parseParams(text);
}
