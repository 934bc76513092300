// Renewed offers in a call, both ways: a re-INVITE or UPDATE of the peer, judged, handed to the owner of the call and answered;
// and ours. RFC 3261 section 14, RFC 3311 section 5, RFC 4028 section 9 (the same requests refresh the session).
// Role: edge

import { delay } from "../../base/clock.ts";
import { sessionBodyOf, setBody, type SipBody } from "../message/body.ts";
import { createResponse, type SipRequest, type SipResponse } from "../message/message.ts";
import { formatNameAddr } from "../message/name_addr.ts";
import type { ServerTransactionHandle } from "../transaction/server_transaction_handle.ts";
import type { CallDialog, CallEvent, ReofferOutcome } from "./call_dialog.ts";
import { addResponseCapabilities, unacceptableBody } from "./capabilities.ts";
import { ChallengedRequest, type RequestOutcome } from "./challenged_request.ts";
import {
  applyTimerAnswer,
  intervalTooSmall,
  proposeTimer,
  raiseInterval,
  type RefreshDuty,
  type SessionTimerAnswer,
  timerAnswerTo,
  timerOf2xx,
} from "./session_timer.ts";
import { inBackground } from "./sip_core.ts";

/** How long the owner of a call may think about an offer, in milliseconds. */
export const OFFER_ANSWER_MS = 10_000;

export interface OfferOwner {
  readonly link: CallDialog;
  readonly state: OfferState;
  readonly over: AbortSignal;
  /** Hands an event to the owner of the call; false when nobody can take it. */
  emit(event: CallEvent): boolean;
  /** The peer broke down: BYE, then "ended". */
  breakDown(reason: string): void;
  /** A refresh succeeded; null: no session timer from now on. */
  timerAgreed(duty: RefreshDuty | null): void;
}

/** Takes a re-INVITE or UPDATE; every refusal is sent here. */
export function receiveOffer(
  owner: OfferOwner,
  request: SipRequest,
  transaction: ServerTransactionHandle,
): void {
  const session = sessionBodyOf(request);
  if (session.type === "unacceptable") return void transaction.respond(unacceptableBody(request));
  const timer = timerAnswerTo(request);
  if (timer.type === "too-small") {
    return void transaction.respond(intervalTooSmall(request, timer.minSeconds));
  }
  if (request.method === "UPDATE" && session.type === "none") return refreshOnly(owner, transaction, timer);
  const refusal = turnRefusal(owner, request);
  if (refusal !== null) return void transaction.respond(refusal);
  const offer = new IncomingOffer(owner, transaction, timer, session.type === "none" ? null : session.body);
  offer.open();
}

/** RFC 3261 section 14.2: 500 while their last offer is open, 491 while ours is, or our INVITE. */
function turnRefusal(owner: OfferOwner, request: SipRequest): SipResponse | null {
  const inviting = owner.state.inviting && request.method === "INVITE";
  if (owner.state.offering || inviting) return createResponse(request, 491);
  if (!owner.state.answering) return null;
  const response = createResponse(request, 500);
  response.headers.set("Retry-After", `${1 + owner.link.agent.core.random.u16() % 10}`);
  return response;
}

function refreshOnly(
  owner: OfferOwner,
  transaction: ServerTransactionHandle,
  timer: SessionTimerAnswer,
): void {
  const response = acceptingResponse(owner, transaction, null);
  const duty = applyTimerAnswer(response, timer);
  if (!transaction.respond(response)) return;
  owner.link.dialog.refreshTarget(transaction.request);
  owner.timerAgreed(duty);
}

function acceptingResponse(
  owner: OfferOwner,
  transaction: ServerTransactionHandle,
  body: SipBody | null,
): SipResponse {
  const response = transaction.createResponse(200);
  const contact = owner.link.dialog.localContact;
  if (contact !== null) response.headers.set("Contact", formatNameAddr(contact));
  addResponseCapabilities(response.headers);
  setBody(response, body);
  return response;
}

class IncomingOffer {
  readonly #owner: OfferOwner;
  readonly #transaction: ServerTransactionHandle;
  readonly #timerAnswer: SessionTimerAnswer;
  readonly #body: SipBody | null;
  readonly #confirmed = Promise.withResolvers<boolean>();
  readonly #onOver = (): void => this.#callOver();
  #deadline: Disposable | null = null;
  #open = true;

  constructor(
    owner: OfferOwner,
    transaction: ServerTransactionHandle,
    timerAnswer: SessionTimerAnswer,
    body: SipBody | null,
  ) {
    this.#owner = owner;
    this.#transaction = transaction;
    this.#timerAnswer = timerAnswer;
    this.#body = body;
  }

  open(): void {
    const { state, over, link } = this.#owner;
    state.beginAnswering();
    over.addEventListener("abort", this.#onOver, { once: true });
    this.#transaction.onCancel = () => this.refuse(487, "Request Terminated");
    this.#deadline = link.agent.core.clock.after(
      OFFER_ANSWER_MS,
      () => this.refuse(504, "Server Time-out"),
    );
    const taken = this.#owner.emit({
      type: "offer",
      body: this.#body,
      answer: (body) => this.answer(body),
      refuse: (status, reason) => this.refuse(status, reason),
    });
    if (!taken) this.refuse(500, "Server Internal Error");
  }

  answer(body: SipBody): Promise<boolean> {
    if (!this.#open) return this.#confirmed.promise;
    this.#open = false;
    const owner = this.#owner;
    const response = acceptingResponse(owner, this.#transaction, body);
    const duty = applyTimerAnswer(response, this.#timerAnswer);
    const invite = this.#transaction.request.method === "INVITE";
    if (invite) {
      this.#transaction.onAck = (ack) => this.#acknowledged(ack);
      this.#transaction.onTimeout = () => this.#unacknowledged();
    }
    if (!this.#transaction.respond(response)) return this.#settle(false);
    owner.link.dialog.refreshTarget(this.#transaction.request);
    owner.state.localBody = body;
    if (this.#body !== null) owner.state.remoteBody = this.#body;
    owner.timerAgreed(duty);
    this.#deadline?.[Symbol.dispose]();
    return invite ? this.#confirmed.promise : this.#settle(true);
  }

  refuse(status: number, reason: string): void {
    if (!this.#open) return;
    this.#open = false;
    this.#transaction.reply(status, reason);
    void this.#settle(false);
  }

  #acknowledged(ack: SipRequest): void {
    const session = this.#body === null ? sessionBodyOf(ack) : { type: "none" as const };
    void this.#settle(true);
    if (this.#body !== null) return;
    if (session.type !== "session") {
      this.#owner.link.agent.log.warn("delayed offer: ACK without an answer");
      return;
    }
    this.#owner.state.remoteBody = session.body;
    this.#owner.emit({ type: "answer", body: session.body });
  }

  #unacknowledged(): void {
    void this.#settle(false);
    this.#owner.breakDown("no ACK for our answer");
  }

  /** RFC 3261 section 15.1.2: requests still open when a BYE comes get 487. */
  #callOver(): void {
    if (this.#open) this.refuse(487, "Request Terminated");
    else void this.#settle(false);
  }

  #settle(reached: boolean): Promise<boolean> {
    this.#deadline?.[Symbol.dispose]();
    this.#owner.over.removeEventListener("abort", this.#onOver);
    this.#confirmed.resolve(reached);
    this.#owner.state.endAnswering();
    return this.#confirmed.promise;
  }
}

export class OfferState {
  /** The last session description we sent that is in force. */
  localBody: SipBody | null;
  remoteBody: SipBody | null;
  #offering = false;
  #answering = false;
  #inviting: boolean;
  #waiters: (() => void)[] = [];

  /** A call starts with its INVITE under way. @param weOffer true when we sent the INVITE */
  constructor(options: { localBody: SipBody | null; remoteBody: SipBody | null; weOffer: boolean }) {
    this.localBody = options.localBody;
    this.remoteBody = options.remoteBody;
    this.#offering = options.weOffer;
    this.#answering = !options.weOffer;
    this.#inviting = options.weOffer;
  }

  /** True until our first INVITE has its 2xx; its offer may have been answered by a reliable 1xx before. */
  get inviting(): boolean {
    return this.#inviting;
  }

  /** Our first INVITE was accepted, and what it offered is settled. */
  invited(): void {
    this.#inviting = false;
    this.endOffering();
  }

  /** True while an offer (or re-INVITE) of ours is unanswered. */
  get offering(): boolean {
    return this.#offering;
  }

  /** True from an offer (or re-INVITE) of the peer until our 200 was acknowledged. */
  get answering(): boolean {
    return this.#answering;
  }

  /** Takes the turn to offer; false when it is not free. */
  beginOffering(): boolean {
    if (this.#offering || this.#answering) return false;
    this.#offering = true;
    return true;
  }

  endOffering(): void {
    this.#offering = false;
    this.#wake();
  }

  /** An offer came; call only when neither side has one open. */
  beginAnswering(): void {
    this.#answering = true;
  }

  endAnswering(): void {
    this.#answering = false;
    this.#wake();
  }

  /** Calls `run` as soon as a turn ends; the result takes the wish back. */
  onIdle(run: () => void): Disposable {
    this.#waiters.push(run);
    return { [Symbol.dispose]: () => this.#forget(run) };
  }

  #forget(run: () => void): void {
    this.#waiters = this.#waiters.filter((waiter) => waiter !== run);
  }

  #wake(): void {
    if (this.#offering || this.#answering) return;
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const run of waiters) run();
  }
}

/** Most times an offer is sent again after 491. */
export const MAX_GLARE_RETRIES = 4;
/** How long an offer waits for its turn, in milliseconds. */
const TURN_WAIT_MS = 35_000;
/** How long a re-INVITE may stay without a final answer before it is cancelled, in milliseconds. */
export const REINVITE_WAIT_MS = 60_000;

interface OutgoingOffer {
  readonly body: SipBody;
  readonly method: "INVITE" | "UPDATE";
  /** The session timer in force; null: none. */
  readonly duty: RefreshDuty | null;
  /** True when we made the Call-ID of the dialog: decides how long to wait after 491. */
  readonly weAreCaller: boolean;
}

const CALL_OVER: ReofferOutcome = { type: "refused", status: 481, reason: "Call/Transaction Does Not Exist" };

/** Sends an offer in an established call. 408 and 481 end the call (RFC 3261 section 12.2.1.2). */
export async function sendOffer(owner: OfferOwner, offer: OutgoingOffer): Promise<ReofferOutcome> {
  let outcome = CALL_OVER;
  for (let tries = 0; tries <= MAX_GLARE_RETRIES && !owner.over.aborted; tries++) {
    if (!await takeTurn(owner)) {
      if (owner.over.aborted) break;
      return { type: "refused", status: 491, reason: "Request Pending" };
    }
    try {
      outcome = await attempt(owner, offer);
    } finally {
      owner.state.endOffering();
    }
    if (outcome.type === "accepted" || outcome.status !== 491) return outcome;
    if (!await delay(owner.link.agent.core.clock, glareWaitMs(owner, offer.weAreCaller), owner.over)) break;
  }
  return owner.over.aborted ? CALL_OVER : outcome;
}

/** RFC 3261 section 14.1: the owner of the Call-ID waits 2.1 to 4 s, the peer 0 to 2 s, in steps of 10 ms. */
function glareWaitMs(owner: OfferOwner, weAreCaller: boolean): number {
  const { random } = owner.link.agent.core;
  return weAreCaller ? 2100 + 10 * (random.u16() % 191) : 10 * (random.u16() % 201);
}

async function takeTurn(owner: OfferOwner): Promise<boolean> {
  const { clock } = owner.link.agent.core;
  const deadlineMs = clock.now() + TURN_WAIT_MS;
  while (!owner.over.aborted && clock.now() < deadlineMs) {
    if (owner.state.beginOffering()) return true;
    const turn = new AbortController();
    using _waiter = owner.state.onIdle(() => turn.abort());
    await delay(clock, deadlineMs - clock.now(), AbortSignal.any([owner.over, turn.signal]));
  }
  return false;
}

async function attempt(owner: OfferOwner, offer: OutgoingOffer): Promise<ReofferOutcome> {
  const request = owner.link.createRequest(offer.method, offer.body);
  if (offer.duty !== null) proposeTimer(request, offer.duty);
  const retry = (response: SipResponse, sent: SipRequest): SipRequest | null => {
    if (response.status !== 422) return null;
    const next = owner.link.dialog.renumber(sent);
    return raiseInterval(response, next) ? next : null;
  };
  const reply = offer.method === "INVITE"
    ? await exchangeInvite(owner, request, retry)
    : await owner.link.exchange(request, { retry, signal: owner.over });
  return settle(owner, offer, reply);
}

function settle(owner: OfferOwner, offer: OutgoingOffer, reply: RequestOutcome): ReofferOutcome {
  if (owner.over.aborted) return CALL_OVER;
  if (reply.type === "failed") {
    owner.breakDown(`no answer to ${offer.method}: ${reply.reason}`);
    return { type: "refused", status: reply.status, reason: reply.reason };
  }
  const { response } = reply;
  if (response.status >= 300) {
    if (response.status === 481 || response.status === 408) {
      owner.breakDown(`${offer.method} answered with ${response.status}`);
    }
    return { type: "refused", status: response.status, reason: response.reason };
  }
  const session = sessionBodyOf(response, reply.target);
  owner.link.dialog.refreshTarget(response);
  owner.state.localBody = offer.body;
  if (session.type === "session") owner.state.remoteBody = session.body;
  owner.timerAgreed(timerOf2xx(response));
  return { type: "accepted", body: session.type === "session" ? session.body : null };
}

/** Like exchange(), with the ACK of every 2xx and a CANCEL when nothing comes for too long. */
async function exchangeInvite(
  owner: OfferOwner,
  request: SipRequest,
  retry: (response: SipResponse, request: SipRequest) => SipRequest | null,
): Promise<RequestOutcome> {
  const options = await owner.link.options(request, retry);
  return await new Promise((resolve) => {
    const onOver = (): void => settled({ type: "failed", status: 487, reason: "the call ended" });
    const settled = (reply: RequestOutcome): void => {
      limit[Symbol.dispose]();
      owner.over.removeEventListener("abort", onOver);
      resolve(reply);
    };
    const invite = new ChallengedRequest(options, {
      provisional: () => {},
      success: (response, sent) => {
        // The target may move with the 2xx, and the ACK already goes to the new one (section 12.2.1.2).
        owner.link.dialog.refreshTarget(response);
        void inBackground(owner.link.agent, "Sending an ACK", () => owner.link.sendAck(sent));
        settled({ type: "response", response, request: sent, target: invite.target });
      },
      refused: (response, sent) =>
        settled({ type: "response", response, request: sent, target: invite.target }),
      failed: (status, reason) => settled({ type: "failed", status, reason }),
    });
    const limit = owner.link.agent.core.clock.after(REINVITE_WAIT_MS, () => invite.cancel());
    owner.over.addEventListener("abort", onOver, { once: true });
  });
}
