// Remembers servers that lately did not answer, so that of several the living one is asked first: without it every
// request to a domain whose first server is down would wait for that one again (32 s over UDP), refreshes of a
// registration too.
// RFC 3263 section 4.3 leaves to the client how long it avoids a failed server.
// Role: machine

import type { Clock } from "../../base/clock.ts";
import { formatTarget, type Target } from "../message/target.ts";

/** How long a server that did not answer is asked last, in milliseconds. */
export const AVOID_MS = 300_000;
/** Failed servers remembered; the one that failed longest ago is forgotten first. */
export const MAX_FAILED = 256;

/** The servers that failed lately. */
export class FailedTargets {
  readonly #clock: Clock;
  readonly #failedMs = new Map<string, number>();

  /** Nothing has failed yet. */
  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A request to `target` was answered, or was not. */
  note(target: Target, answered: boolean): void {
    const key = formatTarget(target);
    this.#failedMs.delete(key);
    if (answered) return;
    this.#failedMs.set(key, this.#clock.now());
    if (this.#failedMs.size > MAX_FAILED) this.#failedMs.delete(this.#failedMs.keys().next().value!);
  }

  /** The same targets, those that failed lately behind the others; the order is kept otherwise. */
  order(targets: readonly Target[]): Target[] {
    if (this.#failedMs.size === 0) return [...targets];
    const [good, failed]: [Target[], Target[]] = [[], []];
    for (const target of targets) (this.#hasFailed(target) ? failed : good).push(target);
    return [...good, ...failed];
  }

  #hasFailed(target: Target): boolean {
    const failedMs = this.#failedMs.get(formatTarget(target)) ?? -Infinity;
    return this.#clock.now() - failedMs < AVOID_MS;
  }
}
