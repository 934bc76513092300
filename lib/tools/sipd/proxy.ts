// The server's own port: every message is judged by the rules of registrar and stateless proxy and sent on its way.
// Nothing a peer sends ends it: what cannot be read is answered 400 or dropped. RFC 3261 16.11, 16.9 (no way on: 503).
// Role: edge

import { messageOf, TransportError, WireError } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { Scope } from "../../base/scope.ts";
import { type Endpoint, formatEndpoint, type TargetGuard } from "../../net/endpoint.ts";
import type { MessageTransport } from "../../sip/ua/endpoint.ts";
import {
  createResponse,
  type SipMessage,
  type SipRequest,
  type SipResponse,
} from "../../sip/message/message.ts";
import { parseNameAddr } from "../../sip/message/name_addr.ts";
import {
  DEFAULT_SIP_PORT,
  type Flow,
  formatTarget,
  type Target,
  targetOf,
} from "../../sip/message/target.ts";
import type { Location } from "./location.ts";
import type { SelfAddress } from "./self_address.ts";
import { type ProxyAction, proxyRequest, proxyResponse } from "./stateless_proxy.ts";

export interface ProxyOptions {
  /** Its port; the proxy owns it from now on. */
  readonly transport: MessageTransport;
  readonly location: Location;
  readonly self: SelfAddress;
  /** To tag of its own answers, the same for all (RFC 3261 8.2.7). */
  readonly tag: string;
  /** Where requests may be sent on to; absent: everywhere. */
  readonly guard?: TargetGuard;
  /** Says what was dropped and what led nowhere. */
  readonly log: Logger;
}

/** Messages on their way at a time; a flood beyond loses messages, which the ends send again. */
const MAX_SENDING = 2000;

/** Registrar and proxy at work. */
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
      log.debug(`${original.method} for ${formatTarget(action.target)} went nowhere: ${outcome.reason}`);
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
