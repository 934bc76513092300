// Which way a message goes: UDP, a connection that is open, a new one, or another transport than was meant
// (RFC 3261 18.1.1 for requests, 18.2.2 for responses).
// Role: edge

import { messageOf, TransportError } from "../../base/errors.ts";
import { type Endpoint, formatEndpoint, isIpAddress, isIpv6, isUnspecified } from "../../net/endpoint.ts";
import type { UdpSocket } from "../../net/udp.ts";
import type { ConnectionPool } from "./connection_pool.ts";
import { formatVia, parseVia } from "../message/header_values.ts";
import {
  cloneMessage,
  encodeSipMessage,
  type SipMessage,
  type SipRequest,
  type SipResponse,
} from "../message/message.ts";
import {
  type Flow,
  responseEndpoint,
  responseListener,
  type SendOutcome,
  type Target,
} from "../message/target.ts";
import { isReliable, transportRow } from "../message/transports.ts";
import type { Runtime } from "../../base/runtime.ts";

/** Largest request sent over UDP, in bytes (18.1.1). */
const MAX_UDP_REQUEST = 1300;
/** Largest UDP payload there is. */
const MAX_DATAGRAM = 65507;
/** How long a place that refused TCP is not asked again on account of a large request. */
const TCP_REFUSED_MS = 60_000;
/** Such places remembered; the oldest goes. */
const MAX_REFUSALS = 256;

interface SenderEnv extends Pick<Runtime, "clock" | "log"> {
  readonly udp: Pick<UdpSocket, "send" | "local">;
  readonly pool: ConnectionPool;
  /** How long opening a TCP connection may take. */
  readonly connectMs: number;
  /** The same for a large request meant for UDP. */
  readonly switchMs: number;
}

/** Sends messages; see SipTransport.send. */
export class Sender {
  readonly #env: SenderEnv;
  readonly #refusedUntilMs = new Map<string, number>();
  readonly #switching = new Map<string, Promise<SendOutcome>>();

  constructor(env: SenderEnv) {
    this.#env = env;
  }

  /** Sends; never rejects, and reads the message before it returns. */
  send(message: SipMessage, target: Target): Promise<SendOutcome> {
    const { hostname } = target.endpoint;
    if (!isIpAddress(hostname)) return Promise.resolve(failed(`${hostname} is not an IP address`));
    return message.kind === "request"
      ? this.#sendRequest(message, target)
      : this.#sendResponse(message, target);
  }

  /** Sends a keep-alive: these bytes over UDP, CRLFCRLF over a connection that is open; false without one. */
  keepAlive(bytes: Uint8Array, target: Target): boolean {
    if (!isReliable(target.transport)) return this.#sendUdp(bytes, target.endpoint).type === "sent";
    return this.#env.pool.find(target.endpoint, target.flow)?.ping() ?? false;
  }

  #sendRequest(request: SipRequest, target: Target): Promise<SendOutcome> {
    const bytes = encodeSipMessage(request);
    const { reliable, forLargeRequests } = transportRow(target.transport);
    if (reliable) return this.#sendTcp(bytes, target, this.#env.connectMs);
    const refusedUntilMs = this.#refusedUntilMs.get(formatEndpoint(target.endpoint)) ?? -Infinity;
    const isSmall = bytes.length <= MAX_UDP_REQUEST || this.#env.clock.now() < refusedUntilMs;
    return isSmall || forLargeRequests === null
      ? Promise.resolve(this.#sendUdp(bytes, target.endpoint))
      : this.#switchTo({ ...target, transport: forLargeRequests }, request, bytes);
  }

  /** One try for all retransmissions that come while a connection is being opened. */
  #switchTo(target: Target, request: SipRequest, bytes: Uint8Array): Promise<SendOutcome> {
    const via = parseVia(request.headers.get("Via") ?? "");
    const key = `${request.method} ${via.params.get("branch")} ${formatEndpoint(target.endpoint)}`;
    const known = this.#switching.get(key);
    if (known) return known;
    const overTcp = cloneMessage(request);
    overTcp.headers.setFirst("Via", formatVia({ ...via, transport: transportRow(target.transport).via }));
    const trying = this.#tryTcp(encodeSipMessage(overTcp), bytes, target)
      .finally(() => this.#switching.delete(key));
    this.#switching.set(key, trying);
    return trying;
  }

  async #tryTcp(overTcp: Uint8Array, overUdp: Uint8Array, target: Target): Promise<SendOutcome> {
    const outcome = await this.#sendTcp(overTcp, target, this.#env.switchMs);
    const place = formatEndpoint(target.endpoint);
    if (outcome.type === "sent") {
      this.#env.log.debug(
        `request of ${overTcp.length} bytes sent to ${place} by TCP: too large for UDP`,
      );
      return outcome;
    }
    this.#env.log.debug(
      `request of ${overUdp.length} bytes sent to ${place} by UDP: no TCP`,
      outcome.reason,
    );
    this.#refusedUntilMs.delete(place);
    this.#refusedUntilMs.set(place, this.#env.clock.now() + TCP_REFUSED_MS);
    if (this.#refusedUntilMs.size > MAX_REFUSALS) {
      this.#refusedUntilMs.delete(this.#refusedUntilMs.keys().next().value!);
    }
    return this.#sendUdp(overUdp, target.endpoint);
  }

  #sendResponse(response: SipResponse, target: Target): Promise<SendOutcome> {
    const bytes = encodeSipMessage(response);
    if (!isReliable(target.transport)) {
      return Promise.resolve(this.#sendUdp(bytes, responseEndpoint(response) ?? target.endpoint));
    }
    const endpoint = responseListener(response) ?? target.endpoint;
    return this.#sendTcp(bytes, { ...target, endpoint }, this.#env.connectMs);
  }

  #sendUdp(bytes: Uint8Array, endpoint: Endpoint): SendOutcome {
    const { udp } = this.#env;
    if (bytes.length > MAX_DATAGRAM) return failed(`${bytes.length} bytes are too many for UDP`);
    const local = udp.local;
    if (isIpv6(endpoint.hostname) !== isIpv6(local.hostname) && local.hostname !== "::") {
      return failed(
        `${formatEndpoint(endpoint)} cannot be reached from ${local.hostname}${familyHint(local)}`,
      );
    }
    udp.send(bytes, endpoint);
    return sent({ transport: "udp", remote: endpoint, local, connectionId: 0 });
  }

  async #sendTcp(bytes: Uint8Array, target: Target, withinMs: number): Promise<SendOutcome> {
    // A row of transports.ts alone has no sockets: nothing of it leaves in clear text by mistake.
    if (target.transport !== "tcp") return failed(`SIP over ${target.transport} has no sockets`);
    const known = this.#env.pool.find(target.endpoint, target.flow);
    if (known?.send(bytes)) return sent(known.flow);
    try {
      const opened = await this.#env.pool.connect(target.endpoint, withinMs);
      if (opened.send(bytes)) return sent(opened.flow);
      return failed(`${formatEndpoint(target.endpoint)} closed the connection`);
    } catch (error) {
      if (error instanceof TransportError) return failed(messageOf(error));
      throw error;
    }
  }
}

function sent(flow: Flow): SendOutcome {
  return { type: "sent", transport: flow.transport, flow };
}

function failed(reason: string): SendOutcome {
  return { type: "failed", reason };
}

function familyHint(local: Endpoint): string {
  return isUnspecified(local.hostname) ? ": bind :: to have IPv6 as well" : "";
}
