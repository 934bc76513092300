// Keys of accounts: the right one is let in at once, a wrong one is answered late, counts as a failed login and is
// logged without what was tried. Late refusals, of logins too, are bounded: the oldest gives way and is told at once.
// Role: edge

import { encodeUtf8 } from "../../base/bytes.ts";
import { type Clock, delay } from "../../base/clock.ts";
import type { Logger } from "../../base/log.ts";
import type { AddressLimits } from "./address_limits.ts";
import { equalSecrets } from "./users_file.ts";

export interface KeyAttempt {
  readonly address: string;
  readonly what: string;
  /** The right key; null: everybody may. */
  readonly expected: string | null;
  /** What was shown; never logged. */
  readonly shown: string | null;
}

/** What becomes of it. `told` settles when the client may hear of the refusal. */
export type KeyOutcome =
  | { readonly type: "accepted" }
  | { readonly type: "refused"; readonly reason: string; readonly told: Promise<void> };

const FIRST_DELAY_MS = 1_000;
export const LONGEST_DELAY_MS = 8_000;

/** A refusal comes after a second, twice as long after each further failure of the address, up to a bound. */
export function refusalDelayMs(failedBefore: number): number {
  return Math.min(FIRST_DELAY_MS * 2 ** failedBefore, LONGEST_DELAY_MS);
}

export class KeyGuard {
  readonly #limits: AddressLimits;
  readonly #refusals: LateRefusals;
  readonly #log: Logger;

  /** Nobody has failed yet. @param limits counts what failed, logins and keys alike */
  constructor(limits: AddressLimits, environment: { readonly refusals: LateRefusals; readonly log: Logger }) {
    this.#limits = limits;
    this.#refusals = environment.refusals;
    this.#log = environment.log.category("rtmp");
  }

  /** Decides at once; the refusal is to be told when `told` settles, which `signal` hastens. */
  check({ address, what, expected, shown }: KeyAttempt, signal: AbortSignal): KeyOutcome {
    if (expected === null) return { type: "accepted" };
    if (!this.#limits.mayLogIn(address)) {
      return this.#refuse(
        { what, address },
        "too many failed logins, try again later",
        LONGEST_DELAY_MS,
        signal,
      );
    }
    if (shown !== null && equalSecrets(encodeUtf8(shown), encodeUtf8(expected))) return { type: "accepted" };
    const reason = shown === null ? "a key is needed: ...?key=KEY" : "the key is wrong";
    const waitMs = refusalDelayMs(this.#limits.loginFailed(address));
    return this.#refuse({ what, address }, reason, waitMs, signal);
  }

  #refuse(
    { what, address }: Pick<KeyAttempt, "what" | "address">,
    reason: string,
    waitMs: number,
    signal: AbortSignal,
  ): KeyOutcome {
    this.#log.warn(`a client at ${address} may not use ${what}: ${reason}`);
    const told = this.#refusals.wait(waitMs, signal);
    return { type: "refused", reason, told };
  }
}

/** Refusals that wait at a time. */
export const MAX_LATE_REFUSALS = 256;

export class LateRefusals {
  readonly #clock: Clock;
  /** The oldest first. */
  readonly #waiting = new Set<AbortController>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#waiting.size;
  }

  /** Settles when the refusal may be told: after this time, when `signal` aborts, or when another needs its place. */
  async wait(ms: number, signal: AbortSignal): Promise<void> {
    if (this.#waiting.size >= MAX_LATE_REFUSALS) this.makeRoom();
    const early = new AbortController();
    this.#waiting.add(early);
    const hasten = (): void => early.abort();
    signal.addEventListener("abort", hasten, { once: true });
    if (signal.aborted) early.abort();
    try {
      await delay(this.#clock, ms, early.signal);
    } finally {
      signal.removeEventListener("abort", hasten);
      this.#waiting.delete(early);
    }
  }

  /** The one that has waited longest is told now; false when none waits. */
  makeRoom(): boolean {
    const [oldest] = this.#waiting;
    if (oldest === undefined) return false;
    this.#waiting.delete(oldest);
    oldest.abort();
    return true;
  }
}
