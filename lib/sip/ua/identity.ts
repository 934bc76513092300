// Who a user agent is: its address of record and credentials, and the addresses it writes about itself.
// RFC 3261 sections 8.1.1.3 (From), 8.1.1.8 (Contact), 10.2 (REGISTER: To, Request-URI).
// Role: wire

import { NO_PARAMS } from "../message/grammar.ts";
import type { NameAddr } from "../message/name_addr.ts";
import type { HopOptions } from "../transport/routing.ts";
import { type TransportName, transportRow } from "../message/transports.ts";
import { type SipUri, sipUri } from "../message/uri.ts";

/** A SIP user: what goes into From, and how its registrar knows it. */
export interface Identity {
  /** Address of record, e.g. `sip:alice@example.com`. */
  readonly aor: SipUri;
  /** Name shown to the people called; null without one. */
  readonly displayName: string | null;
  /** Digest user name; null: the user part of the address of record. */
  readonly username: string | null;
  /** Digest password; null: no credentials, challenges are refusals. */
  readonly password: string | null;
  /** Where it registers; the domain of the address of record when absent. */
  readonly registrar?: SipUri;
  /** Where all its requests go first; the endpoint's proxy, if any, when absent. */
  readonly proxy?: SipUri;
  /** Transport to the first hop, unless that one's URI names another; by DNS when absent. */
  readonly transport?: TransportName;
  /** IP address of the RTMP client that named these addresses; absent: the operator did. */
  readonly askedBy?: string | null;
  /** Whether challenges of MD5 without qop (RFC 2069) are answered; they are not when absent. */
  readonly md5WithoutQop?: boolean;
}

/** On whose behalf a user calls or writes, where that is not the user itself. */
export interface Caller {
  /** The name shown; that of the identity when absent. */
  readonly displayName?: string | null;
  /** IP address of who named the destination; as for the identity when absent. */
  readonly askedBy?: string | null;
}

/** The address of record without what does not belong into From and To: password, parameters, headers. */
export function publicUri(uri: SipUri): SipUri {
  return { ...uri, password: null, params: NO_PARAMS, headers: null };
}

/** The From (and, for REGISTER, To) address of a user agent, without a tag. */
export function identityAddress(identity: Identity): NameAddr {
  return { displayName: identity.displayName, uri: publicUri(identity.aor), params: NO_PARAMS };
}

/**
 * The URI a REGISTER goes to: the registrar that was named, else the domain of the address of record
 * (RFC 3261 section 10.2.6).
 */
export function registrarUri(identity: Identity): SipUri {
  const { scheme, host, port, params } = identity.registrar ?? identity.aor;
  const transport = params.get("transport");
  return sipUri(host, {
    scheme,
    port,
    params: typeof transport === "string" ? new Map([["transport", transport]]) : NO_PARAMS,
  });
}

/** A URI as Request-URI: no password, no method parameter, no headers (RFC 3261 section 19.1.1 table). */
export function requestUri(uri: SipUri): SipUri {
  const params = new Map(uri.params);
  params.delete("method");
  return { ...uri, password: null, params, headers: null };
}

/** Where this user agent is reached: our address and port, the transport unless it is UDP, and its line. */
export function contactAddress(
  identity: Identity,
  at: { host: string; port: number; transport: TransportName; line: string },
): NameAddr {
  const params = new Map<string, string | null>();
  const { uriParameter } = transportRow(at.transport);
  if (uriParameter !== null) params.set("transport", uriParameter);
  params.set("line", at.line);
  const uri = sipUri(at.host, { user: identity.aor.user, port: at.port, params });
  return { displayName: null, uri, params: NO_PARAMS };
}

/** How to look for the hop of a request that goes where this user says. */
export function hopOptions({ transport, askedBy = null }: Identity): HopOptions {
  return { ...(transport !== undefined && { transport }), askedBy };
}
