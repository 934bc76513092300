// One SIP user behind the shared port: registers, calls, is called, sends and takes messages.
// RFC 3261 sections 8, 10, 11, 13; RFC 3428.
// Role: edge

import { delay } from "../../base/clock.ts";
import { WireError } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { Mailbox, type MailboxReader } from "../../base/mailbox.ts";
import { Scope } from "../../base/scope.ts";
import type { Endpoint } from "../../net/endpoint.ts";
import { AccountServers, type AccountServersOptions, DigestCredentials, isOwnServer } from "./credentials.ts";
import { bodyOf, sessionBodyOf, type SipBody } from "../message/body.ts";
import { CallDialog } from "./call_dialog.ts";
import { addResponseCapabilities, messageRefusal, unacceptableBody } from "./capabilities.ts";
import { Dialog } from "./dialog.ts";
import { DigestClient } from "./digest.ts";
import { exchange, reasonOf, statusOf } from "./challenged_request.ts";
import { type Caller, type Identity, identityAddress } from "./identity.ts";
import { IncomingInvite, type Invitation } from "./invitation.ts";
import { type InviteOptions, type InviteProgress, inviteProgress } from "./invite_client.ts";
import type { SipRequest } from "../message/message.ts";
import { type NameAddr, readNameAddr } from "../message/name_addr.ts";
import { createOutgoingRequest, ServiceRoute, withNextSequence } from "./outgoing_request.ts";
import type { OnFailover, RegisterOutcome } from "./registration.ts";
import {
  type AdmitRegistration,
  type RegistrationChange,
  RegistrationKeeper,
} from "./registration_keeper.ts";
import type { Hop, Unreachable } from "../transport/routing.ts";
import { intervalTooSmall, timerAnswerTo } from "./session_timer.ts";
import { type AgentContext, contactOf, type Ending, firstHop, routesOf, type SipCore } from "./sip_core.ts";
import type { ServerTransactionHandle } from "../transaction/server_transaction_handle.ts";
import { formatHostPort, type SipUri } from "../message/uri.ts";

export type { InviteOptions, InviteProgress } from "./invite_client.ts";
export type { OnFailover, RegisterOutcome } from "./registration.ts";
export type { AdmitRegistration as Admission, RegistrationChange } from "./registration_keeper.ts";
export type { Hop, Unreachable } from "../transport/routing.ts";
export type { Identity } from "./identity.ts";

/** Invitations that may wait for their reader; further callers hear 486. */
export const MAX_INVITATIONS = 8;
/** Messages that may wait for their reader; further senders hear 503. */
export const MAX_MESSAGES = 32;
/** How long the end of a user agent waits for its BYEs, CANCELs and for its unregistration, in milliseconds. */
export const GOODBYE_MS = 2_000;

/** A MESSAGE outside any call; 200 was sent. */
export interface IncomingMessage {
  readonly from: NameAddr;
  readonly to: NameAddr;
  readonly body: SipBody;
}

interface UserAgentStanding {
  readonly ownsAddress: boolean;
  /** It was shown that the address is its own; called once at most. */
  proved(): void;
  /** It is gone; called once. */
  ended(): void;
}

/** One user of the shared port. Made by `SipEndpoint.createUserAgent`. */
export class UserAgent implements AsyncDisposable {
  readonly identity: Identity;
  /** The `line` parameter of our Contact URIs. */
  readonly line: string;
  readonly #agent: AgentContext;
  readonly #endings = new Set<Ending>();
  readonly #scope: Scope;
  readonly #invitations = new Mailbox<Invitation>(MAX_INVITATIONS);
  readonly #messages = new Mailbox<IncomingMessage>(MAX_MESSAGES);
  readonly #registration: RegistrationKeeper;
  readonly #standing: UserAgentStanding;
  #ownsAddress: boolean;
  #closing: Promise<void> | null = null;

  constructor(core: SipCore, identity: Identity, line: string, standing: UserAgentStanding) {
    this.identity = identity;
    this.line = line;
    this.#standing = standing;
    this.#ownsAddress = standing.ownsAddress;
    const name = `${identity.aor.user ?? ""}@${formatHostPort(identity.aor.host, identity.aor.port)}`;
    const log = core.log.child(name);
    this.#scope = new Scope(`sip ${name}`, { log });
    const proxy = identity.proxy ?? core.outboundProxy;
    const serviceRoute = new ServiceRoute();
    const credentials = credentialsOf(core, { identity, proxy, serviceRoute }, log);
    this.#agent = { core, identity, proxy, serviceRoute, line, log, credentials, endings: this.#endings };
    this.#registration = new RegistrationKeeper(this.#agent, this.#scope);
  }

  /**
   * Registers, and stays registered afterwards: refreshes, retries after losses, unregisters at the end.
   * Call it once; after a refusal it may be called again.
   */
  async register(signal: AbortSignal, onFailover?: OnFailover): Promise<RegisterOutcome> {
    using both = this.#scope.join(signal);
    const outcome = await this.#registration.attempt(both.signal, onFailover);
    if (outcome.type === "registered" && this.identity.password !== null) this.#prove();
    if (outcome.type === "registered" && this.#closing === null && !this.#registration.kept) {
      this.#agent.log.info(`registered for ${outcome.expiresSeconds} s`);
      this.#registration.keep(outcome.expiresSeconds);
    }
    return outcome;
  }

  /** Whether a registrar has taken its password once, or the gateway itself is this user. */
  get ownsAddress(): boolean {
    return this.#ownsAddress;
  }

  #prove(): void {
    if (this.#ownsAddress || this.closing) return;
    this.#ownsAddress = true;
    this.#standing.proved();
  }

  /**
   * Registers in the background and stays registered, also when the first attempts fail: `registrations()` tells.
   * Call it once, instead of `register`.
   * @param admit asked before each REGISTER but the goodbye
   */
  keepRegistered(admit: AdmitRegistration): void {
    this.#registration.keep(null, admit);
  }

  /** A connection to this peer has broken; called by the endpoint. */
  connectionLost(remote: Endpoint): void {
    this.#registration.connectionLost(remote);
  }

  /** Registers again in a moment, if it is registered: our address has changed. */
  refreshRegistration(): void {
    this.#registration.addressChanged();
  }

  /** Registers in a moment, if `keepRegistered` waits after a failure: somebody may have repaired it. */
  retryRegistration(): void {
    this.#registration.retrySoon();
  }

  /**
   * Losses and recoveries of the registration: after its first success, or all of it with `keepRegistered`.
   * One reader; ends with the user agent.
   */
  registrations(): MailboxReader<RegistrationChange> {
    return this.#registration.changes[Symbol.asyncIterator]();
  }

  /** Where requests to `uri` go (the outbound proxy if there is one), and our address as seen from there. */
  route(uri: SipUri, caller: Caller = {}): Promise<Hop | Unreachable> {
    return firstHop(this.#as(caller, uri), uri);
  }

  /**
   * Calls somebody. Aborting `signal`, or leaving the loop before "accepted", cancels.
   * @param offer our session description; null: the peer makes the offer, see `Call.events`
   */
  async *invite(
    to: NameAddr,
    offer: SipBody | null,
    signal: AbortSignal,
    options: InviteOptions = {},
  ): AsyncGenerator<InviteProgress, void, void> {
    using both = this.#scope.join(signal);
    const agent = this.#as(options, options.target ?? to.uri);
    yield* inviteProgress(agent, { to, offer, ...options }, both.signal);
  }

  /** Where requests go anyway (a proxy, the registrar's routes) is not asked for by whoever calls, nor are own servers. */
  #as({ displayName = this.identity.displayName, askedBy }: Caller, uri: SipUri): AgentContext {
    const own = this.identity.askedBy ?? null;
    const chosen = routesOf(this.#agent).length > 0 || own === null && isOwnServer(uri, this.identity);
    const asked = askedBy === undefined || chosen ? own : askedBy;
    if (displayName === this.identity.displayName && asked === own) return this.#agent;
    return { ...this.#agent, identity: { ...this.identity, displayName, askedBy: asked } };
  }

  /** Incoming calls. One reader; ends with the user agent. */
  invitations(): MailboxReader<Invitation> {
    return this.#invitations[Symbol.asyncIterator]();
  }

  /** Incoming messages outside calls. One reader; ends with the user agent. */
  messages(): MailboxReader<IncomingMessage> {
    return this.#messages[Symbol.asyncIterator]();
  }

  /** Sends one request outside any call; 408 and 503 also when no answer came or nothing was reachable. */
  async request(
    method: "MESSAGE" | "OPTIONS",
    to: NameAddr,
    body: SipBody | null,
    signal: AbortSignal,
    caller: Caller = {},
  ): Promise<{ status: number; reason: string }> {
    const { core } = this.#agent;
    const agent = this.#as(caller, to.uri);
    const hop = await firstHop(agent, to.uri);
    if ("type" in hop) return { status: hop.status ?? 503, reason: hop.reason };
    const contact = contactOf(this.#agent, hop.localAddress, hop.targets[0].transport);
    const request = createOutgoingRequest({
      method,
      uri: to.uri,
      from: identityAddress(agent.identity),
      fromTag: core.random.token(12),
      to,
      callId: core.random.token(24),
      sequence: 1,
      // RFC 3428 section 4: no Contact in MESSAGE.
      contact: method === "MESSAGE" ? null : contact,
      routes: routesOf(this.#agent),
      userAgent: core.userAgent,
      body,
    });
    using both = this.#scope.join(signal);
    const reply = await exchange({
      layer: core.layer,
      request,
      targets: hop.targets,
      credentials: this.#agent.credentials,
      renumber: withNextSequence,
    }, both.signal);
    return { status: statusOf(reply), reason: reasonOf(reply) };
  }

  /** True from the start of its end: it takes nothing new. */
  get closing(): boolean {
    return this.#closing !== null;
  }

  /** Takes a request outside any dialog; called by the endpoint. */
  receive(request: SipRequest, transaction: ServerTransactionHandle): void {
    if (this.#closing !== null) return void transaction.reply(480);
    switch (request.method) {
      case "INVITE":
        return this.#receiveInvite(request, transaction);
      case "MESSAGE":
        return this.#receiveMessage(request, transaction);
      case "OPTIONS":
        return this.#describe(transaction);
      default:
        transaction.reply(481);
    }
  }

  #describe(transaction: ServerTransactionHandle): void {
    const response = transaction.createResponse(200);
    addResponseCapabilities(response.headers);
    transaction.respond(response);
  }

  #receiveMessage(request: SipRequest, transaction: ServerTransactionHandle): void {
    const refusal = messageRefusal(request);
    if (refusal !== null) return void transaction.respond(refusal);
    const from = readNameAddr(request.headers.get("From") ?? "");
    const to = readNameAddr(request.headers.get("To") ?? "");
    const body = bodyOf(request);
    const taken = body === null || this.#messages.push({ from, to, body });
    transaction.reply(taken ? 200 : 503);
  }

  #receiveInvite(request: SipRequest, transaction: ServerTransactionHandle): void {
    const session = sessionBodyOf(request);
    if (session.type === "unacceptable") return void transaction.respond(unacceptableBody(request));
    const timerAnswer = timerAnswerTo(request);
    if (timerAnswer.type === "too-small") {
      return void transaction.respond(intervalTooSmall(request, timerAnswer.minSeconds));
    }
    try {
      const { flow } = transaction;
      const localAddress = this.#agent.core.router.addressTowards(flow.remote);
      const dialog = Dialog.fromRequest(
        request,
        transaction.localTag,
        contactOf(this.#agent, localAddress, flow.transport),
      );
      const fallback = { transport: flow.transport, endpoint: flow.remote, flow };
      const direct = !request.headers.has("Contact");
      const link = new CallDialog({ agent: this.#agent, dialog, fallback, direct });
      const offer = session.type === "session" ? session.body : null;
      const invitation = new IncomingInvite({ link, transaction, offer, timerAnswer, localAddress });
      if (!this.#invitations.push(invitation)) invitation.refuse(486, "Busy Here");
    } catch (error) {
      refuseBroken(error, transaction);
    }
  }

  /** Hangs up, cancels, refuses and unregisters; waits 2 s at most. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const limit = new AbortController();
    this.#registration.stop();
    const scopeClosed = this.#scope.close();
    const goodbyes = [...this.#endings].map((ending) => ending.end());
    const unregistered = this.#registration.unregister(limit.signal);
    const politely = Promise.allSettled([scopeClosed, unregistered, ...goodbyes]);
    const timeout = delay(this.#agent.core.clock, GOODBYE_MS, limit.signal);
    await Promise.race([politely, timeout]);
    limit.abort();
    this.#invitations.close();
    this.#messages.close();
    this.#registration.changes.close();
    this.#standing.ended();
    await timeout;
  }
}

function credentialsOf(
  { router, clock, random }: SipCore,
  servers: Pick<AccountServersOptions, "identity" | "proxy" | "serviceRoute">,
  log: Logger,
): DigestCredentials | null {
  const { username, aor, password, md5WithoutQop = false } = servers.identity;
  if (password === null) return null;
  const digest = new DigestClient(username ?? aor.user ?? "", password, random);
  return new DigestCredentials({
    digest,
    servers: new AccountServers({ ...servers, router, clock }),
    md5WithoutQop,
    log,
  });
}

function refuseBroken(error: unknown, transaction: ServerTransactionHandle): void {
  if (!(error instanceof WireError)) throw error;
  transaction.reply(400, "Bad Request");
}
