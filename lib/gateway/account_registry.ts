// The SIP users that the gateway itself is: one user agent for each account of the configuration, registered in the
// background from the start to the end of the gateway. A registrar that is away or refuses delays and ends nothing.
// RFC 3261 section 10.2; waits of registration_schedule.ts, pace of account_gate.ts.
// Role: edge

import { type Clock, delay } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import { Scope } from "../base/scope.ts";
import type { SipAccount } from "../config/sip_account.ts";
import type { SipEndpoint } from "../sip/ua/endpoint.ts";
import { registrarUri } from "../sip/ua/identity.ts";
import type { RegistrationChange } from "../sip/ua/registration_keeper.ts";
import { formatSipUri } from "../sip/message/uri.ts";
import type { UserAgent } from "../sip/ua/user_agent.ts";
import { AccountGate } from "./account_gate.ts";
import { registrationText, unregisteredText } from "./account_words.ts";

/** Goodbyes that may wait for their answer at a time. */
const GOODBYES_AT_ONCE = 100;
/** After this time in milliseconds all goodbyes that are left are said at once, and end within 2 s. */
const GOODBYE_PATIENCE_MS = 3_000;

/** How an account stands with its registrar; "unregistered": it is not to be registered, or it has ended. */
export type AccountState = "unregistered" | "registering" | "registered" | "failed";

export interface AccountRegistryParts {
  readonly accounts: readonly SipAccount[];
  readonly sip: Pick<SipEndpoint, "createUserAgent">;
  readonly clock: Clock;
  readonly random: Random;
  /** Where the lines of accounts go, each with its name. */
  readonly log: Logger;
}

/** One SIP user that the gateway itself is. */
export class Account {
  readonly config: SipAccount;
  /** Calls and is called in its name; its invitations and messages have one reader. */
  readonly agent: UserAgent;
  /** Its lines begin with its name. */
  readonly log: Logger;
  #state: AccountState = "unregistered";

  /** Sends nothing by itself. */
  constructor(config: SipAccount, agent: UserAgent, log: Logger) {
    this.config = config;
    this.agent = agent;
    this.log = log;
  }

  /** How it stands with its registrar now. */
  get state(): AccountState {
    return this.#state;
  }

  /** Registers from now on, unless it is not to be registered; ends with the user agent. */
  async run(gate: AccountGate): Promise<void> {
    const { identity, register } = this.config;
    if (!register) return this.log.info(unregisteredText(identity));
    const registrar = formatSipUri(identity.proxy ?? registrarUri(identity));
    this.#state = "registering";
    this.agent.keepRegistered((signal) => gate.pass(registrar, signal));
    for await (const change of this.agent.registrations()) this.#changed(change);
    this.#state = "unregistered";
  }

  /** Tries again now when the last attempt has failed; false when it has not. */
  retry(): boolean {
    if (this.#state !== "failed") return false;
    this.agent.retryRegistration();
    return true;
  }

  #changed(change: RegistrationChange): void {
    const text = registrationText(this.config.identity, change, this.#state === "registered");
    if (change.type === "registered") this.log.info(text);
    else this.log.warn(text);
    this.#state = change.type === "registered" ? "registered" : "failed";
  }
}

export class AccountRegistry implements AsyncDisposable {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #accounts = new Map<string, Account>();
  readonly #gate: AccountGate;
  readonly #scope: Scope;
  #closing: Promise<void> | null = null;

  /** Makes the user agents; nothing is sent before start(). */
  constructor({ accounts, sip, clock, random, log }: AccountRegistryParts) {
    this.#clock = clock;
    this.#log = log;
    this.#scope = new Scope("accounts", { log });
    this.#gate = new AccountGate({ clock, random });
    for (const config of accounts) {
      const named = log.child(`account ${config.name}`);
      this.#accounts.set(config.name, new Account(config, sip.createUserAgent(config.identity, true), named));
    }
  }

  /** Starts to register, in the background and one after the other. */
  start(): void {
    for (const account of this.#accounts.values()) {
      this.#scope.spawn(account.config.name, () => account.run(this.#gate));
    }
  }

  /** The account of a name, written as in the configuration. */
  get(name: string): Account | undefined {
    return this.#accounts.get(name);
  }

  /** All accounts, in the order of the configuration. */
  all(): Account[] {
    return [...this.#accounts.values()];
  }

  /** Those whose registration failed try again now: whoever asks for it has repaired something. */
  retry(): void {
    const names = this.all().filter((account) => account.retry()).map(({ config }) => config.name);
    if (names.length > 0) this.#log.info(`registering now: ${namesText(names)}`);
  }

  /** Hangs up and unregisters, not all at once; 5 s at most. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const done = new AbortController();
    const patience = this.#losePatience(done.signal);
    const left = this.#accounts.values();
    const workers = Array.from({ length: GOODBYES_AT_ONCE }, async () => {
      for (const { agent } of left) await agent[Symbol.asyncDispose]();
    });
    await Promise.all(workers);
    done.abort();
    await patience;
    await this.#scope.close();
  }

  async #losePatience(done: AbortSignal): Promise<void> {
    if (!await delay(this.#clock, GOODBYE_PATIENCE_MS, done)) return;
    await Promise.all(this.all().map(({ agent }) => agent[Symbol.asyncDispose]()));
  }
}

/** "account desk", "account desk and 3 more" */
function namesText([first = "", ...more]: readonly string[]): string {
  return more.length === 0 ? `account ${first}` : `account ${first} and ${more.length} more`;
}
