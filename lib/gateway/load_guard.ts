// Overload: whether a new call or client is accepted, by the number of calls, the lag of the event loop and the memory
// of the process. Active calls are never touched. RFC 3261 21.5.4: 503 and Retry-After.
// Role: machine

import type { Runtime } from "../base/runtime.ts";
import type { CallAdmission } from "../call/leg.ts";

export interface LoadLimits {
  readonly calls: number;
  /** Smoothed lag of the event loop; 0: not looked at. */
  readonly lagMs: number;
  /** Of the process; 0: not looked at. */
  readonly memoryBytes: number;
}

interface LoadProbes {
  calls(): number;
  memoryBytes(): number;
}

/** A ping is an OPTIONS that wants to know whether a call would be accepted. */
export type Newcomer = "call" | "client" | "ping";

type Admission =
  | { readonly type: "admitted" }
  | {
    readonly type: "refused";
    readonly reason: string;
    readonly retryAfterSeconds: number;
  };

export const LOAD_TICK_MS = 100;

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

/**
 *   normal      a call beyond the limit, smoothed lag > limit, or memory > limit                   -> overloaded
 *   overloaded  nobody beyond the limit of calls for 5 s, lag < half its limit, and memory < 9/10  -> normal
 */
export class LoadGuard implements CallAdmission, Disposable {
  readonly #limits: LoadLimits;
  readonly #probes: LoadProbes;
  readonly #runtime: Runtime;
  #timer: Disposable;
  #dueMs: number;
  #lagMs = 0;
  #ticks = 0;
  #memoryBytes = 0;
  #slow = false;
  #large = false;
  #fullMs = -Infinity;
  #overloadedMs: number | null = null;
  #refused = { call: 0, client: 0, ping: 0 };

  /** Measures from now on, with one timer, until it is disposed. */
  constructor(
    limits: LoadLimits,
    probes: LoadProbes,
    runtime: Runtime,
  ) {
    const { clock } = runtime;
    this.#limits = limits;
    this.#probes = probes;
    this.#runtime = runtime;
    this.#dueMs = clock.now() + LOAD_TICK_MS;
    this.#timer = clock.after(LOAD_TICK_MS, () => this.#tick());
  }

  get lagMs(): number {
    return this.#lagMs;
  }

  get overloaded(): boolean {
    return this.#cause() !== null;
  }

  /** Asks for a newcomer; a refusal is counted and, when it is the first, told in the log. */
  admit(newcomer: Newcomer): Admission {
    const reason = this.#cause();
    if (reason === null) return { type: "admitted" };
    this.#refused[newcomer]++;
    const nowMs = this.#runtime.clock.now();
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

  /** 5 to 15 s: those rejected are not to return together. */
  retryAfterSeconds(): number {
    return RETRY_MIN_SECONDS + Math.floor(this.#runtime.random.float() * (RETRY_SPREAD_SECONDS + 1));
  }

  [Symbol.dispose](): void {
    this.#timer[Symbol.dispose]();
  }

  #tick(): void {
    const nowMs = this.#runtime.clock.now();
    this.#measureLag(nowMs);
    if (this.#ticks++ % MEMORY_TICKS === 0) this.#measureMemory();
    const reason = this.#slow || this.#large ? this.#cause() : null;
    if (reason !== null) this.#begin(reason, nowMs);
    else if (!this.#isFull() && nowMs - this.#fullMs >= CALLS_HOLD_MS) this.#end(nowMs);
    this.#timer = this.#runtime.clock.after(this.#dueMs - nowMs, () => this.#tick());
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
    this.#runtime.log.warn(
      `overload (${reason}): rejecting new calls and clients, ${running} active calls continue`,
    );
  }

  #end(nowMs: number): void {
    if (this.#overloadedMs === null) return;
    const seconds = Math.round((nowMs - this.#overloadedMs) / 1000);
    const { call, client, ping } = this.#refused;
    this.#overloadedMs = null;
    this.#refused = { call: 0, client: 0, ping: 0 };
    this.#runtime.log.warn(
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
