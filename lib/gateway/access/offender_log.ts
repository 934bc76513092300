// Who is being rate limited, for the log: each address once when it begins and once a minute while it goes on, the three
// worst of a minute by name and the rest as a sum, however many there are.
// Role: machine

import type { Clock } from "../../base/clock.ts";
import type { Logger } from "../../base/log.ts";

/** What somebody was limited for; reads well behind a number. */
export type Offence =
  | "malformed SIP messages"
  | "SIP requests for unknown users"
  | "stray SIP messages (no dialog or transaction)"
  | "OPTIONS pings"
  | "INVITEs over the limit"
  | "requests to forbidden targets"
  | "connections with invalid RTMP"
  | "RTMP connections without a connect command"
  | "reads paused (sending too fast)";

/** One report in so many milliseconds. */
export const REPORT_MS = 60_000;

/** Offenders with a line of their own in one report, and new ones told at once in the same time. */
const NAMED = 3;

/** Offenders told apart; those beyond are counted together. */
const MAX_OFFENDERS = 256;

export class OffenderLog implements Disposable {
  readonly #clock: Clock;
  readonly #log: Logger;
  #counts = new Map<string, Map<Offence, number>>();
  #others = 0;
  /** Named in the last report: nothing new. */
  #known: ReadonlySet<string> = new Set();
  #told = 0;
  #timer: Disposable | null = null;

  /** Holds no timer while nobody offends. */
  constructor(environment: { readonly clock: Clock; readonly log: Logger }) {
    this.#clock = environment.clock;
    this.#log = environment.log.category("net");
  }

  get size(): number {
    return this.#counts.size;
  }

  /** One more. @param address whom to name */
  note(address: string, offence: Offence): void {
    const counts = this.#counts.get(address);
    if (counts !== undefined) return void counts.set(offence, (counts.get(offence) ?? 0) + 1);
    if (this.#counts.size >= MAX_OFFENDERS) return void this.#others++;
    this.#counts.set(address, new Map([[offence, 1]]));
    this.#timer ??= this.#clock.after(REPORT_MS, () => this.#report());
    this.#tellFirst(address, offence);
  }

  /** Says what is left to say, and stops. */
  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = null;
    this.#tellAll();
    this.#counts.clear();
  }

  #tellFirst(address: string, offence: Offence): void {
    if (this.#known.has(address) || this.#told >= NAMED) return;
    this.#told++;
    this.#log.warn(`rate limiting ${address}: ${offence}`);
  }

  #report(): void {
    this.#tellAll();
    this.#timer = this.#counts.size > 0 ? this.#clock.after(REPORT_MS, () => this.#report()) : null;
    this.#counts = new Map();
    this.#others = 0;
    this.#told = 0;
  }

  #tellAll(): void {
    const offenders = [...this.#counts].map(([address, counts]) => ({ address, counts, sum: sumOf(counts) }));
    offenders.sort((a, b) => b.sum - a.sum);
    const named = offenders.slice(0, NAMED);
    for (const { address, counts } of named) {
      this.#log.warn(`rate limited ${address} in the last minute: ${textOf(counts)}`);
    }
    this.#known = new Set(named.map(({ address }) => address));
    const rest = offenders.slice(NAMED);
    if (rest.length === 0) return;
    const sum = rest.reduce((total, offender) => total + offender.sum, this.#others);
    this.#log.warn(
      `rate limited ${rest.length}${
        this.#others > 0 ? " or more" : ""
      } other addresses in the last minute: ${sum} times`,
    );
  }
}

function sumOf(counts: ReadonlyMap<Offence, number>): number {
  let sum = 0;
  for (const count of counts.values()) sum += count;
  return sum;
}

function textOf(counts: ReadonlyMap<Offence, number>): string {
  return [...counts].map(([offence, count]) => `${count} ${offence}`).join(", ");
}
