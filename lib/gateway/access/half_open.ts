// RTMP connections without a connect command so far: bounded in all and for each address; beyond, the oldest is dropped,
// because an honest client needs a round trip or two. Loopback has no bound of its own: a proxy makes everybody look like it.
// Role: machine

import { addressKey } from "./address_limits.ts";
import type { OffenderLog } from "./offender_log.ts";

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
