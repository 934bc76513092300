// Lets the REGISTERs of many accounts out one after the other: no burst at the start of the gateway, nor when a
// registrar is back that everybody waits for. A registrar that is away holds up its own accounts only.
//
//   accounts --> lane of their registrar (so many at once) --> one pace for all (so many per second) --> out
//
// Role: edge

import { type Clock, delay } from "../base/clock.ts";
import type { Random } from "../base/random.ts";

/** REGISTERs to one registrar that may wait for their answer at a time. */
export const MOST_AT_ONCE = 20;
/** Mean time between two REGISTERs of all accounts, in milliseconds; each time is 50 to 150 % of it. */
export const MEAN_GAP_MS = 10;

export interface AccountGateEnvironment {
  readonly clock: Clock;
  readonly random: Random;
}

interface Lane {
  inside: number;
  readonly waiting: Set<() => void>;
}

export class AccountGate {
  readonly #environment: AccountGateEnvironment;
  readonly #lanes = new Map<string, Lane>();
  #nextMs = 0;

  /** Nobody waits yet. */
  constructor(environment: AccountGateEnvironment) {
    this.#environment = environment;
  }

  /** Registrars that are asked or waited for, for tests. */
  get size(): number {
    return this.#lanes.size;
  }

  /**
   * Waits for a turn; who has had an answer disposes what it got. Null: `signal` aborted before.
   * @param registrar tells the lanes apart
   */
  async pass(registrar: string, signal: AbortSignal): Promise<Disposable | null> {
    if (!await this.#enter(registrar, signal)) return null;
    const { clock, random } = this.#environment;
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
    const lane = this.#lanes.get(registrar) ?? { inside: 0, waiting: new Set() };
    this.#lanes.set(registrar, lane);
    if (lane.inside < MOST_AT_ONCE) {
      lane.inside += 1;
      return Promise.resolve(true);
    }
    return new Promise((resolve) => {
      const onAbort = (): void => {
        lane.waiting.delete(onTurn);
        resolve(false);
      };
      const onTurn = (): void => {
        signal.removeEventListener("abort", onAbort);
        resolve(true);
      };
      lane.waiting.add(onTurn);
      signal.addEventListener("abort", onAbort, { once: true });
    });
  }

  /** The place goes to who has waited longest. */
  #leave(registrar: string): void {
    const lane = this.#lanes.get(registrar);
    if (lane === undefined) return;
    const [next] = lane.waiting;
    if (next !== undefined) {
      lane.waiting.delete(next);
      return next();
    }
    lane.inside -= 1;
    if (lane.inside === 0) this.#lanes.delete(registrar);
  }
}
