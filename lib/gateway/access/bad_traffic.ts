// How much bad traffic is borne, of one address and in all: SIP messages that make no sense are answered from a token bucket
// for each address and one for all (sources can be forged), connections without a connect command are bounded, and offenders
// are named in the log at most once a minute. Loopback counts as any address. Good messages always go through.
// Role: machine

import type { Clock } from "../../base/clock.ts";
import type { Logger } from "../../base/log.ts";
import { addressKey, sourceKey } from "./address_limits.ts";

export interface BadTrafficOptions {
  readonly perSecond: number;
  readonly burst: number;
  readonly totalPerSecond: number;
  readonly totalBurst: number;
  /** Addresses remembered; when there are more the oldest is forgotten. */
  readonly maxSources: number;
}

/** Enough for a PBX that calls people who have left, and for nobody's scan. */
const DEFAULT_BAD_TRAFFIC: BadTrafficOptions = {
  perSecond: 10,
  burst: 50,
  totalPerSecond: 100,
  totalBurst: 500,
  maxSources: 4096,
};

/** Credit of one source at most: bad messages that are answered after a time of good ones. */
const MAX_CREDIT = 1_000;

/** OPTIONS for the port itself, of load balancers and scanners: apart, or a scan through a proxy would silence both. */
const PING_BUCKET: BucketSize = { perSecond: 2, burst: 10 };

interface BucketSize {
  readonly perSecond: number;
  readonly burst: number;
}

class Bucket {
  readonly #size: BucketSize;
  #tokens: number;
  #atMs: number;

  constructor(size: BucketSize, nowMs: number) {
    this.#size = size;
    this.#tokens = size.burst;
    this.#atMs = nowMs;
  }

  isEmpty(nowMs: number): boolean {
    const { perSecond, burst } = this.#size;
    this.#tokens = Math.min(burst, this.#tokens + (nowMs - this.#atMs) * perSecond / 1000);
    this.#atMs = nowMs;
    return this.#tokens < 1;
  }

  take(): void {
    this.#tokens--;
  }
}

interface Source {
  readonly bad: Bucket;
  readonly pings: Bucket;
  credit: number;
}

export class BadTraffic {
  readonly #options: BadTrafficOptions;
  readonly #clock: Clock;
  readonly #offenders: Pick<OffenderLog, "note">;
  /** By key, the oldest first. */
  readonly #sources = new Map<string, Source>();
  readonly #all: Bucket;

  constructor(
    environment: { readonly clock: Clock },
    offenders: Pick<OffenderLog, "note">,
    options: Partial<BadTrafficOptions> = {},
  ) {
    this.#options = { ...DEFAULT_BAD_TRAFFIC, ...options };
    const { totalPerSecond: perSecond, totalBurst: burst } = this.#options;
    this.#clock = environment.clock;
    this.#offenders = offenders;
    this.#all = new Bucket({ perSecond, burst }, this.#clock.now());
  }

  get size(): number {
    return this.#sources.size;
  }

  /** Whether a bad message of this address would not be answered now: worth a look before it is parsed. */
  limited(address: string): boolean {
    const source = this.#sources.get(sourceKey(address));
    if (source !== undefined && source.credit >= 1) return false;
    const nowMs = this.#clock.now();
    return this.#all.isEmpty(nowMs) || (source?.bad.isEmpty(nowMs) ?? false);
  }

  /** A bad message came; true: answer it and tell about it, false: drop it, it is counted. */
  bad(address: string, offence: Offence): boolean {
    const nowMs = this.#clock.now();
    const source = this.#sourceOf(address, nowMs);
    if (source.credit >= 1) {
      source.credit--;
      return true;
    }
    if (source.bad.isEmpty(nowMs) || this.#all.isEmpty(nowMs)) {
      this.dropped(address, offence);
      return false;
    }
    source.bad.take();
    this.#all.take();
    return true;
  }

  /** A message of a limited source was dropped unread: it is counted. */
  dropped(address: string, offence: Offence): void {
    this.#offenders.note(address, offence);
  }

  /** Whether one more ping of this address would not be answered now. */
  pingsLimited(address: string): boolean {
    return this.#sources.get(sourceKey(address))?.pings.isEmpty(this.#clock.now()) ?? false;
  }

  /** Somebody asked whether we are there; true: answer, false: drop it, it is counted. */
  ping(address: string): boolean {
    const nowMs = this.#clock.now();
    const { pings } = this.#sourceOf(address, nowMs);
    if (pings.isEmpty(nowMs)) {
      this.dropped(address, "OPTIONS pings");
      return false;
    }
    pings.take();
    return true;
  }

  good(address: string): void {
    const source = this.#sourceOf(address, this.#clock.now());
    if (source.credit < MAX_CREDIT) source.credit++;
  }

  #sourceOf(address: string, nowMs: number): Source {
    const key = sourceKey(address);
    const known = this.#sources.get(key);
    if (known !== undefined) return known;
    const source = {
      bad: new Bucket(this.#options, nowMs),
      pings: new Bucket(PING_BUCKET, nowMs),
      credit: 0,
    };
    this.#sources.set(key, source);
    if (this.#sources.size > this.#options.maxSources) {
      this.#sources.delete(this.#sources.keys().next().value!);
    }
    return source;
  }
}

/** Most connections of that kind at a time. */
export interface HalfOpenLimits {
  readonly total: number;
  readonly perAddress: number;
}

interface Waiting {
  readonly address: string;
  readonly key: string | null;
  readonly drop: () => void;
}

const SHARE = 4;
const LEAST = 8;

/** A quarter for each address, eight at least. */
export function halfOpenLimits(total: number): HalfOpenLimits {
  return { total, perAddress: Math.min(total, Math.max(LEAST, Math.floor(total / SHARE))) };
}

export class HalfOpen {
  readonly #limits: HalfOpenLimits;
  readonly #offenders: Pick<OffenderLog, "note">;
  /** The oldest first. */
  readonly #waiting = new Set<Waiting>();
  /** By address, the oldest first. */
  readonly #byKey = new Map<string, Set<Waiting>>();

  constructor(limits: HalfOpenLimits, offenders: Pick<OffenderLog, "note">) {
    this.#limits = limits;
    this.#offenders = offenders;
  }

  get size(): number {
    return this.#waiting.size;
  }

  /**
   * One more; another may be dropped for it. Dispose the result when it has said who it is, or has ended.
   * @param drop closes it at once
   */
  add(address: string, drop: () => void): Disposable {
    const key = addressKey(address);
    const waiting: Waiting = { address, key, drop };
    const peers = key === null ? null : this.#byKey.get(key) ?? new Set();
    if (peers !== null && peers.size >= this.#limits.perAddress) this.#dropOldest(peers);
    else if (this.#waiting.size >= this.#limits.total) this.#dropOldest(this.#waiting);
    this.#waiting.add(waiting);
    if (key !== null && peers !== null) this.#byKey.set(key, peers.add(waiting));
    return { [Symbol.dispose]: () => this.#remove(waiting) };
  }

  /** Drops the oldest for somebody who needs its place; false when there is none. */
  makeRoom(): boolean {
    const some = this.#waiting.size > 0;
    this.#dropOldest(this.#waiting);
    return some;
  }

  #dropOldest(among: ReadonlySet<Waiting>): void {
    const [oldest] = among;
    if (oldest === undefined) return;
    this.#remove(oldest);
    this.#offenders.note(oldest.address, "RTMP connections without a connect command");
    oldest.drop();
  }

  #remove(waiting: Waiting): void {
    this.#waiting.delete(waiting);
    const peers = waiting.key === null ? undefined : this.#byKey.get(waiting.key);
    if (peers?.delete(waiting) && peers.size === 0) this.#byKey.delete(waiting.key!);
  }
}

/** What somebody was limited for; reads well behind a number. */
type Offence =
  | "malformed SIP messages"
  | "SIP requests for unknown users"
  | "stray SIP messages (no dialog or transaction)"
  | "OPTIONS pings"
  | "INVITEs over the limit"
  | "requests to forbidden targets"
  | "connections with invalid RTMP"
  | "RTMP connections without a connect command"
  | "reads paused (sending too fast)";

/** One report in so many milliseconds. */
export const REPORT_MS = 60_000;

/** Offenders with a line of their own in one report, and new ones told at once in the same time. */
const NAMED = 3;

/** Offenders told apart; those beyond are counted together. */
const MAX_OFFENDERS = 256;

export class OffenderLog implements Disposable {
  readonly #clock: Clock;
  readonly #log: Logger;
  #counts = new Map<string, Map<Offence, number>>();
  #others = 0;
  /** Named in the last report: nothing new. */
  #known: ReadonlySet<string> = new Set();
  #told = 0;
  #timer: Disposable | null = null;

  /** Holds no timer while nobody offends. */
  constructor(environment: { readonly clock: Clock; readonly log: Logger }) {
    this.#clock = environment.clock;
    this.#log = environment.log.category("net");
  }

  get size(): number {
    return this.#counts.size;
  }

  /** One more. @param address whom to name */
  note(address: string, offence: Offence): void {
    const counts = this.#counts.get(address);
    if (counts !== undefined) return void counts.set(offence, (counts.get(offence) ?? 0) + 1);
    if (this.#counts.size >= MAX_OFFENDERS) return void this.#others++;
    this.#counts.set(address, new Map([[offence, 1]]));
    this.#timer ??= this.#clock.after(REPORT_MS, () => this.#report());
    this.#tellFirst(address, offence);
  }

  /** Says what is left to say, and stops. */
  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = null;
    this.#tellAll();
    this.#counts.clear();
  }

  #tellFirst(address: string, offence: Offence): void {
    if (this.#known.has(address) || this.#told >= NAMED) return;
    this.#told++;
    this.#log.warn(`rate limiting ${address}: ${offence}`);
  }

  #report(): void {
    this.#tellAll();
    this.#timer = this.#counts.size > 0 ? this.#clock.after(REPORT_MS, () => this.#report()) : null;
    this.#counts = new Map();
    this.#others = 0;
    this.#told = 0;
  }

  #tellAll(): void {
    const offenders = [...this.#counts].map(([address, counts]) => ({ address, counts, sum: sumOf(counts) }));
    offenders.sort((a, b) => b.sum - a.sum);
    const named = offenders.slice(0, NAMED);
    for (const { address, counts } of named) {
      this.#log.warn(`rate limited ${address} in the last minute: ${textOf(counts)}`);
    }
    this.#known = new Set(named.map(({ address }) => address));
    const rest = offenders.slice(NAMED);
    if (rest.length === 0) return;
    const sum = rest.reduce((total, offender) => total + offender.sum, this.#others);
    this.#log.warn(
      `rate limited ${rest.length}${
        this.#others > 0 ? " or more" : ""
      } other addresses in the last minute: ${sum} times`,
    );
  }
}

function sumOf(counts: ReadonlyMap<Offence, number>): number {
  let sum = 0;
  for (const count of counts.values()) sum += count;
  return sum;
}

function textOf(counts: ReadonlyMap<Offence, number>): string {
  return [...counts].map(([offence, count]) => `${count} ${offence}`).join(", ");
}
