// One call: what arrives in its dialog becomes events, what its owner asks for becomes requests.
// RFC 3261 sections 12.2, 14, 15; RFC 3311, 4028, 6086, 3428.
// Early dialogs are calls too, but nobody outside sees them yet.
// Role: edge

import { delay } from "../../base/clock.ts";
import { Mailbox } from "../../base/mailbox.ts";
import { bodyOf, type SipBody } from "../message/body.ts";
import { createResponse, type SipMessage, type SipRequest } from "../message/message.ts";
import type { NameAddr } from "../message/name_addr.ts";
import type { ServerTransactionHandle } from "../transaction/server_transaction_handle.ts";
import {
  type CallDialog,
  type CallEvent,
  endedByBye,
  type EndedEvent,
  type OfferEvent,
  type ReofferOutcome,
} from "./call_dialog.ts";
import { addResponseCapabilities, infoRefusal, messageRefusal, peerAllows } from "./capabilities.ts";
import type { DialogUser } from "./dialog.ts";
import { statusOf } from "./challenged_request.ts";
import { OFFER_ANSWER_MS, type OfferOwner, OfferState, receiveOffer, sendOffer } from "./incoming_offer.ts";
import { proposeTimer, raiseInterval, type RefreshDuty, SessionTimer, timerOf2xx } from "./session_timer.ts";
import { type Ending, inBackground } from "./sip_core.ts";

export type { CallEvent, EndedEvent, OfferEvent, ReofferOutcome } from "./call_dialog.ts";

export const MAX_CALL_EVENTS = 32;
/** How long hangUp() waits for the answer to its BYE, in milliseconds. */
const HANG_UP_MS = 5_000;
/** After a failed session refresh the next try comes this much later, in milliseconds. */
const REFRESH_RETRY_MS = 10_000;

/** What is known when a call (or early dialog) comes into being. */
interface CallOptions {
  readonly link: CallDialog;
  /** True when we sent the INVITE. */
  readonly weAreCaller: boolean;
  /** Our session description so far. */
  readonly localBody: SipBody | null;
  readonly remoteBody: SipBody | null;
  /** Takes and answers a PRACK; without it the answer is 481. */
  readonly onPrack?: DialogUser["receive"];
}

export class Call implements AsyncDisposable, DialogUser, Ending {
  readonly id: string;
  /** Takes offers while nobody reads `events()`: the dialog is early. False: it cannot. */
  onEarlyOffer: ((offer: OfferEvent) => boolean) | null = null;
  readonly #link: CallDialog;
  readonly #weAreCaller: boolean;
  readonly #onPrack: DialogUser["receive"] | null;
  readonly #events = new Mailbox<CallEvent>(MAX_CALL_EVENTS);
  readonly #over = new AbortController();
  readonly #timer: SessionTimer;
  readonly #offers: OfferOwner;
  #duty: RefreshDuty | null = null;
  #retryTimer: Disposable | null = null;
  #peerUpdates = false;
  #ending: EndedEvent | null = null;
  #bye: Promise<void> | null = null;

  /** Made by the user agent; requests of the dialog reach it from now on. */
  constructor(options: CallOptions) {
    const { link } = options;
    this.#link = link;
    this.id = link.dialog.callId;
    this.#weAreCaller = options.weAreCaller;
    this.#onPrack = options.onPrack ?? null;
    this.#timer = new SessionTimer(link.agent.core.clock, {
      refresh: () => this.#refreshSoon(),
      expired: () => this.#breakDown("session expired: the peer is gone"),
    });
    this.#offers = {
      link,
      state: new OfferState({
        localBody: options.localBody,
        remoteBody: options.remoteBody,
        weOffer: options.weAreCaller,
      }),
      over: this.#over.signal,
      emit: (event) => this.#emit(event),
      breakDown: (reason) => this.#breakDown(reason),
      timerAgreed: (duty) => this.timerAgreed(duty),
    };
    link.agent.core.dialogs.add(link.dialog.id, this);
  }

  #emit(event: CallEvent): boolean {
    return event.type === "offer" && this.onEarlyOffer !== null
      ? this.onEarlyOffer(event)
      : this.#events.push(event);
  }

  /** The INVITE was answered with a 2xx: from now on the call ends with a BYE. */
  establish(): void {
    if (this.#ending !== null) return;
    this.#link.agent.endings.add(this);
    const { workerEvents } = this.#link.agent.core;
    if (workerEvents === undefined) return;
    const tell = (): void => workerEvents.dialogIs(this.#link.record);
    this.#link.dialog.onTarget = tell;
    tell();
  }

  get remoteBody(): SipBody | null {
    return this.#offers.state.remoteBody;
  }

  get link(): CallDialog {
    return this.#link;
  }

  /** Bodies and turns, for the parts that set the call up. */
  get offers(): OfferOwner {
    return this.#offers;
  }

  /** Aborted when the call is over, for the parts that set the call up. */
  get over(): AbortSignal {
    return this.#over.signal;
  }

  get remote(): NameAddr {
    return this.#link.dialog.remote;
  }

  /** How the call ended; null while it lasts. */
  get ending(): EndedEvent | null {
    return this.#ending;
  }

  /** What happens, in order; "ended" is the last one. One reader. */
  events(): AsyncGenerator<CallEvent, void, void> {
    return this.#events[Symbol.asyncIterator]();
  }

  learn(message: SipMessage): void {
    if (message.headers.has("Allow")) this.#peerUpdates = peerAllows(message, "UPDATE");
  }

  /** The 2xx to our INVITE brought the offer: its answer will be our ACK. */
  answerInAck(offer: SipBody, invite: SipRequest): void {
    openDelayedOffer(this.#offers, offer, invite);
  }

  /** Starts the session timer with what was agreed; null stops it. */
  timerAgreed(duty: RefreshDuty | null): void {
    this.#duty = duty;
    this.#retryTimer?.[Symbol.dispose]();
    if (duty === null || this.#ending !== null) this.#timer.stop();
    else this.#timer.start(duty.seconds, duty.weRefresh);
  }

  receive(request: SipRequest, transaction: ServerTransactionHandle): void {
    if (this.#link.dialog.acceptRequest(request) === "out-of-order") {
      transaction.reply(500);
      return;
    }
    this.learn(request);
    switch (request.method) {
      case "INVITE":
      case "UPDATE":
        return receiveOffer(this.#offers, request, transaction);
      case "BYE":
        transaction.reply(200);
        return this.#end(endedByBye(request));
      case "INFO":
      case "MESSAGE":
        return this.#deliver(request, transaction);
      case "PRACK":
        if (this.#onPrack !== null) return this.#onPrack(request, transaction);
        transaction.reply(481);
        return;
      case "OPTIONS":
        return this.#describe(request, transaction);
      default:
        transaction.reply(405);
    }
  }

  #deliver(request: SipRequest, transaction: ServerTransactionHandle): void {
    const refusal = request.method === "MESSAGE" ? messageRefusal(request) : infoRefusal(request);
    if (refusal !== null) return void transaction.respond(refusal);
    const body = bodyOf(request);
    const type = request.method === "INFO" ? "info" as const : "message" as const;
    const taken = body === null || this.#events.push({ type, body });
    transaction.reply(taken ? 200 : 503);
  }

  #describe(request: SipRequest, transaction: ServerTransactionHandle): void {
    const response = createResponse(request, 200);
    addResponseCapabilities(response.headers);
    transaction.respond(response);
  }

  /**
   * Offers a changed session; waits for its turn and for the answer. Glare (491) is tried again.
   * `method` UPDATE is used only with a peer that allows it.
   */
  async reoffer(body: SipBody, method: "INVITE" | "UPDATE" = "INVITE"): Promise<ReofferOutcome> {
    return await sendOffer(this.#offers, {
      body,
      method: method === "UPDATE" && this.#peerUpdates ? "UPDATE" : "INVITE",
      duty: this.#duty,
      weAreCaller: this.#weAreCaller,
    });
  }

  /** Sends an INFO; the final status (408 and 503 also when no answer came). */
  async info(body: SipBody): Promise<number> {
    return await this.#send("INFO", body);
  }

  /** Sends a MESSAGE inside the call; the final status. */
  async message(body: SipBody): Promise<number> {
    return await this.#send("MESSAGE", body);
  }

  async #send(method: string, body: SipBody): Promise<number> {
    if (this.#ending !== null) return 481;
    const reply = await this.#link.exchange(this.#link.createRequest(method, body), {
      signal: this.#over.signal,
    });
    const status = statusOf(reply);
    if (status === 481) this.#breakDown(`${method} answered with 481`);
    return status;
  }

  /** Sends the BYE once; resolves when it was answered, after 5 s at the latest. */
  async hangUp(): Promise<void> {
    this.#hangUp({ type: "ended", by: "local", reason: "hung up" }, null);
    const waited = new AbortController();
    const limit = delay(this.#link.agent.core.clock, HANG_UP_MS, waited.signal);
    await Promise.race([this.#bye, limit]);
    waited.abort();
    await limit;
  }

  /** Ends a call whose media are dead: BYE with this reason, then "ended" by failure. */
  fail(reason: string): void {
    const header = `SIP ;cause=408 ;text="${reason.replace(/["\\]/g, "'")}"`;
    this.#hangUp({ type: "ended", by: "failure", reason }, header);
  }

  /** Same as hangUp(), waiting for the answer as long as it takes. */
  async end(): Promise<void> {
    this.#hangUp({ type: "ended", by: "local", reason: "hung up" }, null);
    await this.#bye;
  }

  /** Same as hangUp(). */
  [Symbol.asyncDispose](): Promise<void> {
    return this.hangUp();
  }

  /** Ends without a BYE: the dialog was never confirmed, or the peer said goodbye. */
  abandon(by: EndedEvent["by"], reason: string): void {
    this.#end({ type: "ended", by, reason });
  }

  #breakDown(reason: string): void {
    this.#hangUp({ type: "ended", by: "failure", reason }, null);
  }

  #hangUp(ending: EndedEvent, reason: string | null): void {
    if (this.#ending !== null) return;
    this.#end(ending);
    this.#link.agent.endings.add(this); // until the BYE is answered
    this.#bye = this.#sayGoodbye(reason);
  }

  async #sayGoodbye(reason: string | null): Promise<void> {
    const { agent } = this.#link;
    await inBackground(agent, "Hanging up", async () => {
      const reply = await this.#link.bye(reason);
      agent.log.debug(`BYE of call ${this.id} answered with ${statusOf(reply)}`);
    });
    agent.endings.delete(this);
  }

  #end(ending: EndedEvent): void {
    if (this.#ending !== null) return;
    this.#ending = ending;
    this.#timer.stop();
    this.#retryTimer?.[Symbol.dispose]();
    this.#link.dialog.terminate();
    this.#link.dialog.onTarget = null;
    this.#link.agent.core.dialogs.remove(this.#link.dialog.id, this);
    this.#link.agent.core.workerEvents?.dialogEnded(this.#link.dialog.id);
    this.#link.agent.endings.delete(this);
    this.#over.abort();
    this.#events.end(ending);
  }

  #refreshSoon(): void {
    void inBackground(this.#link.agent, "Session refresh", () => this.#refresh());
  }

  /** RFC 4028 section 10: UPDATE without a body where allowed, else a re-INVITE with the body in force. */
  async #refresh(): Promise<void> {
    const body = this.#offers.state.localBody;
    const ok = this.#peerUpdates || body === null
      ? await this.#refreshByUpdate()
      : await this.#refreshByInvite(body);
    if (ok || this.#ending !== null) return;
    this.#retryTimer = this.#link.agent.core.clock.after(REFRESH_RETRY_MS, () => this.#refreshSoon());
  }

  async #refreshByUpdate(): Promise<boolean> {
    const request = this.#link.createRequest("UPDATE");
    proposeTimer(request, this.#duty);
    const reply = await this.#link.exchange(request, {
      signal: this.#over.signal,
      retry: (response, sent) => {
        if (response.status !== 422) return null;
        const next = this.#link.dialog.renumber(sent);
        return raiseInterval(response, next) ? next : null;
      },
    });
    const status = statusOf(reply);
    if (status === 481 || status === 408) this.#breakDown(`session refresh answered with ${status}`);
    if (reply.type !== "response" || status >= 300) return false;
    this.#link.dialog.refreshTarget(reply.response);
    this.timerAgreed(timerOf2xx(reply.response));
    return true;
  }

  async #refreshByInvite(body: SipBody): Promise<boolean> {
    const outcome = await this.reoffer(body);
    if (outcome.type !== "accepted") return false;
    if (outcome.body !== null) this.#events.push({ type: "answer", body: outcome.body });
    return true;
  }
}

/** Hands the offer to the owner of the call; refusing, or 10 s without an answer, ends the call with a BYE. */
function openDelayedOffer(owner: OfferOwner, offer: SipBody, invite: SipRequest): void {
  const { agent } = owner.link;
  let open = true;
  const close = (): void => {
    open = false;
    deadline[Symbol.dispose]();
    owner.state.endAnswering();
  };
  const refuse = async (reason: string): Promise<void> => {
    if (!open) return;
    close();
    await owner.link.sendAck(invite);
    owner.breakDown(reason);
  };
  const answer = async (body: SipBody): Promise<boolean> => {
    if (!open || owner.over.aborted) return false;
    close();
    owner.state.localBody = body;
    await owner.link.sendAck(invite, body);
    return true;
  };
  const giveUp = (reason: string): void =>
    void inBackground(agent, "Refusing an offer", () => refuse(reason));
  owner.state.beginAnswering();
  const deadline = agent.core.clock.after(OFFER_ANSWER_MS, () => giveUp("the offer was not answered"));
  owner.over.addEventListener("abort", () => open && close(), { once: true });
  const taken = owner.emit({
    type: "offer",
    body: offer,
    answer,
    refuse: (status, reason) => giveUp(`${status} ${reason}`),
  });
  if (!taken) giveUp("nobody takes the offer");
}
