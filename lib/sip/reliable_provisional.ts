// Reliable provisional responses: numbering, retransmission and acknowledgement of 101-199.
// RFC 3262 (100rel, PRACK, RSeq, RAck).
// Role: machine
// siprtmp refused `Require: 100rel` with 420.

import type { Clock } from "../base/clock.ts";

/** Value of a RAck header (RFC 3262 section 7.2). */
export interface RAck {
  /** RSeq of the acknowledged response. */
  readonly rseq: number;
  /** CSeq number of the acknowledged response. */
  readonly cseq: number;
  /** CSeq method of the acknowledged response. */
  readonly method: string;
}

/** Reads an RSeq value, 1 to 2^32-1; null when it is not one. */
export function parseRSeq(text: string | null): number | null {
  if (text === null || !/^\s*\d{1,10}\s*$/.test(text)) return null;
  const value = Number(text);
  return value >= 1 && value <= 0xffffffff ? value : null;
}

/** Reads a RAck value; null when it is not one. */
export function parseRAck(text: string | null): RAck | null {
  const match = text === null
    ? null
    : /^\s*(\d{1,10})\s+(\d{1,10})\s+([A-Za-z0-9.!%*_+`'~-]+)\s*$/.exec(text);
  if (match?.[3] === undefined) return null;
  return { rseq: Number(match[1]), cseq: Number(match[2]), method: match[3] };
}

/** Writes a RAck value. */
export function formatRAck(value: RAck): string {
  return `${value.rseq} ${value.cseq} ${value.method}`;
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
export interface ReliableSenderOutlets<T> {
  /** Send this response (first time or again) with this RSeq. */
  send(response: T, rseq: number): void;
  /** The response was acknowledged by a PRACK. */
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

  /** Takes the RAck of a PRACK for the INVITE with this CSeq number; false: nothing matches, answer 481. */
  acknowledge(rack: RAck, inviteCSeq: number): boolean {
    const response = this.#current;
    if (response === null || rack.rseq !== this.#rseq) return false;
    if (rack.method !== "INVITE" || rack.cseq !== inviteCSeq) return false;
    this.#clear();
    this.#outlets.acknowledged(response);
    const next = this.#waiting.shift();
    if (next !== undefined) this.send(next);
    return true;
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
