// What one address may do: connections at a time, failed logins and calls in a while. This machine itself is not
// limited, because a proxy in front of us (stunnel) makes everybody look like it.
// Role: machine

import type { Clock } from "../../base/clock.ts";
import { addressKey } from "./address_key.ts";
import { SlidingWindow } from "./sliding_window.ts";

/** Limits of each address; 0: none. */
export interface AddressLimitOptions {
  readonly connections: number;
  /** Failed logins within ten minutes; after them every login is refused. */
  readonly failedLogins: number;
  /** Calls begun within a minute. */
  readonly calls: number;
}

/** A connection that was let in; disposing it frees its place, once. */
export interface Admitted extends Disposable {
  readonly type: "admitted";
}

/** Not let in. `first`: the first time since this address had a place free, so worth a line in the log. */
export interface TurnedAway {
  /** Not let in. */
  readonly type: "refused";
  /** Why. */
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
  admit(address: string): Admitted | TurnedAway {
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
