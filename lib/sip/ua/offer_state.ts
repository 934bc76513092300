// Whose turn it is to offer: the bodies in force and the offers that are under way.
// RFC 3264 section 4 (one offer at a time), RFC 3261 sections 14.1 and 14.2, RFC 3311 section 5.2.
// Role: machine

import type { SipBody } from "../message/body.ts";

/** Bodies and turns of one call. */
export class OfferState {
  /** The last session description we sent that is in force. */
  localBody: SipBody | null;
  /** The last session description of the far end. */
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

  /** True from an offer (or re-INVITE) of the far end until our 200 was acknowledged. */
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
