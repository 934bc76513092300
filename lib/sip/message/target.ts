// Where a message goes and where it came from.
// Role: wire

import { nullIfMalformed } from "../../base/errors.ts";
import { type Endpoint, formatEndpoint, isIpAddress, isPrivate, sameAddress } from "../../net/endpoint.ts";
import { parseDecimal } from "./grammar.ts";
import { formatVia, parseVia, type Via } from "./header_values.ts";
import type { SipMessage, SipRequest, SipResponse } from "./message.ts";
import { defaultViaPort, type TransportName } from "./transports.ts";

/** The way a message came: answers to a request go back along it. */
export interface Flow {
  readonly transport: TransportName;
  readonly remote: Endpoint;
  /** Our own address; over UDP the bound one, which may be unspecified. */
  readonly local: Endpoint;
  /** Number of the TCP connection, never used twice; 0 for UDP. */
  readonly connectionId: number;
}

export interface Target {
  /** Transport to use; requests too large for UDP go by TCP all the same. */
  readonly transport: TransportName;
  readonly endpoint: Endpoint;
  /** Connection to prefer while it lives; without it one to `endpoint` is found or made. */
  readonly flow?: Flow;
}

/** What became of a send. "sent" over UDP means handed to the network. */
export type SendOutcome =
  | { readonly type: "sent"; readonly transport: TransportName; readonly flow: Flow }
  | { readonly type: "failed"; readonly reason: string };

/** "udp 192.0.2.1:5060", for logs and comparisons. */
export function formatTarget(target: Target): string {
  return `${target.transport} ${formatEndpoint(target.endpoint)}`;
}

export function targetOf(flow: Flow): Target {
  return { transport: flow.transport, endpoint: flow.remote, flow };
}

export const DEFAULT_SIP_PORT = 5060;

/**
 * Notes the source of a request in its topmost Via: `received` when it differs from sent-by or rport was asked for,
 * and the value of `rport`. A phone behind NAT that does not ask for rport (private sent-by, other source) is
 * treated as if it had, else no answer would ever reach it. What the peer wrote into `received` does not count. A Via
 * that cannot be read stays as it is: answers go to the source.
 */
export function recordSource(request: SipRequest, source: Endpoint): void {
  const via = topVia(request);
  if (via === null) return;
  const params = new Map(via.params);
  params.delete("received");
  const moved = !sameAddress(via.host, source.hostname);
  const behindNat = moved && isIpAddress(via.host) && isPrivate(via.host);
  const wantsPort = params.has("rport") || behindNat;
  if (wantsPort) params.set("rport", String(source.port));
  if (wantsPort || moved) params.set("received", source.hostname);
  request.headers.setFirst("Via", formatVia({ ...via, params }));
}

/**
 * Where a response goes over UDP by its topmost Via: received, else sent-by; the port is that of rport, else of
 * sent-by. Null when the Via names a host and no address. `maddr` counts only when it is multicast, which it is meant
 * for: anything else would let any sender have us write to anybody.
 */
export function responseEndpoint(response: SipResponse): Endpoint | null {
  const via = topVia(response);
  if (via === null) return null;
  const sentByPort = via.port ?? defaultViaPort(via.transport);
  const maddr = via.params.get("maddr") ?? null;
  if (maddr !== null && isMulticast(maddr)) return { hostname: maddr, port: sentByPort };
  const rport = parseDecimal(via.params.get("rport") ?? "", 65535);
  return addressOf(via, rport ?? sentByPort);
}

/**
 * Where to connect for a response whose TCP connection is gone (18.2.2): received or sent-by with the port of
 * sent-by; the source port of a connection is nobody's listener.
 */
export function responseListener(response: SipResponse): Endpoint | null {
  const via = topVia(response);
  return via === null ? null : addressOf(via, via.port ?? defaultViaPort(via.transport));
}

function topVia(message: SipMessage): Via | null {
  return nullIfMalformed(() => parseVia(message.headers.get("Via") ?? ""));
}

/** 224.0.0.0/4 or ff00::/8. */
function isMulticast(address: string): boolean {
  if (!isIpAddress(address)) return false;
  if (address.includes(":")) return address.toLowerCase().startsWith("ff") && address.indexOf(":") === 4;
  const first = Number(address.split(".", 1)[0]);
  return first >= 224 && first <= 239;
}

function addressOf(via: Via, port: number): Endpoint | null {
  const received = unbracketed(via.params.get("received") ?? "");
  if (isIpAddress(received)) return { hostname: received, port };
  return isIpAddress(via.host) ? { hostname: via.host, port } : null;
}

/** Some write IPv6 with brackets here, some without. */
function unbracketed(address: string): string {
  return address.startsWith("[") && address.endsWith("]") ? address.slice(1, -1) : address;
}
