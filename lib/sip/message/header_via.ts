// Via: the path responses take back (RFC 3261 20.42, response-port RFC 3581).
//
//   SIP/2.0/UDP host:port;branch=z9hG4bK...;rport=5062;received=192.0.2.1
//
// Role: wire

import { WireError } from "../../base/errors.ts";
import {
  blankAt,
  clip,
  formatParams,
  isToken,
  type Params,
  parseParams,
  SIP,
  trimBlanks,
} from "./grammar.ts";
import { formatHostPort, parseHostPort } from "./uri.ts";

/** Starts every branch made by the rules of RFC 3261 (8.1.1.7). */
export const MAGIC_COOKIE = "z9hG4bK";

export interface Via {
  /** Upper-case transport: "UDP", "TCP", or one this program cannot speak. */
  readonly transport: string;
  /** sent-by host, IPv6 without brackets. */
  readonly host: string;
  /** sent-by port if one is written. */
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
      transport: "UDP",
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
