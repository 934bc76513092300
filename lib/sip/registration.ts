// One registration: a REGISTER with the retries its answer asks for, and the goodbye. registration_keeper.ts says when.
// RFC 3261 section 10.2.
// Role: edge
// Answers to: User.register of siprtmp.

import { exchange, reasonOf, type Reply, statusOf } from "./exchange.ts";
import { parseDeltaSeconds } from "./header_values.ts";
import { identityAddress, registrarUri } from "./identity.ts";
import type { SipRequest, SipResponse } from "./message.ts";
import { formatNameAddr, withParam } from "./name_addr.ts";
import { createOutgoingRequest, withNextSequence } from "./outgoing_request.ts";
import { grantedExpires, MAX_EXPIRES_SECONDS } from "./registration_schedule.ts";
import { type AgentContext, contactOf, firstHop } from "./sip_core.ts";
import type { Target } from "./target.ts";

/** What became of a REGISTER. */
export type RegisterOutcome =
  | { readonly type: "registered"; readonly expiresSeconds: number }
  | {
    readonly type: "refused";
    readonly status: number;
    readonly reason: string;
    /** Retry-After of the answer, in seconds; absent without one. */
    readonly retryAfterSeconds?: number;
  };

/** The binding of one user agent at its registrar. */
export class Registration {
  readonly #agent: AgentContext;
  readonly #callId: string;
  readonly #fromTag: string;
  #sequence = 0;
  #server: Target | null = null;
  #expiresSeconds: number;
  #bound = false;

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
  async attempt(signal: AbortSignal): Promise<RegisterOutcome> {
    const before = this.#bound;
    this.#bound = true; // whatever comes back: once sent, it may have been kept
    const reply = await this.#send(this.#expiresSeconds, signal);
    if (reply.type === "response" && reply.target !== null) this.#server = reply.target;
    if (signal.aborted) return { type: "refused", status: 487, reason: "given up" };
    const outcome = this.#outcome(reply);
    // The next attempt is a new one: what was refused now may be right then.
    if (outcome.type === "refused" && [401, 407].includes(outcome.status)) this.#agent.credentials?.forget();
    this.#bound = before || outcome.type === "registered";
    return outcome;
  }

  #outcome(reply: Reply): RegisterOutcome {
    if (reply.type === "failed") return { ...reply, type: "refused" };
    const { response } = reply;
    if (response.status >= 300) {
      const { status, reason } = response;
      const retryAfterSeconds = parseDeltaSeconds(response.headers.get("Retry-After"));
      return { type: "refused", status, reason, ...(retryAfterSeconds !== null && { retryAfterSeconds }) };
    }
    const granted = grantedExpires(response, this.#agent.line, this.#expiresSeconds);
    if (granted > 0) return { type: "registered", expiresSeconds: granted };
    return { type: "refused", status: 480, reason: "The registrar did not keep us" };
  }

  async #send(expiresSeconds: number, signal: AbortSignal): Promise<Reply> {
    const { core, identity } = this.#agent;
    const registrar = registrarUri(identity);
    const hop = await firstHop(this.#agent, registrar);
    if ("type" in hop) return { type: "failed", status: 503, reason: hop.reason };
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
      proxy: this.#agent.proxy,
      userAgent: core.userAgent,
      body: null,
    });
    request.headers.set("Contact", formatNameAddr(withParam(contact, "expires", `${expiresSeconds}`)));
    request.headers.set("Expires", `${expiresSeconds}`);
    return await exchange({
      layer: core.layer,
      request,
      targets: hop.targets,
      credentials: this.#agent.credentials,
      renumber: (sent) => this.#renumber(sent),
      retry: (response, sent) => this.#longer(response, sent),
    }, signal);
  }

  #renumber(request: SipRequest): SipRequest {
    this.#sequence += 1;
    return withNextSequence(request);
  }

  /** 423 (RFC 3261 section 10.2.8): the registrar names the least expiry it takes. */
  #longer(response: SipResponse, request: SipRequest): SipRequest | null {
    const least = response.status === 423 ? parseDeltaSeconds(response.headers.get("Min-Expires")) : null;
    if (least === null || least <= this.#expiresSeconds || least > MAX_EXPIRES_SECONDS) return null;
    this.#expiresSeconds = least;
    const next = this.#renumber(request);
    const contact = (next.headers.get("Contact") ?? "").replace(/;expires=\d+$/, `;expires=${least}`);
    next.headers.set("Contact", contact);
    next.headers.set("Expires", `${least}`);
    return next;
  }
}
