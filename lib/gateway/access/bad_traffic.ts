// How much bad SIP is answered: a token bucket for each address, one for all (sources can be forged), and credit for good
// messages, so that a PBX is always told of its bad ones. Loopback counts as any address. Good messages always go through.
// Role: machine

import type { Clock } from "../../base/clock.ts";
import type { Offence, OffenderLog } from "./offender_log.ts";
import { sourceKey } from "./address_limits.ts";

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
