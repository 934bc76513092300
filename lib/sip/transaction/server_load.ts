// How many requests from outside dialogs are taken, so that whoever sends many of them is the one who is refused:
// Role: machine

import { toHex } from "../../base/bytes.ts";
import type { Clock } from "../../base/clock.ts";
import { decodeIp, unmapAddress } from "../../net/endpoint.ts";

/** Why a request is not taken. "user": INVITEs for its user are refused anyway; "source", "all": too much of them. */
export type Overload = "user" | "source" | "all";

export interface Requester {
  readonly address: string;
  /** Which user it is for; null: nobody knows. */
  readonly user: string | null;
  /** Only INVITEs are refused for what was refused before. */
  readonly isInvite: boolean;
}

/** A request that was taken; to be told what became of it. */
export interface Taken {
  /** It has a final response, or is given up; the first call counts. @param refused by its user: an INVITE, and busy or declined */
  settled(refused: boolean): void;
}

/** What one user may have unanswered, and when half of all places are taken. */
const UNANSWERED_OF_USER = 32;
const UNANSWERED_OF_USER_WHEN_BUSY = 4;
/** Refused INVITEs: at once, and each second. Each costs a transaction, an invitation and a line in the log. */
const USER_REFUSALS = { burst: 8, perSecond: 5 };
const SOURCE_REFUSALS = { burst: 1000, perSecond: 200 };
/** Users and sources whose refusals are remembered; the one that was quiet longest goes. */
const MAX_REMEMBERED = 4096;

/**
 *   unanswered requests   of one user, of one source, in all      a user's own are few: phones ring one at a time
 *   refused INVITEs       of one user, of one source, a second    beyond it they are refused before anybody looks at them
 *
 * Calls that are answered never count, however many: a trunk with a hundred a second is one source. Sources can be
 * forged, so the more there is in all, the less one user may have; those who are not flooded keep their place.
 */
export class ServerLoad {
  readonly #limit: number;
  readonly #users = new Map<string, number>();
  readonly #sources = new Map<string, number>();
  readonly #userRefusals: Leak;
  readonly #sourceRefusals: Leak;
  #unanswered = 0;

  /** Nothing yet. @param limit requests that may be unanswered in all; three quarters of them from one source */
  constructor(clock: Clock, limit: number) {
    this.#limit = limit;
    this.#userRefusals = new Leak(clock, USER_REFUSALS);
    this.#sourceRefusals = new Leak(clock, SOURCE_REFUSALS);
  }

  /** Requests that were taken and have no final response. */
  get unanswered(): number {
    return this.#unanswered;
  }

  /** Takes a request, or says why not. */
  take({ address, user, isInvite }: Requester): Taken | Overload {
    const source = networkOf(address);
    if (this.#unanswered >= this.#limit) return "all";
    if ((this.#sources.get(source) ?? 0) >= Math.ceil(this.#limit * 3 / 4)) return "source";
    if (user !== null && (this.#users.get(user) ?? 0) >= this.#mostOfUser()) return "user";
    if (isInvite && user !== null && this.#userRefusals.isFull(user)) return "user";
    if (isInvite && this.#sourceRefusals.isFull(source)) return "source";
    this.#count(source, user, 1);
    let open = true;
    return {
      settled: (refused) => {
        if (!open) return;
        open = false;
        this.#count(source, user, -1);
        if (refused) this.#refused(source, user);
      },
    };
  }

  #mostOfUser(): number {
    return this.#unanswered < this.#limit / 2 ? UNANSWERED_OF_USER : UNANSWERED_OF_USER_WHEN_BUSY;
  }

  #refused(source: string, user: string | null): void {
    this.#sourceRefusals.add(source);
    if (user !== null) this.#userRefusals.add(user);
  }

  #count(source: string, user: string | null, by: 1 | -1): void {
    this.#unanswered += by;
    change(this.#sources, source, by);
    if (user !== null) change(this.#users, user, by);
  }
}

function change(counts: Map<string, number>, key: string, by: number): void {
  const count = (counts.get(key) ?? 0) + by;
  if (count === 0) counts.delete(key);
  else counts.set(key, count);
}

/** An IPv6 host has a /64 to itself. */
function networkOf(address: string): string {
  if (!address.includes(":")) return address;
  const plain = unmapAddress(address);
  const bytes = decodeIp(plain);
  return bytes === null || bytes.length === 4 ? plain : toHex(bytes.subarray(0, 8));
}

/** Leaky buckets by key: what was added leaks out at a rate. */
class Leak {
  readonly #clock: Clock;
  readonly #burst: number;
  readonly #perSecond: number;
  /** What is in it, and when that was so; the quietest first. */
  readonly #levels = new Map<string, { level: number; atMs: number }>();

  constructor(clock: Clock, { burst, perSecond }: { readonly burst: number; readonly perSecond: number }) {
    this.#clock = clock;
    this.#burst = burst;
    this.#perSecond = perSecond;
  }

  isFull(key: string): boolean {
    return this.#levelOf(key) > this.#burst - 1;
  }

  add(key: string): void {
    const level = this.#levelOf(key) + 1;
    this.#levels.delete(key);
    this.#levels.set(key, { level, atMs: this.#clock.now() });
    if (this.#levels.size > MAX_REMEMBERED) this.#levels.delete(this.#levels.keys().next().value!);
  }

  #levelOf(key: string): number {
    const known = this.#levels.get(key);
    if (known === undefined) return 0;
    const leaked = (this.#clock.now() - known.atMs) / 1000 * this.#perSecond;
    return Math.max(0, known.level - leaked);
  }
}
