// One worker as its supervisor sees it: a thread that takes messages and posts some, and that may die at any time. It
// is dead when an error ends it, its memory is used up, or it has not shown a pulse for a while: then it hangs in a loop.
// Threads of node:worker_threads: one of the web's whose memory is used up takes the whole process along.
// Role: edge

import { Worker } from "node:worker_threads";
import type { Clock } from "../base/clock.ts";
import { Ticker } from "../base/ticker.ts";
import { messageOf } from "../base/errors.ts";
import type { FromWorker, ToWorker } from "./messages.ts";

/** How often the pulse is looked at. */
const LOOK_MS = 1_000;

/** Looks without a pulse after which a worker is dead; looks and not times, so that a suspended machine kills nobody. */
export const DEAD_AFTER_LOOKS = 15;

const MAX_HEAP_MIB = 2048;

export interface WorkerThreadOptions {
  /** Its first file. */
  readonly entry: URL;
  /** For the runtime's own complaints. */
  readonly name: string;
  /** Changes while it is alive. */
  readonly pulse: () => number;
  readonly clock: Clock;
  readonly onMessage: (message: FromWorker) => void;
  /** JavaScript memory it may have at most, in MiB; 2048 when left out, far above what thousands of calls take. */
  readonly maxHeapMib?: number;
  /** Told once when it has died by itself, in words. `over`: nothing of it runs any more. */
  readonly onDeath: (reason: string, over: boolean) => void;
}

export class WorkerThread {
  readonly #worker: Worker;
  readonly #options: WorkerThreadOptions;
  readonly #ticker: Ticker;
  #pulse: number;
  #looks = 0;
  #watched = false;
  #over = false;

  /** Starts it; it says "loaded" when it is there. */
  constructor(options: WorkerThreadOptions) {
    const { entry, name, pulse, clock, onMessage, maxHeapMib = MAX_HEAP_MIB } = options;
    this.#options = options;
    this.#pulse = pulse();
    this.#ticker = new Ticker(clock, LOOK_MS);
    this.#worker = new Worker(entry, { name, resourceLimits: { maxOldGenerationSizeMb: maxHeapMib } });
    this.#worker.on("message", (message: FromWorker) => {
      if (!this.#over) onMessage(message);
    });
    this.#worker.on("error", (error: unknown) => this.#die(messageOf(error), true));
    this.#worker.on("messageerror", () => this.#die("it posted what cannot be read", false));
    this.#worker.on("exit", (code: number) => this.#die(`it ended by itself with code ${code}`, true));
  }

  /** Posts a message; nothing happens when it is over. */
  post(message: ToWorker): void {
    if (!this.#over) this.#worker.postMessage(message);
  }

  /** From now on it must show its pulse. */
  watch(): void {
    if (this.#watched || this.#over) return;
    this.#watched = true;
    this.#ticker.add(() => this.#look());
  }

  /** Ends it at once; one that hangs in a loop of ours goes on in vain, because the runtime cannot end it. */
  terminate(): void {
    if (this.#over) return;
    this.#over = true;
    this.#ticker[Symbol.dispose]();
    void this.#worker.terminate();
  }

  #look(): void {
    const pulse = this.#options.pulse();
    this.#looks = pulse === this.#pulse ? this.#looks + 1 : 0;
    this.#pulse = pulse;
    if (this.#looks < DEAD_AFTER_LOOKS) return;
    this.#die(
      `no sign of life for ${DEAD_AFTER_LOOKS} s; if it hangs, its ports are free after a restart only`,
      false,
    );
  }

  #die(reason: string, over: boolean): void {
    if (this.#over) return;
    this.terminate();
    this.#options.onDeath(reason, over);
  }
}
