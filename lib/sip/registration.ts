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
import { type AgentContext, contactOf, firstHop } from "./sip_core.ts";
import { formatTarget, type Target } from "./target.ts";
import { formatSipUri } from "./uri.ts";

/** What became of a REGISTER. */
export type RegisterOutcome =
  | { readonly type: "registered"; readonly expiresSeconds: number }
  | { readonly type: "refused"; readonly status: number; readonly reason: string };

/** A change of the registration. */
export type RegistrationChange =
  | { readonly type: "registered"; readonly expiresSeconds: number }
  | {
    readonly type: "lost";
    readonly status: number;
    readonly reason: string;
    /** When it is tried again, in milliseconds from now. */
    readonly retryMs?: number;
  };

/** Decides when a REGISTER may go; what it gives is disposed when the answer is there. Null: the signal aborted. */
export type Admission = (signal: AbortSignal) => Promise<Disposable | null>;

const ADMIT_ALL: Admission = (signal) =>
  Promise.resolve(signal.aborted ? null : { [Symbol.dispose]: () => {} });

/** Share of its time by which a refresh may come earlier. */
const REFRESH_SPREAD = 0.1;

/** Changes that may wait for their reader; older ones are kept, newer ones dropped. */
const MAX_CHANGES = 32;

type Attempt = RegisterOutcome & { readonly retryAfterSeconds: number | null };

/** Keeps one user agent registered. */
export class Registration {
  /** Changes after the first success, or from the start when keep() makes the first attempt. One reader. */
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
  #stands = false;
  #asking = false;
  #told: "info" | "debug" = "info";

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

  /**
   * Refreshes and repairs until `signal` aborts.
   * @param grantedSeconds of a first success; null: there was no attempt yet, and its outcome is a change too
   * @param admit asked before each attempt; with it nothing is logged above debug, whoever reads `changes` does
   */
  async keep(grantedSeconds: number | null, signal: AbortSignal, admit?: Admission): Promise<void> {
    this.#kept = true;
    this.#told = admit === undefined ? "info" : "debug";
    try {
      await this.#keep(grantedSeconds, signal, admit ?? ADMIT_ALL);
    } finally {
      this.#flow?.hold[Symbol.dispose]();
    }
  }

  async #keep(grantedSeconds: number | null, signal: AbortSignal, admit: Admission): Promise<void> {
    let failures = 0;
    let waitMs = 0;
    let told: "registered" | "nothing" | number = "nothing";
    if (grantedSeconds !== null) {
      waitMs = this.#standFor(grantedSeconds);
      told = "registered";
    }
    while (await this.#wait(waitMs, signal)) {
      const outcome = await this.#admitted(signal, admit);
      if (outcome === null) return;
      if (outcome.type === "registered") {
        const { expiresSeconds } = outcome;
        if (told !== "registered") this.#report({ type: "registered", expiresSeconds });
        failures = 0;
        told = "registered";
        waitMs = this.#standFor(expiresSeconds);
        continue;
      }
      const { status, reason, retryAfterSeconds } = outcome;
      this.#stands = false;
      failures += 1;
      const jitter = this.#agent.core.random.float();
      waitMs = retryDelayMs({ failures, status, retryAfterSeconds, jitter });
      if (told !== status) this.#report({ type: "lost", status, reason, retryMs: waitMs });
      told = status;
      this.#agent.log[this.#told](`Registering again in ${Math.round(waitMs / 1000)} s`);
    }
  }

  /** Null: `signal` has aborted. */
  async #admitted(signal: AbortSignal, admit: Admission): Promise<Attempt | null> {
    using pass = await admit(signal);
    if (pass === null) return null;
    this.#asking = true;
    const outcome = await this.#attempt(signal);
    this.#asking = false;
    return signal.aborted ? null : outcome;
  }

  /** It holds: time until it is to be refreshed, spread so that users who came together do not stay so. */
  #standFor(grantedSeconds: number): number {
    this.#stands = true;
    this.#holdFlow();
    return refreshDelayMs(grantedSeconds) * (1 - this.#agent.core.random.float() * REFRESH_SPREAD);
  }

  /** The connection the registration came by has broken: the registrar may be restarting, so ask it soon. */
  connectionLost(remote: Endpoint): void {
    if (this.#server?.transport !== "tcp" || !sameEndpoint(this.#server.endpoint, remote)) return;
    this.refreshSoon();
  }

  /**
   * Registers again in a moment, if a registration stands: the flow has failed.
   * After a failure there is a wait already, and a registrar that refuses and hangs up is not to be hurried.
   */
  refreshSoon(): void {
    if (this.#stands) this.#hurry.abort();
  }

  /** As `refreshSoon`, and also what is on its way now is followed by another: our address is another one. */
  addressChanged(): void {
    if (this.#stands || this.#asking) this.#hurry.abort();
  }

  /** Registers in a moment, if none stands. */
  retrySoon(): void {
    if (!this.#stands) this.#hurry.abort();
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
      proxy: this.#agent.proxy,
      userAgent: core.userAgent,
      body: null,
    });
  }

  /** Waits for the next attempt, or a short while after a broken connection; false: the user agent ends. */
  async #wait(waitMs: number, signal: AbortSignal): Promise<boolean> {
    const { clock, random } = this.#agent.core;
    if (waitMs === 0) return !signal.aborted;
    if (await delay(clock, waitMs, AbortSignal.any([signal, this.#hurry.signal]))) return true;
    this.#hurry = new AbortController();
    return await delay(clock, FIRST_RETRY_MS * (0.5 + random.float() / 2), signal);
  }

  #report(change: RegistrationChange): void {
    const registrar = formatSipUri(registrarUri(this.#agent.identity));
    const { log } = this.#agent;
    if (change.type === "registered") log[this.#told](`Registered at ${registrar} again`);
    else {
      const level = this.#told === "info" ? "warn" : "debug";
      log[level](`Registration at ${registrar} lost: ${change.status} ${change.reason}`);
    }
    this.changes.push(change);
  }

  /** Takes the binding back; the caller bounds the wait. */
  async unregister(signal: AbortSignal): Promise<void> {
    if (!this.#bound) return;
    this.#bound = false;
    const reply = await this.#send(0, signal);
    this.#agent.log[this.#told](`Unregistered: ${statusOf(reply)} ${reasonOf(reply)}`);
  }

  async #attempt(signal: AbortSignal): Promise<Attempt> {
    const before = this.#bound;
    this.#bound = true; // whatever comes back: once sent, it may have been kept
    const reply = await this.#send(this.#expiresSeconds, signal);
    if (reply.type === "response" && reply.target !== null) this.#server = reply.target;
    if (signal.aborted) return { type: "refused", status: 487, reason: "given up", retryAfterSeconds: null };
    const outcome = this.#outcome(reply);
    // The next attempt is a new one: what was refused now may be right then.
    if (outcome.type === "refused" && [401, 407].includes(outcome.status)) this.#agent.credentials?.forget();
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
