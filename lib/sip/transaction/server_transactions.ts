// The server transactions of one endpoint, and what is left of them: who is taken (server_load.ts), where a request, its
// repetition or its ACK belongs, what repeats its response and for how long.
// Role: machine

import { SipHeaders } from "../message/header.ts";
import { mergeKey } from "../message/matching.ts";
import type { SipRequest, SipResponse } from "../message/message.ts";
import type { Flow, SendOutcome } from "../message/target.ts";
import { type Overload, type Requester, ServerLoad, type Taken } from "./server_load.ts";
import { ServerTransactionHandle } from "./server_transaction_handle.ts";
import { giveUpMs, type TimerValues } from "./timers.ts";
import { isReliable } from "../message/transports.ts";
import type { Runtime } from "../../base/runtime.ts";

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
