// The server transactions of one endpoint, and what is left of them: which requests from outside dialogs are taken, so that
// whoever sends many of them is the one who is refused; where a request, its repetition or its ACK belongs; what repeats its
// response and for how long.
// Role: machine

import { toHex } from "../../base/bytes.ts";
import type { Clock } from "../../base/clock.ts";
import type { Runtime } from "../../base/runtime.ts";
import { decodeIp, unmapAddress } from "../../net/endpoint.ts";
import { SipHeaders } from "../message/header.ts";
import { mergeKey } from "../message/matching.ts";
import type { SipRequest, SipResponse } from "../message/message.ts";
import type { Flow, SendOutcome } from "../message/target.ts";
import { isReliable } from "../message/transports.ts";
import { ServerTransactionHandle } from "./server_transaction_handle.ts";
import { giveUpMs, type TimerValues } from "./timers.ts";

interface ServerTransactionsOptions extends Pick<Runtime, "clock" | "random"> {
  /** T1, T2, T4. */
  readonly timers: TimerValues;
  /** Most requests without a final response. */
  readonly limit: number;
  send(response: SipResponse, flow: Flow, outcome: (outcome: SendOutcome) => void): void;
}

interface Finished {
  readonly response: KeptResponse;
  readonly merge: string | null;
  readonly untilMs: number;
}

/** Refused INVITEs that repeat their response: a quarter of what may be unanswered. */
const REFUSED_SHARE = 4;
/** Final responses that are kept for repetitions, for each request that may be unanswered. */
const FINISHED_PER_UNANSWERED = 16;

const TAG_LENGTH = 10;
const TAG_PREFIX_LENGTH = 6;

/** A request inside a dialog, or a CANCEL: it counts nowhere. */
const UNCOUNTED: Taken = { settled: () => {} };

/**
 *   no final response        the transaction
 *   INVITE, 2xx              the transaction, until timer L and the ACK (RFC 6026 7.1): a call, which counts nowhere
 *   INVITE, 3xx to 6xx       the transaction, until the ACK or timer H (17.2.1); the oldest goes when there are many
 *   any other                the response as text, for timer J (17.2.2)
 */
export class ServerTransactions implements Disposable {
  readonly #options: ServerTransactionsOptions;
  readonly #load: ServerLoad;
  readonly #open = new Map<string, ServerTransactionHandle>();
  readonly #awaitingAck = new Map<string, ServerTransactionHandle>();
  readonly #merges = new Map<string, string>();
  /** INVITEs that were refused, the oldest first. */
  readonly #refused = new Set<ServerTransactionHandle>();
  /** The oldest first: all are kept as long. */
  readonly #finished = new Map<string, Finished>();
  #forgetting: Disposable | null = null;
  /** Begins every To tag of ours. */
  readonly #tagPrefix: string;

  /** Nothing has come yet. */
  constructor(options: ServerTransactionsOptions) {
    this.#options = options;
    this.#load = new ServerLoad(options.clock, options.limit);
    this.#tagPrefix = options.random.token(TAG_PREFIX_LENGTH);
  }

  get size(): number {
    return this.#open.size + this.#finished.size;
  }

  get(key: string): ServerTransactionHandle | undefined {
    return this.#open.get(key);
  }

  /** The final response to the request with this key, when that is all that is left of it. */
  finalResponse(key: string): SipResponse | null {
    return this.#finished.get(key)?.response.restore() ?? null;
  }

  /** The INVITE whose 2xx waits for this ACK. */
  awaitingAck(ackKey: string): ServerTransactionHandle | undefined {
    return this.#awaitingAck.get(ackKey);
  }

  /** Whether a request outside dialogs came by another path before (8.2.2.2). */
  isMerged(request: SipRequest): boolean {
    return this.#merges.has(mergeKey(request));
  }

  /** A place for a request; null: for one that belongs to a dialog or to an INVITE that is here. */
  take(requester: Requester | null): Taken | Overload {
    return requester === null ? UNCOUNTED : this.#load.take(requester);
  }

  newTag(): string {
    return this.#tagPrefix + this.#options.random.token(TAG_LENGTH);
  }

  isOurTag(tag: string): boolean {
    return tag.startsWith(this.#tagPrefix);
  }

  open(request: SipRequest, key: string, flow: Flow, taken: Taken): ServerTransactionHandle {
    const merge = request.method === "CANCEL" ? null : mergeKey(request);
    const { clock, timers, send } = this.#options;
    const handle: ServerTransactionHandle = new ServerTransactionHandle(request, flow, this.newTag(), {
      clock,
      timers,
      send,
      awaitAck: (ackKey, waiting) => void this.#awaitingAck.set(ackKey, waiting),
      forgetAck: (ackKey) => void this.#awaitingAck.delete(ackKey),
      answered: (response) => {
        taken.settled(request.method === "INVITE" && isRefusalOfUser(response.status));
        if (request.method === "INVITE") this.#answeredInvite(handle, response);
        else this.#finish(handle, key, { response, merge });
      },
      ended: () => {
        taken.settled(false);
        this.#refused.delete(handle);
        this.#open.delete(key);
        if (!this.#finished.has(key)) this.#forgetMerge(key, merge);
      },
    });
    this.#open.set(key, handle);
    if (merge !== null && !this.#merges.has(merge)) this.#merges.set(merge, key);
    return handle;
  }

  /** Ends all silently; nothing stays on the clock. */
  [Symbol.dispose](): void {
    for (const handle of [...this.#awaitingAck.values(), ...this.#open.values()]) handle[Symbol.dispose]();
    this.#forgetting?.[Symbol.dispose]();
    this.#forgetting = null;
    this.#finished.clear();
  }

  #answeredInvite(handle: ServerTransactionHandle, response: SipResponse): void {
    if (response.status < 300) return;
    this.#refused.add(handle);
    const [oldest] = this.#refused;
    if (this.#refused.size > this.#options.limit / REFUSED_SHARE) oldest?.[Symbol.dispose]();
  }

  #finish(
    handle: ServerTransactionHandle,
    key: string,
    { response, merge }: { readonly response: SipResponse; readonly merge: string | null },
  ): void {
    const { clock, timers, limit } = this.#options;
    if (!isReliable(handle.flow.transport)) {
      const untilMs = clock.now() + giveUpMs(timers);
      this.#finished.set(key, { response: new KeptResponse(response), merge, untilMs });
      if (this.#finished.size > limit * FINISHED_PER_UNANSWERED) this.#forgetOldest();
      this.#forgetting ??= clock.after(giveUpMs(timers), () => this.#forgetOld());
    }
    handle[Symbol.dispose]();
  }

  #forgetOld(): void {
    const { clock } = this.#options;
    this.#forgetting = null;
    for (const { untilMs } of this.#finished.values()) {
      if (untilMs > clock.now()) {
        this.#forgetting = clock.after(untilMs - clock.now(), () => this.#forgetOld());
        return;
      }
      this.#forgetOldest();
    }
  }

  #forgetOldest(): void {
    const [oldest] = this.#finished;
    if (oldest === undefined) return;
    const [key, { merge }] = oldest;
    this.#finished.delete(key);
    this.#forgetMerge(key, merge);
  }

  #forgetMerge(key: string, merge: string | null): void {
    if (merge !== null && this.#merges.get(merge) === key) this.#merges.delete(merge);
  }
}

/** 5xx is ours, and asks the peer to try another server; it is to hear that each time. */
function isRefusalOfUser(status: number): boolean {
  return status >= 400 && status < 500 || status >= 600;
}

export class KeptResponse {
  readonly #status: number;
  readonly #reason: string;
  readonly #headers: string;
  readonly #body: Uint8Array;

  /** Takes the text; what becomes of the response later does not matter. Its body is shared. */
  constructor({ status, reason, headers, body }: SipResponse) {
    this.#status = status;
    this.#reason = reason;
    this.#headers = JSON.stringify([...headers.entries()]); // flat: no part of the datagram is held
    this.#body = body;
  }

  restore(): SipResponse {
    const headers = new SipHeaders(JSON.parse(this.#headers) as [name: string, value: string][]);
    return { kind: "response", status: this.#status, reason: this.#reason, headers, body: this.#body };
  }
}

/** Why a request is not taken. "user": INVITEs for its user are refused anyway; "source", "all": too much of them. */
export type Overload = "user" | "source" | "all";

export interface Requester {
  readonly address: string;
  /** Which user it is for; null: nobody knows. */
  readonly user: string | null;
  /** Only INVITEs are refused for what was refused before. */
  readonly isInvite: boolean;
}

/** A request that was taken; to be told what became of it. */
export interface Taken {
  /** It has a final response, or is given up; the first call counts. @param refused by its user: an INVITE, and busy or declined */
  settled(refused: boolean): void;
}

/** What one user may have unanswered, and when half of all places are taken. */
const UNANSWERED_OF_USER = 32;
const UNANSWERED_OF_USER_WHEN_BUSY = 4;
/** Refused INVITEs: at once, and each second. Each costs a transaction, an invitation and a line in the log. */
const USER_REFUSALS = { burst: 8, perSecond: 5 };
const SOURCE_REFUSALS = { burst: 1000, perSecond: 200 };
/** Users and sources whose refusals are remembered; the one that was quiet longest goes. */
const MAX_REMEMBERED = 4096;

/**
 *   unanswered requests   of one user, of one source, in all      a user's own are few: phones ring one at a time
 *   refused INVITEs       of one user, of one source, a second    beyond it they are refused before anybody looks at them
 *
 * Calls that are answered never count, however many: a trunk with a hundred a second is one source. Sources can be
 * forged, so the more there is in all, the less one user may have; those who are not flooded keep their place.
 */
export class ServerLoad {
  readonly #limit: number;
  readonly #users = new Map<string, number>();
  readonly #sources = new Map<string, number>();
  readonly #userRefusals: Leak;
  readonly #sourceRefusals: Leak;
  #unanswered = 0;

  /** Nothing yet. @param limit requests that may be unanswered in all; three quarters of them from one source */
  constructor(clock: Clock, limit: number) {
    this.#limit = limit;
    this.#userRefusals = new Leak(clock, USER_REFUSALS);
    this.#sourceRefusals = new Leak(clock, SOURCE_REFUSALS);
  }

  /** Requests that were taken and have no final response. */
  get unanswered(): number {
    return this.#unanswered;
  }

  /** Takes a request, or says why not. */
  take({ address, user, isInvite }: Requester): Taken | Overload {
    const source = networkOf(address);
    if (this.#unanswered >= this.#limit) return "all";
    if ((this.#sources.get(source) ?? 0) >= Math.ceil(this.#limit * 3 / 4)) return "source";
    if (user !== null && (this.#users.get(user) ?? 0) >= this.#mostOfUser()) return "user";
    if (isInvite && user !== null && this.#userRefusals.isFull(user)) return "user";
    if (isInvite && this.#sourceRefusals.isFull(source)) return "source";
    this.#count(source, user, 1);
    let open = true;
    return {
      settled: (refused) => {
        if (!open) return;
        open = false;
        this.#count(source, user, -1);
        if (refused) this.#refused(source, user);
      },
    };
  }

  #mostOfUser(): number {
    return this.#unanswered < this.#limit / 2 ? UNANSWERED_OF_USER : UNANSWERED_OF_USER_WHEN_BUSY;
  }

  #refused(source: string, user: string | null): void {
    this.#sourceRefusals.add(source);
    if (user !== null) this.#userRefusals.add(user);
  }

  #count(source: string, user: string | null, by: 1 | -1): void {
    this.#unanswered += by;
    change(this.#sources, source, by);
    if (user !== null) change(this.#users, user, by);
  }
}

function change(counts: Map<string, number>, key: string, by: number): void {
  const count = (counts.get(key) ?? 0) + by;
  if (count === 0) counts.delete(key);
  else counts.set(key, count);
}

/** An IPv6 host has a /64 to itself. */
function networkOf(address: string): string {
  if (!address.includes(":")) return address;
  const plain = unmapAddress(address);
  const bytes = decodeIp(plain);
  return bytes === null || bytes.length === 4 ? plain : toHex(bytes.subarray(0, 8));
}

/** Leaky buckets by key: what was added leaks out at a rate. */
class Leak {
  readonly #clock: Clock;
  readonly #burst: number;
  readonly #perSecond: number;
  /** What is in it, and when that was so; the quietest first. */
  readonly #levels = new Map<string, { level: number; atMs: number }>();

  constructor(clock: Clock, { burst, perSecond }: { readonly burst: number; readonly perSecond: number }) {
    this.#clock = clock;
    this.#burst = burst;
    this.#perSecond = perSecond;
  }

  isFull(key: string): boolean {
    return this.#levelOf(key) > this.#burst - 1;
  }

  add(key: string): void {
    const level = this.#levelOf(key) + 1;
    this.#levels.delete(key);
    this.#levels.set(key, { level, atMs: this.#clock.now() });
    if (this.#levels.size > MAX_REMEMBERED) this.#levels.delete(this.#levels.keys().next().value!);
  }

  #levelOf(key: string): number {
    const known = this.#levels.get(key);
    if (known === undefined) return 0;
    const leaked = (this.#clock.now() - known.atMs) / 1000 * this.#perSecond;
    return Math.max(0, known.level - leaked);
  }
}
