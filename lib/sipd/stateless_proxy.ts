// What a stateless proxy does with a message (RFC 3261 16.11): requests for a registered user go to its contact
// with our Via on top, responses go back along the Via below ours. The branch is computed from the request,
// so retransmissions, CANCEL and the ACK of a refusal take the same way without any memory.
// Role: machine
// Answers to: nothing in siprtmp; see docs/decisions/built-in-sip-server.md.

import { WireError } from "../base/errors.ts";
import { type Endpoint, isIpAddress } from "../net/endpoint.ts";
import { formatVia, parseVia } from "../sip/header_via.ts";
import { cloneMessage, createResponse, type SipRequest, type SipResponse } from "../sip/message.ts";
import { parseNameAddr } from "../sip/name_addr.ts";
import type { Target, TransportName } from "../sip/target.ts";
import type { SipUri } from "../sip/uri.ts";
import type { Location } from "./location.ts";

/** What becomes of a message. */
export type ProxyAction =
  | { type: "forward"; request: SipRequest; target: Target }
  | { type: "respond"; response: SipResponse }
  | { type: "return"; response: SipResponse }
  | { type: "drop"; reason: string };

/** Hops a request may still take when it does not say (RFC 3261 16.6 step 3). */
const DEFAULT_MAX_FORWARDS = 70;
const DEFAULT_SIP_PORT = 5060;

/** Decides about one request. `self` is the address peers know this server by. */
export function proxyRequest(
  request: SipRequest,
  location: Location,
  self: Endpoint,
  tag: string,
): ProxyAction {
  if (request.method === "REGISTER") return { type: "respond", response: location.register(request, tag) };
  const hops = maxForwards(request);
  if (hops === 0) return refuse(request, 483, tag);
  const copy = cloneMessage(request);
  copy.headers.set("Max-Forwards", String(hops - 1));
  dropOwnRoute(copy, self);
  const next = nextHop(copy, location);
  if (next === null) return ownAnswer(request, tag);
  copy.headers.prepend("Via", ownVia(request, self, next.transport));
  return { type: "forward", request: copy, target: next };
}

/** Decides about one response: our Via comes off, the next one says where it goes. */
export function proxyResponse(response: SipResponse, self: Endpoint): ProxyAction {
  const copy = cloneMessage(response);
  const top = copy.headers.removeFirst("Via");
  if (top === null || !isOwn(parseVia(top), self)) return { type: "drop", reason: "not sent through here" };
  if (!copy.headers.has("Via")) return { type: "drop", reason: "nobody is waiting for it" };
  return { type: "return", response: copy };
}

function maxForwards(request: SipRequest): number {
  const text = request.headers.get("Max-Forwards");
  if (text === null) return DEFAULT_MAX_FORWARDS;
  if (!/^\d{1,3}$/.test(text)) throw new WireError("SIP", `bad Max-Forwards "${text.slice(0, 20)}"`);
  return Number(text);
}

/** A client that was given us as its outbound proxy names us in its first Route (16.4). */
function dropOwnRoute(request: SipRequest, self: Endpoint): void {
  const route = request.headers.get("Route");
  if (route !== null && isOwnUri(parseNameAddr(route).uri, self)) request.headers.removeFirst("Route");
}

/** Every domain is ours: users are told apart by their user part alone. */
function nextHop(request: SipRequest, location: Location): Target | null {
  const route = request.headers.get("Route");
  if (route !== null) return targetOf(parseNameAddr(route).uri);
  const contact = location.find(request.uri.user ?? "");
  if (contact === null) return null;
  request.uri = contact;
  return targetOf(contact);
}

/** What the server itself says: 200 to OPTIONS, nothing to an ACK, 404 to the rest. */
function ownAnswer(request: SipRequest, tag: string): ProxyAction {
  if (request.method === "ACK") return { type: "drop", reason: "ACK for nobody" };
  if (request.method === "OPTIONS" && request.uri.user === null) return refuse(request, 200, tag);
  return refuse(request, 404, tag);
}

function refuse(request: SipRequest, status: number, tag: string): ProxyAction {
  if (request.method === "ACK") return { type: "drop", reason: `ACK that would get ${status}` };
  return { type: "respond", response: createResponse(request, status, undefined, tag) };
}

/** Contacts are addresses here: a name would need a look-up, and trying things out needs none. */
function targetOf(uri: SipUri): Target | null {
  if (!isIpAddress(uri.host)) return null;
  const transport: TransportName = uri.params.get("transport")?.toLowerCase() === "tcp" ? "tcp" : "udp";
  return { transport, endpoint: { hostname: uri.host, port: uri.port ?? DEFAULT_SIP_PORT } };
}

function ownVia(request: SipRequest, self: Endpoint, transport: TransportName): string {
  const top = parseVia(request.headers.get("Via") ?? "");
  const parts = [
    top.params.get("branch") ?? "",
    `${top.host}:${top.port ?? ""}`,
    request.headers.get("Call-ID") ?? "",
    (request.headers.get("CSeq") ?? "").split(" ")[0] ?? "",
  ];
  return formatVia({
    transport: transport.toUpperCase(),
    host: self.hostname,
    port: self.port,
    params: new Map<string, string | null>([["branch", `z9hG4bK${fingerprint(parts.join("\n"))}`], [
      "rport",
      null,
    ]]),
  });
}

/** FNV-1a, twice with different starts: 64 bits that tell requests apart; not for secrets. */
function fingerprint(text: string): string {
  let a = 0x811c9dc5;
  let b = 0x1b873593;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    a = Math.imul(a ^ code, 0x01000193) >>> 0;
    b = Math.imul(b ^ code, 0x01000197) >>> 0;
  }
  return a.toString(16).padStart(8, "0") + b.toString(16).padStart(8, "0");
}

function isOwn(via: { host: string; port: number | null }, self: Endpoint): boolean {
  return via.host === self.hostname && (via.port ?? DEFAULT_SIP_PORT) === self.port;
}

function isOwnUri(uri: SipUri, self: Endpoint): boolean {
  const sameHost = uri.host === self.hostname || uri.host === "localhost";
  return sameHost && (uri.port ?? DEFAULT_SIP_PORT) === self.port;
}
