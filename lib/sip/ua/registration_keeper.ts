// Keeps one user agent registered: refreshes, retries after losses, and the goodbye.
// RFC 3261 section 10.2, RFC 5626 section 4.5; waits of registration.ts.
// Role: edge

import { Mailbox } from "../../base/mailbox.ts";
import type { Scope } from "../../base/scope.ts";
import { type Endpoint, sameEndpoint } from "../../net/endpoint.ts";
import { identityAddress, registrarUri } from "./identity.ts";
import type { SipRequest } from "../message/message.ts";
import { nameAddrOf } from "../message/name_addr.ts";
import { createOutgoingRequest, proxyRoute } from "./outgoing_request.ts";
import {
  FIRST_RETRY_MS,
  type OnFailover,
  refreshDelayMs,
  type RegisterOutcome,
  Registration,
  retryDelayMs,
} from "./registration.ts";
import { type AgentContext, contactOf } from "./sip_core.ts";
import { formatTarget, type Target } from "../message/target.ts";
import { formatSipUri } from "../message/uri.ts";
import { isReliable } from "../message/transports.ts";

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
export type AdmitRegistration = (signal: AbortSignal) => Promise<Disposable | null>;

const ADMIT_ALL: AdmitRegistration = (signal) =>
  Promise.resolve(signal.aborted ? null : { [Symbol.dispose]: () => {} });

const REFRESH_SPREAD = 0.1;

/** Changes that may wait for their reader; older ones are kept, newer ones dropped. */
const MAX_CHANGES = 32;

type Refusal = Extract<RegisterOutcome, { type: "refused" }>;

export class RegistrationKeeper {
  /** Changes after the first success, or from the start when keep() makes the first attempt. One reader. */
  readonly changes = new Mailbox<RegistrationChange>(MAX_CHANGES);
  readonly #agent: AgentContext;
  readonly #registration: Registration;
  readonly #scope: Scope;
  #admit: AdmitRegistration = ADMIT_ALL;
  #flow: { readonly target: Target; readonly hold: Disposable } | null = null;
  /** Somebody wants another attempt soon after the one under way. */
  #hurried = false;
  /** Until the next attempt. Thousands of users wait here at a time: they take a timer and no coroutine. */
  #timer: Disposable | null = null;
  #resting = false;
  #attempt: AbortController | null = null;
  #stopped = false;
  #asking = false;
  #kept = false;
  #stands = false;
  /** Whether it has ever stood: only then is it lost, or there again. */
  #everStood = false;
  #failures = 0;
  /** What the reader of `changes` knows: that it holds, or the status of the last failure. */
  #told: "nothing" | "registered" | number = "nothing";
  #level: "info" | "debug" = "info";

  /** Nothing is sent yet. @param scope runs its attempts */
  constructor(agent: AgentContext, scope: Scope) {
    this.#agent = agent;
    this.#scope = scope;
    this.#registration = new Registration(agent);
  }

  get kept(): boolean {
    return this.#kept;
  }

  /** Sends one REGISTER, whose outcome is no change. */
  attempt(signal: AbortSignal, onFailover?: OnFailover): Promise<RegisterOutcome> {
    return this.#registration.attempt(signal, onFailover);
  }

  /**
   * Refreshes and repairs until stop().
   * @param grantedSeconds of a first success; null: there was no attempt yet, and its outcome is a change too
   * @param admit asked before each attempt; with it nothing is logged above debug, whoever reads `changes` does
   */
  keep(grantedSeconds: number | null, admit?: AdmitRegistration): void {
    this.#kept = true;
    this.#level = admit === undefined ? "info" : "debug";
    this.#admit = admit ?? ADMIT_ALL;
    if (grantedSeconds === null) return this.#start();
    this.#told = "registered";
    this.#everStood = true;
    this.#wait(this.#standFor(grantedSeconds));
  }

  /** Ends the wait or the attempt under way; the binding is unregister()'s. */
  stop(): void {
    this.#stopped = true;
    this.#timer?.[Symbol.dispose]();
    this.#timer = null;
    this.#attempt?.abort();
    this.#flow?.hold[Symbol.dispose]();
  }

  #start(): void {
    this.#scope.spawn("registration", () => this.#tryOnce());
  }

  async #tryOnce(): Promise<void> {
    const attempt = new AbortController();
    this.#attempt = attempt;
    if (this.#stopped) attempt.abort();
    const outcome = await this.#ask(attempt.signal);
    if (outcome === null) return;
    this.#wait(outcome.type === "registered" ? this.#holds(outcome.expiresSeconds) : this.#failed(outcome));
  }

  /** Null: it is to stop. */
  async #ask(signal: AbortSignal): Promise<RegisterOutcome | null> {
    using pass = await this.#admit(signal);
    if (pass === null) return null;
    this.#asking = true;
    const outcome = await this.#registration.attempt(signal);
    this.#asking = false;
    this.#attempt = null;
    return signal.aborted ? null : outcome;
  }

  /** Gives the time until the refresh, in milliseconds. */
  #holds(expiresSeconds: number): number {
    if (this.#told !== "registered") this.#report({ type: "registered", expiresSeconds });
    this.#told = "registered";
    this.#failures = 0;
    return this.#standFor(expiresSeconds);
  }

  /** Gives the time until the next attempt, in milliseconds; another status than before is told too. */
  #failed({ status, reason, retryAfterSeconds }: Refusal): number {
    this.#stands = false;
    this.#failures += 1;
    const waitMs = retryDelayMs({
      failures: this.#failures,
      status,
      retryAfterSeconds: retryAfterSeconds ?? null,
      jitter: this.#agent.core.random.float(),
    });
    if (this.#told !== status) this.#report({ type: "lost", status, reason, retryMs: waitMs });
    this.#told = status;
    this.#agent.log[this.#level](`next attempt to register in ${Math.round(waitMs / 1000)} s`);
    return waitMs;
  }

  /** It holds: time until it is to be refreshed, spread so that users who came together do not stay so. */
  #standFor(grantedSeconds: number): number {
    this.#stands = true;
    this.#holdFlow();
    return refreshDelayMs(grantedSeconds) * (1 - this.#agent.core.random.float() * REFRESH_SPREAD);
  }

  /** Waits for the next attempt, or a short while when there is a hurry. */
  #wait(ms: number): void {
    const { clock, random } = this.#agent.core;
    this.#resting = !this.#hurried;
    this.#hurried = false;
    const waitMs = this.#resting ? ms : FIRST_RETRY_MS * (0.5 + random.float() / 2);
    this.#timer = clock.after(waitMs, () => {
      this.#timer = null;
      this.#start();
    });
  }

  /** What is on its way is followed by another attempt; a short wait is as short as it gets. */
  #hurry(): void {
    if (this.#timer !== null && !this.#resting) return;
    this.#hurried = true;
    if (this.#timer === null) return;
    this.#timer[Symbol.dispose]();
    this.#wait(0);
  }

  /** The connection the registration came by has broken: the registrar may be restarting, so ask it soon. */
  connectionLost(remote: Endpoint): void {
    const { server } = this.#registration;
    if (server != null && isReliable(server.transport) && sameEndpoint(server.endpoint, remote)) {
      this.refreshSoon();
    }
  }

  /**
   * Registers again in a moment, if a registration stands: the flow has failed.
   * After a failure there is a wait already, and a registrar that refuses and hangs up is not to be hurried.
   */
  refreshSoon(): void {
    if (this.#stands) this.#hurry();
  }

  /** As `refreshSoon`, and also what is on its way now is followed by another: our address is another one. */
  addressChanged(): void {
    if (this.#stands || this.#asking) this.#hurry();
  }

  retrySoon(): void {
    if (!this.#stands) this.#hurry();
  }

  /** Takes the binding back; the caller bounds the wait. */
  async unregister(signal: AbortSignal): Promise<void> {
    const answer = await this.#registration.unregister(signal);
    if (answer !== null) this.#agent.log[this.#level](`unregistered: ${answer}`);
  }

  /** The INVITEs of this registrar come back along the flow that the REGISTER went. */
  #holdFlow(): void {
    const target = this.#registration.server;
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
      routes: proxyRoute(this.#agent.proxy),
      userAgent: core.userAgent,
      body: null,
    });
  }

  #report(change: RegistrationChange): void {
    const registrar = formatSipUri(registrarUri(this.#agent.identity));
    const { log } = this.#agent;
    if (change.type === "registered") {
      const again = this.#everStood ? "again " : "";
      log[this.#level](`registered ${again}at ${registrar} for ${change.expiresSeconds} s`);
      this.#everStood = true;
    } else {
      const level = this.#level === "info" ? "warn" : "debug";
      const what = this.#everStood ? "lost" : "failed";
      log[level](`registration at ${registrar} ${what}: ${change.status} ${change.reason}`);
    }
    this.changes.push(change);
  }
}
