// Reliable provisional responses: numbering, retransmission and acknowledgement of 101-199.
// RFC 3262 (100rel, PRACK, RSeq, RAck).
// siprtmp refused `Require: 100rel` with 420.
// Role: machine

import type { Clock } from "../../base/clock.ts";
import { nullIfMalformed } from "../../base/errors.ts";
import { parseDeltaSeconds, parseRAck, type RAck } from "../message/header_values.ts";
import type { SipRequest, SipResponse } from "../message/message.ts";

/** The RSeq of a response that must be acknowledged by a PRACK; null for all others (RFC 3262 section 4). */
export function reliableSequence(response: SipResponse): number | null {
  if (response.status <= 100 || response.status >= 200) return null;
  if (!response.headers.includes("Require", "100rel")) return null;
  const rseq = parseDeltaSeconds(response.headers.get("RSeq"));
  return rseq === null || rseq < 1 ? null : rseq;
}

/** The RAck of a PRACK; null when it is absent or malformed. */
export function rackOf(prack: SipRequest): RAck | null {
  const text = prack.headers.get("RAck");
  return nullIfMalformed(() => text === null ? null : parseRAck(text));
}

/** Receiving side, one per early dialog: which reliable responses are new (RFC 3262 section 4). */
export class ReliableReceiver {
  #last: number | null = null;

  /** "new" ones are acknowledged and used, "duplicate" and "gap" ones are dropped. */
  accept(rseq: number): "new" | "duplicate" | "gap" {
    if (this.#last !== null && rseq <= this.#last) return "duplicate";
    if (this.#last !== null && rseq !== this.#last + 1) return "gap";
    this.#last = rseq;
    return "new";
  }
}

/** Where a {@link ReliableSender} reports. */
interface ReliableSenderOutlets<T> {
  /** Send this response (first time or again) with this RSeq. */
  send(response: T, rseq: number): void;
  acknowledged(response: T): void;
  /** No PRACK within 64*T1: the INVITE is to be refused with a 5xx (RFC 3262 section 3). */
  failed(): void;
}

/** Most reliable responses waiting behind an unacknowledged one. */
export const MAX_WAITING_PROVISIONALS = 8;

/** Sending side: one unacknowledged response at a time, repeated at T1, 2*T1, 4*T1 ... until 64*T1. */
export class ReliableSender<T> implements Disposable {
  readonly #clock: Clock;
  readonly #t1: number;
  readonly #outlets: ReliableSenderOutlets<T>;
  readonly #waiting: T[] = [];
  #current: T | null = null;
  #rseq: number;
  #timer: Disposable | null = null;
  #deadline: Disposable | null = null;

  /** `firstRSeq` should be random below 2^31 (RFC 3262 section 3); `t1Ms` in milliseconds. */
  constructor(clock: Clock, t1Ms: number, firstRSeq: number, outlets: ReliableSenderOutlets<T>) {
    this.#clock = clock;
    this.#t1 = t1Ms;
    this.#rseq = Math.max(1, firstRSeq) - 1;
    this.#outlets = outlets;
  }

  /** True while a response waits for its PRACK. */
  get unacknowledged(): boolean {
    return this.#current !== null;
  }

  /** Sends now, or after the responses before it were acknowledged; false when too many wait. */
  send(response: T): boolean {
    if (this.#current !== null) {
      if (this.#waiting.length >= MAX_WAITING_PROVISIONALS) return false;
      this.#waiting.push(response);
      return true;
    }
    this.#current = response;
    this.#rseq += 1;
    this.#outlets.send(response, this.#rseq);
    this.#deadline = this.#clock.after(64 * this.#t1, () => {
      this[Symbol.dispose]();
      this.#outlets.failed();
    });
    this.#arm(this.#t1);
    return true;
  }

  #arm(delayMs: number): void {
    this.#timer = this.#clock.after(delayMs, () => {
      if (this.#current === null) return;
      this.#outlets.send(this.#current, this.#rseq);
      this.#arm(delayMs * 2);
    });
  }

  /** Whether a RAck is for the response that waits; false: answer the PRACK with 481. */
  awaits(rack: RAck, inviteCSeq: number): boolean {
    if (this.#current === null || rack.responseSequence !== this.#rseq) return false;
    return rack.cseq.method === "INVITE" && rack.cseq.sequence === inviteCSeq;
  }

  /** The response that waits was acknowledged; the next one goes out. */
  acknowledge(): void {
    const response = this.#current;
    if (response === null) return;
    this.#clear();
    this.#outlets.acknowledged(response);
    const next = this.#waiting.shift();
    if (next !== undefined) this.send(next);
  }

  #clear(): void {
    this.#current = null;
    this.#timer?.[Symbol.dispose]();
    this.#deadline?.[Symbol.dispose]();
    this.#timer = null;
    this.#deadline = null;
  }

  /** Stops retransmitting and forgets what waits. */
  [Symbol.dispose](): void {
    this.#clear();
    this.#waiting.length = 0;
  }
}
