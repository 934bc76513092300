// An outgoing call attempt: INVITE, its provisional answers, forks, reliability, CANCEL, and the call it becomes.
// RFC 3261 sections 9.1, 13.2 and 22; RFC 3262 section 4 (PRACK); RFC 4028 section 7.
// Role: edge

import { WireError } from "../../base/errors.ts";
import { Mailbox } from "../../base/mailbox.ts";
import { sessionBodyOf, type SipBody } from "../message/body.ts";
import type { CallerFields } from "../message/extra_headers.ts";
import { warningText } from "../message/header_values.ts";
import { callIdOf, tagsOf } from "../message/matching.ts";
import { type SipRequest, type SipResponse, tagOf } from "../message/message.ts";
import { type NameAddr, parseNameAddr } from "../message/name_addr.ts";
import type { Target } from "../message/target.ts";
import { formatSipUri, type SipUri } from "../message/uri.ts";
import type { FailoverNotice } from "../transaction/client_handle.ts";
import type { ServerTransactionHandle } from "../transaction/server_transaction_handle.ts";
import type { Hop } from "../transport/routing.ts";
import { endedByBye, type EndedEvent, type OfferEvent } from "./call_dialog.ts";
import type { Call } from "./call.ts";
import { ChallengedRequest, REQUEST_TIMEOUT } from "./challenged_request.ts";
import { answerFault, type DialogUser } from "./dialog.ts";
import { declineAnswer, EarlyCalls } from "./early_calls.ts";
import { type Caller, identityAddress, requestUri } from "./identity.ts";
import { createOutgoingRequest, withNextSequence } from "./outgoing_request.ts";
import { proposeTimer, raiseInterval, timerOf2xx } from "./session_timer.ts";
import { type AgentContext, contactOf, type Ending, firstHop, inBackground, routesOf } from "./sip_core.ts";

/** What happens to an outgoing call attempt; "accepted" and "refused" are last. */
export type InviteProgress =
  | {
    readonly type: "progress";
    readonly status: number;
    readonly reason: string;
    /** Session description of the response, e.g. early media in a 183. */
    readonly body: SipBody | null;
  }
  /** The peer offers another session before its 2xx: answer or refuse it. */
  | { readonly type: "offer"; readonly offer: OfferEvent }
  | { readonly type: "accepted"; readonly call: Call }
  | {
    readonly type: "refused";
    readonly status: number;
    readonly reason: string;
    readonly warning: string | null;
    /** Where a 3xx says to call instead, best first. */
    readonly redirects?: readonly SipUri[];
  };

/** Progress events that may wait for their reader; further 1xx are dropped. */
const MAX_PROGRESS = 32;
/** Without any response for this long the attempt is cancelled (as timer C of proxies, RFC 3261 16.6), in ms. */
export const NO_PROGRESS_MS = 185_000;

/** What a client hears of a 2xx that no call can be made of. */
const UNUSABLE_STATUS = 488;

const TERMINATED = { type: "refused", status: 487, reason: "Request Terminated", warning: null } as const;

export interface InviteOptions extends Caller, CallerFields {
  /** Where it goes, by `UserAgent.route`; resolved when left out. */
  readonly hop?: Hop;
  /** Its Request-URI, when the peer is asked for at another address than `to`. */
  readonly target?: SipUri;
  /** Told the Call-ID of the INVITE before it is sent. */
  readonly onCallId?: (callId: string) => void;
  /** Told when another server is tried. */
  readonly onFailover?: (notice: FailoverNotice) => void;
}

interface InviteParts extends InviteOptions {
  readonly to: NameAddr;
  /** Our session description; null: the peer makes the offer. */
  readonly offer: SipBody | null;
}

/** Calls somebody; one iteration per event. Aborting cancels: "refused" with 487 comes at once. */
export async function* inviteProgress(
  agent: AgentContext,
  parts: InviteParts,
  signal: AbortSignal,
): AsyncGenerator<InviteProgress, void, void> {
  const hop = parts.hop ?? await firstHop(agent, parts.target ?? parts.to.uri);
  if (signal.aborted) return yield TERMINATED;
  if ("type" in hop) {
    return yield { type: "refused", status: hop.status ?? 503, reason: hop.reason, warning: null };
  }
  const contact = contactOf(agent, hop.localAddress, hop.targets[0].transport);
  const attempt = new InviteAttempt(agent, parts);
  const invite = createInvite(agent, parts, contact);
  parts.onCallId?.(callIdOf(invite));
  attempt.start(invite, hop.targets);
  const onAbort = (): void => attempt.giveUp();
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    for await (const step of attempt.steps) {
      if (step.type === "accepted") attempt.delivered = true;
      yield step;
    }
  } finally {
    signal.removeEventListener("abort", onAbort);
    attempt.giveUp();
  }
}

function createInvite(agent: AgentContext, parts: InviteParts, contact: NameAddr): SipRequest {
  const { core } = agent;
  const request = createOutgoingRequest({
    method: "INVITE",
    uri: parts.target ?? parts.to.uri,
    from: fromOf(agent, parts.fromUser),
    fromTag: core.random.token(12),
    to: parts.to,
    callId: core.random.token(24),
    sequence: 1,
    contact,
    routes: routesOf(agent),
    userAgent: core.userAgent,
    body: parts.offer,
  });
  // Without an offer of ours a reliable 1xx could bring one that must be answered in the PRACK (RFC 3262 5).
  if (parts.offer === null) request.headers.set("Supported", "timer");
  proposeTimer(request, null);
  for (const [name, value] of parts.headers ?? []) request.headers.add(name, value);
  return request;
}

function fromOf({ identity }: AgentContext, user: string | undefined): NameAddr {
  const from = identityAddress(identity);
  return user === undefined ? from : { ...from, uri: { ...from.uri, user } };
}

/** One attempt; lives on after its reader left until the peer has answered. */
class InviteAttempt implements Ending, DialogUser {
  readonly steps = new Mailbox<InviteProgress>(MAX_PROGRESS);
  /** The reader has the call: it owns it from now on. */
  delivered = false;
  readonly #agent: AgentContext;
  readonly #offer: SipBody | null;
  readonly #onFailover: InviteOptions["onFailover"];
  readonly #finished = Promise.withResolvers<void>();
  #early: EarlyCalls | null = null;
  #invite: ChallengedRequest | null = null;
  #call: Call | null = null;
  #gaveUp = false;
  #silence: Disposable | null = null;
  #lastRequest: SipRequest | null = null;
  #id = { callId: "", localTag: "" };

  constructor(agent: AgentContext, { offer, onFailover }: InviteParts) {
    this.#agent = agent;
    this.#offer = offer;
    this.#onFailover = onFailover;
  }

  start(request: SipRequest, targets: readonly [Target, ...Target[]]): void {
    this.#agent.endings.add(this);
    this.#id = { callId: callIdOf(request), localTag: tagsOf(request).from };
    this.#agent.core.dialogs.addInvite(this.#id.callId, this.#id.localTag, this);
    this.#early = new EarlyCalls({
      agent: this.#agent,
      offer: this.#offer,
      fallback: () => this.#invite?.target ?? targets[0],
      onOffer: (offer) => this.#roomForOne && this.steps.push({ type: "offer", offer }),
      onAllGone: (ending) => this.#hungUp(ending),
    });
    this.#invite = new ChallengedRequest({
      layer: this.#agent.core.layer,
      request,
      targets,
      credentials: this.#agent.credentials,
      renumber: withNextSequence,
      retry: (response, sent) => {
        const next = withNextSequence(sent);
        return raiseInterval(response, next) ? next : null;
      },
      onFailover: (notice) => this.#gaveUp || this.#onFailover?.(notice),
    }, {
      provisional: (response, sent) => this.#provisional(response, sent),
      success: (response, sent) => this.#success(response, sent),
      refused: (response) => this.#refused(response),
      failed: (status, reason) => this.#close({ type: "refused", status, reason, warning: null }),
      surplus: (response, invite, target) =>
        void declineAnswer({ agent: this.#agent, invite, response, target }),
    });
    this.#watchSilence();
  }

  /** Cancels, or hangs up a call that came too late. Harmless when everything is settled. */
  giveUp(outcome: InviteProgress = TERMINATED): void {
    if (this.#call !== null) {
      if (!this.delivered) {
        void inBackground(this.#agent, "Hanging up", () => this.#call?.end() ?? Promise.resolve());
      }
      return;
    }
    if (this.#gaveUp || this.steps.closed) return;
    this.#gaveUp = true;
    this.#silence?.[Symbol.dispose]();
    this.#invite?.cancel();
    this.#tell(outcome);
  }

  /** A BYE in a dialog that we know nothing of: what set it up was lost. */
  receive(bye: SipRequest, transaction: ServerTransactionHandle): void {
    transaction.reply(200);
    this.#hungUp(endedByBye(bye));
  }

  #hungUp({ reason }: EndedEvent): void {
    this.giveUp({ type: "refused", status: 487, reason: `Request Terminated: ${reason}`, warning: null });
  }

  async end(): Promise<void> {
    this.giveUp();
    await this.#finished.promise;
  }

  #tell(outcome: InviteProgress): void {
    this.steps.push(outcome);
    this.steps.close();
  }

  #close(outcome: InviteProgress): void {
    if (!this.steps.closed) this.#tell(outcome);
    this.#silence?.[Symbol.dispose]();
    this.#early?.abandon();
    if (this.#lastRequest !== null) this.#rememberFor(this.#lastRequest);
    this.#agent.endings.delete(this);
    this.#agent.core.dialogs.removeInvite(this.#id.callId, this.#id.localTag);
    this.#finished.resolve();
  }

  /** For the 2xx of other forks: they find no transaction any more. */
  #rememberFor(request: SipRequest): void {
    const target = this.#invite?.target ?? null;
    if (target !== null) this.#agent.core.rememberInvite(this.#agent, request, target);
  }

  #watchSilence(): void {
    this.#silence?.[Symbol.dispose]();
    this.#silence = this.#agent.core.clock.after(
      NO_PROGRESS_MS,
      () => this.giveUp({ type: "refused", status: 408, reason: REQUEST_TIMEOUT, warning: null }),
    );
  }

  #provisional(response: SipResponse, request: SipRequest): void {
    this.#lastRequest = request;
    if (this.#gaveUp) return;
    this.#watchSilence();
    if (response.status === 100) return;
    const body = this.#sessionOf1xx(response, request);
    // A full mailbox loses this 1xx: the reader is far behind, and later ones tell the same.
    if (body !== "repeated" && this.#roomForOne) {
      this.steps.push({ type: "progress", status: response.status, reason: response.reason, body });
    }
  }

  #sessionOf1xx(response: SipResponse, request: SipRequest): SipBody | null | "repeated" {
    if (this.#early === null || tagOf(response.headers.get("To")) === null) {
      const session = sessionBodyOf(response, this.#invite?.target ?? null);
      return session.type === "session" ? session.body : null;
    }
    const outcome = this.#early.receive(response, request, this.#invite?.target ?? null);
    return outcome.type === "repeated" ? "repeated" : outcome.body;
  }

  get #roomForOne(): boolean {
    return !this.#gaveUp && this.steps.size < MAX_PROGRESS - 1;
  }

  #success(response: SipResponse, request: SipRequest): void {
    this.#lastRequest = request;
    const call = this.#early?.confirm(response, request) ?? null;
    if (call === null) return;
    if (this.#gaveUp || this.steps.closed) {
      this.#rememberFor(request);
      return this.#decline(call, request);
    }
    const session = sessionBodyOf(response, this.#invite?.target ?? null);
    const fault = answerFault(response);
    if (fault !== null) return this.#unusable(call, response, request, fault);
    if (this.#offer === null && session.type !== "session") {
      return this.#unusable(call, response, request, "it has no offer");
    }
    this.#accept(call, response, request);
  }

  #accept(call: Call, response: SipResponse, request: SipRequest): void {
    const { state } = call.offers;
    const session = sessionBodyOf(response, this.#invite?.target ?? null);
    this.#call = call;
    call.learn(response);
    call.timerAgreed(timerOf2xx(response));
    // A session that a reliable 1xx has settled is not changed by what the 2xx repeats of it (RFC 3261 13.2.1).
    if (session.type === "session" && state.offering) state.remoteBody = session.body;
    state.invited();
    if (this.#offer === null && session.type === "session") call.answerInAck(session.body, request);
    else void inBackground(this.#agent, "Sending an ACK", () => call.link.sendAck(request));
    this.#close({ type: "accepted", call });
  }

  /** ACK and BYE by what can be read of it; the client need not wait for that. */
  #unusable(call: Call, response: SipResponse, request: SipRequest, fault: string): void {
    const target = this.#invite?.target ?? null;
    call.abandon("failure", fault);
    if (target !== null) void declineAnswer({ agent: this.#agent, invite: request, response, target });
    this.#agent.log.warn(`${response.status} to INVITE ignored: ${fault}`);
    this.#close({
      type: "refused",
      status: UNUSABLE_STATUS,
      reason: `Not Acceptable Here: the answer cannot be used, ${fault}`,
      warning: null,
    });
  }

  /** A 2xx that crossed our CANCEL: ACK, then BYE unless theirs has come (RFC 3261 sections 13.2.2.4, 9.1). */
  #decline(call: Call, request: SipRequest): void {
    void inBackground(this.#agent, "Declining a fork", async () => {
      await call.link.sendAck(request);
      await call.end();
      if (this.#gaveUp) this.#close(TERMINATED);
    });
  }

  #refused(response: SipResponse): void {
    const { status, reason } = response;
    const warning = response.headers.get("Warning");
    const redirects = redirectsOf(response);
    this.#close({
      type: "refused",
      status,
      reason,
      warning: warning === null ? null : warningText(warning),
      ...(redirects.length > 0 && { redirects }),
    });
  }
}

/** Addresses of one 3xx that are looked at. */
export const MAX_REDIRECTS = 5;

/** Moved, or one of several: what is named there may be called. 305 and 380 want another kind of request. */
const FOLLOWED: readonly number[] = [300, 301, 302];

/** The addresses a response names, best first; empty when there are none to follow. */
export function redirectsOf(response: SipResponse): readonly SipUri[] {
  if (!FOLLOWED.includes(response.status)) return [];
  const contacts = response.headers.all("Contact").slice(0, MAX_REDIRECTS).flatMap(redirectedTo);
  contacts.sort((a, b) => b.q - a.q);
  const uris = new Map(contacts.map(({ uri }) => [formatSipUri(uri), uri]));
  return [...uris.values()];
}

/** Empty when it cannot be read. */
function redirectedTo(text: string): { readonly uri: SipUri; readonly q: number }[] {
  try {
    const { uri, params } = parseNameAddr(text);
    const q = Number(params.get("q") ?? "1");
    return [{ uri: requestUri(uri), q: q >= 0 && q <= 1 ? q : 0 }];
  } catch (error) {
    if (error instanceof WireError) return [];
    throw error;
  }
}
