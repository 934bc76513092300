// The one thing the gateway asks before it lets somebody in or a call out.
// Role: machine

import { type AddressChange, AddressLimits, type AddressRefusal, type Admitted } from "./address_limits.ts";
import { ALLOWED, type Decision, type DialMatcher, DialRules, type DialTarget } from "./target_policy.ts";
import { type KeyAttempt, KeyGuard, type KeyOutcome, LateRefusals } from "./key_guard.ts";
import { type Credentials, LoginGuard, type LoginOutcome, type LoginRules } from "./login_guard.ts";
import type { Runtime } from "../../base/runtime.ts";

export interface AccessOptions extends LoginRules {
  /** Domains in lower case; null: any. */
  readonly domains: readonly string[] | null;
  /** Patterns of what may be dialled; null: anything. */
  readonly dials: readonly DialMatcher[] | null;
  /** Connections of one address at a time; 0: any number. */
  readonly connectionsPerAddress: number;
  /** Failed logins of one address in ten minutes; 0: any number. */
  readonly failedLogins: number;
  /** Calls of one address begun in a minute; 0: any number. */
  readonly callsPerAddress: number;
}

interface AccessEnvironment extends Pick<Runtime, "clock" | "log"> {
  /** Told what addresses do, should others keep the same limits. */
  readonly onChange?: (change: AddressChange) => void;
}

export class AccessPolicy {
  readonly #limits: AddressLimits;
  readonly #refusals: LateRefusals;
  readonly #logins: LoginGuard;
  readonly #keys: KeyGuard;
  readonly #rules: DialRules;
  readonly #callsPerAddress: number;

  constructor(options: AccessOptions, environment: AccessEnvironment) {
    const { connectionsPerAddress, failedLogins, callsPerAddress } = options;
    const limits = { connections: connectionsPerAddress, failedLogins, calls: callsPerAddress };
    this.#limits = new AddressLimits(limits, environment.clock, environment.onChange);
    this.#refusals = new LateRefusals(environment.clock);
    const guarded = { refusals: this.#refusals, log: environment.log };
    this.#logins = new LoginGuard(options, this.#limits, guarded);
    this.#keys = new KeyGuard(this.#limits, guarded);
    this.#rules = new DialRules(options);
    this.#callsPerAddress = callsPerAddress;
  }

  /** Asks for a place for one connection of this IP address; dispose what was admitted when it ends. */
  admit(address: string): Admitted | AddressRefusal {
    return this.#limits.admit(address);
  }

  /** What an address did elsewhere counts here. */
  apply(change: AddressChange): void {
    this.#limits.apply(change);
  }

  get asksForLogin(): boolean {
    return !this.#logins.open;
  }

  /** Decides a login; a refusal comes late, at once when `signal` aborts. Logs it, without the password. */
  login(address: string, credentials: Credentials, signal: AbortSignal): Promise<LoginOutcome> {
    return this.#logins.login(address, credentials, signal);
  }

  /** Tells a client now that waits for its refusal, so that its place is free; false when none waits. */
  makeRoom(): boolean {
    return this.#refusals.makeRoom();
  }

  /** Decides whether the key of an account was shown; a refusal is to be told late. */
  mayUseKey(attempt: KeyAttempt, signal: AbortSignal): KeyOutcome {
    return this.#keys.check(attempt, signal);
  }

  mayUse(domain: string): Decision {
    return this.#rules.mayUse(domain);
  }

  mayDial(target: DialTarget): Decision {
    return this.#rules.mayDial(target);
  }

  /** {@link AccessPolicy.mayDial}, and whether this address has not begun too many calls; counts the call. */
  mayCall(address: string, target: DialTarget): Decision {
    const decision = this.#rules.mayDial(target);
    if (decision.type === "refused") return decision;
    if (this.#limits.beginCall(address)) return ALLOWED;
    return {
      type: "refused",
      reason: `${this.#callsPerAddress} calls a minute are the limit of one address (max-calls-per-address)`,
    };
  }

  /** Other users or another token from now on; who is logged in stays. */
  replaceLogins(rules: LoginRules): void {
    this.#logins.replace(rules);
  }
}
