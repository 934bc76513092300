// Keys of accounts: whoever shows the right one is let in at once; a wrong one is answered late, later each time for
// one address, counts as a failed login, and is logged without what was tried.
// Role: edge

import { encodeUtf8 } from "../../base/bytes.ts";
import type { Logger } from "../../base/log.ts";
import type { AddressLimits } from "./address_limits.ts";
import type { LateRefusals } from "./late_refusals.ts";
import { equalSecrets } from "./password.ts";

/** One attempt to use something that asks for a key. */
export interface KeyAttempt {
  /** IP address of the client. */
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

/** A refusal comes after this time, twice as long after each further failure of the address, up to a bound. */
const FIRST_DELAY_MS = 1_000;
const LONGEST_DELAY_MS = 8_000;

/** Decides who may use what has a key. */
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
    const waitMs = FIRST_DELAY_MS * 2 ** this.#limits.loginFailed(address);
    return this.#refuse({ what, address }, reason, waitMs, signal);
  }

  #refuse(
    { what, address }: Pick<KeyAttempt, "what" | "address">,
    reason: string,
    waitMs: number,
    signal: AbortSignal,
  ): KeyOutcome {
    this.#log.warn(`a client at ${address} may not use ${what}: ${reason}`);
    const told = this.#refusals.wait(Math.min(waitMs, LONGEST_DELAY_MS), signal);
    return { type: "refused", reason, told };
  }
}
