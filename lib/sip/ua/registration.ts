// One registration: a REGISTER with the retries its answer asks for, and the goodbye. registration_keeper.ts says when.
// RFC 3261 section 10.2.
// Role: edge

import { WireError } from "../../base/errors.ts";
import { parseDeltaSeconds } from "../message/header_values.ts";
import type { SipRequest, SipResponse } from "../message/message.ts";
import { formatNameAddr, type NameAddr, parseNameAddr, withParam } from "../message/name_addr.ts";
import { formatTarget, type Target } from "../message/target.ts";
import type { SipUri } from "../message/uri.ts";
import type { FailoverNotice } from "../transaction/client_handle.ts";
import { exchange, reasonOf, type RequestOutcome, statusOf } from "./challenged_request.ts";
import { identityAddress, registrarUri } from "./identity.ts";
import { createOutgoingRequest, proxyRoute, withNextSequence } from "./outgoing_request.ts";
import { type AgentContext, contactOf, firstHop } from "./sip_core.ts";

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
  async #tellSilence(send: () => Promise<RequestOutcome>): Promise<RequestOutcome> {
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

  #outcome(reply: RequestOutcome): RegisterOutcome {
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
    if (!serviceRoute.learn(response)) log.warn("malformed Service-Route of the registrar ignored");
    const now = formatHops(serviceRoute.hops);
    if (now !== before) log.info(now === "" ? "no Service-Route any more" : `requests go via ${now}`);
  }

  async #send(expiresSeconds: number, signal: AbortSignal, onFailover?: OnFailover): Promise<RequestOutcome> {
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

/** First wait after a loss, in milliseconds. */
export const FIRST_RETRY_MS = 2_000;
/** Longest wait after losses that may heal by themselves, in milliseconds. */
export const MAX_RETRY_MS = 120_000;
/** First wait after a refusal that needs a human (wrong password, unknown user), in milliseconds. */
export const FIRST_REFUSED_RETRY_MS = 60_000;
/** Longest wait after refusals, in milliseconds. */
export const MAX_REFUSED_RETRY_MS = 3_600_000;
/** Longest Retry-After that is obeyed, in seconds. */
const MAX_RETRY_AFTER_SECONDS = 3_600;
/** Refreshes are at least this far apart, whatever a registrar grants, in milliseconds. */
export const MIN_REFRESH_MS = 1_000;
/** So many bindings of an address are looked at; each that cannot be read costs some microseconds. */
const MAX_BINDINGS = 200;
/** So much of a Contact that cannot be read is looked at. */
const MAX_CONTACT_LENGTH = 1024;
/** Longest expiry that is believed and asked for, in seconds. */
export const MAX_EXPIRES_SECONDS = 7 * 24 * 3600;

interface Binding {
  /** Null: its Contact cannot be read. */
  readonly uri: SipUri | null;
  /** Null: it says nothing of its own. */
  readonly seconds: number | null;
}

/**
 * Seconds for which our Contact is kept; 0: it is not. A registrar, or what stands before it, may list our Contact as it
 * sees it, without our `line` and at another address: then the binding that ends first counts.
 */
export function grantedExpires(
  response: SipResponse,
  contact: SipUri | null,
  requestedSeconds: number,
): number {
  const bindings = response.headers.all("Contact").slice(0, MAX_BINDINGS).map(bindingOf);
  const usual = plausible(parseDeltaSeconds(response.headers.get("Expires"))) ?? requestedSeconds;
  const seconds = ourBindings(bindings, contact).map((binding) => plausible(binding.seconds) ?? usual);
  if (seconds.length === 0) return usual;
  const kept = seconds.filter((granted) => granted > 0);
  return kept.length === 0 ? 0 : Math.min(...kept);
}

/** What nobody can have meant counts as not said. */
function plausible(seconds: number | null): number | null {
  return seconds === null || seconds > MAX_EXPIRES_SECONDS ? null : seconds;
}

/** The surest sign of ours decides; without any all may be ours. */
function ourBindings(bindings: readonly Binding[], contact: SipUri | null): readonly Binding[] {
  if (contact === null) return bindings;
  const signs: ((uri: SipUri) => boolean)[] = [
    (uri) => uri.params.get("line") === contact.params.get("line"),
    (uri) => uri.user === contact.user && uri.host === contact.host && uri.port === contact.port,
    (uri) => uri.user === contact.user,
  ];
  for (const isOurs of signs) {
    const ours = bindings.filter(({ uri }) => uri !== null && isOurs(uri));
    if (ours.length > 0) return ours;
  }
  return bindings;
}

/** Of a Contact that cannot be read, its expiry often can. */
function bindingOf(text: string): Binding {
  try {
    const { uri, params } = parseNameAddr(text);
    return { uri, seconds: parseDeltaSeconds(params.get("expires") ?? null) };
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    const written = /;[ \t]*expires[ \t]*=[ \t]*"?([0-9]{1,10})/i.exec(text.slice(0, MAX_CONTACT_LENGTH))
      ?.[1];
    return { uri: null, seconds: parseDeltaSeconds(written ?? null) };
  }
}

/** Milliseconds from a successful REGISTER to its refresh: early enough to retry once before the expiry. */
export function refreshDelayMs(expiresSeconds: number): number {
  const marginSeconds = Math.min(35, Math.max(1, expiresSeconds * 0.1), expiresSeconds / 2);
  return Math.max(MIN_REFRESH_MS, Math.round((expiresSeconds - marginSeconds) * 1000));
}

/** True for refusals that will not heal without a human: retried seldom, so nobody is hammered. */
export function needsHuman(status: number): boolean {
  return [400, 401, 402, 403, 404, 405, 407, 410, 420, 501, 603, 604, 606].includes(status);
}

/**
 * Milliseconds to wait before attempt `failures + 1`.
 * Doubles from the first wait up to a ceiling; `jitter` in [0, 1) spreads it over 50-100 %; Retry-After is a lower bound.
 */
export function retryDelayMs(
  options: { failures: number; status: number; retryAfterSeconds: number | null; jitter: number },
): number {
  const human = needsHuman(options.status);
  const first = human ? FIRST_REFUSED_RETRY_MS : FIRST_RETRY_MS;
  const ceiling = human ? MAX_REFUSED_RETRY_MS : MAX_RETRY_MS;
  const doubled = Math.min(ceiling, first * 2 ** Math.min(20, Math.max(0, options.failures - 1)));
  const waitMs = doubled * (0.5 + options.jitter / 2);
  const asked = Math.min(options.retryAfterSeconds ?? 0, MAX_RETRY_AFTER_SECONDS) * 1000;
  return Math.round(Math.max(waitMs, asked));
}
