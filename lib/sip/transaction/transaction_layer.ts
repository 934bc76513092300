// The transaction layer: gives every message to the transaction, the waiting 2xx or the user agent it is for.
// RFC 3261 17 and 18.1.2, matching by 17.1.3 and 17.2.3, CANCEL 9.2, merged requests 8.2.2.2, the ACK of a 2xx
// by its dialog (13), repetitions of 2xx by RFC 6026 8.
// Role: machine

import type { Clock } from "../../base/clock.ts";
import { WireError } from "../../base/errors.ts";
import { MAGIC_COOKIE } from "../message/header_values.ts";
import { formatVia, type Via } from "../message/header.ts";
import {
  acknowledgementKey,
  cseqOf,
  hasUniqueBranch,
  responseKey,
  serverKey,
  tagsOf,
} from "../message/matching.ts";
import {
  cloneMessage,
  createResponse,
  messageTitle,
  type SipMessage,
  type SipRequest,
  type SipResponse,
} from "../message/message.ts";
import { type Flow, type SendOutcome, type Target, targetOf } from "../message/target.ts";
import { ClientHandle, type ClientOutlets, type ClientTransactionDeps } from "./client_handle.ts";
import { type ClientTransaction, KeptRequest } from "./client_transaction.ts";
import { type Overload, type Requester, ServerTransactions } from "./server_transactions.ts";
import type { ServerTransactionHandle } from "./server_transaction_handle.ts";
import { defaultTimers, giveUpMs, type TimerValues } from "./timers.ts";
import { transportRow } from "../message/transports.ts";
import type { Runtime } from "../../base/runtime.ts";

export { ClientHandle, type ClientOutlets } from "./client_handle.ts";
export { ServerTransactionHandle } from "./server_transaction_handle.ts";

/** Transactions on each side when the options do not say. */
const DEFAULT_MAX_TRANSACTIONS = 4096;

/**
 * So many of our own that have their answer and only absorb its repetitions, for each that has not: thousands of users
 * who log in within seconds make many.
 */
const ANSWERED_PER_UNANSWERED = 16;

/** What a peer that got a 503 is asked to wait, in seconds (20.33). */
const RETRY_AFTER_SECONDS = 5;

const BRANCH_LENGTH = 20;
const MAX_FORWARDS = "70";

/** Host and port of a Via: where the peer's answers are to go. */
interface SentBy {
  /** Host name or address, IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
}

export interface TransactionLayerOptions extends Runtime {
  /** T1, T2, T4; the RFC's when left out. */
  readonly timers?: TimerValues;
  /** Most requests of ours, and of others, without a final response at a time; 4096 each when left out. */
  readonly maxTransactions?: number;
  sentBy(target: Target): SentBy;
  /** Hands a message to the transport; `outcome` may be called later, once at most. */
  send(message: SipMessage, target: Target, outcome: (outcome: SendOutcome) => void): void;
  /**
   * Judges a request before it gets a transaction: "pass" lets it in, a response answers it without one (8.2.7), "drop"
   * leaves it unanswered. `cancels`: it is a CANCEL, and its INVITE is there. Everything is let in when left out.
   */
  filter?(request: SipRequest, flow: Flow, cancels: boolean): SipResponse | "pass" | "drop";
  /** Which user a request outside dialogs is for, so that one who is flooded hurts no other. */
  userOf?(request: SipRequest): string | null;
  /** A request was refused for what there is of its kind: see ServerLoad. */
  onOverload?(flow: Flow): void;
  /** A response came that was waited for. */
  onUseful?(flow: Flow): void;
  /** A response or an ACK came that belongs to nothing. */
  onUseless?(flow: Flow): void;
  /** A target of a request has answered, or is given up: it did not, or only with 503. */
  targetTried?(target: Target, answered: boolean): void;
}

/** An ACK of a 2xx that goes out again for each repetition of the 2xx. */
interface SentAck {
  readonly ack: KeptRequest;
  readonly target: Target;
}

export class TransactionLayer implements Disposable {
  /** A new request. Never ACK or CANCEL, never a retransmission, never a merged request. */
  onRequest: ((request: SipRequest, transaction: ServerTransactionHandle) => void) | null = null;
  /** The ACK of a 2xx we sent, once; after the `onAck` of its handle. */
  onAck: ((ack: SipRequest, flow: Flow) => void) | null = null;
  /**
   * A 2xx to an INVITE that no transaction waits for and that we never acknowledged: a fork that came after the
   * transaction, or after another fork's final failure.
   */
  onStray: ((response: SipResponse, flow: Flow) => void) | null = null;
  readonly #options: TransactionLayerOptions;
  readonly #timers: TimerValues;
  readonly #limit: number;
  readonly #deps: ClientTransactionDeps<ClientHandle>;
  readonly #clients = new Map<string, ClientTransaction>();
  readonly #handles = new Set<ClientHandle>();
  readonly #answered: RecentMap<true>;
  readonly #servers: ServerTransactions;
  /** By `acknowledgementKey` of each 2xx that was told; null: its ACK is still being made. */
  readonly #acks: RecentMap<SentAck | null>;
  #dropped = 0;

  /** Nothing runs before the first message. */
  constructor(options: TransactionLayerOptions) {
    this.#options = options;
    this.#timers = options.timers ?? defaultTimers;
    this.#limit = options.maxTransactions ?? DEFAULT_MAX_TRANSACTIONS;
    this.#answered = new RecentMap(options.clock, this.#limit * ANSWERED_PER_UNANSWERED);
    this.#acks = new RecentMap(options.clock, this.#limit);
    this.#servers = new ServerTransactions({
      clock: options.clock,
      random: options.random,
      timers: this.#timers,
      limit: this.#limit,
      send: (response, flow, outcome) => options.send(response, targetOf(flow), outcome),
    });
    this.#deps = {
      clock: options.clock,
      timers: this.#timers,
      log: options.log,
      createVia: (target) => this.#createVia(target),
      send: (request, target, outcome) => options.send(request, target, outcome),
      register: (key, transaction) => void this.#clients.set(key, transaction),
      forget: (key) => void this.#clients.delete(key),
      absorb: (key, keptMs) => this.#answered.set(key, true, keptMs),
      isRepeated: (response) => this.#isRepeated(response),
      finished: (handle) => void this.#handles.delete(handle),
      targetTried: (target, answered) => options.targetTried?.(target, answered),
    };
  }

  /** Client transactions that have not ended, those that only absorb repetitions included. */
  get clientCount(): number {
    return this.#clients.size + this.#answered.size;
  }

  get serverCount(): number {
    return this.#servers.size;
  }

  /** Messages that fitted nowhere or could not be read, and were thrown away. */
  get dropped(): number {
    return this.#dropped;
  }

  /**
   * Sends a request to the first target that takes it. Nothing is told before this returns.
   *
   * @param request without Via; Max-Forwards is added when missing
   * @param targets in the order to try them (RFC 3263)
   */
  request(request: SipRequest, targets: readonly Target[], outlets: ClientOutlets): ClientHandle {
    const copy = cloneMessage(request);
    if (!copy.headers.has("Max-Forwards")) copy.headers.add("Max-Forwards", MAX_FORWARDS);
    const handle = new ClientHandle(copy, targets, outlets, this.#deps);
    const full = this.#handles.size >= this.#limit;
    this.#handles.add(handle);
    if (full) handle.failSoon("too many SIP transactions");
    else handle.start();
    return handle;
  }

  /**
   * Sends the ACK of a 2xx, without a transaction (13.2.2.4). Repetitions of that 2xx get it again for 64*T1.
   *
   * @param ack without Via
   */
  sendAck(ack: SipRequest, target: Target): void {
    const copy = cloneMessage(ack);
    copy.headers.prepend("Via", formatVia(this.#createVia(target)));
    const sent = { ack: new KeptRequest(copy), target };
    this.#acks.set(acknowledgementKey(copy), sent, giveUpMs(this.#timers));
    this.#sendAck(copy, target);
  }

  receive(message: SipMessage, flow: Flow): void {
    const entry = this.#identify(message);
    if (entry === null) return this.#drop(message, "it cannot be matched to anything", flow);
    if (message.kind === "response") this.#receiveResponse(message, entry, flow);
    else if (message.method === "ACK") this.#receiveAck(message, entry, flow);
    else this.#receiveRequest(message, entry, flow);
  }

  /**
   * A TCP connection has ended (the transport's `onBroken`): requests that went by it and have had no answer fail at
   * once instead of after 64*T1, and try their next target.
   */
  flowBroken(flow: Flow, reason: string): void {
    for (const handle of [...this.#handles]) handle.flowBroken(flow, reason);
  }

  /** Ends all transactions silently; nothing stays on the clock. */
  [Symbol.dispose](): void {
    for (const handle of [...this.#handles]) handle[Symbol.dispose]();
    for (const transaction of [...this.#clients.values()]) transaction[Symbol.dispose]();
    this.#servers[Symbol.dispose]();
    this.#handles.clear();
    this.#answered[Symbol.dispose]();
    this.#acks[Symbol.dispose]();
  }

  /** The key of the transaction, null when a header that is needed for it cannot be read. */
  #identify(message: SipMessage): string | null {
    try {
      cseqOf(message);
      tagsOf(message);
      return message.kind === "response" ? responseKey(message) : serverKey(message);
    } catch (error) {
      if (error instanceof WireError) return null;
      throw error;
    }
  }

  #receiveResponse(response: SipResponse, key: string, flow: Flow): void {
    const transaction = this.#clients.get(key);
    if (transaction?.receive(response)) return this.#options.onUseful?.(flow);
    const success = response.status >= 200 && response.status < 300 && cseqOf(response).method === "INVITE";
    if (success && this.onStray !== null) {
      if (!this.#acknowledgeAgain(response)) this.onStray(response, flow);
    } else if (!this.#answered.has(key)) this.#drop(response, "no transaction waits for it", flow);
  }

  /** Whether a 2xx was told before; if not, it will be now. */
  #isRepeated(response: SipResponse): boolean {
    if (this.#acknowledgeAgain(response)) return true;
    this.#acks.set(acknowledgementKey(response), null, giveUpMs(this.#timers));
    return false;
  }

  #acknowledgeAgain(response: SipResponse): boolean {
    const sent = this.#acks.get(acknowledgementKey(response));
    if (sent === undefined) return false;
    if (sent !== null) this.#sendAck(sent.ack.restore(), sent.target);
    return true;
  }

  #sendAck(ack: SipRequest, target: Target): void {
    this.#options.send(ack, target, (outcome) => {
      if (outcome.type === "failed") {
        this.#options.log.debug(`${messageTitle(ack)} could not be sent`, outcome.reason);
      }
    });
  }

  /** 17.2.1 for a 3xx-6xx, 13.3.1.4 for a 2xx: the latter by its dialog, whatever its branch says. */
  #receiveAck(ack: SipRequest, key: string, flow: Flow): void {
    const handle = this.#servers.get(key);
    if (handle !== undefined && this.#acknowledgesFailure(ack, handle)) {
      return handle.transaction.receiveAck();
    }
    const accepted = this.#servers.awaitingAck(acknowledgementKey(ack));
    // Of a refusal that is not remembered nobody is to blame.
    if (accepted === undefined && this.#servers.isOurTag(tagsOf(ack).to)) return;
    if (accepted === undefined) return this.#drop(ack, "no response waits for it", flow);
    if (accepted.acknowledge(ack)) this.onAck?.(ack, flow);
  }

  #acknowledgesFailure(ack: SipRequest, handle: ServerTransactionHandle): boolean {
    const { state, lastResponse } = handle.transaction;
    if (state !== "completed" && state !== "confirmed") return false;
    if (hasUniqueBranch(ack)) return true;
    return lastResponse !== null && tagsOf(ack).to === tagsOf(lastResponse).to; // 17.2.3 for RFC 2543 peers
  }

  #receiveRequest(request: SipRequest, key: string, flow: Flow): void {
    const known = this.#servers.get(key);
    if (known !== undefined) return known.transaction.receive();
    const final = this.#servers.finalResponse(key);
    if (final !== null) return this.#options.send(final, targetOf(flow), () => {});
    if (!this.#letIn(request, flow)) return;
    const taken = this.onRequest === null ? "all" : this.#servers.take(this.#requesterOf(request, flow));
    if (typeof taken === "string") return this.#refuse(request, flow, taken);
    const merged = tagsOf(request).to === "" && this.#servers.isMerged(request);
    const handle = this.#servers.open(request, key, flow, taken);
    if (request.method === "CANCEL") this.#receiveCancel(request, handle);
    else if (merged) handle.reply(482); // 8.2.2.2
    else this.onRequest?.(request, handle);
  }

  /** Null: what belongs to a dialog or to an INVITE that is here is always taken. */
  #requesterOf(request: SipRequest, { remote }: Flow): Requester | null {
    if (request.method === "CANCEL" || tagsOf(request).to !== "") return null;
    const user = this.#options.userOf?.(request) ?? null;
    return { address: remote.hostname, user, isInvite: request.method === "INVITE" };
  }

  /** False when the request was answered without a transaction, or dropped. */
  #letIn(request: SipRequest, flow: Flow): boolean {
    const cancels = request.method === "CANCEL" &&
      this.#servers.get(serverKey(request, "INVITE")) !== undefined;
    const verdict = this.#options.filter?.(request, flow, cancels) ?? "pass";
    if (typeof verdict === "object") this.#options.send(verdict, targetOf(flow), () => {});
    return verdict === "pass";
  }

  /** 9.2: the CANCEL has its own transaction; it means the INVITE with the same branch. */
  #receiveCancel(cancel: SipRequest, handle: ServerTransactionHandle): void {
    const invite = this.#servers.get(serverKey(cancel, "INVITE"));
    if (invite === undefined) return void handle.reply(481);
    const response = createResponse(cancel, 200, undefined, invite.localTag);
    handle.respond(response);
    invite.cancel(cancel);
  }

  /**
   * Without a transaction, and nothing is remembered (8.2.7): the user is busy with others (21.4.24), or the peer is asked
   * to come back (21.5.4).
   */
  #refuse(request: SipRequest, flow: Flow, why: Overload): void {
    this.#options.onOverload?.(flow);
    const isBusy = why === "user" && request.method === "INVITE";
    const response = createResponse(request, isBusy ? 486 : 503, undefined, this.#servers.newTag());
    if (!isBusy) response.headers.add("Retry-After", String(RETRY_AFTER_SECONDS));
    this.#options.send(response, targetOf(flow), () => {});
  }

  /** 8.1.1.7 and RFC 3581. */
  #createVia(target: Target): Via {
    const { host, port } = this.#options.sentBy(target);
    const branch = MAGIC_COOKIE + this.#options.random.token(BRANCH_LENGTH);
    const params = new Map<string, string | null>([["branch", branch], ["rport", null]]);
    return { transport: transportRow(target.transport).via, host, port, params };
  }

  #drop(message: SipMessage, why: string, flow: Flow): void {
    this.#dropped += 1;
    this.#options.onUseless?.(flow);
    if (!this.#options.log.enabled("debug")) return;
    this.#options.log.debug(`dropped ${messageTitle(message)}: ${why}`);
  }
}

/** Values by key that are forgotten after a time, the same for all. */
export class RecentMap<V> implements Disposable {
  readonly #clock: Clock;
  readonly #limit: number;
  #recent = new Map<string, V>();
  #older = new Map<string, V>();
  #timer: Disposable | null = null;

  /** Empty. @param limit above so many keys the older ones are forgotten early */
  constructor(clock: Clock, limit: number) {
    this.#clock = clock;
    this.#limit = limit;
  }

  get size(): number {
    return this.#recent.size + this.#older.size;
  }

  /** Knows `key` for `keptMs` at least, with this value from now on; 0: not at all. */
  set(key: string, value: V, keptMs: number): void {
    if (keptMs === 0) return;
    if (this.#recent.size >= this.#limit) this.#turn();
    this.#older.delete(key);
    this.#recent.set(key, value);
    this.#timer ??= this.#clock.after(keptMs, () => this.#elapsed(keptMs));
  }

  has(key: string): boolean {
    return this.#recent.has(key) || this.#older.has(key);
  }

  /** Its value; undefined when it is not known. */
  get(key: string): V | undefined {
    return this.#recent.has(key) ? this.#recent.get(key) : this.#older.get(key);
  }

  /** Forgets all; nothing stays on the clock. */
  [Symbol.dispose](): void {
    this.#recent.clear();
    this.#older.clear();
    this.#timer?.[Symbol.dispose]();
    this.#timer = null;
  }

  #elapsed(keptMs: number): void {
    this.#turn();
    this.#timer = this.size === 0 ? null : this.#clock.after(keptMs, () => this.#elapsed(keptMs));
  }

  #turn(): void {
    this.#older = this.#recent;
    this.#recent = new Map();
  }
}
