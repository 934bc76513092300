// Whether there is room for something new: a call or a client. Looks at the number of calls, at how late the event
// loop runs and at the memory of the process. What is running is never touched.
//
//   normal -> (a call beyond the limit | smoothed lag > limit | memory > limit) -> overloaded
//   overloaded -> (nobody beyond the limit of calls for 5 s, lag < half of its limit, memory < 9/10) -> normal
//
// RFC 3261 21.5.4: 503 and Retry-After; the times told are spread, so that those refused do not return together.
// Role: machine

import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import type { CallRoom } from "../call/leg.ts";

/** From where on nothing new is taken. */
export interface LoadLimits {
  /** Most calls at a time. */
  readonly calls: number;
  /** Smoothed lateness of the event loop in milliseconds; 0: not looked at. */
  readonly lagMs: number;
  /** Memory of the process in bytes; 0: not looked at. */
  readonly memoryBytes: number;
}

/** Where the load is read. */
export interface LoadProbes {
  /** Calls that have media now. */
  calls(): number;
  /** Memory of the process in bytes. */
  memoryBytes(): number;
}

/** What asks to be let in; a ping is somebody who wants to know whether a call would be. */
export type Newcomer = "call" | "client" | "ping";

export type Admission =
  | { readonly type: "admitted" }
  | {
    readonly type: "refused";
    /** Why, with numbers, in words for people. */
    readonly reason: string;
    /** When to come back, in seconds. */
    readonly retryAfterSeconds: number;
  };

/** Period of the measurement of lag, in milliseconds. */
export const LOAD_TICK_MS = 100;

/** Memory is read on each such tick. */
const MEMORY_TICKS = 10;

/** Weight of one tick in the smoothed lag: a time constant of 2 s, so one stall alone is no overload. */
const LAG_WEIGHT = 0.05;

/** One tick counts for so many times the limit at most: what a suspended laptop missed is not load. */
const LAG_CAP = 4;

/** The overload by calls is over when nobody was refused for so long and there is room. */
const CALLS_HOLD_MS = 5_000;

const RETRY_MIN_SECONDS = 5;
const RETRY_SPREAD_SECONDS = 10;
const MIB = 1024 * 1024;

/** Watches the load of one gateway. */
export class LoadGuard implements CallRoom, Disposable {
  readonly #limits: LoadLimits;
  readonly #probes: LoadProbes;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #log: Logger;
  #timer: Disposable;
  #dueMs: number;
  #lagMs = 0;
  #ticks = 0;
  #memoryBytes = 0;
  #slow = false;
  #large = false;
  /** When a newcomer was refused for the number of calls. */
  #fullMs = -Infinity;
  #overloadedMs: number | null = null;
  #refused = { call: 0, client: 0, ping: 0 };

  /** Measures from now on, with one timer, until it is disposed. */
  constructor(
    limits: LoadLimits,
    probes: LoadProbes,
    environment: { readonly clock: Clock; readonly random: Random; readonly log: Logger },
  ) {
    const { clock, random, log } = environment;
    this.#limits = limits;
    this.#probes = probes;
    this.#clock = clock;
    this.#random = random;
    this.#log = log;
    this.#dueMs = clock.now() + LOAD_TICK_MS;
    this.#timer = clock.after(LOAD_TICK_MS, () => this.#tick());
  }

  /** Smoothed lateness of the event loop, in milliseconds. */
  get lagMs(): number {
    return this.#lagMs;
  }

  /** Whether somebody new would be refused now. */
  get overloaded(): boolean {
    return this.#cause() !== null;
  }

  /** Asks for a newcomer; a refusal is counted and, when it is the first, told in the log. */
  admit(newcomer: Newcomer): Admission {
    const reason = this.#cause();
    if (reason === null) return { type: "admitted" };
    this.#refused[newcomer]++;
    const nowMs = this.#clock.now();
    if (this.#isFull()) this.#fullMs = nowMs;
    this.#begin(reason, nowMs);
    return { type: "refused", reason, retryAfterSeconds: this.retryAfterSeconds() };
  }

  /** Asks for a call to be made by a client of ours; null: admitted, else why not. */
  refusal(): string | null {
    const admission = this.admit("call");
    return admission.type === "admitted" ? null : admission.reason;
  }

  /** Asks for a new call or ping of a SIP peer; null: admitted, else when to come back, in seconds. */
  refuseSip(method: "INVITE" | "OPTIONS"): number | null {
    const admission = this.admit(method === "INVITE" ? "call" : "ping");
    return admission.type === "admitted" ? null : admission.retryAfterSeconds;
  }

  /** When somebody who was refused may come back: 5 to 15 s, never all at once. */
  retryAfterSeconds(): number {
    return RETRY_MIN_SECONDS + Math.floor(this.#random.float() * (RETRY_SPREAD_SECONDS + 1));
  }

  [Symbol.dispose](): void {
    this.#timer[Symbol.dispose]();
  }

  #tick(): void {
    const nowMs = this.#clock.now();
    this.#measureLag(nowMs);
    if (this.#ticks++ % MEMORY_TICKS === 0) this.#measureMemory();
    const reason = this.#slow || this.#large ? this.#cause() : null;
    if (reason !== null) this.#begin(reason, nowMs);
    else if (!this.#isFull() && nowMs - this.#fullMs >= CALLS_HOLD_MS) this.#end(nowMs);
    this.#timer = this.#clock.after(this.#dueMs - nowMs, () => this.#tick());
  }

  /** Ticks come at multiples of their period; those that were missed are skipped. */
  #measureLag(nowMs: number): void {
    const { lagMs: limitMs } = this.#limits;
    const lateMs = Math.max(0, nowMs - this.#dueMs);
    this.#dueMs += LOAD_TICK_MS * (1 + Math.floor(lateMs / LOAD_TICK_MS));
    if (limitMs === 0) return;
    this.#lagMs += LAG_WEIGHT * (Math.min(lateMs, LAG_CAP * limitMs) - this.#lagMs);
    this.#slow = this.#lagMs > (this.#slow ? limitMs / 2 : limitMs);
  }

  #measureMemory(): void {
    const { memoryBytes: limit } = this.#limits;
    if (limit === 0) return;
    this.#memoryBytes = this.#probes.memoryBytes();
    this.#large = this.#memoryBytes > (this.#large ? 0.9 * limit : limit);
  }

  #isFull(): boolean {
    return this.#probes.calls() >= this.#limits.calls;
  }

  #cause(): string | null {
    const { calls, lagMs, memoryBytes } = this.#limits;
    if (this.#isFull()) return `there are ${this.#probes.calls()} calls, ${calls} are allowed`;
    if (this.#slow) return `the program runs ${Math.round(this.#lagMs)} ms late, ${lagMs} are allowed`;
    if (!this.#large) return null;
    return `${mib(this.#memoryBytes)} MiB of memory are in use, ${mib(memoryBytes)} are allowed`;
  }

  #begin(reason: string, nowMs: number): void {
    if (this.#overloadedMs !== null) return;
    this.#overloadedMs = nowMs;
    const running = this.#probes.calls();
    this.#log.warn(
      `overload (${reason}): rejecting new calls and clients, ${running} active calls continue`,
    );
  }

  #end(nowMs: number): void {
    if (this.#overloadedMs === null) return;
    const seconds = Math.round((nowMs - this.#overloadedMs) / 1000);
    const { call, client, ping } = this.#refused;
    this.#overloadedMs = null;
    this.#refused = { call: 0, client: 0, ping: 0 };
    this.#log.warn(
      `overload cleared after ${seconds} s, accepting again (${this.#now()}; ` +
        `rejected: ${call} calls, ${client} clients, ${ping} pings)`,
    );
  }

  #now(): string {
    const memory = this.#limits.memoryBytes === 0 ? "" : `, ${mib(this.#memoryBytes)} MiB of memory`;
    return `${this.#probes.calls()} calls, ${Math.round(this.#lagMs)} ms late${memory}`;
  }
}

function mib(bytes: number): number {
  return Math.round(bytes / MIB);
}
