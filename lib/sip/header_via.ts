// Via: the path responses take back (RFC 3261 20.42, response-port RFC 3581).
//
//   SIP/2.0/UDP host:port;branch=z9hG4bK...;rport=5062;received=192.0.2.1
//
// Role: wire
// Answers to: siprtmp's Via parsing in rfc3261.Header.

import { WireError } from "../base/errors.ts";
import { clip, formatParams, isToken, type Params, parseParams, SIP } from "./grammar.ts";
import { formatHostPort, parseHostPort } from "./uri.ts";

/** Starts every branch made by the rules of RFC 3261 (8.1.1.7). */
export const MAGIC_COOKIE = "z9hG4bK";

/** One Via value. */
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

/** Parses one Via value. WireError when it is malformed. */
export function parseVia(text: string): Via {
  const match = /^([^\s/]+)\s*\/\s*([^\s/]+)\s*\/\s*(\S+)\s+([^;]*)(.*)$/.exec(text.trim());
  if (!match || match[1]!.toUpperCase() !== "SIP" || match[2] !== "2.0" || !isToken(match[3]!)) {
    throw new WireError(SIP, `bad Via ${clip(text)}`);
  }
  const { host, port } = parseHostPort(match[4]!.replace(/\s+/g, ""));
  return { transport: match[3]!.toUpperCase(), host, port, params: parseParams(match[5]!) };
}

/** Formats one Via value. */
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
