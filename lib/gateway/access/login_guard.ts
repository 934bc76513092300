// Who may use the RTMP side: users and token. Refusals come late, later for each failure of an address; two passwords
// are checked at a time (a tenth of a second of work each), users and then addresses in turn, those beyond a bound not.
// Role: edge

import { encodeUtf8, toHex } from "../../base/bytes.ts";
import type { Logger } from "../../base/log.ts";
import type { AddressLimits } from "./address_limits.ts";
import { type LateRefusals, LONGEST_DELAY_MS, refusalDelayMs } from "./key_guard.ts";
import { equalSecrets, type PasswordHash, type Users, verifyPassword } from "./users_file.ts";

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
    const waitMs = unchecked ? LONGEST_DELAY_MS : refusalDelayMs(this.#limits.loginFailed(address));
    const who = user === null ? "A client" : `"${printable(user)}"`;
    this.#log.warn(`${who} at ${address} was refused: ${outcome.reason}`);
    await this.#refusals.wait(waitMs, signal);
  }
}

function printable(text: string): string {
  return text.slice(0, 40).replace(/\p{Cc}/gu, "?");
}

interface PasswordAttempt {
  readonly address: string;
  /** Name as it was given; null: nobody has it. */
  readonly user: string | null;
  /** What was given; never kept. */
  readonly password: string;
  readonly expected: PasswordHash;
}

/** What became of it; "busy": it was not checked. */
export type PasswordVerdict = "right" | "wrong" | "busy";

const MAX_CHECKS = 2;
/** Waiting for one user, from one address for one user, and in all. */
const MAX_OF_USER = 16;
const MAX_OF_ADDRESS = 8;
const MAX_WAITING = 256;

type Start = (verdict: "check" | "busy") => void;

/** What waits for one user, by address; the address whose turn it is first. */
type Lane = Map<string, Start[]>;

export class PasswordChecks {
  #checks = 0;
  #waiting = 0;
  /** By user; the one whose turn it is first. */
  readonly #lanes = new Map<string, Lane>();
  /** Digests of passwords that were right; new hashes, as after a reload, know nothing. */
  readonly #known = new WeakMap<PasswordHash, Uint8Array>();
  readonly #running = new Map<string, { expected: PasswordHash; verdict: Promise<PasswordVerdict> }>();
  #key: Promise<CryptoKey> | null = null;

  get waiting(): number {
    return this.#waiting;
  }

  /** Checks a password when its turn comes. */
  async check({ address, user, password, expected }: PasswordAttempt): Promise<PasswordVerdict> {
    const digest = await this.#digest(password);
    const known = this.#known.get(expected);
    if (known !== undefined && equalSecrets(digest, known)) return "right";
    const key = `${toHex(digest)} ${user === null ? "" : `"${user}"`}`;
    const same = this.#running.get(key);
    if (same?.expected === expected) return await same.verdict;
    const verdict = this.#checkInTurn({ address, user, password, expected }, digest);
    this.#running.set(key, { expected, verdict });
    try {
      return await verdict;
    } finally {
      this.#running.delete(key);
    }
  }

  async #checkInTurn(attempt: PasswordAttempt, digest: Uint8Array): Promise<PasswordVerdict> {
    const { address, user, password, expected } = attempt;
    // Names that do not exist have one place together. No name begins with a null character.
    if (await this.#turn(user ?? "\0", address) === "busy") return "busy";
    try {
      if (!await verifyPassword(password, expected)) return "wrong";
      this.#known.set(expected, digest);
      return "right";
    } finally {
      this.#checks--;
      this.#startNext();
    }
  }

  #turn(user: string, address: string): Promise<"check" | "busy"> {
    if (this.#checks < MAX_CHECKS) {
      this.#checks++;
      return Promise.resolve("check");
    }
    const lane = this.#lanes.get(user) ?? new Map<string, Start[]>();
    const ofAddress = lane.get(address) ?? [];
    if (ofAddress.length >= MAX_OF_ADDRESS || sizeOf(lane) >= MAX_OF_USER) return Promise.resolve("busy");
    if (this.#waiting >= MAX_WAITING) this.#dropFromLongest();
    return new Promise((resolve) => {
      ofAddress.push(resolve);
      lane.set(address, ofAddress);
      this.#lanes.set(user, lane);
      this.#waiting++;
    });
  }

  #startNext(): void {
    const [next] = this.#lanes;
    if (next === undefined) return;
    this.#checks++;
    this.#takeFrom(...next)("check");
  }

  #dropFromLongest(): void {
    let longest: [string, Lane] | null = null;
    for (const lane of this.#lanes) {
      if (longest === null || sizeOf(lane[1]) > sizeOf(longest[1])) longest = lane;
    }
    if (longest !== null) this.#takeFrom(...longest)("busy");
  }

  /** The first of the address whose turn it is; user and address go to the end of their rows. */
  #takeFrom(user: string, lane: Lane): Start {
    const [address, starts] = lane.entries().next().value!;
    const start = starts.shift()!;
    this.#waiting--;
    lane.delete(address);
    if (starts.length > 0) lane.set(address, starts);
    this.#lanes.delete(user);
    if (lane.size > 0) this.#lanes.set(user, lane);
    return start;
  }

  async #digest(password: string): Promise<Uint8Array> {
    const usages: KeyUsage[] = ["sign"];
    this.#key ??= crypto.subtle.generateKey({ name: "HMAC", hash: "SHA-256" }, false, usages) as Promise<
      CryptoKey
    >;
    const bytes = new Uint8Array(encodeUtf8(password.normalize("NFC")));
    return new Uint8Array(await crypto.subtle.sign("HMAC", await this.#key, bytes));
  }
}

function sizeOf(lane: Lane): number {
  let size = 0;
  for (const starts of lane.values()) size += starts.length;
  return size;
}
