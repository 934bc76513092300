// The early dialogs of one INVITE: a fork each, with PRACK for reliable responses, until one is confirmed.
// RFC 3261 sections 12.1.2 and 13.2.2.4; RFC 3262 section 4.
// Role: edge
// Answers to: nothing; siprtmp knew one early dialog and no PRACK.

import { WireError } from "../base/errors.ts";
import { sessionBodyOf, type SipBody } from "./body.ts";
import { Call } from "./call.ts";
import { CallDialog } from "./call_dialog.ts";
import { Dialog } from "./dialog.ts";
import { formatRAck, parseCSeq } from "./header_values.ts";
import { dialogIdOfResponse } from "./matching.ts";
import type { SipRequest, SipResponse } from "./message.ts";
import { ReliableReceiver, reliableSequence } from "./reliable_provisional.ts";
import { type AgentContext, inBackground } from "./sip_core.ts";
import type { Target } from "./target.ts";

/** Most forks of one INVITE that are followed; 2xx of others are still answered. */
export const MAX_EARLY_DIALOGS = 16;

/** What the early dialogs of an INVITE share. */
export interface EarlyCallsOptions {
  /** The user agent. */
  readonly agent: AgentContext;
  /** Our offer in the INVITE; null: none. */
  readonly offer: SipBody | null;
  /** Where the INVITE went. */
  readonly fallback: Target;
}

interface Fork {
  readonly call: Call;
  readonly receiver: ReliableReceiver;
}

/** The forks of one INVITE by dialog. */
export class EarlyCalls {
  readonly #options: EarlyCallsOptions;
  readonly #forks = new Map<string, Fork>();

  /** Starts without forks. */
  constructor(options: EarlyCallsOptions) {
    this.#options = options;
  }

  /** Takes a 101-199 with a To tag; "repeated": a reliable one that was seen before or came out of order. */
  receive(response: SipResponse, request: SipRequest): "new" | "repeated" {
    const fork = this.#fork(response, request);
    if (fork === null) return "new";
    const rseq = reliableSequence(response);
    if (rseq !== null && fork.receiver.accept(rseq) !== "new") return "repeated";
    const session = sessionBodyOf(response);
    if (session.type === "session") fork.call.offers.state.remoteBody = session.body;
    fork.call.learn(response);
    if (rseq !== null) this.#acknowledge(fork.call, rseq, request);
    return "new";
  }

  #acknowledge(call: Call, rseq: number, invite: SipRequest): void {
    const prack = call.link.createRequest("PRACK");
    const cseq = parseCSeq(invite.headers.get("CSeq") ?? "");
    prack.headers.set("RAck", formatRAck({ responseSequence: rseq, cseq }));
    void inBackground(this.#options.agent, "PRACK", () => call.link.exchange(prack, { signal: call.over }));
  }

  /** The call of a 2xx, confirmed; null when its dialog cannot be read. */
  confirm(response: SipResponse, request: SipRequest): Call | null {
    const known = this.#forks.get(dialogIdOfResponse(response));
    this.#forks.delete(dialogIdOfResponse(response));
    known?.call.link.dialog.confirm(response);
    const call = known?.call ?? this.#createCall(response, request);
    call?.establish();
    return call;
  }

  /** Forgets the forks that were not confirmed: whoever forked cancels them. */
  abandon(): void {
    for (const { call } of this.#forks.values()) call.abandon("local", "another fork was taken");
    this.#forks.clear();
  }

  #fork(response: SipResponse, request: SipRequest): Fork | null {
    const id = dialogIdOfResponse(response);
    const known = this.#forks.get(id);
    if (known !== undefined || this.#forks.size >= MAX_EARLY_DIALOGS) return known ?? null;
    const call = this.#createCall(response, request);
    if (call === null) return null;
    const fork = { call, receiver: new ReliableReceiver() };
    this.#forks.set(id, fork);
    return fork;
  }

  #createCall(response: SipResponse, request: SipRequest): Call | null {
    const { agent, offer, fallback } = this.#options;
    try {
      const dialog = Dialog.fromResponse(request, response);
      const link = new CallDialog({ agent, dialog, fallback });
      return new Call({ link, weAreCaller: true, localBody: offer, remoteBody: null });
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      agent.log.warn(`A ${response.status} to our INVITE cannot be used: ${error.message}`);
      return null;
    }
  }
}
