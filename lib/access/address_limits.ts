// What one address may do: connections at a time, failed logins and calls in a while. This machine itself is not
// limited, because a proxy in front of us (stunnel) makes everybody look like it.
// Role: machine
// Answers to: nothing in siprtmp.

import type { Clock } from "../base/clock.ts";
import { addressKey } from "./address_key.ts";
import { SlidingWindow } from "./sliding_window.ts";

/** Limits of each address; 0: none. */
export interface AddressLimitOptions {
  /** Connections at a time. */
  readonly connections: number;
  /** Failed logins within ten minutes; after them every login is refused. */
  readonly failedLogins: number;
  /** Calls begun within a minute. */
  readonly calls: number;
}

/** A connection that was let in; disposing it frees its place, once. */
export interface Admitted extends Disposable {
  /** Let in. */
  readonly type: "admitted";
}

/** Not let in. `first`: the first time since this address had a place free, so worth a line in the log. */
export interface TurnedAway {
  /** Not let in. */
  readonly type: "refused";
  /** Why. */
  readonly reason: string;
  /** Worth a line. */
  readonly first: boolean;
}

const FAILED_LOGIN_WINDOW_MS = 10 * 60_000;
const CALL_WINDOW_MS = 60_000;

interface Presence {
  connections: number;
  refused: boolean;
}

/** Counts what addresses do. */
export class AddressLimits {
  readonly #options: AddressLimitOptions;
  readonly #present = new Map<string, Presence>();
  readonly #failedLogins: SlidingWindow;
  readonly #calls: SlidingWindow;

  /** Nobody is there yet. */
  constructor(options: AddressLimitOptions, clock: Clock) {
    this.#options = options;
    this.#failedLogins = new SlidingWindow(FAILED_LOGIN_WINDOW_MS, clock);
    this.#calls = new SlidingWindow(CALL_WINDOW_MS, clock);
  }

  /** Addresses with a connection. */
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
    presence.connections++;
    presence.refused = false;
    this.#present.set(key, presence);
    let left = false;
    const leave = (): void => {
      if (left) return;
      left = true;
      presence.connections--;
      if (presence.connections === 0) this.#present.delete(key);
    };
    return { type: "admitted", [Symbol.dispose]: leave };
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
    this.#failedLogins.add(key);
    return Math.floor(before);
  }

  /** Begins a call, if there may be one more. */
  beginCall(address: string): boolean {
    const { calls: limit } = this.#options;
    const key = addressKey(address);
    if (limit === 0 || key === null) return true;
    if (this.#calls.count(key) >= limit) return false;
    this.#calls.add(key);
    return true;
  }
}
