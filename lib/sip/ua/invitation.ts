// An incoming call until it is a call: ringing, reliable ringing, answer, ACK, refusal, CANCEL.
// RFC 3261 sections 13.3, 9.2 and 15.1.2; RFC 3262 section 3; RFC 4028 section 9.
// Role: edge

import type { Endpoint } from "../../net/endpoint.ts";
import { sessionBodyOf, setBody, type SipBody } from "../message/body.ts";
import { Call } from "./call.ts";
import type { CallDialog } from "./call_dialog.ts";
import { addResponseCapabilities, peerRequires } from "./capabilities.ts";
import { callerHeaders } from "../message/extra_headers.ts";
import { parseCSeq, parseDeltaSeconds } from "../message/header_values.ts";
import type { SipRequest, SipResponse } from "../message/message.ts";
import { formatNameAddr, type NameAddr, readNameAddr } from "../message/name_addr.ts";
import { rackOf, ReliableSender } from "./reliable_provisional.ts";
import { applyTimerAnswer, type SessionTimerAnswer } from "./session_timer.ts";
import type { Ending } from "./sip_core.ts";
import type { ServerTransactionHandle } from "../transaction/server_transaction_handle.ts";

/** How long an invitation waits for accept() or refuse() when the caller sets no limit, in milliseconds. */
export const INVITATION_MS = 300_000;
/** Ringing is repeated this often, so that proxies keep waiting (RFC 3261 section 13.3.1.1), in milliseconds. */
export const RING_REPEAT_MS = 60_000;

export type AcceptOutcome =
  | { readonly type: "confirmed"; readonly call: Call }
  | { readonly type: "failed"; readonly reason: string };

export interface Invitation {
  readonly id: string;
  readonly from: NameAddr;
  readonly to: NameAddr;
  /** The caller's session description; null: we are to make the offer in accept(). */
  readonly offer: SipBody | null;
  /** Where it came from, and our own address as the caller's side sees it. */
  readonly source: { readonly localAddress: string; readonly remote: Endpoint };
  /** What the caller says about itself in headers of its own; nobody has verified it. */
  readonly callerHeaders: Readonly<Record<string, string>>;
  /** Aborted when the caller gave up (or waited too long); accept() and refuse() do nothing then. */
  readonly cancelled: AbortSignal;
  /** Tells the caller that somebody is alerted: 180, or 183 for early media; reliably when the caller requires it. */
  ring(body?: SipBody, status?: 180 | 183): void;
  /** Answers with 200; settles after the ACK, or when there will be none. */
  accept(body: SipBody): Promise<AcceptOutcome>;
  /** Refuses with a 3xx to 6xx. */
  refuse(status: number, reason: string, headers?: Readonly<Record<string, string>>): void;
}

interface IncomingInviteOptions {
  readonly link: CallDialog;
  readonly transaction: ServerTransactionHandle;
  readonly offer: SipBody | null;
  readonly timerAnswer: SessionTimerAnswer;
  readonly localAddress: string;
}

export class IncomingInvite implements Invitation, Ending {
  readonly id: string;
  readonly from: NameAddr;
  readonly to: NameAddr;
  readonly offer: SipBody | null;
  readonly source: { readonly localAddress: string; readonly remote: Endpoint };
  readonly callerHeaders: Readonly<Record<string, string>>;
  readonly #link: CallDialog;
  readonly #transaction: ServerTransactionHandle;
  readonly #timerAnswer: SessionTimerAnswer;
  readonly #call: Call;
  readonly #cancelled = new AbortController();
  readonly #settled = Promise.withResolvers<AcceptOutcome>();
  readonly #reliable: ReliableSender<SipResponse> | null;
  #answer: SipResponse | null = null;
  #deadline: Disposable;
  #ringTimer: Disposable | null = null;
  #ended = false;

  /** Sends 100 at once; the caller of this constructor hands the invitation on or refuses it. */
  constructor(options: IncomingInviteOptions) {
    const { link, transaction } = options;
    const { request } = transaction;
    this.#link = link;
    this.#transaction = transaction;
    this.#timerAnswer = options.timerAnswer;
    this.id = link.dialog.callId;
    this.from = link.dialog.remote;
    this.to = readNameAddr(request.headers.get("To") ?? "");
    this.offer = options.offer;
    this.source = { localAddress: options.localAddress, remote: transaction.flow.remote };
    this.callerHeaders = callerHeaders(request);
    this.#reliable = peerRequires(request, "100rel") ? this.#reliableSender() : null;
    this.#call = new Call({
      link,
      weAreCaller: false,
      localBody: null,
      remoteBody: options.offer,
      onPrack: (prack, taken) => this.#receivePrack(prack, taken),
    });
    this.#call.learn(request);
    this.#call.over.addEventListener("abort", () => this.#callOver(), { once: true });
    transaction.onCancel = () => this.#giveUp(487, "Request Terminated", "the caller hung up");
    transaction.reply(100);
    this.#deadline = link.agent.core.clock.after(invitationMs(request), () => this.#expire());
    link.agent.endings.add(this);
  }

  get cancelled(): AbortSignal {
    return this.#cancelled.signal;
  }

  ring(body?: SipBody, status: 180 | 183 = 180): void {
    if (this.#closed) return;
    const response = this.#dialogResponse(status, body ?? null);
    if (this.#reliable === null) {
      this.#transaction.respond(response);
      return this.#repeatRinging(response);
    }
    // RFC 3262 section 5: the first reliable response to an INVITE without offer must bring one.
    if (body === undefined && this.offer === null) return;
    if (body !== undefined) this.#call.offers.state.localBody = body;
    this.#reliable.send(response);
  }

  accept(body: SipBody): Promise<AcceptOutcome> {
    if (this.#closed || this.#answer !== null) {
      return Promise.resolve({ type: "failed", reason: "the invitation is over" });
    }
    const response = this.#dialogResponse(200, body);
    addResponseCapabilities(response.headers);
    const duty = applyTimerAnswer(response, this.#timerAnswer);
    this.#call.timerAgreed(duty);
    this.#call.offers.state.localBody = body;
    this.#answer = response;
    // RFC 3262 section 3: a 2xx waits for the PRACK of a reliable response with a session description.
    if (this.#reliable?.unacknowledged !== true) this.#sendAnswer();
    return this.#settled.promise;
  }

  refuse(status: number, reason: string, headers: Readonly<Record<string, string>> = {}): void {
    if (this.#closed || this.#answer !== null) return;
    const response = this.#transaction.createResponse(status, reason);
    for (const [name, value] of Object.entries(headers)) response.headers.set(name, value);
    this.#transaction.respond(response);
    this.#close({ type: "failed", reason: `refused with ${status} ${reason}` });
    this.#call.abandon("local", reason);
  }

  /** The user agent ends: 480, or a BYE once the answer was sent. */
  async end(): Promise<void> {
    if (this.#answer === null) return this.refuse(480, "Temporarily Unavailable");
    await this.#call.end();
  }

  get #closed(): boolean {
    return this.#ended || this.#cancelled.signal.aborted;
  }

  #dialogResponse(status: number, body: SipBody | null): SipResponse {
    const response = this.#transaction.createResponse(status);
    for (const route of this.#transaction.request.headers.all("Record-Route")) {
      response.headers.add("Record-Route", route);
    }
    const contact = this.#link.dialog.localContact;
    if (contact !== null) response.headers.set("Contact", formatNameAddr(contact));
    setBody(response, body);
    return response;
  }

  #repeatRinging(response: SipResponse): void {
    this.#ringTimer?.[Symbol.dispose]();
    this.#ringTimer = this.#link.agent.core.clock.after(RING_REPEAT_MS, () => {
      if (this.#closed || this.#answer !== null) return;
      this.#transaction.respond(response);
      this.#repeatRinging(response);
    });
  }

  #reliableSender(): ReliableSender<SipResponse> {
    const { clock, timers, random } = this.#link.agent.core;
    return new ReliableSender<SipResponse>(clock, timers.t1, 1 + (random.u16() & 0x7fff), {
      send: (response, rseq) => {
        response.headers.set("Require", "100rel");
        response.headers.set("RSeq", `${rseq}`);
        this.#transaction.respond(response);
      },
      acknowledged: () => this.#answer !== null && !this.#reliable?.unacknowledged && this.#sendAnswer(),
      failed: () => this.#giveUp(504, "Server Time-out", "no PRACK for a reliable response"),
    });
  }

  /** RFC 3262 section 3: 200 for the response that waits, 481 for any other; then the next response may go. */
  #receivePrack(prack: SipRequest, transaction: ServerTransactionHandle): void {
    const rack = rackOf(prack);
    const cseq = parseCSeq(this.#transaction.request.headers.get("CSeq") ?? "");
    if (rack === null || this.#reliable?.awaits(rack, cseq.sequence) !== true) {
      return void transaction.reply(481);
    }
    const session = sessionBodyOf(prack);
    // RFC 6337 section 2.2, pattern 5: nothing of ours has answered the offer of the INVITE yet, so this one is early.
    const crossing = session.type === "session" && this.offer !== null;
    if (session.type === "session" && !crossing) this.#call.offers.state.remoteBody = session.body;
    transaction.reply(crossing ? 491 : 200);
    this.#reliable.acknowledge();
  }

  #sendAnswer(): void {
    if (this.#answer === null || this.#ended) return;
    this.#transaction.onAck = (ack) => this.#confirm(ack);
    this.#transaction.onTimeout = () => {
      this.#close({ type: "failed", reason: "the caller did not acknowledge our answer" });
      void this.#call.end();
    };
    if (!this.#transaction.respond(this.#answer)) {
      return this.#close({ type: "failed", reason: "the answer came too late" });
    }
    this.#link.dialog.confirm();
    this.#call.establish();
    this.#deadline[Symbol.dispose]();
    this.#ringTimer?.[Symbol.dispose]();
  }

  #confirm(ack: SipRequest): void {
    const state = this.#call.offers.state;
    const session = sessionBodyOf(ack);
    if (this.offer === null && session.type === "session") state.remoteBody = session.body;
    state.endAnswering();
    if (this.offer === null && state.remoteBody === null) {
      this.#close({ type: "failed", reason: "the caller acknowledged without answering our offer" });
      return void this.#call.end();
    }
    this.#close({ type: "confirmed", call: this.#call });
  }

  #expire(): void {
    this.#giveUp(480, "Temporarily Unavailable", "nobody answered in time");
  }

  /** The INVITE ends without us: CANCEL, expiry, a peer that breaks the rules. */
  #giveUp(status: number, reason: string, why: string): void {
    if (this.#closed) return;
    this.#transaction.reply(status, reason);
    this.#close({ type: "failed", reason: why });
    this.#call.abandon("remote", why);
    this.#cancelled.abort();
  }

  /** A BYE (or our own end) came before the ACK (RFC 3261 section 15.1.2: 487 when still unanswered). */
  #callOver(): void {
    if (this.#ended) return;
    const why = this.#call.ending?.reason ?? "the call ended";
    if (this.#answer === null || !this.#transaction.answered) {
      return this.#giveUp(487, "Request Terminated", why);
    }
    this.#close({ type: "failed", reason: `the caller hung up: ${why}` });
  }

  #close(outcome: AcceptOutcome): void {
    this.#ended = true;
    this.#deadline[Symbol.dispose]();
    this.#ringTimer?.[Symbol.dispose]();
    this.#reliable?.[Symbol.dispose]();
    this.#link.agent.endings.delete(this);
    this.#settled.resolve(outcome);
  }
}

/** RFC 3261 section 13.3.1: an Expires of the caller bounds our wait. */
function invitationMs(request: SipRequest): number {
  const seconds = parseDeltaSeconds(request.headers.get("Expires"));
  return seconds === null || seconds === 0 ? INVITATION_MS : Math.min(seconds * 1000, INVITATION_MS);
}
