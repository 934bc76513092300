// One request on its way to one of several targets: each try is a client transaction of its own. Failover as in RFC
// 3263 4.3 (transport error, no response at all, 503), CANCEL as in RFC 3261 9.1. With the first 2xx of an INVITE it
// is over: what RFC 6026 7.2 waits for afterwards, the layer knows by the ACKs it has sent.
// Role: machine

import { formatEndpoint } from "../../net/endpoint.ts";
import { formatVia, parseVia, type Via } from "../message/header.ts";
import { clientKey } from "../message/matching.ts";
import { cloneMessage, messageTitle, type SipRequest, type SipResponse, tagOf } from "../message/message.ts";
import type { Flow, SendOutcome, Target } from "../message/target.ts";
import { ClientTransaction, type ClientTransactionOutlets, createCancel } from "./client_transaction.ts";
import { giveUpMs, TimerSet, type TimerValues } from "./timers.ts";
import { isReliable, transportRow } from "../message/transports.ts";
import type { Runtime } from "../../base/runtime.ts";

/** How many targets of one request are tried at most. */
const MAX_TRIES = 8;

/** How long a target may be silent while there is another, in milliseconds (RFC 3263 4.3 leaves it to us). */
export const NEXT_TARGET_MS = 4_000;

interface Attempt {
  readonly request: SipRequest;
  readonly branch: string;
  readonly transaction: ClientTransaction;
  target: Target;
  connectionId: number | null;
  answered: boolean;
  alerted: boolean;
  cancelled: boolean;
  failure: string;
}

type CancelState = "no" | "wanted" | "sent";

/**
 * A request that was handed to the transaction layer.
 *
 * A silent target with a successor is left after 4 s; whichever of them answers first is the one, and the others,
 * should they answer too, hear CANCEL, or their 2xx is told as one too many.
 */
export class ClientHandle implements Disposable {
  readonly #bare: SipRequest;
  readonly #targets: Target[];
  readonly #outlets: ClientOutlets;
  readonly #layer: ClientTransactionDeps<ClientHandle>;
  readonly #timers: TimerSet<"fail" | "give up" | "next">;
  #attempt: Attempt | null = null;
  #cancel: CancelState = "no";
  #cancelReason: string | null = null;
  #finished = false;
  #failure = "no target to send to";

  /** Made by `TransactionLayer.request`, which also starts it. */
  constructor(
    request: SipRequest,
    targets: readonly Target[],
    outlets: ClientOutlets,
    layer: ClientTransactionDeps<ClientHandle>,
  ) {
    this.#bare = request;
    this.#targets = targets.slice(0, MAX_TRIES);
    this.#outlets = outlets;
    this.#layer = layer;
    this.#timers = new TimerSet(
      layer.clock,
      (name) => this.#expired(name),
    );
  }

  /** The request as it was sent last, with its Via; before the first try as it was given. */
  get request(): SipRequest {
    return this.#attempt?.request ?? this.#bare;
  }

  /** The target that is being tried; null when there was none. */
  get target(): Target | null {
    return this.#attempt?.target ?? null;
  }

  /** The branch of the present try; "" when there was no target. */
  get branch(): string {
    return this.#attempt?.branch ?? "";
  }

  /** True after the final response, the timeout or the transport error. */
  get finished(): boolean {
    return this.#finished;
  }

  #expired(timer: "fail" | "give up" | "next"): void {
    if (timer === "fail") this.#fail();
    else if (timer === "give up") this.#cancelTimedOut();
    else this.#silent();
  }

  /** Sends the request to the first target; failing for want of one is told later, not from inside. */
  start(): void {
    if (!this.#tryNext()) this.failSoon(this.#failure);
  }

  /** Ends with `transportError(reason)` from the clock. */
  failSoon(reason: string): void {
    this.#failure = reason;
    this.#timers.start("fail", 0);
  }

  /**
   * Cancels an INVITE (9.1): the CANCEL waits for a provisional response, and no further target is tried. The end
   * is told as ever: usually 487, a 2xx when it crossed the CANCEL, or `timeout`. Nothing happens for other methods.
   *
   * @param reason value of a Reason header (RFC 3326)
   */
  cancelRequest(reason?: string): void {
    if (this.#bare.method !== "INVITE" || this.#finished || this.#cancel !== "no") return;
    this.#cancel = "wanted";
    this.#cancelReason = reason ?? null;
    if (this.#attempt?.transaction.state === "proceeding") this.#sendCancel(this.#attempt);
  }

  /** Called by the layer: a TCP connection has ended. */
  flowBroken(flow: Flow, reason: string): void {
    const attempt = this.#attempt;
    if (attempt === null || attempt.answered || attempt.connectionId !== flow.connectionId) return;
    attempt.failure = reason;
    attempt.transaction.transportFailed();
  }

  /** Stops everything silently. */
  [Symbol.dispose](): void {
    this.#finished = true;
    this.#timers[Symbol.dispose]();
    this.#attempt?.transaction[Symbol.dispose]();
  }

  #tryNext(): boolean {
    const target = this.#targets.shift();
    if (target === undefined) return false;
    const via = this.#layer.createVia(target);
    const request = cloneMessage(this.#bare);
    request.headers.prepend("Via", formatVia(via));
    const attempt: Attempt = {
      request,
      branch: via.params.get("branch") ?? "",
      target,
      connectionId: null,
      answered: false,
      alerted: false,
      cancelled: false,
      failure: "the transport failed",
      transaction: this.#createTransaction(request, target, {
        send: (message) => this.#send(attempt, message),
        response: (response) => this.#receive(attempt, response),
        timeout: () => this.#timedOut(attempt),
        transportError: () => this.#transportFailed(attempt),
      }),
    };
    this.#attempt = attempt;
    if (this.#targets.length > 0 && !this.#inDialog) this.#timers.start("next", NEXT_TARGET_MS);
    attempt.transaction.start();
    return true;
  }

  /** Inside a dialog all targets lead to the same peer: it is given its time. */
  get #inDialog(): boolean {
    return tagOf(this.#bare.headers.get("To")) !== null;
  }

  /** A transaction that responses find by the branch of `request` until it ends. */
  #createTransaction(
    request: SipRequest,
    target: Target,
    outlets: Omit<ClientTransactionOutlets, "ended">,
  ): ClientTransaction {
    const branch = parseVia(request.headers.get("Via") ?? "").params.get("branch") ?? "";
    const key = clientKey(branch, request.method);
    const { clock, timers, forget } = this.#layer;
    const transaction = new ClientTransaction({
      request,
      reliable: isReliable(target.transport),
      timers,
      clock,
      outlets: { ...outlets, ended: () => forget(key) },
    });
    this.#layer.register(key, transaction);
    return transaction;
  }

  #send(attempt: Attempt, message: SipRequest): void {
    this.#layer.send(message, attempt.target, (outcome) => {
      if (outcome.type === "sent") return this.#sent(attempt, message, outcome);
      attempt.failure = outcome.reason;
      attempt.transaction.transportFailed();
    });
  }

  /** 18.1.1: a large request went by TCP although UDP was meant, so its ACK and CANCEL go there too. */
  #sent(attempt: Attempt, message: SipRequest, outcome: SendOutcome & { type: "sent" }): void {
    if (message !== attempt.request) return;
    if (isReliable(outcome.transport)) attempt.connectionId = outcome.flow.connectionId;
    if (outcome.transport === attempt.target.transport) return;
    const via = parseVia(message.headers.get("Via") ?? "");
    message.headers.setFirst("Via", formatVia({ ...via, transport: transportRow(outcome.transport).via }));
    attempt.target = { ...attempt.target, transport: outcome.transport, flow: outcome.flow };
    if (isReliable(outcome.transport)) attempt.transaction.becomeReliable();
  }

  #receive(attempt: Attempt, response: SipResponse): void {
    if (!attempt.answered) this.#layer.targetTried(attempt.target, true);
    if (attempt !== this.#attempt && !this.#comesFirst(attempt)) {
      return this.#receiveSurplus(attempt, response);
    }
    this.#timers.stop("next");
    attempt.answered = true;
    if (response.status < 200) return this.#receiveProvisional(attempt, response);
    const invited = this.#bare.method === "INVITE";
    if (invited && response.status < 300 && this.#layer.isRepeated(response)) return;
    if (response.status === 503 && !attempt.alerted) {
      this.#layer.targetTried(attempt.target, false);
      if (this.#failOver("it answered 503")) return;
    }
    this.#finish();
    if (!invited || response.status < 300) this.#absorb(attempt);
    this.#outlets.response(response);
  }

  /** Nobody has answered but this target, which had been left: it is the one after all. */
  #comesFirst(attempt: Attempt): boolean {
    const present = this.#attempt;
    if (this.#finished || attempt.answered || present?.answered !== false) return false;
    present.transaction.stopSending();
    this.#attempt = attempt;
    return true;
  }

  #receiveSurplus(attempt: Attempt, response: SipResponse): void {
    attempt.answered = true;
    if (this.#bare.method !== "INVITE" || response.status >= 300) return;
    if (response.status < 200) return this.#cancelSurplus(attempt);
    if (!this.#layer.isRepeated(response)) this.#outlets.surplus?.(response, attempt.target);
  }

  #cancelSurplus(attempt: Attempt): void {
    if (attempt.cancelled) return;
    attempt.cancelled = true;
    this.#createCancel(attempt).start();
  }

  /** 17.1.2.2 timer K, RFC 6026 7.2: the transaction would only wait for repetitions, and hold all of this meanwhile. */
  #absorb({ branch, target, transaction }: Attempt): void {
    const { absorb, timers } = this.#layer;
    absorb(clientKey(branch, this.#bare.method), isReliable(target.transport) ? 0 : timers.t4);
    transaction[Symbol.dispose]();
  }

  #receiveProvisional(attempt: Attempt, response: SipResponse): void {
    if (response.status > 100) attempt.alerted = true;
    if (this.#cancel === "wanted") this.#sendCancel(attempt);
    this.#outlets.response(response);
  }

  #silent(): void {
    const attempt = this.#attempt;
    if (attempt === null || attempt.answered || this.#cancel !== "no") return;
    attempt.transaction.stopSending();
    this.#layer.targetTried(attempt.target, false);
    this.#failOver(`no answer for ${NEXT_TARGET_MS / 1000} s`);
  }

  #timedOut(attempt: Attempt): void {
    if (attempt !== this.#attempt || this.#finished) return;
    if (!attempt.answered) {
      this.#layer.targetTried(attempt.target, false);
      if (this.#failOver("it did not answer")) return;
    }
    this.#finish();
    this.#outlets.timeout();
  }

  #transportFailed(attempt: Attempt): void {
    if (attempt !== this.#attempt || this.#finished) return;
    this.#failure = attempt.failure;
    if (!attempt.answered) {
      this.#layer.targetTried(attempt.target, false);
      if (this.#failOver(attempt.failure)) return;
    }
    this.#fail();
  }

  /** RFC 3263 4.3: the next target with a new branch; not once the caller wants to cancel. */
  #failOver(reason: string): boolean {
    if (this.#cancel !== "no" || this.#finished) return false;
    const failed = this.#attempt?.target;
    if (!this.#tryNext()) return false;
    const to = this.#attempt?.target;
    if (failed === undefined || to === undefined) return true;
    const notice = { from: failed, to, reason };
    this.#layer.log.info(`${messageTitle(this.#bare)}: ${formatFailover(notice)}`);
    this.#outlets.failover?.(notice);
    return true;
  }

  #fail(): void {
    this.#finish();
    this.#outlets.transportError(this.#failure);
  }

  #finish(): void {
    if (this.#finished) return;
    this.#finished = true;
    this.#timers[Symbol.dispose]();
    this.#layer.finished(this);
  }

  #sendCancel(attempt: Attempt): void {
    this.#cancel = "sent";
    const transaction = this.#createCancel(attempt);
    this.#timers.start("give up", giveUpMs(this.#layer.timers));
    transaction.start();
  }

  #createCancel(attempt: Attempt): ClientTransaction {
    const request = createCancel(attempt.request);
    if (this.#cancelReason !== null) request.headers.add("Reason", this.#cancelReason);
    return this.#createTransaction(request, attempt.target, {
      send: (message) => this.#layer.send(message, attempt.target, () => {}),
      response: () => {}, // the INVITE's own final response tells the end
      timeout: () => {},
      transportError: () => {},
    });
  }

  /** 9.1: 64*T1 after the CANCEL without a final response, the INVITE counts as cancelled. */
  #cancelTimedOut(): void {
    const attempt = this.#attempt;
    this.#finish();
    attempt?.transaction[Symbol.dispose]();
    this.#outlets.timeout();
  }
}

/** What the sender of a request hears. Exactly one end: a final response, `timeout` or `transportError`. */
export interface ClientOutlets {
  /**
   * A response. Every 1xx and the final one; the 2xx of further forks of an INVITE are strays for the layer. The 503
   * of a target that has a successor is not told.
   */
  response(response: SipResponse): void;
  /** No target answered in time, or a cancelled INVITE got no final response within 64*T1. */
  timeout(): void;
  /** No target could be reached. */
  transportError(reason: string): void;
  /** Another target accepted an INVITE as well: the dialog is to be ended. Also after the end was told. */
  surplus?(response: SipResponse, target: Target): void;
  /** The next target is tried. */
  failover?(notice: FailoverNotice): void;
}

/** Why a request goes to another target. */
export interface FailoverNotice {
  readonly from: Target;
  readonly to: Target;
  /** Reads well behind the first. */
  readonly reason: string;
}

export interface ClientTransactionDeps<Handle> extends Pick<Runtime, "clock" | "log"> {
  /** T1, T2, T4. */
  readonly timers: TimerValues;
  /** A Via towards `target` with a new branch. */
  createVia(target: Target): Via;
  send(request: SipRequest, target: Target, outcome: (outcome: SendOutcome) => void): void;
  register(key: string, transaction: ClientTransaction): void;
  forget: (key: string) => void;
  /** What belongs to this key from now on is a repetition of an answer: to be dropped for so long. */
  absorb: (key: string, keptMs: number) => void;
  /** True when this 2xx is a repetition; it is answered with the ACK that is known for it. */
  isRepeated(response: SipResponse): boolean;
  /** Nothing but repetitions is to be expected any more. */
  finished(handle: Handle): void;
  targetTried(target: Target, answered: boolean): void;
}

export function formatFailover({ from, to, reason }: FailoverNotice): string {
  return `${formatEndpoint(from.endpoint)} failed (${reason}): trying the next server, ${
    formatEndpoint(to.endpoint)
  }`;
}
