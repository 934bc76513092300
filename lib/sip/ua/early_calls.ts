// The early dialogs of one INVITE: a fork each, with PRACK for reliable responses, until one is confirmed; a 2xx that comes
// after that is acknowledged and ended. RFC 3261 sections 12.1.2 and 13.2.2.4; RFC 3262 section 4; RFC 6337 section 2.2.
// Role: edge

import type { Logger } from "../../base/log.ts";
import { sessionBodyOf, type SipBody } from "../message/body.ts";
import { formatRAck, parseCSeq } from "../message/header_values.ts";
import { dialogIdOfResponse } from "../message/matching.ts";
import { NO_BODY, type SipRequest, type SipResponse } from "../message/message.ts";
import type { Target } from "../message/target.ts";
import { KeptRequest } from "../transaction/client_transaction.ts";
import { CallDialog, type EndedEvent, type OfferEvent } from "./call_dialog.ts";
import { Call } from "./call.ts";
import { Dialog, namesItsTarget } from "./dialog.ts";
import { ReliableReceiver, reliableSequence } from "./reliable_provisional.ts";
import { type AgentContext, inBackground } from "./sip_core.ts";

/** Most forks of one INVITE that are followed; 2xx of others are still answered. */
export const MAX_EARLY_DIALOGS = 16;

interface EarlyCallsOptions {
  readonly agent: AgentContext;
  /** Our offer in the INVITE; null: none. */
  readonly offer: SipBody | null;
  /** Where the INVITE has gone: another server may have taken it than the first. */
  readonly fallback: () => Target;
  /** A fork offers another session; false: nobody can take it. */
  readonly onOffer: (offer: OfferEvent) => boolean;
  /** A fork hung up, and no other is left. */
  readonly onAllGone: (ending: EndedEvent) => void;
}

/** What a 1xx means to the owner of the attempt; "repeated": a reliable one that was seen, or came out of order. */
type EarlyOutcome = { readonly type: "new"; readonly body: SipBody | null } | {
  readonly type: "repeated";
};

interface Fork {
  readonly call: Call;
  readonly receiver: ReliableReceiver;
}

export class EarlyCalls {
  readonly #options: EarlyCallsOptions;
  readonly #forks = new Map<string, Fork>();

  /** Starts without forks. */
  constructor(options: EarlyCallsOptions) {
    this.#options = options;
  }

  /** Takes a 101-199 with a To tag; its body is null when the session of that fork is settled already. */
  receive(response: SipResponse, request: SipRequest, answered: Target | null = null): EarlyOutcome {
    const session = sessionBodyOf(response, answered);
    const body = session.type === "session" ? session.body : null;
    const fork = this.#fork(response, request);
    if (fork === null) return { type: "new", body };
    const rseq = reliableSequence(response);
    if (rseq !== null && fork.receiver.accept(rseq) !== "new") return { type: "repeated" };
    fork.call.learn(response);
    if (rseq !== null) this.#acknowledge(fork.call, rseq, request);
    return { type: "new", body: this.#answered(fork.call, body, rseq !== null) };
  }

  /** RFC 3261 section 13.2.1: the first reliable session description is the answer, later ones mean nothing. */
  #answered({ offers: { state } }: Call, body: SipBody | null, reliably: boolean): SipBody | null {
    if (body === null || !state.offering) return null;
    state.remoteBody = body;
    if (reliably && this.#options.offer !== null) state.endOffering();
    return body;
  }

  #acknowledge(call: Call, rseq: number, invite: SipRequest): void {
    const prack = call.link.createRequest("PRACK");
    const cseq = parseCSeq(invite.headers.get("CSeq") ?? "");
    prack.headers.set("RAck", formatRAck({ responseSequence: rseq, cseq }));
    void inBackground(this.#options.agent, "PRACK", () => call.link.exchange(prack, { signal: call.over }));
  }

  /** The call of a 2xx, confirmed; over already when the peer has hung up before. */
  confirm(response: SipResponse, request: SipRequest): Call {
    const id = dialogIdOfResponse(response);
    const known = this.#forks.get(id);
    this.#forks.delete(id);
    known?.call.link.dialog.confirm(response);
    const call = known?.call ?? this.#createCall(response, request);
    call.onEarlyOffer = null;
    call.establish();
    return call;
  }

  /** Forgets the forks that were not confirmed: whoever forked cancels them. */
  abandon(): void {
    const forks = [...this.#forks.values()];
    this.#forks.clear();
    for (const { call } of forks) call.abandon("local", "another fork was taken");
  }

  #fork(response: SipResponse, request: SipRequest): Fork | null {
    const id = dialogIdOfResponse(response);
    const known = this.#forks.get(id);
    if (known !== undefined || this.#forks.size >= MAX_EARLY_DIALOGS) return known ?? null;
    const call = this.#createCall(response, request);
    call.onEarlyOffer = this.#options.onOffer;
    call.over.addEventListener("abort", () => this.#ended(id), { once: true });
    const fork = { call, receiver: new ReliableReceiver() };
    this.#forks.set(id, fork);
    return fork;
  }

  /** A fork stays known after its BYE: its 2xx may still come, and is acknowledged in its dialog. */
  #ended(id: string): void {
    const ending = this.#forks.get(id)?.call.ending ?? null;
    if (ending?.by !== "remote") return;
    const all = [...this.#forks.values()];
    if (all.every(({ call }) => call.ending !== null)) this.#options.onAllGone(ending);
  }

  #createCall(response: SipResponse, request: SipRequest): Call {
    const { agent, offer, fallback } = this.#options;
    const dialog = Dialog.fromResponse(request, response);
    const link = new CallDialog({ agent, dialog, fallback: fallback() });
    return new Call({ link, weAreCaller: true, localBody: offer, remoteBody: null });
  }
}

/** INVITEs remembered; the oldest goes. A fork may answer for 32 s, and there may be dozens of calls a second. */
export const MAX_REMEMBERED_INVITES = 1024;

interface Remembered {
  readonly agent: AgentContext;
  readonly invite: KeptRequest;
  readonly target: Target;
}

export class LateForks {
  readonly #log: Logger;
  readonly #invites = new Map<string, Remembered>();

  /** Starts empty. */
  constructor(log: Logger) {
    this.#log = log;
  }

  remember(agent: AgentContext, invite: SipRequest, target: Target): void {
    const kept = new KeptRequest({ ...invite, body: NO_BODY });
    this.#invites.set(invite.headers.get("Call-ID") ?? "", { agent, invite: kept, target });
    if (this.#invites.size <= MAX_REMEMBERED_INVITES) return;
    for (const oldest of this.#invites.keys()) {
      this.#invites.delete(oldest);
      return;
    }
  }

  /** Takes a 2xx that belongs to no transaction: ACK and BYE when the INVITE was ours, nothing otherwise. */
  decline(response: SipResponse): void {
    const known = this.#invites.get(response.headers.get("Call-ID") ?? "");
    if (known === undefined) {
      this.#log.debug("dropped 2xx to an unknown INVITE");
      return;
    }
    void declineAnswer({ ...known, invite: known.invite.restore(), response });
  }
}

/** A 2xx that no call is made of. */
interface UnwantedAnswer {
  readonly agent: AgentContext;
  readonly invite: SipRequest;
  /** The 2xx. */
  readonly response: SipResponse;
  /** Where the INVITE went. */
  readonly target: Target;
}

/** ACK and BYE by what can be read of the 2xx: at least Call-ID and tags, or it would have come to nobody. */
export async function declineAnswer({ agent, invite, response, target }: UnwantedAnswer): Promise<void> {
  await inBackground(agent, "Declining an answer", async () => {
    const dialog = Dialog.fromResponse(invite, response);
    const link = new CallDialog({ agent, dialog, fallback: target, direct: !namesItsTarget(response) });
    await link.sendAck(invite);
    await link.bye();
  });
}
