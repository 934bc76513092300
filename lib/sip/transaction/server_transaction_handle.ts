// One request that came in, as the user agent answers it: on top of the server transaction it repeats a 2xx to an
// INVITE until the ACK (RFC 3261 13.3.1.4), answers a cancelled INVITE (9.2) and keeps one To tag (8.2.6.2).
// Role: machine

import type { Clock } from "../../base/clock.ts";
import { acknowledgementKey } from "../message/matching.ts";
import { createResponse, type SipRequest, type SipResponse, tagOf, withTag } from "../message/message.ts";
import type { Flow, SendOutcome } from "../message/target.ts";
import { ServerTransaction } from "./server_transaction.ts";
import { giveUpMs, TimerSet, type TimerValues } from "./timers.ts";
import { isReliable } from "../message/transports.ts";

interface ServerTransactionDeps {
  /** Where timers run. */
  readonly clock: Clock;
  /** T1, T2, T4. */
  readonly timers: TimerValues;
  send(response: SipResponse, flow: Flow, outcome: (outcome: SendOutcome) => void): void;
  /** Lets the ACK of a 2xx with this key find the handle. */
  awaitAck(key: string, handle: ServerTransactionHandle): void;
  /** No ACK with this key is waited for any more. */
  forgetAck(key: string): void;
  /** The final response was sent: nothing but repetitions, and the ACK of an INVITE, is to come. */
  answered(response: SipResponse): void;
  ended(): void;
}

/** A request to be answered, exactly once finally. */
export class ServerTransactionHandle implements Disposable {
  readonly request: SipRequest;
  readonly flow: Flow;
  /** Our tag in To: the request's own inside a dialog, else a fresh one. */
  readonly localTag: string;
  /** The INVITE was cancelled. What is not answered when this returns is answered 487. */
  onCancel: ((cancel: SipRequest) => void) | null = null;
  /** The ACK of our 2xx has come; called once. */
  onAck: ((ack: SipRequest) => void) | null = null;
  /** No ACK came within 64*T1: after a 2xx the dialog is to be ended with BYE (13.3.1.4). */
  onTimeout: (() => void) | null = null;
  readonly #layer: ServerTransactionDeps;
  readonly #transaction: ServerTransaction;
  #repeated: { readonly key: string; readonly machine: RepeatedResponse } | null = null;
  #answered = false;

  /** Made by the transaction layer. @param freshTag the To tag outside dialogs */
  constructor(request: SipRequest, flow: Flow, freshTag: string, layer: ServerTransactionDeps) {
    this.request = request;
    this.flow = flow;
    this.localTag = tagOf(request.headers.get("To")) ?? freshTag;
    this.#layer = layer;
    this.#transaction = new ServerTransaction({
      request,
      reliable: isReliable(flow.transport),
      timers: layer.timers,
      clock: layer.clock,
      outlets: {
        send: (response) => this.#send(response),
        timeout: () => this.onTimeout?.(),
        transportError: () => {}, // the peer's retransmission or the missing ACK tells
        ended: () => layer.ended(),
      },
    });
  }

  /** True when a final response has been given. */
  get answered(): boolean {
    return this.#answered;
  }

  get transaction(): ServerTransaction {
    return this.#transaction;
  }

  /** A response with our To tag, none in a 100 (8.2.6). */
  createResponse(status: number, reason?: string): SipResponse {
    return createResponse(this.request, status, reason, this.localTag);
  }

  /** Sends a response without headers of its own; false when it is too late. */
  reply(status: number, reason?: string): boolean {
    return this.respond(this.createResponse(status, reason));
  }

  /**
   * Sends a response; our tag is put into To when it has none. A 2xx to an INVITE is repeated until its ACK.
   *
   * @returns false when the request was answered or cancelled before
   */
  respond(response: SipResponse): boolean {
    if (this.#answered) return false;
    this.#addTag(response);
    const final = response.status >= 200;
    this.#answered = final;
    if (!this.#transaction.respond(response)) return false;
    if (final) this.#layer.answered(response);
    if (final && response.status < 300 && this.request.method === "INVITE") this.#repeatUntilAck(response);
    return true;
  }

  /** Called by the layer: the INVITE is to be cancelled. */
  cancel(cancel: SipRequest): void {
    if (this.#answered || this.request.method !== "INVITE") return; // 9.2
    this.onCancel?.(cancel);
    this.reply(487);
  }

  /** Called by the layer: the ACK of the 2xx; false for a repetition. */
  acknowledge(ack: SipRequest): boolean {
    if (this.#repeated === null) return false;
    this.#stopRepeating();
    this.onAck?.(ack);
    return true;
  }

  /** Stops everything silently. */
  [Symbol.dispose](): void {
    this.#stopRepeating();
    this.#transaction[Symbol.dispose]();
  }

  #addTag(response: SipResponse): void {
    const to = response.headers.get("To");
    if (to !== null && response.status > 100) response.headers.set("To", withTag(to, this.localTag));
  }

  #repeatUntilAck(response: SipResponse): void {
    const key = acknowledgementKey(response);
    const machine = new RepeatedResponse({
      timers: this.#layer.timers,
      clock: this.#layer.clock,
      resend: () => void this.#transaction.respond(response),
      timedOut: () => this.#ackMissing(),
    });
    this.#repeated = { key, machine };
    this.#layer.awaitAck(key, this);
  }

  #ackMissing(): void {
    this.#stopRepeating();
    this.onTimeout?.();
  }

  #stopRepeating(): void {
    if (this.#repeated === null) return;
    this.#repeated.machine[Symbol.dispose]();
    this.#layer.forgetAck(this.#repeated.key);
    this.#repeated = null;
  }

  #send(response: SipResponse): void {
    this.#layer.send(response, this.flow, (outcome) => {
      if (outcome.type === "failed") this.#transaction.transportFailed();
    });
  }
}

interface RepeatedResponseOptions {
  /** T1 and T2. */
  readonly timers: TimerValues;
  /** Where the timers run. */
  readonly clock: Clock;
  /** Sends the response once more; the first time is the caller's own. */
  readonly resend: () => void;
  /** 64*T1 passed without `acknowledge()`; called once, after the last repetition. */
  readonly timedOut: () => void;
  /** The longest interval in milliseconds; T2 when left out, Infinity for RFC 3262's provisional responses. */
  readonly capMs?: number;
}

/** Repeats until acknowledged, disposed or timed out. */
export class RepeatedResponse implements Disposable {
  readonly #options: RepeatedResponseOptions;
  readonly #capMs: number;
  readonly #timers: TimerSet<"repeat" | "give up">;
  #intervalMs: number;

  /** Starts at once, as if the response had just been sent. */
  constructor(options: RepeatedResponseOptions) {
    this.#options = options;
    this.#capMs = options.capMs ?? options.timers.t2;
    this.#intervalMs = options.timers.t1;
    this.#timers = new TimerSet(options.clock, (name) => name === "repeat" ? this.#repeat() : this.#giveUp());
    this.#timers.start("give up", giveUpMs(options.timers));
    this.#timers.start("repeat", this.#intervalMs);
  }

  /** True until the acknowledgement, the time-out or the disposal. */
  get running(): boolean {
    return this.#timers.size > 0;
  }

  /** The ACK (or PRACK) has come; false when nothing was waiting for it any more. */
  acknowledge(): boolean {
    const waiting = this.running;
    this[Symbol.dispose]();
    return waiting;
  }

  [Symbol.dispose](): void {
    this.#timers[Symbol.dispose]();
  }

  #repeat(): void {
    this.#intervalMs = Math.min(2 * this.#intervalMs, this.#capMs);
    this.#timers.start("repeat", this.#intervalMs);
    this.#options.resend();
  }

  #giveUp(): void {
    this[Symbol.dispose]();
    this.#options.timedOut();
  }
}
