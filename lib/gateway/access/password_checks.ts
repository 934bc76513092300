// Passwords that wait to be checked: two at a time, because a check is a tenth of a second of work, and fairly. Users take
// turns, all names that do not exist together being one, and so do the addresses that try one user; what is beyond a bound
// is not checked. Who gives the same as another is checked with it. A password that was right once is known by a digest with a
// key of this process: it is right at once, however many wrong ones wait.
// Role: edge

import { encodeUtf8, toHex } from "../../base/bytes.ts";
import { equalSecrets, verifyPassword } from "./password.ts";
import type { PasswordHash } from "./users_file.ts";

export interface PasswordAttempt {
  /** IP address of the client. */
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
  /** What is being checked or waits for it, by digest and user. */
  readonly #running = new Map<string, { expected: PasswordHash; verdict: Promise<PasswordVerdict> }>();
  #key: Promise<CryptoKey> | null = null;

  /** How many wait for their check. */
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

  /** Users who try much wait for those who try little. */
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
