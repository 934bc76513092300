// The timers of SIP transactions and how long each runs (RFC 3261 17.1.1.1 and table 4 of its appendix A; L and M from RFC 6026;
// T1, T2 and T4 are settings, timer C belongs to proxies), and what runs the table of a transaction.
// Role: machine

import type { Clock } from "../../base/clock.ts";

/** The three basic times, all in milliseconds (RFC 3261 17.1.1.1, 17.1.2.2). */
export interface TimerValues {
  /** T1: an estimate of the round-trip time, in milliseconds. */
  readonly t1: number;
  /** T2: the longest interval between retransmissions of non-INVITE requests and INVITE responses, ms. */
  readonly t2: number;
  /** T4: how long a message may stay in the network, ms. */
  readonly t4: number;
}

/** The values RFC 3261 recommends. */
export const defaultTimers: TimerValues = { t1: 500, t2: 4000, t4: 5000 };

/** Letters as in RFC 3261 and 6026; "100" is the 200 ms after which an INVITE gets its 100 (17.2.1). */
export type TimerName = "A" | "B" | "D" | "E" | "F" | "G" | "H" | "I" | "J" | "K" | "L" | "M" | "100";

/** How long the TU may stay silent before the transaction itself answers 100 (RFC 3261 17.2.1). */
const TRYING_AFTER_MS = 200;

/** Milliseconds until each timer fires for the first time; null: not started over this transport. */
export type TimerTable = Readonly<Record<TimerName, number | null>>;

/** How long nobody waits any more: timers B, D, F, H, J, L, M and the repetition of 2xx responses. */
export function giveUpMs(values: TimerValues): number {
  return 64 * values.t1;
}

/** The durations over a reliable (TCP) or an unreliable (UDP) transport. */
export function timerTable(values: TimerValues, reliable: boolean): TimerTable {
  const giveUp = giveUpMs(values);
  return {
    A: reliable ? null : values.t1, // 17.1.1.2 INVITE request retransmission, doubled each time
    B: giveUp, // 17.1.1.2 INVITE without any response
    D: reliable ? 0 : giveUp, // 17.1.1.2 absorbs retransmitted final responses, at least 32 s
    E: reliable ? null : values.t1, // 17.1.2.2 other requests' retransmission, doubled up to T2
    F: giveUp, // 17.1.2.2 other requests without a final response
    G: reliable ? null : values.t1, // 17.2.1 INVITE response retransmission, doubled up to T2
    H: giveUp, // 17.2.1 waiting for the ACK
    I: reliable ? 0 : values.t4, // 17.2.1 absorbs retransmitted ACKs
    J: reliable ? 0 : giveUp, // 17.2.2 absorbs retransmitted requests
    K: reliable ? 0 : values.t4, // 17.1.2.2 absorbs retransmitted responses
    L: giveUp, // RFC 6026 7.1 absorbs retransmitted INVITEs after a 2xx
    M: giveUp, // RFC 6026 7.2 retransmitted and forked 2xx still reach the TU
    "100": Math.min(TRYING_AFTER_MS, values.t1), // 17.2.1
  };
}

export class TimerSet<Name extends string> implements Disposable {
  readonly #clock: Clock;
  readonly #fired: (name: Name) => void;
  readonly #running = new Map<Name, Disposable>();

  /** An empty set. @param fired told the name of each timer that ran out; it is no longer running then */
  constructor(clock: Clock, fired: (name: Name) => void) {
    this.#clock = clock;
    this.#fired = fired;
  }

  get size(): number {
    return this.#running.size;
  }

  /** Starts (or restarts) one timer; null means that this timer is not used. */
  start(name: Name, ms: number | null): void {
    this.stop(name);
    if (ms === null) return;
    const timer = this.#clock.after(ms, () => {
      this.#running.delete(name);
      this.#fired(name);
    });
    this.#running.set(name, timer);
  }

  /** Stops one timer; a timer that is not running is fine. */
  stop(name: Name): void {
    this.#running.get(name)?.[Symbol.dispose]();
    this.#running.delete(name);
  }

  [Symbol.dispose](): void {
    for (const timer of this.#running.values()) timer[Symbol.dispose]();
    this.#running.clear();
  }
}

/** By state and input: the next state, and what is done there. What a state has no rule for is absorbed. */
export type TransactionTable<State extends string, Input extends string, Action extends string> = Partial<
  Record<State, Partial<Record<Input, readonly [next: State, ...actions: readonly Action[]]>>>
>;

export interface MachineOptions {
  /** True over TCP: nothing is retransmitted. */
  readonly reliable: boolean;
  /** T1, T2, T4. */
  readonly timers: TimerValues;
  readonly clock: Clock;
}

/** `start X` and `stop X` are done here, every other action by the transaction. */
export abstract class TransactionMachine<
  State extends string,
  Timer extends TimerName,
  Input extends string,
  Action extends string,
  Message,
> implements Disposable {
  protected readonly timers: TimerSet<Timer>;
  protected readonly values: TimerValues;
  protected times: TimerTable;
  /** After which time it is sent again. */
  #resendMs: number;
  readonly #table: TransactionTable<
    State,
    Input | `timer ${Timer}`,
    Action | `start ${Timer}` | `stop ${Timer}`
  >;
  #state: State;

  constructor(
    table: TransactionTable<State, Input | `timer ${Timer}`, Action | `start ${Timer}` | `stop ${Timer}`>,
    state: State,
    { timers, reliable, clock }: MachineOptions,
  ) {
    this.#table = table;
    this.#state = state;
    this.values = timers;
    this.times = timerTable(timers, reliable);
    this.#resendMs = timers.t1;
    this.timers = new TimerSet(clock, (name) => void this.take(`timer ${name}`));
  }

  get state(): State {
    return this.#state;
  }

  /** Ends the transaction silently. */
  [Symbol.dispose](): void {
    if (this.#state !== "terminated") this.#enter("terminated" as State);
  }

  protected abstract perform(action: Action, message: Message | null): void;
  /** Told once, when the state is "terminated". */
  protected abstract ended(): void;
  /** Told of a message that a rule takes, before anything is done. */
  protected taken(_message: Message): void {}

  /** False when the state has no use for it. */
  protected take(input: Input | `timer ${Timer}`, message: Message | null = null): boolean {
    const rule = this.#table[this.#state]?.[input];
    if (rule === undefined) return false;
    const [next, ...actions] = rule;
    if (message !== null) this.taken(message);
    if (next !== this.#state) this.#enter(next);
    for (const action of actions) this.#do(action as Action, message);
    return true;
  }

  /** Starts the timer of a repetition with twice its time, or with the limit. */
  protected resendLater(timer: Timer, limitMs: number): void {
    this.#resendMs = Math.min(2 * this.#resendMs, limitMs);
    this.timers.start(timer, this.#resendMs);
  }

  #enter(next: State): void {
    this.#state = next;
    if (next !== "terminated") return;
    this.timers[Symbol.dispose]();
    this.ended();
  }

  #do(action: Action | `start ${Timer}` | `stop ${Timer}`, message: Message | null): void {
    const [verb, name] = action.split(" ", 2) as ["start" | "stop", Timer];
    if (verb === "start") this.timers.start(name, this.times[name]);
    else if (verb === "stop") this.timers.stop(name);
    else this.perform(action as Action, message);
  }
}
