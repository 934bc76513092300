// How much bad SIP one address may send before it is not answered any more: a token bucket for each, one for all of
// them together (sources can be forged), and credit for what is good, so that a PBX which mostly sends good messages
// is always told about its bad ones. Only bad messages are ever limited; good ones of the same source go through.
//
//   bad message: costs credit, else a token of the address and one of all    good message: earns credit
//
// The port looks at loopback as at any address: what a proxy on this machine forwards is told apart by being good.
// Role: machine
// Answers to: nothing in siprtmp, which answered a scan as fast as it came.

import type { Clock } from "../base/clock.ts";
import type { Offence, OffenderLog } from "./offender_log.ts";
import { sourceKey } from "./address_key.ts";

/** Bad messages that are answered. */
export interface BadTrafficOptions {
  /** Of one address, a second. */
  readonly perSecond: number;
  /** Of one address, at once. */
  readonly burst: number;
  /** Of all addresses, a second. */
  readonly totalPerSecond: number;
  /** Of all addresses, at once. */
  readonly totalBurst: number;
  /** Addresses remembered; when there are more the oldest is forgotten. */
  readonly maxSources: number;
}

/** Enough for a PBX that calls people who have left, and for nobody's scan. */
export const DEFAULT_BAD_TRAFFIC: BadTrafficOptions = {
  perSecond: 10,
  burst: 50,
  totalPerSecond: 100,
  totalBurst: 500,
  maxSources: 4096,
};

/** Credit of one source at most: bad messages that are answered after a time of good ones. */
const MAX_CREDIT = 100;

class Source {
  tokens: number;
  atMs: number;
  credit = 0;

  constructor(tokens: number, nowMs: number) {
    this.tokens = tokens;
    this.atMs = nowMs;
  }
}

/** Counts the bad messages of each source. */
export class BadTraffic {
  readonly #options: BadTrafficOptions;
  readonly #clock: Clock;
  readonly #offenders: Pick<OffenderLog, "note">;
  /** By key, the oldest first. */
  readonly #sources = new Map<string, Source>();
  readonly #all: Source;

  /** Nobody has sent anything. */
  constructor(
    environment: { readonly clock: Clock },
    offenders: Pick<OffenderLog, "note">,
    options: Partial<BadTrafficOptions> = {},
  ) {
    this.#options = { ...DEFAULT_BAD_TRAFFIC, ...options };
    this.#clock = environment.clock;
    this.#offenders = offenders;
    this.#all = new Source(this.#options.totalBurst, this.#clock.now());
  }

  /** Sources remembered. */
  get size(): number {
    return this.#sources.size;
  }

  /** Whether a bad message of this address would not be answered now: worth a look before it is parsed. */
  limited(address: string): boolean {
    const source = this.#sources.get(sourceKey(address));
    if (source !== undefined && source.credit >= 1) return false;
    const nowMs = this.#clock.now();
    this.#refillAll(nowMs);
    if (this.#all.tokens < 1) return true;
    if (source === undefined) return false;
    this.#refill(source, nowMs);
    return source.tokens < 1;
  }

  /** A bad message came; true: answer it and tell about it, false: drop it, it is counted. */
  bad(address: string, offence: Offence): boolean {
    const nowMs = this.#clock.now();
    const source = this.#sourceOf(address, nowMs);
    if (source.credit >= 1) {
      source.credit--;
      return true;
    }
    this.#refill(source, nowMs);
    this.#refillAll(nowMs);
    if (source.tokens >= 1 && this.#all.tokens >= 1) {
      source.tokens--;
      this.#all.tokens--;
      return true;
    }
    this.#offenders.note(address, offence);
    return false;
  }

  /** A good message came. */
  good(address: string): void {
    const source = this.#sourceOf(address, this.#clock.now());
    if (source.credit < MAX_CREDIT) source.credit++;
  }

  #sourceOf(address: string, nowMs: number): Source {
    const key = sourceKey(address);
    const known = this.#sources.get(key);
    if (known !== undefined) return known;
    const source = new Source(this.#options.burst, nowMs);
    this.#sources.set(key, source);
    if (this.#sources.size > this.#options.maxSources) {
      this.#sources.delete(this.#sources.keys().next().value!);
    }
    return source;
  }

  #refill(source: Source, nowMs: number): void {
    const { perSecond, burst } = this.#options;
    source.tokens = Math.min(burst, source.tokens + (nowMs - source.atMs) * perSecond / 1000);
    source.atMs = nowMs;
  }

  #refillAll(nowMs: number): void {
    const { totalPerSecond, totalBurst } = this.#options;
    const all = this.#all;
    all.tokens = Math.min(totalBurst, all.tokens + (nowMs - all.atMs) * totalPerSecond / 1000);
    all.atMs = nowMs;
  }
}
