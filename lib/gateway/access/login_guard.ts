// Who may use the RTMP side: users with passwords, a token, or everybody when neither is set. A wrong answer comes
// late, later each time for one address, and is logged without what was tried. A right one waits for no wrong one: a
// token is compared at once, passwords are checked in turns (password_checks.ts).
// Role: edge

import { encodeUtf8 } from "../../base/bytes.ts";
import type { Logger } from "../../base/log.ts";
import type { AddressLimits } from "./address_limits.ts";
import type { LateRefusals } from "./late_refusals.ts";
import { equalSecrets } from "./password.ts";
import { PasswordChecks } from "./password_checks.ts";
import type { PasswordHash, Users } from "./users_file.ts";

export interface Credentials {
  /** Name; null: none was given. */
  readonly user: string | null;
  /** Never logged. */
  readonly password: string | null;
  /** Never logged. */
  readonly token: string | null;
}

/** Who is accepted. Null: that is not asked for. */
export interface LoginRules {
  readonly users: Users | null;
  /** The token that stands for a login. */
  readonly token: string | null;
}

export type LoginOutcome =
  | {
    readonly type: "accepted";
    readonly user: string | null;
    /** What was shown and found right, without the secret; null: nobody is asked. */
    readonly proof: string | null;
  }
  | { readonly type: "refused"; readonly reason: string };

/** Told to who has shown nothing, and may not know that it must, or where. */
const NOTHING: LoginOutcome = {
  type: "refused",
  reason: "a login is needed, at the end of the URL: ?token=TOKEN or ?user=NAME&password=PASSWORD",
};
/** Told to all others: nothing they could learn from. */
const WRONG: LoginOutcome = { type: "refused", reason: "wrong user name, password or token" };
const TOO_OFTEN: LoginOutcome = { type: "refused", reason: "too many failed logins, try again later" };
/** Told at once: too many passwords wait to be checked. */
const BUSY: LoginOutcome = { type: "refused", reason: "too many logins at a time, try again" };

/** A refusal comes after this time, twice as long after each further failure of the address, up to a bound. */
const FIRST_DELAY_MS = 1_000;
const LONGEST_DELAY_MS = 8_000;

/** For user names that do not exist: their check takes as long as any. */
const NOBODY: PasswordHash = { iterations: 600_000, salt: new Uint8Array(16), hash: new Uint8Array(32) };

export class LoginGuard {
  readonly #limits: AddressLimits;
  readonly #refusals: LateRefusals;
  readonly #log: Logger;
  readonly #checks = new PasswordChecks();
  #rules: LoginRules;

  /** Nobody has failed yet. @param limits counts what failed */
  constructor(
    rules: LoginRules,
    limits: AddressLimits,
    environment: { readonly refusals: LateRefusals; readonly log: Logger },
  ) {
    this.#rules = rules;
    this.#limits = limits;
    this.#refusals = environment.refusals;
    this.#log = environment.log.category("rtmp");
  }

  /** Whether anything is asked for at all. */
  get open(): boolean {
    return this.#rules.users === null && this.#rules.token === null;
  }

  /** New rules; logins that were accepted stay. */
  replace(rules: LoginRules): void {
    this.#rules = rules;
  }

  /** Decides one login; takes its time. The refusal of a client that has left (`signal`) comes at once. */
  async login(address: string, credentials: Credentials, signal: AbortSignal): Promise<LoginOutcome> {
    if (this.open) return { type: "accepted", user: credentials.user, proof: null };
    const outcome = this.#limits.mayLogIn(address) ? await this.#check(address, credentials) : TOO_OFTEN;
    if (outcome.type === "refused" && outcome !== BUSY) {
      await this.#refuse(address, credentials, outcome, signal);
    }
    return outcome;
  }

  async #check(address: string, { user, password, token }: Credentials): Promise<LoginOutcome> {
    const rules = this.#rules;
    if (password === null && token === null) return NOTHING;
    if (rules.token !== null && token !== null) {
      return equalSecrets(encodeUtf8(token), encodeUtf8(rules.token))
        ? { type: "accepted", user, proof: "token" }
        : WRONG;
    }
    if (rules.users === null || user === null || !password) return WRONG;
    const found = rules.users.get(user);
    const attempt = { address, user: found === undefined ? null : user, password, expected: found ?? NOBODY };
    const verdict = await this.#checks.check(attempt);
    if (verdict === "busy") return BUSY;
    if (verdict !== "right" || found === undefined) return WRONG;
    return { type: "accepted", user, proof: `user ${user}` };
  }

  async #refuse(
    address: string,
    { user }: Credentials,
    outcome: LoginOutcome & { type: "refused" },
    signal: AbortSignal,
  ): Promise<void> {
    const unchecked = outcome === TOO_OFTEN; // not counted, or a program that tries on and on never comes in again
    const waitMs = unchecked ? LONGEST_DELAY_MS : FIRST_DELAY_MS * 2 ** this.#limits.loginFailed(address);
    const who = user === null ? "A client" : `"${printable(user)}"`;
    this.#log.warn(`${who} at ${address} was refused: ${outcome.reason}`);
    await this.#refusals.wait(Math.min(waitMs, LONGEST_DELAY_MS), signal);
  }
}

function printable(text: string): string {
  return text.slice(0, 40).replace(/\p{Cc}/gu, "?");
}
