// The accounts of the configuration: the SIP users that the gateway itself is, registered in the background from its
// start to its end (RFC 3261 section 10.2). A registrar that is away or refuses delays and ends nothing.
// Role: edge

import { type Clock, delay } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import type { Runtime } from "../base/runtime.ts";
import { Scope } from "../base/scope.ts";
import type { SipAccount } from "../config/accounts.ts";
import { formatSipUri } from "../sip/message/uri.ts";
import type { SipEndpoint } from "../sip/ua/endpoint.ts";
import { type Identity, registrarUri } from "../sip/ua/identity.ts";
import type { RegistrationChange } from "../sip/ua/registration_keeper.ts";
import { needsHuman } from "../sip/ua/registration.ts";
import type { UserAgent } from "../sip/ua/user_agent.ts";

/** Unregistrations that wait for their answer at a time. */
const UNREGISTRATIONS_AT_ONCE = 100;
/** After this time all that are left are sent at once, and end within 2 s. */
const UNREGISTER_WITHIN_MS = 3_000;

/** How an account stands with its registrar; "unregistered": it is not to be registered, or it has ended. */
type AccountState = "unregistered" | "registering" | "registered" | "failed";

interface AccountRegistryParts extends Runtime {
  readonly accounts: readonly SipAccount[];
  readonly sip: Pick<SipEndpoint, "createUserAgent">;
}

class Account {
  readonly config: SipAccount;
  readonly agent: UserAgent;
  readonly log: Logger;
  #state: AccountState = "unregistered";

  constructor(config: SipAccount, agent: UserAgent, log: Logger) {
    this.config = config;
    this.agent = agent;
    this.log = log;
  }

  get state(): AccountState {
    return this.#state;
  }

  /** Registers from now on, unless it is not to be registered; ends with the user agent. */
  async run(pacer: RegisterPacer): Promise<void> {
    const { identity, register } = this.config;
    if (!register) return this.log.info(unregisteredText(identity));
    const registrar = formatSipUri(identity.proxy ?? registrarUri(identity));
    this.#state = "registering";
    this.agent.keepRegistered((signal) => pacer.pass(registrar, signal));
    for await (const change of this.agent.registrations()) this.#changed(change);
    this.#state = "unregistered";
  }

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
  readonly #pacer: RegisterPacer;
  readonly #scope: Scope;
  #closing: Promise<void> | null = null;

  /** Makes the user agents; nothing is sent before start(). */
  constructor({ accounts, sip, clock, random, log }: AccountRegistryParts) {
    this.#clock = clock;
    this.#log = log;
    this.#scope = new Scope("accounts", { log });
    this.#pacer = new RegisterPacer({ clock, random });
    for (const config of accounts) {
      const named = log.child(`account ${config.name}`);
      this.#accounts.set(config.name, new Account(config, sip.createUserAgent(config.identity, true), named));
    }
  }

  start(): void {
    for (const account of this.#accounts.values()) {
      this.#scope.spawn(account.config.name, () => account.run(this.#pacer));
    }
  }

  get(name: string): Account | undefined {
    return this.#accounts.get(name);
  }

  /** In the order of the configuration. */
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
    const late = this.#unregisterLate(done.signal);
    const left = this.#accounts.values();
    const workers = Array.from({ length: UNREGISTRATIONS_AT_ONCE }, async () => {
      for (const { agent } of left) await agent[Symbol.asyncDispose]();
    });
    await Promise.all(workers);
    done.abort();
    await late;
    await this.#scope.close();
  }

  async #unregisterLate(done: AbortSignal): Promise<void> {
    if (!await delay(this.#clock, UNREGISTER_WITHIN_MS, done)) return;
    await Promise.all(this.all().map(({ agent }) => agent[Symbol.asyncDispose]()));
  }
}

function namesText([first = "", ...more]: readonly string[]): string {
  return more.length === 0 ? `account ${first}` : `account ${first} and ${more.length} more`;
}

/** REGISTERs of one registrar that wait for their answer at a time. */
export const MOST_AT_ONCE = 20;
/** Mean time between two REGISTERs of all accounts; each time is 50 to 150 % of it. */
export const MEAN_GAP_MS = 10;

interface Queue {
  inside: number;
  readonly waiting: Set<() => void>;
}

/**
 * Lets the REGISTERs of many accounts out one after the other, so that there is no burst at the start, nor when a
 * registrar is back that everybody waits for. A registrar that is away holds up its own accounts only:
 *
 *   accounts --> queue of their registrar (so many at once) --> one pace for all (so many per second) --> out
 */
export class RegisterPacer {
  readonly #runtime: Pick<Runtime, "clock" | "random">;
  readonly #queues = new Map<string, Queue>();
  #nextMs = 0;

  constructor(runtime: Pick<Runtime, "clock" | "random">) {
    this.#runtime = runtime;
  }

  get size(): number {
    return this.#queues.size;
  }

  /**
   * Waits for a turn; who has had an answer disposes what it got. Null: `signal` aborted before.
   * @param registrar tells the queues apart
   */
  async pass(registrar: string, signal: AbortSignal): Promise<Disposable | null> {
    if (!await this.#enter(registrar, signal)) return null;
    const { clock, random } = this.#runtime;
    const waitMs = Math.max(0, this.#nextMs - clock.now());
    this.#nextMs = clock.now() + waitMs + MEAN_GAP_MS * (0.5 + random.float());
    if (waitMs > 0 ? await delay(clock, waitMs, signal) : !signal.aborted) {
      return { [Symbol.dispose]: () => this.#leave(registrar) };
    }
    this.#leave(registrar);
    return null;
  }

  #enter(registrar: string, signal: AbortSignal): Promise<boolean> {
    if (signal.aborted) return Promise.resolve(false);
    const queue = this.#queues.get(registrar) ?? { inside: 0, waiting: new Set() };
    this.#queues.set(registrar, queue);
    if (queue.inside < MOST_AT_ONCE) {
      queue.inside += 1;
      return Promise.resolve(true);
    }
    return new Promise((resolve) => {
      const onAbort = (): void => {
        queue.waiting.delete(onTurn);
        resolve(false);
      };
      const onTurn = (): void => {
        signal.removeEventListener("abort", onAbort);
        resolve(true);
      };
      queue.waiting.add(onTurn);
      signal.addEventListener("abort", onAbort, { once: true });
    });
  }

  /** Its turn goes to who has waited longest. */
  #leave(registrar: string): void {
    const queue = this.#queues.get(registrar);
    if (queue === undefined) return;
    const [next] = queue.waiting;
    if (next !== undefined) {
      queue.waiting.delete(next);
      return next();
    }
    queue.inside -= 1;
    if (queue.inside === 0) this.#queues.delete(registrar);
  }
}

/** @param before whether the account was registered until now */
export function registrationText(identity: Identity, change: RegistrationChange, before: boolean): string {
  if (change.type === "registered") {
    return `registered at ${formatSipUri(registrarUri(identity))} for ${change.expiresSeconds} s`;
  }
  const { status, reason, retryMs } = change;
  const again = retryMs === undefined ? "" : `; retrying in ${durationText(retryMs)} (backoff)`;
  const hint = needsHuman(status) ? "; SIGHUP tries at once" : "";
  return `${before ? "no longer" : "not"} registered: ${
    refusalText(identity, status, reason)
  }${again}${hint}`;
}

/** What a registrar has against a user: "sip:example.com does not know the user (404 Not Found)". */
export function refusalText(identity: Identity, status: number, reason: string): string {
  const registrar = formatSipUri(registrarUri(identity));
  return `${registrar} ${failure(identity, status)} (${status} ${reason})`;
}

export function unregisteredText({ password, registrar }: Identity): string {
  const why = password === null && registrar === undefined
    ? "it has no password and no registrar"
    : "it has register = false";
  return `not registered: ${why}`;
}

function failure(identity: Identity, status: number): string {
  switch (status) {
    case 401:
    case 407:
      return identity.password === null
        ? "asks for a password, and the account has none"
        : "refuses the user name or password";
    case 403:
      return "refuses the user, or its name or password";
    case 404:
    case 410:
    case 604:
      return "does not know the user";
    case 408:
      return "does not answer";
    case 503:
      return "cannot be reached or has no room";
    default:
      return "does not register the user";
  }
}

export function durationText(ms: number): string {
  const seconds = Math.max(1, Math.round(ms / 1000));
  return seconds < 120 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
}
