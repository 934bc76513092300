// The server's own port: registrar and stateless proxy (RFC 3261 16.11). The branch of our Via is computed from the request,
// so retransmissions, CANCEL and the ACK of a refusal take the same way without any memory. Nothing a peer sends ends it.
// Role: edge

import { messageOf, TransportError, WireError } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { Scope } from "../../base/scope.ts";
import {
  type Endpoint,
  formatEndpoint,
  isIpAddress,
  isLoopback,
  isUnspecified,
  sameAddress,
  type TargetGuard,
} from "../../net/endpoint.ts";
import { parseDecimal } from "../../sip/message/grammar.ts";
import { formatVia, parseVia, type Via } from "../../sip/message/header_values.ts";
import {
  cloneMessage,
  createResponse,
  type SipMessage,
  type SipRequest,
  type SipResponse,
} from "../../sip/message/message.ts";
import { parseNameAddr } from "../../sip/message/name_addr.ts";
import { DEFAULT_TRANSPORT, findTransport, isReliable, transportRow } from "../../sip/message/transports.ts";
import {
  DEFAULT_SIP_PORT,
  type Flow,
  formatTarget,
  type Target,
  targetOf,
} from "../../sip/message/target.ts";
import type { SipUri } from "../../sip/message/uri.ts";
import type { MessageTransport } from "../../sip/ua/endpoint.ts";
import type { Location } from "./location.ts";

interface ProxyOptions {
  /** Its port; the proxy owns it from now on. */
  readonly transport: MessageTransport;
  readonly location: Location;
  readonly self: SelfAddress;
  /** To tag of its own answers, the same for all (RFC 3261 8.2.7). */
  readonly tag: string;
  /** Where requests may be sent on to; absent: everywhere. */
  readonly guard?: TargetGuard;
  readonly log: Logger;
}

/** Messages on their way at a time; a flood beyond loses messages, which the ends send again. */
const MAX_SENDING = 2000;

export class Proxy implements AsyncDisposable {
  readonly #options: ProxyOptions;
  readonly #scope: Scope;

  constructor(options: ProxyOptions) {
    this.#options = options;
    this.#scope = new Scope("sip proxy", { log: options.log });
    options.transport.onMessage = (message, flow) => this.#receive(message, flow);
  }

  /** Closes the port and waits for what is being sent. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#options.transport.onMessage = null;
    await this.#options.transport[Symbol.asyncDispose]();
    await this.#scope.close();
  }

  #receive(message: SipMessage, flow: Flow): void {
    const { log } = this.#options;
    const action = message.kind === "request" ? this.#judge(message, flow) : this.#judgeResponse(message);
    switch (action.type) {
      case "respond":
        return this.#send(action.response, targetOf(flow));
      case "return":
        return this.#send(action.response, action.target);
      case "forward":
        return this.#forward(message as SipRequest, action, flow);
      case "drop":
        if (log.enabled("debug")) {
          log.debug(`${nameOf(message)} from ${formatEndpoint(flow.remote)} dropped: ${action.reason}`);
        }
    }
  }

  #judge(request: SipRequest, flow: Flow): ProxyAction {
    const { location, self, tag } = this.#options;
    try {
      const denied = this.#denial(request, flow);
      if (denied !== null) return denied;
      const action = proxyRequest(request, location, { self, flow, tag });
      const refusal = action.type === "forward" ? this.#refusal(action.target.endpoint, flow) : null;
      return refusal === null ? action : this.#forbidden(request, refusal);
    } catch (error) {
      const broken = error instanceof WireError;
      if (!broken && !(error instanceof TransportError)) throw error;
      if (request.method === "ACK") return { type: "drop", reason: messageOf(error) };
      const reason = broken ? `Bad Request (${messageOf(error)})` : undefined;
      return { type: "respond", response: createResponse(request, broken ? 400 : 503, reason, tag) };
    }
  }

  #refusal(to: Endpoint, flow: Flow): string | null {
    return this.#options.guard?.refusal(to, flow.remote.hostname) ?? null;
  }

  /** A contact that its user may not have us send to, whoever calls it later. */
  #denial(request: SipRequest, flow: Flow): ProxyAction | null {
    if (request.method !== "REGISTER" || this.#options.guard === undefined) return null;
    for (const text of request.headers.all("Contact")) {
      if (text.trim() === "*") continue;
      const { host, port } = parseNameAddr(text).uri;
      const refusal = this.#refusal({ hostname: host, port: port ?? DEFAULT_SIP_PORT }, flow);
      if (refusal !== null) return this.#forbidden(request, refusal);
    }
    return null;
  }

  #forbidden(request: SipRequest, reason: string): ProxyAction {
    this.#options.log.warn(`${request.method} refused: ${reason}`);
    if (request.method === "ACK") return { type: "drop", reason };
    return { type: "respond", response: createResponse(request, 403, undefined, this.#options.tag) };
  }

  #judgeResponse(response: SipResponse): ProxyAction {
    try {
      return proxyResponse(response, this.#options.self);
    } catch (error) {
      if (error instanceof WireError) return { type: "drop", reason: messageOf(error) };
      throw error;
    }
  }

  #forward(original: SipRequest, action: { request: SipRequest; target: Target }, flow: Flow): void {
    if (this.#isFlooded()) return;
    const { transport, log, tag } = this.#options;
    this.#scope.spawn("forward", async () => {
      const outcome = await transport.send(action.request, action.target);
      if (outcome.type === "sent" || original.method === "ACK") return;
      log.debug(`${original.method} to ${formatTarget(action.target)} not sent: ${outcome.reason}`);
      await transport.send(createResponse(original, 503, undefined, tag), targetOf(flow));
    });
  }

  #send(response: SipResponse, target: Target): void {
    if (this.#isFlooded()) return;
    this.#scope.spawn("answer", async () => void await this.#options.transport.send(response, target));
  }

  #isFlooded(): boolean {
    return this.#scope.size >= MAX_SENDING;
  }
}

function nameOf(message: SipMessage): string {
  return message.kind === "request" ? message.method : String(message.status);
}

/** Which of our addresses faces a destination; `AddressPolicy` of net is one. */
export interface FacingAddress {
  /** The address; throws TransportError when nothing of ours faces it. */
  addressFor(destination: Endpoint): string;
}

export class SelfAddress {
  readonly #local: Endpoint;
  readonly #facing: FacingAddress;

  /** `local` is the bound address with the real port; `facing` is asked when that is 0.0.0.0 or ::. */
  constructor(local: Endpoint, facing: FacingAddress) {
    this.#local = local;
    this.#facing = facing;
  }

  /** Our address as `remote` is to use it. Throws TransportError when nothing of ours faces it. */
  towards(remote: Endpoint): Endpoint {
    const { hostname, port } = this.#local;
    return { hostname: isUnspecified(hostname) ? this.#facing.addressFor(remote) : hostname, port };
  }

  /** Whether a host and port that somebody wrote mean this server. */
  includes(host: string, port: number | null): boolean {
    const { hostname } = this.#local;
    if ((port ?? DEFAULT_SIP_PORT) !== this.#local.port) return false;
    if (isLoopback(host)) return isLoopback(hostname) || isUnspecified(hostname);
    if (!isIpAddress(host)) return false;
    if (!isUnspecified(hostname)) return sameAddress(host, hostname);
    return this.#isOfThisHost(host);
  }

  /** An address faces itself exactly when it is one of this host's. */
  #isOfThisHost(address: string): boolean {
    try {
      return sameAddress(address, this.#facing.addressFor({ hostname: address, port: this.#local.port }));
    } catch (error) {
      if (error instanceof TransportError) return false; // no address of that family, so not ours either
      throw error;
    }
  }
}

type ProxyAction =
  | { type: "forward"; request: SipRequest; target: Target }
  | { type: "respond"; response: SipResponse }
  | { type: "return"; response: SipResponse; target: Target }
  | { type: "drop"; reason: string };

/** Hops a request may still take when it does not say (RFC 3261 16.6 step 3). */
const DEFAULT_MAX_FORWARDS = 70;
/** Parameter of our Via: the TCP connection a request came on, since many clients cannot be connected to. */
const CONNECTION_PARAM = "connection";

interface ProxyHop {
  readonly self: SelfAddress;
  readonly flow: Flow;
  /** To tag of answers; the same for every repetition of a request (RFC 3261 8.2.7). */
  readonly tag: string;
}

/**
 * Decides about one request. Throws WireError when what it needs of the request cannot be read, TransportError when
 * no address of ours faces the next hop.
 */
export function proxyRequest(request: SipRequest, location: Location, hop: ProxyHop): ProxyAction {
  if (request.method === "REGISTER") {
    return { type: "respond", response: location.register(request, hop.tag) };
  }
  const hops = maxForwards(request);
  if (hops === 0) return refuse(request, 483, hop.tag);
  if (request.headers.has("Proxy-Require")) return refuseExtensions(request, hop.tag);
  const copy = cloneMessage(request);
  copy.headers.set("Max-Forwards", String(hops - 1));
  dropOwnRoute(copy, hop.self);
  const next = nextHop(copy, location, hop);
  if (next === null) return ownAnswer(request, hop.tag);
  if (next === "nowhere") return refuse(request, 480, hop.tag);
  // Nothing that was looked up may lead back here: a user registered at this very address would go round and round.
  if (hop.self.includes(next.endpoint.hostname, next.endpoint.port)) return refuse(request, 482, hop.tag);
  copy.headers.prepend("Via", ownVia(request, next, hop));
  return { type: "forward", request: copy, target: next };
}

/** Decides about one response: our Via comes off, the next one says where it goes. Throws WireError. */
export function proxyResponse(response: SipResponse, self: SelfAddress): ProxyAction {
  const copy = cloneMessage(response);
  const top = copy.headers.removeFirst("Via");
  const ours = top === null ? null : parseVia(top);
  if (ours === null || !self.includes(ours.host, ours.port)) {
    return { type: "drop", reason: "not sent through here" };
  }
  const below = copy.headers.get("Via");
  const target = below === null ? null : returnTarget(parseVia(below), ours);
  if (target === null) return { type: "drop", reason: "nobody is waiting for it" };
  return { type: "return", response: copy, target };
}

function maxForwards(request: SipRequest): number {
  const text = request.headers.get("Max-Forwards");
  if (text === null) return DEFAULT_MAX_FORWARDS;
  if (!/^\d{1,3}$/.test(text)) throw new WireError("SIP", `bad Max-Forwards "${text.slice(0, 20)}"`);
  return Number(text);
}

/** A client that was given us as its outbound proxy names us in its first Route (16.4). */
function dropOwnRoute(request: SipRequest, self: SelfAddress): void {
  const route = request.headers.get("Route");
  if (route === null) return;
  const { host, port } = parseNameAddr(route).uri;
  if (self.includes(host, port)) request.headers.removeFirst("Route");
}

/** Every domain is ours: users are told apart by their user part alone. Null: nobody has that name. */
function nextHop(request: SipRequest, location: Location, hop: ProxyHop): Target | "nowhere" | null {
  const route = request.headers.get("Route");
  if (route !== null) return contactTarget(parseNameAddr(route).uri, hop) ?? "nowhere";
  const contact = location.find(request.uri.user ?? "");
  if (contact === null) return null;
  request.uri = contact;
  return contactTarget(contact, hop) ?? "nowhere";
}

/** What the server itself says: 200 to OPTIONS, nothing to an ACK, 404 to the rest. */
function ownAnswer(request: SipRequest, tag: string): ProxyAction {
  return refuse(request, request.method === "OPTIONS" && request.uri.user === null ? 200 : 404, tag);
}

function refuse(request: SipRequest, status: number, tag: string): ProxyAction {
  if (request.method === "ACK") {
    return { type: "drop", reason: `there is nobody to pass it on to (${status})` };
  }
  return { type: "respond", response: createResponse(request, status, undefined, tag) };
}

/** No extension is understood here (16.3 step 5). */
function refuseExtensions(request: SipRequest, tag: string): ProxyAction {
  const action = refuse(request, 420, tag);
  if (action.type === "respond") {
    action.response.headers.set("Unsupported", request.headers.all("Proxy-Require").join(", "));
  }
  return action;
}

/**
 * Contacts are addresses here: a name would need a look-up, and trying things out needs none. A contact at 0.0.0.0
 * or :: (the built-in numbers) is meant at whichever of our addresses the sender reaches.
 */
function contactTarget(uri: SipUri, { self, flow }: ProxyHop): Target | null {
  const host = uri.host.toLowerCase() === "localhost" ? "127.0.0.1" : uri.host;
  const transport = findTransport(uri.params.get("transport") ?? DEFAULT_TRANSPORT);
  if (uri.scheme !== "sip" || !isIpAddress(host) || transport === null) return null;
  const hostname = isUnspecified(host) ? self.towards(flow.remote).hostname : host;
  return { transport, endpoint: { hostname, port: uri.port ?? DEFAULT_SIP_PORT } };
}

function ownVia(request: SipRequest, { transport, endpoint }: Target, { self, flow }: ProxyHop): string {
  const top = parseVia(request.headers.get("Via") ?? "");
  const parts = [
    top.params.get("branch") ?? "",
    `${top.host}:${top.port ?? ""}`,
    request.headers.get("Call-ID") ?? "",
    (request.headers.get("CSeq") ?? "").split(" ")[0] ?? "",
  ];
  const { hostname: host, port } = self.towards(endpoint);
  const params = new Map<string, string | null>([
    ["branch", `z9hG4bK${fingerprint(parts.join("\n"))}`],
    ["rport", null],
  ]);
  if (isReliable(flow.transport)) params.set(CONNECTION_PARAM, String(flow.connectionId));
  return formatVia({ transport: transportRow(transport).via, host, port, params });
}

/** Where a response goes: the way its Via says, over TCP by the connection its request came on. */
function returnTarget(below: Via, ours: Via): Target | null {
  const hostname = below.params.get("received") ?? below.host;
  const endpoint = { hostname, port: below.port ?? DEFAULT_SIP_PORT };
  if (below.transport === "UDP") return { transport: "udp", endpoint };
  if (below.transport !== "TCP") return null;
  const connectionId = parseDecimal(ours.params.get(CONNECTION_PARAM) ?? "", Number.MAX_SAFE_INTEGER) ?? 0;
  const local = { hostname: ours.host, port: ours.port ?? DEFAULT_SIP_PORT };
  return { transport: "tcp", endpoint, flow: { transport: "tcp", remote: endpoint, local, connectionId } };
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
