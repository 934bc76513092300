// Clients that share one SIP address share one user agent: one registration, one Contact. Each client sees an agent
// of its own: every call and message for the address is offered to all, calls of its own carry its own name.
// Clients share only with those who gave the same user name and password, so nobody gets calls for a guess.
// Role: edge

import type { Logger } from "../../base/log.ts";
import { Mailbox, type MailboxReader } from "../../base/mailbox.ts";
import { Scope } from "../../base/scope.ts";
import type { Agent } from "../../call/leg.ts";
import { type ForkLeg, InvitationFork } from "./invitation_fork.ts";
import type { SipBody } from "../../sip/message/body.ts";
import type { NameAddr } from "../../sip/message/name_addr.ts";
import { formatSipUri } from "../../sip/message/uri.ts";
import type { Identity } from "../../sip/ua/endpoint.ts";
import type { Caller } from "../../sip/ua/identity.ts";
import type { AcceptOutcome, Invitation } from "../../sip/ua/invitation.ts";
import type { RegistrationChange } from "../../sip/ua/registration_keeper.ts";
import type { RegisterOutcome } from "../../sip/ua/registration.ts";
import {
  type IncomingMessage,
  type InviteOptions,
  type InviteProgress,
  MAX_INVITATIONS,
  MAX_MESSAGES,
} from "../../sip/ua/user_agent.ts";

interface SharedAgentsParts {
  readonly sip: { createUserAgent(identity: Identity): Agent };
  readonly log: Logger;
}

export class SharedAgents {
  readonly #parts: SharedAgentsParts;
  readonly #agents = new Map<string, SharedAgent>();

  constructor(parts: SharedAgentsParts) {
    this.#parts = parts;
  }

  /** Addresses with at least one client. */
  get size(): number {
    return this.#agents.size;
  }

  /** One more client; it leaves by disposing what it gets, and the last to leave unregisters the address. */
  join(identity: Identity): Agent {
    const key = keyOf(identity);
    const known = this.#agents.get(key);
    if (known !== undefined) return known.join(identity);
    const agent = new SharedAgent(this.#parts, identity, () => this.#agents.delete(key));
    this.#agents.set(key, agent);
    return agent.join(identity);
  }
}

/** Never logged: it holds the password. */
function keyOf({ aor, username, password }: Identity): string {
  return JSON.stringify([formatSipUri({ ...aor, host: aor.host.toLowerCase() }), username, password]);
}

class SharedAgent {
  readonly #agent: Agent;
  readonly #members = new Set<AgentMember>();
  readonly #scope: Scope;
  readonly #forget: () => void;
  #registering: Promise<RegisterOutcome> | null = null;

  constructor(parts: SharedAgentsParts, identity: Identity, forget: () => void) {
    this.#forget = forget;
    this.#scope = new Scope("shared address", { log: parts.log });
    this.#agent = parts.sip.createUserAgent(identity);
    this.#scope.spawn("invitations", () => this.#offerInvitations());
    this.#scope.spawn(
      "messages",
      () => this.#handOut(this.#agent.messages(), (member) => member.incomingMessages),
    );
    this.#scope.spawn("registrations", () => this.#watchRegistration());
  }

  join(identity: Identity): Agent {
    const member: AgentMember = new AgentMember(identity, this.#agent, {
      register: () => this.#register(),
      hangUpLater: (accepting) => this.#scope.spawn("late answer", () => hangUpLater(accepting)),
      leave: (): Promise<void> => this.#leave(member),
    });
    this.#members.add(member);
    return member;
  }

  /** One REGISTER for all; after a refusal the next client tries again. */
  #register(): Promise<RegisterOutcome> {
    const attempt = this.#registering ??= this.#agent.register(this.#scope.signal).then((outcome) => {
      if (outcome.type === "refused" && this.#registering === attempt) this.#registering = null;
      return outcome;
    });
    return attempt;
  }

  async #offerInvitations(): Promise<void> {
    for await (const invitation of this.#agent.invitations()) {
      const fork = new InvitationFork(invitation);
      const offers = [...this.#members].map((member) => ({ member, leg: fork.takeLeg() }));
      if (offers.length === 0) invitation.refuse(480, "Temporarily Unavailable");
      for (const { member, leg } of offers) member.offer(leg);
    }
  }

  async #handOut<T>(values: AsyncIterable<T>, mailboxOf: (member: AgentMember) => Mailbox<T>): Promise<void> {
    for await (const value of values) {
      for (const member of this.#members) mailboxOf(member).push(value); // a client that does not read loses its own
    }
  }

  /** Who joins while the registration is lost is told so, and hears when it is back as all do. */
  async #watchRegistration(): Promise<void> {
    for await (const change of this.#agent.registrations()) {
      this.#registering = Promise.resolve(
        change.type === "registered" ? change : { ...change, type: "refused" as const },
      );
      for (const member of this.#members) member.changes.push(change);
    }
  }

  async #leave(member: AgentMember): Promise<void> {
    if (!this.#members.delete(member) || this.#members.size > 0) return;
    this.#forget();
    await this.#agent[Symbol.asyncDispose]();
    await this.#scope.close();
  }
}

async function hangUpLater(accepting: Promise<AcceptOutcome>): Promise<void> {
  const outcome = await accepting;
  if (outcome.type === "confirmed") await outcome.call.hangUp();
}

const MAX_CHANGES = 32;
const GIVEN_UP: RegisterOutcome = { type: "refused", status: 487, reason: "given up" };

interface AgentMemberOutlets {
  register(): Promise<RegisterOutcome>;
  /** Hangs up a call that comes of an answer whose client has left. */
  hangUpLater(accepting: Promise<AcceptOutcome>): void;
  leave(): Promise<void>;
}

export class AgentMember implements Agent {
  /** Its address, which is everybody's here, and its own display name. */
  readonly identity: Identity;
  readonly incomingMessages = new Mailbox<IncomingMessage>(MAX_MESSAGES);
  readonly changes = new Mailbox<RegistrationChange>(MAX_CHANGES);
  readonly #agent: Agent;
  readonly #outlets: AgentMemberOutlets;
  readonly #invitations = new Mailbox<Invitation>(MAX_INVITATIONS);
  readonly #offered = new Set<ForkLeg>();
  readonly #end = new AbortController();
  #leaving: Promise<void> | null = null;

  constructor(identity: Identity, agent: Agent, outlets: AgentMemberOutlets) {
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

  registrations(): MailboxReader<RegistrationChange> {
    return this.changes[Symbol.asyncIterator]();
  }

  route(uri: Parameters<Agent["route"]>[0], caller: Caller = {}): ReturnType<Agent["route"]> {
    return this.#agent.route(uri, this.#as(caller));
  }

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
