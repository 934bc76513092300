// SIP, SIPS and tel URIs (RFC 3261 19.1, RFC 3966) and their comparison (19.1.4).
//
//   sip:user:password@host:port;param=value;flag?header=value
//
// Escapes (%40) are undone in user, password and parameters and put back when formatting; bytes that are not
// UTF-8 survive the round trip.
// Role: wire
// Answers to: siprtmp's URI class, which could not tell "+1-201" from "+1201" nor parse [::1].

import { WireError } from "../base/errors.ts";
import { clip, NO_PARAMS, type Params, parseDecimal, SIP } from "./grammar.ts";
import { escapeUri, PARAM_SAFE, PASSWORD_SAFE, unescapeUri, USER_SAFE } from "./uri_escape.ts";

/** Longest URI accepted, in characters. */
export const MAX_URI_LENGTH = 4096;

/** A SIP, SIPS or tel URI. */
export interface SipUri {
  /** Lower-case scheme. */
  readonly scheme: "sip" | "sips" | "tel";
  /** User part, unescaped; for tel the number as written. */
  readonly user: string | null;
  /** Password, unescaped; never log it. */
  readonly password: string | null;
  /** Host name or address as written, IPv6 without brackets; empty for tel. */
  readonly host: string;
  /** Port if one is written. */
  readonly port: number | null;
  /** URI parameters: lower-case name -> unescaped value, null for flags such as `lr`. */
  readonly params: Params;
  /** What follows `?`, still escaped; null without it. */
  readonly headers: string | null;
}

const HOST_NAME = /^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9.])?$/;
const IPV6 = /^[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*$/;
const TELEPHONE_NUMBER = /^\+?[0-9A-Fa-f*#().-]*[0-9*#][0-9A-Fa-f*#().-]*$/;

/** A sip URI from its parts; what is left out is absent. */
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
  return /^([A-Za-z][A-Za-z0-9+.-]*):/.exec(text)?.[1]?.toLowerCase() ?? null;
}

/** Parses a URI without angle brackets. WireError for bad syntax and for schemes other than sip, sips, tel. */
export function parseSipUri(text: string): SipUri {
  if (text.length > MAX_URI_LENGTH) throw new WireError(SIP, "a URI is too long");
  // deno-lint-ignore no-control-regex
  if (/[\u0000-\u0020\u007f<>"]/.test(text)) throw new WireError(SIP, `bad character in URI ${clip(text)}`);
  const scheme = schemeOf(text);
  const rest = text.slice((scheme?.length ?? 0) + 1);
  if (scheme === "tel") return parseTel(rest);
  if (scheme !== "sip" && scheme !== "sips") throw new WireError(SIP, `not a SIP URI: ${clip(text)}`);
  const at = rest.indexOf("@");
  const { user, password } = parseUserInfo(at < 0 ? null : rest.slice(0, at));
  const question = rest.indexOf("?", at + 1);
  const headers = question < 0 ? null : rest.slice(question + 1);
  const [hostPort, ...params] = rest.slice(at + 1, question < 0 ? undefined : question).split(";");
  return { scheme, user, password, ...parseHostPort(hostPort!), params: parseUriParams(params), headers };
}

function parseUserInfo(text: string | null): { user: string | null; password: string | null } {
  if (text === null) return { user: null, password: null };
  const colon = text.indexOf(":");
  const user = unescapeUri(colon < 0 ? text : text.slice(0, colon));
  if (user === "") throw new WireError(SIP, "a URI has @ but no user");
  return { user, password: colon < 0 ? null : unescapeUri(text.slice(colon + 1)) };
}

/** Parses `host`, `host:port`, `[v6]` or `[v6]:port`. WireError when it is none of them. */
export function parseHostPort(text: string): { host: string; port: number | null } {
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(.*))?$/.exec(text);
  const host = match?.[1] ?? match?.[2] ?? "";
  const valid = match?.[1] === undefined ? HOST_NAME.test(host) : IPV6.test(host);
  if (!match || !valid || host.length > 255) throw new WireError(SIP, `bad host ${clip(text)}`);
  if (match[3] === undefined) return { host, port: null };
  const port = parseDecimal(match[3], 65535);
  if (port === null) throw new WireError(SIP, `bad port ${clip(text)}`);
  return { host, port };
}

/** Formats a host and optional port, IPv6 in brackets. */
export function formatHostPort(host: string, port: number | null): string {
  return (host.includes(":") ? `[${host}]` : host) + (port === null ? "" : `:${port}`);
}

function parseUriParams(parts: readonly string[]): Params {
  if (parts.length === 0) return NO_PARAMS;
  const params = new Map<string, string | null>();
  for (const part of parts) {
    const equals = part.indexOf("=");
    const name = unescapeUri(equals < 0 ? part : part.slice(0, equals)).toLowerCase();
    if (name === "") throw new WireError(SIP, "a URI has a parameter without name");
    const value = equals < 0 ? null : unescapeUri(part.slice(equals + 1));
    if (!params.has(name)) params.set(name, value === "" ? null : value);
  }
  return params;
}

function parseTel(text: string): SipUri {
  const [number, ...params] = text.split(";");
  if (!TELEPHONE_NUMBER.test(number!)) throw new WireError(SIP, `bad telephone number ${clip(text)}`);
  return sipUri("", { scheme: "tel", user: number!, params: parseUriParams(params) });
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

/** A telephone number without its visual separators (RFC 3966 3), in lower case. */
export function withoutSeparators(number: string): string {
  return number.replace(/[().\-\s]/g, "").toLowerCase();
}
