// How the values of settings are written: texts and numbers of people to values, undefined for what is none.
// Role: wire

import { nullIfMalformed } from "../base/errors.ts";
import type { DialMatcher } from "../gateway/access/target_policy.ts";
import { type Endpoint, isIpAddress, parseEndpoint } from "../net/endpoint.ts";
import { parseSipUri, type SipUri } from "../sip/message/uri.ts";
import { parseDialPattern } from "./dial_pattern.ts";

/** Port of SIP, of the gateway and of the built-in server (RFC 3261 19.1.2). */
export const DEFAULT_SIP_PORT = 5060;

/** Workers at most: each takes a SIP port, a slice of the RTP ports, and memory. */
export const MAX_WORKERS = 64;

/** How many threads carry calls; "auto": as many as there are cores. */
export type WorkerCount = number | "auto";

/** How DTMF is sent: the best way that the peer supports, or always this one. */
export type DtmfMode = "auto" | "rtp" | "info" | "inband";

interface SipdConfig {
  readonly listen: Endpoint;
  /** True when the next free port will do: nobody asked for this very one. */
  readonly portFallback: boolean;
}

export interface PortRange {
  readonly min: number;
  readonly max: number;
}

/** Longest text a setting may have. */
export const MAX_TEXT_LENGTH = 1024;

/** Most entries of a list. */
const MAX_ENTRIES = 1_000;

/** Undefined: not a list. */
export function parseList<T>(value: unknown, parse: (text: string) => T | undefined): T[] | undefined {
  const parts: unknown[] = typeof value === "string"
    ? value.split(/[\s,]+/).filter((part) => part !== "")
    : Array.isArray(value)
    ? value
    : [];
  if (parts.length === 0 || parts.length > MAX_ENTRIES) return undefined;
  const parsed = parts.map((part) =>
    typeof part === "string" && part.length <= MAX_TEXT_LENGTH ? parse(part) : undefined
  );
  const good = parsed.filter((part) => part !== undefined);
  return good.length === parts.length ? good : undefined;
}

/** A literal IP address, in brackets or not, or localhost; undefined: something else. */
export function parseAddress(value: unknown): string | undefined {
  if (typeof value !== "string") return undefined;
  const bare = value.replace(/^\[(.*)\]$/s, "$1");
  if (bare === "localhost") return "127.0.0.1";
  return isIpAddress(bare) ? bare : undefined;
}

/** Host and port; a name is looked up when it is needed: servers move. */
export function parseServer(value: unknown, defaultPort: number): Endpoint | undefined {
  if (typeof value !== "string" || value.length > MAX_TEXT_LENGTH) return undefined;
  const server = nullIfMalformed(() => parseEndpoint(value, defaultPort));
  return server !== null && server.port > 0 ? server : undefined;
}

/** A token: printable ASCII without spaces and URL separators, long enough not to be guessed. */
export function parseToken(value: unknown): string | undefined {
  return typeof value === "string" && /^[\x21-\x7e]{16,256}$/.test(value) && !/[&=#%+?]/.test(value)
    ? value
    : undefined;
}

export function parseExternal(value: unknown): string | undefined {
  return value === "auto" ? value : parseAddress(value);
}

export function parseTruth(value: unknown): boolean | undefined {
  if (value === "true" || value === "false") return value === "true";
  return typeof value === "boolean" ? value : undefined;
}

export function parseWorkers(value: unknown): WorkerCount | undefined {
  if (value === "auto") return "auto";
  const whole = typeof value === "number" && Number.isInteger(value);
  return whole && value >= 1 && value <= MAX_WORKERS ? value : undefined;
}

export function parsePortRange(value: unknown): PortRange | undefined {
  const match = typeof value === "string" ? /^(\d{1,5})\s*-\s*(\d{1,5})$/.exec(value.trim()) : null;
  if (match === null) return undefined;
  const [min, max] = [Number(match[1]), Number(match[2])];
  const firstEven = min + min % 2; // RTP takes the even port, RTCP the next one (RFC 3550 section 11)
  return min >= 1 && max <= 65535 && firstEven + 1 <= max ? { min, max } : undefined;
}

export function parseProxy(value: unknown): SipUri | undefined {
  if (typeof value !== "string" || value.length > MAX_TEXT_LENGTH) return undefined;
  const uri = nullIfMalformed(() => parseSipUri(/^sips?:/i.test(value) ? value : `sip:${value}`));
  return uri?.scheme === "sip" && uri.host !== "" ? uri : undefined;
}

/** An address alone leaves the port to us: 5060, or the next free one. */
export function parseSipd(value: unknown): SipdConfig | null | undefined {
  if (value === false) return null;
  const text = value === true ? "127.0.0.1" : value;
  if (typeof text !== "string") return undefined;
  const hostname = parseAddress(text);
  if (hostname !== undefined) return { listen: { hostname, port: DEFAULT_SIP_PORT }, portFallback: true };
  const literal = text.replace(/^localhost:/, "127.0.0.1:");
  const listen = nullIfMalformed(() => parseEndpoint(literal, DEFAULT_SIP_PORT));
  return listen !== null && isIpAddress(listen.hostname) ? { listen, portFallback: false } : undefined;
}

/** "example.com", "*.example.com" or an IP address, in lower case; undefined: something else. */
export function parseDomain(text: string): string | undefined {
  const name = text.toLowerCase().replace(/^\[(.*)\]$/s, "$1").replace(/\.$/, "");
  if (isIpAddress(name)) return name;
  return /^(\*\.)?[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*$/.test(name)
    ? name
    : undefined;
}

/** A pattern as in the dial plan; undefined: not one. */
export function parseDialMatcher(text: string): DialMatcher | undefined {
  const parsed = parseDialPattern(text);
  return parsed.type === "pattern" ? parsed.pattern : undefined;
}
