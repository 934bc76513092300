// A 2xx response to an INVITE, repeated until its ACK comes or nobody can be waiting any more.
// RFC 3261 13.3.1.4: first after T1, then doubling up to T2, for 64*T1, over every transport.
// Role: machine

import type { Clock } from "../../base/clock.ts";
import { giveUpMs, type TimerValues } from "./timers.ts";
import { TimerSet } from "./timer_set.ts";

export interface RepeatedResponseOptions {
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
