// One worker as its supervisor sees it: a thread that takes messages and posts some, and that may die at any time. It
// is dead when an error ends it, or when it has not shown a pulse for a while: then it hangs in a loop, or has ended
// without a word.
// Role: edge
// Answers to: nothing in siprtmp.

import type { Clock } from "../base/clock.ts";
import { Ticker } from "../base/clock.ts";
import type { FromWorker, ToWorker } from "./messages.ts";

/** How often the pulse is looked at. */
const LOOK_MS = 1_000;

/** Looks without a pulse after which a worker is dead; looks and not times, so that a suspended machine kills nobody. */
export const DEAD_AFTER_LOOKS = 15;

/** What a thread is made of. */
export interface WorkerThreadOptions {
  /** Its first file. */
  readonly entry: URL;
  /** For the runtime's own complaints. */
  readonly name: string;
  /** Changes while it is alive. */
  readonly pulse: () => number;
  /** Times. */
  readonly clock: Clock;
  /** Takes its messages. */
  readonly onMessage: (message: FromWorker) => void;
  /** Told once when it has died by itself, in words. */
  readonly onDeath: (reason: string) => void;
}

/** A running worker. */
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
    const { entry, name, pulse, clock, onMessage } = options;
    this.#options = options;
    this.#pulse = pulse();
    this.#ticker = new Ticker(clock, LOOK_MS);
    this.#worker = new Worker(entry, { type: "module", name });
    this.#worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
      if (!this.#over) onMessage(data);
    };
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#die(event.message);
    };
    this.#worker.onmessageerror = () => this.#die("it posted what cannot be read");
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
    this.#worker.terminate();
  }

  #look(): void {
    const pulse = this.#options.pulse();
    this.#looks = pulse === this.#pulse ? this.#looks + 1 : 0;
    this.#pulse = pulse;
    if (this.#looks >= DEAD_AFTER_LOOKS) this.#die(`no sign of life for ${DEAD_AFTER_LOOKS} s`);
  }

  #die(reason: string): void {
    if (this.#over) return;
    this.terminate();
    this.#options.onDeath(reason);
  }
}
