// One registration: a REGISTER with the retries its answer asks for, and the goodbye. registration_keeper.ts says when.
// RFC 3261 section 10.2.
// Role: edge

import type { FailoverNotice } from "../transaction/client_outlets.ts";
import { exchange, reasonOf, type Reply, statusOf } from "./exchange.ts";
import { parseDeltaSeconds } from "../message/header_values.ts";
import { identityAddress, registrarUri } from "./identity.ts";
import type { SipRequest, SipResponse } from "../message/message.ts";
import { formatNameAddr, type NameAddr, withParam } from "../message/name_addr.ts";
import { createOutgoingRequest, withNextSequence } from "./outgoing_request.ts";
import { grantedExpires, MAX_EXPIRES_SECONDS } from "./registration_schedule.ts";
import { proxyRoute } from "./service_route.ts";
import { type AgentContext, contactOf, firstHop } from "./sip_core.ts";
import { formatTarget, type Target } from "../message/target.ts";
import type { SipUri } from "../message/uri.ts";

/** Asked for when a registrar says "too brief" and not how brief (RFC 3261 section 10.2.1.1), in seconds. */
const USUAL_EXPIRES_SECONDS = 3_600;

/** So long may an answer take before it is mentioned: two retransmissions without an answer (17.1.2.2). */
const SILENCE_MS = 2_000;

export type RegisterOutcome =
  | { readonly type: "registered"; readonly expiresSeconds: number }
  | {
    readonly type: "refused";
    readonly status: number;
    readonly reason: string;
    /** Retry-After of the answer, in seconds; absent without one. */
    readonly retryAfterSeconds?: number;
  };

/** Told when another server is asked. */
export type OnFailover = (notice: FailoverNotice) => void;

/** The binding of one user agent at its registrar. */
export class Registration {
  readonly #agent: AgentContext;
  readonly #callId: string;
  readonly #fromTag: string;
  #sequence = 0;
  #server: Target | null = null;
  #expiresSeconds: number;
  #bound = false;
  /** It was said that the server does not answer. */
  #silent = false;
  #contact: SipUri | null = null;

  /** Nothing is sent yet. */
  constructor(agent: AgentContext) {
    this.#agent = agent;
    this.#callId = agent.core.random.token(24);
    this.#fromTag = agent.core.random.token(12);
    this.#expiresSeconds = agent.core.expiresSeconds;
  }

  /** True while a registrar holds a binding of ours that has not been taken back. */
  get bound(): boolean {
    return this.#bound;
  }

  /** The server that was asked last; null before the first time. */
  get server(): Target | null {
    return this.#server;
  }

  /** Takes the binding back, if there is one, and gives the answer; the caller bounds the wait. */
  async unregister(signal: AbortSignal): Promise<string | null> {
    if (!this.#bound) return null;
    this.#bound = false;
    const reply = await this.#send(0, signal);
    return `${statusOf(reply)} ${reasonOf(reply)}`;
  }

  /** Sends one REGISTER (with the retries 401, 407 and 423 ask for). */
  async attempt(signal: AbortSignal, onFailover?: OnFailover): Promise<RegisterOutcome> {
    const before = this.#bound;
    this.#bound = true; // whatever comes back: once sent, it may have been kept
    const reply = await this.#tellSilence(() => this.#send(this.#expiresSeconds, signal, onFailover));
    if (reply.type === "response" && reply.target !== null) this.#server = reply.target;
    if (signal.aborted) return { type: "refused", status: 487, reason: "given up" };
    const outcome = this.#outcome(reply);
    // The next attempt is a new one: what was refused now may be right then.
    if (outcome.type === "refused" && [401, 407].includes(outcome.status)) this.#agent.credentials?.forget();
    this.#bound = before || outcome.type === "registered";
    return outcome;
  }

  /** A server that says nothing is mentioned long before it is given up (32 s), once until it has answered. */
  async #tellSilence(send: () => Promise<Reply>): Promise<Reply> {
    const { core, log } = this.#agent;
    using _timer = core.clock.after(SILENCE_MS, () => {
      if (this.#silent || this.#server === null) return;
      this.#silent = true;
      log.warn(`no answer yet from ${formatTarget(this.#server)} to REGISTER, Call-ID ${this.#callId}`);
    });
    const reply = await send();
    if (reply.type === "response") this.#silent = false;
    return reply;
  }

  #outcome(reply: Reply): RegisterOutcome {
    if (reply.type === "failed") return { ...reply, type: "refused" };
    const { response } = reply;
    if (response.status >= 300) {
      const { status, reason } = response;
      const retryAfterSeconds = parseDeltaSeconds(response.headers.get("Retry-After"));
      return { type: "refused", status, reason, ...(retryAfterSeconds !== null && { retryAfterSeconds }) };
    }
    this.#learnRoute(response);
    const granted = grantedExpires(response, this.#contact, this.#expiresSeconds);
    if (granted > 0) return { type: "registered", expiresSeconds: granted };
    return { type: "refused", status: 480, reason: "200 OK without a binding for our Contact" };
  }

  #learnRoute(response: SipResponse): void {
    const { serviceRoute, log } = this.#agent;
    const before = formatHops(serviceRoute.hops);
    if (!serviceRoute.learn(response)) log.warn("The Service-Route of the registrar cannot be read: ignored");
    const now = formatHops(serviceRoute.hops);
    if (now !== before) log.info(now === "" ? "No Service-Route any more" : `Requests go by way of ${now}`);
  }

  async #send(expiresSeconds: number, signal: AbortSignal, onFailover?: OnFailover): Promise<Reply> {
    const { core, identity } = this.#agent;
    const registrar = registrarUri(identity);
    const routes = proxyRoute(this.#agent.proxy);
    const hop = await firstHop(this.#agent, registrar, routes);
    if ("type" in hop) return { type: "failed", status: hop.status ?? 503, reason: hop.reason };
    this.#server = hop.targets[0];
    const contact = contactOf(this.#agent, hop.localAddress, hop.targets[0].transport);
    const address = identityAddress(identity);
    this.#sequence += 1;
    const request = createOutgoingRequest({
      method: "REGISTER",
      uri: registrar,
      from: address,
      fromTag: this.#fromTag,
      to: address,
      callId: this.#callId,
      sequence: this.#sequence,
      contact: null,
      routes,
      userAgent: core.userAgent,
      body: null,
    });
    request.headers.set("Contact", formatNameAddr(withParam(contact, "expires", `${expiresSeconds}`)));
    request.headers.set("Expires", `${expiresSeconds}`);
    // RFC 3327 section 4: proxies may note the way back to us.
    request.headers.set("Supported", [...request.headers.all("Supported"), "path"].join(", "));
    this.#contact = contact.uri;
    return await exchange({
      layer: core.layer,
      request,
      targets: hop.targets,
      credentials: this.#agent.credentials,
      renumber: (sent) => this.#renumber(sent),
      retry: (response, sent) => this.#longer(response, sent),
      ...(onFailover !== undefined && { onFailover }),
    }, signal);
  }

  #renumber(request: SipRequest): SipRequest {
    this.#sequence += 1;
    return withNextSequence(request);
  }

  /** 423 (RFC 3261 section 10.2.8): the registrar names the least expiry it takes; one that does not means an hour. */
  #longer(response: SipResponse, request: SipRequest): SipRequest | null {
    if (response.status !== 423) return null;
    const least = parseDeltaSeconds(response.headers.get("Min-Expires")) ?? USUAL_EXPIRES_SECONDS;
    if (least <= this.#expiresSeconds || least > MAX_EXPIRES_SECONDS) return null;
    this.#expiresSeconds = least;
    const next = this.#renumber(request);
    const contact = (next.headers.get("Contact") ?? "").replace(/;expires=\d+$/, `;expires=${least}`);
    next.headers.set("Contact", contact);
    next.headers.set("Expires", `${least}`);
    return next;
  }
}

function formatHops(hops: readonly NameAddr[]): string {
  return hops.map(formatNameAddr).join(", ");
}
