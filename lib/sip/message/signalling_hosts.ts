// The hosts that a message of the peer came from, as far as it says: the next hop, the phone behind it as its proxy saw
// it (`received`, RFC 3261 18.2.1), and the peer's Contact. Media of a phone behind a NAT comes from one of them,
// whatever its session description says.
// Role: wire

import { nullIfMalformed } from "../../base/errors.ts";
import { isIpAddress, isUnspecified, unmapAddress } from "../../net/endpoint.ts";
import { parseVia, type Via } from "./header_via.ts";
import type { SipMessage } from "./message.ts";
import { parseNameAddr } from "./name_addr.ts";

/** Hops that are looked at: a call has few. */
const MAX_HOPS = 8;

/**
 * IP addresses, each once, the nearest first.
 * @param answered whom the request went to, for responses: their Vias are ours and tell nothing
 */
export function signallingHosts(message: SipMessage, answered: string | null): string[] {
  const found: string[] = answered === null ? [] : [answered];
  if (message.kind === "request") found.push(...message.headers.all("Via").slice(0, MAX_HOPS).map(hostOfVia));
  found.push(hostOfContact(message.headers.get("Contact")));
  const hosts = found.map((host) => unmapAddress(unbracketed(host)));
  return [...new Set(hosts.filter((host) => isIpAddress(host) && !isUnspecified(host)))];
}

function hostOfVia(text: string): string {
  const via = nullIfMalformed<Via>(() => parseVia(text));
  return via === null ? "" : via.params.get("received") ?? via.host;
}

function hostOfContact(text: string | null): string {
  if (text === null || text === "*") return "";
  return nullIfMalformed(() => parseNameAddr(text))?.uri.host ?? "";
}

function unbracketed(host: string): string {
  return host.startsWith("[") && host.endsWith("]") ? host.slice(1, -1) : host;
}
