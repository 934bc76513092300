// Clients that share one SIP address share one user agent: one registration, one Contact. Each client sees an agent
// of its own: every call and message for the address is offered to all, calls of its own carry its own name.
// Clients share only with those who gave the same user name and password, so nobody gets calls for a guess.
// Role: edge

import type { Logger } from "../../base/log.ts";
import type { Mailbox } from "../../base/mailbox.ts";
import { Scope } from "../../base/scope.ts";
import type { Identity } from "../../sip/ua/endpoint.ts";
import type { AcceptOutcome } from "../../sip/ua/invitation.ts";
import type { RegisterOutcome } from "../../sip/ua/registration.ts";
import { formatSipUri } from "../../sip/message/uri.ts";
import { InvitationFork } from "./invitation_fork.ts";
import type { Agent } from "../../call/leg.ts";
import { LineMember } from "./line_member.ts";

export interface SharedLinesParts {
  /** Makes the one user agent of an address. */
  readonly createUserAgent: (identity: Identity) => Agent;
  /** Where failures go. */
  readonly log: Logger;
}

export class SharedLines {
  readonly #parts: SharedLinesParts;
  readonly #lines = new Map<string, SharedLine>();

  /** Nobody shares yet. */
  constructor(parts: SharedLinesParts) {
    this.#parts = parts;
  }

  /** Lines with at least one client. */
  get size(): number {
    return this.#lines.size;
  }

  /** One more client; it leaves by disposing what it gets, and the last to leave unregisters the address. */
  join(identity: Identity): Agent {
    const key = keyOf(identity);
    const known = this.#lines.get(key);
    if (known !== undefined) return known.join(identity);
    const line = new SharedLine(this.#parts, identity, () => this.#lines.delete(key));
    this.#lines.set(key, line);
    return line.join(identity);
  }
}

/** Never logged: it holds the password. */
function keyOf({ aor, username, password }: Identity): string {
  return JSON.stringify([formatSipUri({ ...aor, host: aor.host.toLowerCase() }), username, password]);
}

class SharedLine {
  readonly #agent: Agent;
  readonly #members = new Set<LineMember>();
  readonly #scope: Scope;
  readonly #forget: () => void;
  #registering: Promise<RegisterOutcome> | null = null;

  constructor(parts: SharedLinesParts, identity: Identity, forget: () => void) {
    this.#forget = forget;
    this.#scope = new Scope("shared line", { log: parts.log });
    this.#agent = parts.createUserAgent(identity);
    this.#scope.spawn("invitations", () => this.#offerInvitations());
    this.#scope.spawn(
      "messages",
      () => this.#handOut(this.#agent.messages(), (member) => member.incomingMessages),
    );
    this.#scope.spawn("registrations", () => this.#watchRegistration());
  }

  join(identity: Identity): Agent {
    const member: LineMember = new LineMember(identity, this.#agent, {
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

  async #handOut<T>(values: AsyncIterable<T>, mailboxOf: (member: LineMember) => Mailbox<T>): Promise<void> {
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

  async #leave(member: LineMember): Promise<void> {
    if (!this.#members.delete(member) || this.#members.size > 0) return;
    this.#forget();
    await this.#agent[Symbol.asyncDispose]();
    await this.#scope.close();
  }
}

/** The client is gone between its answer and the ACK. */
async function hangUpLater(accepting: Promise<AcceptOutcome>): Promise<void> {
  const outcome = await accepting;
  if (outcome.type === "confirmed") await outcome.call.hangUp();
}
