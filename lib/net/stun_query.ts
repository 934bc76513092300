// One question to a STUN server: repeated until it is answered or given up (RFC 8489 6.2.1).
// Over UDP only: RTO 500 ms, doubled each time; after the last request 16 times RTO more.
//
//   0 ms, 500, 1500, 3500, 7500, 15500, 31500 requests; 39500 silent
//
// Role: machine

import type { Clock } from "../base/clock.ts";
import type { Endpoint } from "./endpoint.ts";
import { encodeStun, type StunMessage } from "./stun.ts";

export type StunOutcome =
  | {
    /** The server told where it sees us. */
    readonly type: "mapped";
    readonly mapped: Endpoint;
  }
  | { readonly type: "refused"; readonly code: number; readonly reason: string }
  | { readonly type: "silent" };

/** How a question is asked. */
export interface StunQueryOptions {
  readonly clock: Clock;
  /** Transaction id, 24 random hexadecimal digits. */
  readonly id: string;
  /** Sends one request; the bytes may be kept. */
  readonly send: (bytes: Uint8Array) => void;
  /** Told the end, once, never from inside start(). */
  readonly onOutcome: (outcome: StunOutcome) => void;
  /** Requests sent at most; 7 when left out. */
  readonly requests?: number;
}

const RTO_MS = 500;
const REQUESTS = 7;
const LAST_WAIT_MS = 16 * RTO_MS;

export class StunQuery implements Disposable {
  readonly #options: StunQueryOptions;
  readonly #request: Uint8Array;
  #left: number;
  #waitMs = RTO_MS;
  #timer: Disposable | null = null;
  #over = false;

  /** Sends nothing yet. */
  constructor(options: StunQueryOptions) {
    this.#options = options;
    this.#left = options.requests ?? REQUESTS;
    this.#request = encodeStun({ type: "request", id: options.id, unknown: [] });
  }

  /** Sends the first request. */
  start(): void {
    this.#left -= 1;
    this.#options.send(this.#request);
    const last = this.#left <= 0;
    this.#timer = this.#options.clock.after(
      last ? LAST_WAIT_MS : this.#waitMs,
      () => last ? this.#end({ type: "silent" }) : this.start(),
    );
    this.#waitMs *= 2;
  }

  /** Takes a message; false when it is not the answer to this question. */
  receive(message: StunMessage): boolean {
    if (this.#over || message.id !== this.#options.id) return false;
    if (message.type === "success") this.#end({ type: "mapped", mapped: message.mapped });
    else if (message.type === "error") {
      this.#end({ type: "refused", code: message.code, reason: message.reason });
    } else return false;
    return true;
  }

  /** Gives up silently. */
  [Symbol.dispose](): void {
    this.#over = true;
    this.#timer?.[Symbol.dispose]();
  }

  #end(outcome: StunOutcome): void {
    this[Symbol.dispose]();
    this.#options.onOutcome(outcome);
  }
}
