// One INVITE offered to several clients: all ring, the first to accept has it, the others hear that it was cancelled.
// A client that refuses is out and the others ring on; when all have refused, the caller hears the best of their
// answers (RFC 3261 16.7 step 6). A 6xx ends it for all (21.6): the person does not want the call, wherever.
// Role: machine

import type { SipBody } from "../../sip/message/body.ts";
import type { AcceptOutcome, Invitation } from "../../sip/ua/invitation.ts";
import type { NameAddr } from "../../sip/message/name_addr.ts";

interface ForkRefusal {
  readonly status: number;
  readonly reason: string;
  readonly headers: Readonly<Record<string, string>>;
}

const ANSWERED_ELSEWHERE = "another client of this address has answered";

export class InvitationFork {
  readonly #invitation: Invitation;
  readonly #legs = new Set<ForkLeg>();
  readonly #refusals: ForkRefusal[] = [];
  #rung = false;
  #state: "open" | "taken" | "over" = "open";

  /** Nobody has it yet: take as many legs as there are clients, before any of them is used. */
  constructor(invitation: Invitation) {
    this.#invitation = invitation;
    invitation.cancelled.addEventListener("abort", () => this.#end("over", null), { once: true });
  }

  takeLeg(): ForkLeg {
    const leg: ForkLeg = new ForkLeg(this.#invitation, {
      ring: (body, status) => this.#ring(body, status),
      accept: (body): Promise<AcceptOutcome> => this.#accept(leg, body),
      refuse: (refusal) => this.#refuse(leg, refusal),
    });
    this.#legs.add(leg);
    if (this.#invitation.cancelled.aborted) leg.cancel();
    return leg;
  }

  /** Once for all who ring, again only with a session description. */
  #ring(body: SipBody | undefined, status: 180 | 183 | undefined): void {
    if (this.#state !== "open" || this.#rung && body === undefined) return;
    this.#rung = true;
    this.#invitation.ring(body, status);
  }

  #accept(leg: ForkLeg, body: SipBody): Promise<AcceptOutcome> {
    if (this.#state !== "open" || !this.#legs.has(leg)) {
      const reason = this.#state === "taken" ? ANSWERED_ELSEWHERE : "the invitation is over";
      return Promise.resolve({ type: "failed", reason });
    }
    this.#end("taken", leg);
    return this.#invitation.accept(body);
  }

  #refuse(leg: ForkLeg, refusal: ForkRefusal): void {
    if (this.#state !== "open" || !this.#legs.delete(leg)) return;
    this.#refusals.push(refusal);
    if (refusal.status < 600 && this.#legs.size > 0) return;
    this.#end("over", null);
    const { status, reason, headers } = best(this.#refusals);
    this.#invitation.refuse(status, reason, headers);
  }

  /** Nothing more is told to the caller after this but what `winner` says. */
  #end(state: "taken" | "over", winner: ForkLeg | null): void {
    if (this.#state !== "open") return;
    this.#state = state;
    const losers = [...this.#legs].filter((leg) => leg !== winner);
    this.#legs.clear();
    for (const leg of losers) leg.cancel();
  }
}

/** 16.7 step 6: a 6xx, else the lowest class, in it the first. */
function best(refusals: readonly ForkRefusal[]): ForkRefusal {
  const rank = ({ status }: ForkRefusal): number => status >= 600 ? 0 : Math.floor(status / 100);
  return refusals.reduce((chosen, one) => rank(one) < rank(chosen) ? one : chosen);
}

interface LegOutlets {
  ring(body: SipBody | undefined, status: 180 | 183 | undefined): void;
  accept(body: SipBody): Promise<AcceptOutcome>;
  refuse(refusal: ForkRefusal): void;
}

/** One client's view of an invitation. Made by `InvitationFork.takeLeg`. */
export class ForkLeg implements Invitation {
  /** Called once, when this client has nothing to do with the invitation any more. */
  onOver: (() => void) | null = null;
  readonly #invitation: Invitation;
  readonly #outlets: LegOutlets;
  readonly #cancelled = new AbortController();
  readonly #settled = Promise.withResolvers<AcceptOutcome>();
  #accepting: Promise<AcceptOutcome> | null = null;

  /** Nothing is said yet. @param outlets what the fork does with it */
  constructor(invitation: Invitation, outlets: LegOutlets) {
    this.#invitation = invitation;
    this.#outlets = outlets;
  }

  get id(): string {
    return this.#invitation.id;
  }

  get from(): NameAddr {
    return this.#invitation.from;
  }

  get to(): NameAddr {
    return this.#invitation.to;
  }

  get offer(): SipBody | null {
    return this.#invitation.offer;
  }

  get callerHeaders(): Invitation["callerHeaders"] {
    return this.#invitation.callerHeaders;
  }

  get source(): Invitation["source"] {
    return this.#invitation.source;
  }

  /** Aborted when the caller gave up, another client has answered, or one has refused for all. */
  get cancelled(): AbortSignal {
    return this.#cancelled.signal;
  }

  /** Called by the fork: this client is out. */
  cancel(): void {
    this.#cancelled.abort();
    this.#over();
  }

  ring(body?: SipBody, status?: 180 | 183): void {
    if (!this.cancelled.aborted) this.#outlets.ring(body, status);
  }

  accept(body: SipBody): Promise<AcceptOutcome> {
    if (this.#accepting === null) {
      this.#accepting = this.#outlets.accept(body);
      this.#accepting.then(this.#settled.resolve, this.#settled.reject).finally(() => this.#over());
    }
    return this.#settled.promise;
  }

  refuse(status: number, reason: string, headers: Readonly<Record<string, string>> = {}): void {
    this.#outlets.refuse({ status, reason, headers });
    this.#over();
  }

  /**
   * The client has left. What it would have waited for is given back: a call that comes of it must be hung up;
   * null when it had not accepted.
   */
  leave(): Promise<AcceptOutcome> | null {
    if (this.#accepting === null) this.refuse(480, "Temporarily Unavailable");
    else this.#settled.resolve({ type: "failed", reason: "the client has left" });
    return this.#accepting;
  }

  #over(): void {
    this.onOver?.();
    this.onOver = null;
  }
}
