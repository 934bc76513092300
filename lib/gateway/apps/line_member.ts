// One client of a shared line: a user agent as far as its Context can tell. What it asks for goes to the one user agent
// of the address, in its own name; what is for the address comes from the shared line.
// Role: edge

import { Mailbox, type MailboxReader } from "../../base/mailbox.ts";
import type { SipBody } from "../../sip/message/body.ts";
import type { Identity } from "../../sip/ua/endpoint.ts";
import type { Caller } from "../../sip/ua/identity.ts";
import type { AcceptOutcome, Invitation } from "../../sip/ua/invitation.ts";
import type { NameAddr } from "../../sip/message/name_addr.ts";
import type { RegisterOutcome } from "../../sip/ua/registration.ts";
import type { RegistrationChange } from "../../sip/ua/registration_keeper.ts";
import {
  type IncomingMessage,
  type InviteOptions,
  type InviteProgress,
  MAX_INVITATIONS,
  MAX_MESSAGES,
} from "../../sip/ua/user_agent.ts";
import type { ForkLeg } from "./invitation_fork.ts";
import type { Agent } from "../../call/leg.ts";

const MAX_CHANGES = 32;
const GIVEN_UP: RegisterOutcome = { type: "refused", status: 487, reason: "given up" };

/** What a client needs of the line. */
export interface LineMemberOutlets {
  register(): Promise<RegisterOutcome>;
  /** Hangs up a call that comes of an answer whose client has left. */
  hangUpLater(accepting: Promise<AcceptOutcome>): void;
  leave(): Promise<void>;
}

/** The user agent as one client sees it. */
export class LineMember implements Agent {
  /** Its address, which is everybody's here, and its own display name. */
  readonly identity: Identity;
  readonly incomingMessages = new Mailbox<IncomingMessage>(MAX_MESSAGES);
  /** Changes of the registration; filled by the line. */
  readonly changes = new Mailbox<RegistrationChange>(MAX_CHANGES);
  readonly #agent: Agent;
  readonly #outlets: LineMemberOutlets;
  readonly #invitations = new Mailbox<Invitation>(MAX_INVITATIONS);
  readonly #offered = new Set<ForkLeg>();
  readonly #end = new AbortController();
  #leaving: Promise<void> | null = null;

  /** Nothing is asked for yet. @param agent the one of the address */
  constructor(identity: Identity, agent: Agent, outlets: LineMemberOutlets) {
    this.identity = identity;
    this.#agent = agent;
    this.#outlets = outlets;
  }

  /** Offers a call; one more than it has room for is refused on behalf of this client alone. */
  offer(leg: ForkLeg): void {
    this.#offered.add(leg);
    leg.onOver = () => this.#offered.delete(leg);
    if (!this.#invitations.push(leg)) leg.refuse(486, "Busy Here");
  }

  /** Settles with the one registration of the address; aborting gives up for this client alone. */
  async register(signal: AbortSignal): Promise<RegisterOutcome> {
    return await orAborted(this.#outlets.register(), AbortSignal.any([signal, this.#end.signal]), GIVEN_UP);
  }

  /** Losses and recoveries of the registration. */
  registrations(): MailboxReader<RegistrationChange> {
    return this.changes[Symbol.asyncIterator]();
  }

  /** Where requests to `uri` go. */
  route(uri: Parameters<Agent["route"]>[0], caller: Caller = {}): ReturnType<Agent["route"]> {
    return this.#agent.route(uri, this.#as(caller));
  }

  /** Calls somebody in this client's name. */
  invite(
    to: NameAddr,
    offer: SipBody | null,
    signal: AbortSignal,
    options: InviteOptions = {},
  ): AsyncGenerator<InviteProgress, void, void> {
    const both = AbortSignal.any([signal, this.#end.signal]);
    return this.#agent.invite(to, offer, both, { ...this.#as({}), ...options });
  }

  /** The user agent is that of the client who came first. */
  #as(caller: Caller): Caller {
    const { displayName, askedBy } = this.identity;
    return { displayName, ...(askedBy !== undefined && { askedBy }), ...caller };
  }

  /** Every call for the address, as long as no other client has it. */
  invitations(): MailboxReader<Invitation> {
    return this.#invitations[Symbol.asyncIterator]();
  }

  /** Sends a request in this client's name. */
  request(
    method: "MESSAGE" | "OPTIONS",
    to: NameAddr,
    body: SipBody | null,
    signal: AbortSignal,
    caller: Caller = {},
  ): Promise<{ status: number; reason: string }> {
    const both = AbortSignal.any([signal, this.#end.signal]);
    return this.#agent.request(method, to, body, both, this.#as(caller));
  }

  /** Every message for the address. */
  messages(): MailboxReader<IncomingMessage> {
    return this.incomingMessages[Symbol.asyncIterator]();
  }

  /** Refuses what was offered to this client, cancels what it tries; the last one ends the user agent. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#leaving ??= this.#leave();
    return this.#leaving;
  }

  async #leave(): Promise<void> {
    this.#end.abort();
    for (const leg of [...this.#offered]) {
      const accepting = leg.leave();
      if (accepting !== null) this.#outlets.hangUpLater(accepting);
    }
    this.#invitations.close();
    this.incomingMessages.close();
    this.changes.close();
    await this.#outlets.leave();
  }
}

/** Whichever is first: the promise, or `instead` when the signal aborts. */
function orAborted<T>(promise: Promise<T>, signal: AbortSignal, instead: T): Promise<T> {
  if (signal.aborted) return Promise.resolve(instead);
  return new Promise((resolve, reject) => {
    const onAbort = (): void => resolve(instead);
    signal.addEventListener("abort", onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}
