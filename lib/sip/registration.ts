// One registration: the first REGISTER, the refreshes, the retries after a loss, the goodbye.
// RFC 3261 section 10.2; waits of registration_schedule.ts.
// Role: edge
// Answers to: User.register of siprtmp, which ended silently after one failed refresh (defect 14).

import { delay } from "../base/clock.ts";
import { Mailbox } from "../base/mailbox.ts";
import { type Endpoint, sameEndpoint } from "../net/endpoint.ts";
import { exchange, reasonOf, type Reply, statusOf } from "./exchange.ts";
import { parseDeltaSeconds } from "./header_values.ts";
import { identityAddress, registrarUri } from "./identity.ts";
import type { SipRequest, SipResponse } from "./message.ts";
import { formatNameAddr, nameAddrOf, withParam } from "./name_addr.ts";
import { createOutgoingRequest, withNextSequence } from "./outgoing_request.ts";
import {
  FIRST_RETRY_MS,
  grantedExpires,
  MAX_EXPIRES_SECONDS,
  refreshDelayMs,
  retryDelayMs,
} from "./registration_schedule.ts";
import { type AgentContext, contactOf } from "./sip_core.ts";
import { formatTarget, type Target } from "./target.ts";
import { formatSipUri } from "./uri.ts";

/** What became of a REGISTER. */
export type RegisterOutcome =
  | { readonly type: "registered"; readonly expiresSeconds: number }
  | { readonly type: "refused"; readonly status: number; readonly reason: string };

/** A change of the registration after its first outcome. */
export type RegistrationChange =
  | { readonly type: "registered"; readonly expiresSeconds: number }
  | { readonly type: "lost"; readonly status: number; readonly reason: string };

/** Changes that may wait for their reader; older ones are kept, newer ones dropped. */
const MAX_CHANGES = 32;

type Attempt = RegisterOutcome & { readonly retryAfterSeconds: number | null };

/** Keeps one user agent registered. */
export class Registration {
  /** Changes after the first success. One reader. */
  readonly changes = new Mailbox<RegistrationChange>(MAX_CHANGES);
  readonly #agent: AgentContext;
  readonly #callId: string;
  readonly #fromTag: string;
  #sequence = 0;
  #server: Target | null = null;
  #flow: { readonly target: Target; readonly hold: Disposable } | null = null;
  #hurry = new AbortController();
  #expiresSeconds: number;
  #bound = false;
  #kept = false;

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

  /** Sends one REGISTER (with the retries 401, 407 and 423 ask for). */
  async attempt(signal: AbortSignal): Promise<RegisterOutcome> {
    const { retryAfterSeconds: _, ...outcome } = await this.#attempt(signal);
    return outcome;
  }

  /** True while keep() runs. */
  get kept(): boolean {
    return this.#kept;
  }

  /** Refreshes and repairs until `signal` aborts; call it after a first success of that many seconds. */
  async keep(grantedSeconds: number, signal: AbortSignal): Promise<void> {
    this.#kept = true;
    try {
      await this.#keep(grantedSeconds, signal);
    } finally {
      this.#flow?.hold[Symbol.dispose]();
    }
  }

  async #keep(grantedSeconds: number, signal: AbortSignal): Promise<void> {
    const { random } = this.#agent.core;
    this.#holdFlow();
    let waitMs = refreshDelayMs(grantedSeconds);
    let failures = 0;
    while (await this.#wait(waitMs, signal)) {
      const outcome = await this.#attempt(signal);
      if (signal.aborted) return;
      if (outcome.type === "registered") {
        if (failures > 0) this.#report({ type: "registered", expiresSeconds: outcome.expiresSeconds });
        failures = 0;
        this.#holdFlow();
        waitMs = refreshDelayMs(outcome.expiresSeconds);
        continue;
      }
      failures += 1;
      if (failures === 1) this.#report({ type: "lost", status: outcome.status, reason: outcome.reason });
      const { status, retryAfterSeconds } = outcome;
      waitMs = retryDelayMs({ failures, status, retryAfterSeconds, jitter: random.float() });
      this.#agent.log.info(`Registering again in ${Math.round(waitMs / 1000)} s`);
    }
  }

  /** The connection the registration came by has broken: the registrar may be restarting, so ask it soon. */
  connectionLost(remote: Endpoint): void {
    if (this.#server?.transport !== "tcp" || !sameEndpoint(this.#server.endpoint, remote)) return;
    this.refreshSoon();
  }

  /** Registers again in a moment, if it is kept: the flow has failed, or our address is another one. */
  refreshSoon(): void {
    this.#hurry.abort();
  }

  /** The INVITEs of this registrar come back along the flow that the REGISTER went. */
  #holdFlow(): void {
    const target = this.#server;
    const held = this.#flow;
    if (target === null || held !== null && formatTarget(held.target) === formatTarget(target)) return;
    held?.hold[Symbol.dispose]();
    const hold = this.#agent.core.keepAlives.hold(target, {
      createOptions: () => this.#createOptions(target),
      flowFailed: () => this.refreshSoon(),
    });
    this.#flow = { target, hold };
  }

  #createOptions(target: Target): SipRequest {
    const { core, identity } = this.#agent;
    const registrar = registrarUri(identity);
    return createOutgoingRequest({
      method: "OPTIONS",
      uri: registrar,
      from: identityAddress(identity),
      fromTag: core.random.token(12),
      to: nameAddrOf(registrar),
      callId: core.random.token(24),
      sequence: 1,
      contact: contactOf(this.#agent, core.router.addressTowards(target.endpoint), target.transport),
      proxy: core.outboundProxy,
      userAgent: core.userAgent,
      body: null,
    });
  }

  /** Waits for the next attempt, or a short while after a broken connection; false: the user agent ends. */
  async #wait(waitMs: number, signal: AbortSignal): Promise<boolean> {
    const { clock, random } = this.#agent.core;
    if (await delay(clock, waitMs, AbortSignal.any([signal, this.#hurry.signal]))) return true;
    this.#hurry = new AbortController();
    return await delay(clock, FIRST_RETRY_MS * (0.5 + random.float() / 2), signal);
  }

  #report(change: RegistrationChange): void {
    const registrar = formatSipUri(registrarUri(this.#agent.identity));
    if (change.type === "registered") this.#agent.log.info(`Registered at ${registrar} again`);
    else this.#agent.log.warn(`Registration at ${registrar} lost: ${change.status} ${change.reason}`);
    this.changes.push(change);
  }

  /** Takes the binding back; the caller bounds the wait. */
  async unregister(signal: AbortSignal): Promise<void> {
    if (!this.#bound) return;
    this.#bound = false;
    const reply = await this.#send(0, signal);
    this.#agent.log.info(`Unregistered: ${statusOf(reply)} ${reasonOf(reply)}`);
  }

  async #attempt(signal: AbortSignal): Promise<Attempt> {
    const before = this.#bound;
    this.#bound = true; // whatever comes back: once sent, it may have been kept
    const reply = await this.#send(this.#expiresSeconds, signal);
    if (reply.type === "response" && reply.target !== null) this.#server = reply.target;
    if (signal.aborted) return { type: "refused", status: 487, reason: "given up", retryAfterSeconds: null };
    const outcome = this.#outcome(reply);
    this.#bound = before || outcome.type === "registered";
    return outcome;
  }

  #outcome(reply: Reply): Attempt {
    if (reply.type === "failed") return { ...reply, type: "refused", retryAfterSeconds: null };
    const { response } = reply;
    if (response.status >= 300) {
      const retryAfterSeconds = parseDeltaSeconds(response.headers.get("Retry-After"));
      return { type: "refused", status: response.status, reason: response.reason, retryAfterSeconds };
    }
    const granted = grantedExpires(response, this.#agent.line, this.#expiresSeconds);
    if (granted > 0) return { type: "registered", expiresSeconds: granted, retryAfterSeconds: null };
    return { type: "refused", status: 480, reason: "The registrar did not keep us", retryAfterSeconds: null };
  }

  async #send(expiresSeconds: number, signal: AbortSignal): Promise<Reply> {
    const { core, identity } = this.#agent;
    const registrar = registrarUri(identity);
    const hop = await core.router.hopTo(core.outboundProxy ?? registrar);
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
      proxy: core.outboundProxy,
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
