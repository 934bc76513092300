// What one address may do: connections at a time, failed logins and calls in a while. An address is an IPv4 address or
// an IPv6 /64 (RFC 6177, RFC 8981). Loopback is not limited: a proxy (stunnel) makes everybody look like it.
// Role: machine

import { toHex } from "../../base/bytes.ts";
import type { Clock } from "../../base/clock.ts";
import { decodeIp, isLoopback, unmapAddress } from "../../net/endpoint.ts";

/** Limits of each address; 0: none. */
interface AddressLimitOptions {
  readonly connections: number;
  /** Failed logins within ten minutes; after them every login is refused. */
  readonly failedLogins: number;
  readonly calls: number;
}

/** A connection that was let in; disposing it frees its place, once. */
export interface Admitted extends Disposable {
  readonly type: "admitted";
}

/** Not let in. `first`: the first time since this address had a place free, so worth a line in the log. */
export interface AddressRefusal {
  readonly type: "refused";
  readonly reason: string;
  readonly first: boolean;
}

/** What happened to an address, for those who keep the same limits. */
export interface AddressChange {
  /** A connection came or went, a login failed, a call was begun. */
  readonly type: "came" | "left" | "login failed" | "called";
  /** Of the address; "" is this machine itself. */
  readonly key: string;
}

const FAILED_LOGIN_WINDOW_MS = 10 * 60_000;
const CALL_WINDOW_MS = 60_000;

interface Presence {
  connections: number;
  refused: boolean;
}

export class AddressLimits {
  readonly #options: AddressLimitOptions;
  readonly #present = new Map<string, Presence>();
  readonly #failedLogins: SlidingWindow;
  readonly #calls: SlidingWindow;
  readonly #tell: (change: AddressChange) => void;

  /** Nobody is there yet. @param tell told of all that happens here, should others keep the same limits */
  constructor(options: AddressLimitOptions, clock: Clock, tell: (change: AddressChange) => void = () => {}) {
    this.#options = options;
    this.#tell = tell;
    this.#failedLogins = new SlidingWindow(FAILED_LOGIN_WINDOW_MS, clock);
    this.#calls = new SlidingWindow(CALL_WINDOW_MS, clock);
  }

  get addresses(): number {
    return this.#present.size;
  }

  /** Asks for a place; there are no more keys than connections, so nothing is evicted. */
  admit(address: string): Admitted | AddressRefusal {
    const key = addressKey(address);
    if (key === null) return { type: "admitted", [Symbol.dispose]: () => {} };
    const presence = this.#present.get(key) ?? { connections: 0, refused: false };
    const { connections: limit } = this.#options;
    if (limit > 0 && presence.connections >= limit) {
      const first = !presence.refused;
      presence.refused = true;
      return { type: "refused", reason: `${limit} connections are the limit of one address`, first };
    }
    this.#happens({ type: "came", key });
    let left = false;
    const leave = (): void => {
      if (!left) this.#happens({ type: "left", key });
      left = true;
    };
    return { type: "admitted", [Symbol.dispose]: leave };
  }

  /** Takes what happened elsewhere as if it had happened here. */
  apply({ type, key }: AddressChange): void {
    switch (type) {
      case "came":
        return this.#come(key);
      case "left":
        return this.#leave(key);
      case "login failed":
        return this.#failedLogins.add(key);
      case "called":
        return this.#calls.add(key);
    }
  }

  #happens(change: AddressChange): void {
    this.apply(change);
    this.#tell(change);
  }

  #come(key: string): void {
    const presence = this.#present.get(key) ?? { connections: 0, refused: false };
    presence.connections++;
    presence.refused = false;
    this.#present.set(key, presence);
  }

  #leave(key: string): void {
    const presence = this.#present.get(key);
    if (presence === undefined) return;
    presence.connections--;
    if (presence.connections === 0) this.#present.delete(key);
  }

  /** Whether logins are refused because too many have failed. */
  mayLogIn(address: string): boolean {
    const { failedLogins: limit } = this.#options;
    const key = addressKey(address);
    return limit === 0 || key === null || this.#failedLogins.count(key) < limit;
  }

  /** A login has failed; says how many failed before, lately. This machine's own are counted as one address. */
  loginFailed(address: string): number {
    const key = addressKey(address) ?? "";
    const before = this.#failedLogins.count(key);
    this.#happens({ type: "login failed", key });
    return Math.floor(before);
  }

  beginCall(address: string): boolean {
    const { calls: limit } = this.#options;
    const key = addressKey(address);
    if (limit === 0 || key === null) return true;
    if (this.#calls.count(key) >= limit) return false;
    this.#happens({ type: "called", key });
    return true;
  }
}

const NETWORK_BYTES = 8;

/** The key of an address; null for this machine itself, where proxies such as stunnel stand for anybody. */
export function addressKey(hostname: string): string | null {
  if (isLoopback(hostname)) return null;
  return sourceKey(hostname);
}

/** The key of an address, whoever it is. Costs nothing for IPv4. */
export function sourceKey(hostname: string): string {
  if (!hostname.includes(":")) return hostname;
  const plain = unmapAddress(hostname);
  const bytes = decodeIp(plain);
  return bytes === null || bytes.length === 4 ? plain : toHex(bytes.subarray(0, NETWORK_BYTES));
}

interface Count {
  /** Number of the window that `present` is about. */
  window: number;
  present: number;
  previous: number;
}

const MAX_KEYS = 20_000;

export class SlidingWindow {
  readonly #windowMs: number;
  readonly #clock: Clock;
  readonly #maxKeys: number;
  /** In the order of the last count, the oldest first. */
  readonly #counts = new Map<string, Count>();

  /** Starts at zero. @param maxKeys keys remembered at most */
  constructor(windowMs: number, clock: Clock, maxKeys: number = MAX_KEYS) {
    this.#windowMs = windowMs;
    this.#clock = clock;
    this.#maxKeys = maxKeys;
  }

  get size(): number {
    return this.#counts.size;
  }

  add(key: string): void {
    const window = this.#window();
    const count = this.#at(key, window);
    this.#counts.delete(key);
    this.#counts.set(key, { ...count, window, present: count.present + 1 });
    const [oldest] = this.#counts.keys();
    if (oldest !== undefined && this.#counts.size > this.#maxKeys) this.#counts.delete(oldest);
  }

  /** How many in the window that ends now, as an estimate. */
  count(key: string): number {
    const now = this.#clock.now();
    const { present, previous } = this.#at(key, this.#window());
    return present + previous * (1 - now % this.#windowMs / this.#windowMs);
  }

  clear(key: string): void {
    this.#counts.delete(key);
  }

  #window(): number {
    return Math.floor(this.#clock.now() / this.#windowMs);
  }

  #at(key: string, window: number): Count {
    const count = this.#counts.get(key);
    const age = count === undefined ? Infinity : window - count.window;
    if (count === undefined || age > 1) return { window, present: 0, previous: 0 };
    return age === 0 ? count : { window, present: 0, previous: count.present };
  }
}
