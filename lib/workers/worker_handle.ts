// One worker and its thread of the moment: starts it, asks it things, and remembers from one thread to the next where to
// listen and which calls to hang up.
// Role: edge

import { Worker } from "node:worker_threads";
import type { Clock } from "../base/clock.ts";
import { messageOf } from "../base/errors.ts";
import { Ticker } from "../base/ticker.ts";
import { closeLeftFiles, OpenFiles } from "../net/linux/calls.ts";
import type { DialogRecord } from "../sip/ua/worker_events.ts";
import {
  type CallsReply,
  type CallsRequest,
  errorOf,
  type FromWorker,
  type Opening,
  type ToWorker,
  type WorkerEndpoints,
} from "./messages.ts";

/** What is asked of a thread has an answer, and these are they. */
type AnswerType = "loaded" | "opened" | "reloaded" | "stopped";

export type TeamOrLog = Exclude<FromWorker, { type: AnswerType | "failed" | "reply" }>;

/** A worker that answers later than this does without. */
const REPLY_WITHIN_MS = 1_000;

interface WorkerHandleOptions {
  /** Which worker, from 0. */
  readonly index: number;
  /** The first file of its threads. */
  readonly entry: URL;
  /** Changes while the worker is alive. */
  readonly pulse: () => number;
  readonly clock: Clock;
  /** Takes what is not an answer. */
  readonly onMessage: (message: TeamOrLog) => void;
  /** Told when the thread has died by itself. */
  readonly onDeath: (reason: string) => void;
}

interface Waiting {
  take(message: FromWorker): boolean;
  fail(reason: string): void;
}

export class WorkerHandle {
  readonly index: number;
  /** Where it listens, or did before it broke down; null until it has opened for the first time. */
  endpoints: WorkerEndpoints | null = null;
  /** Calls of those who broke down here that nobody has ended yet. */
  orphans: readonly DialogRecord[] = [];
  /** True while it is being replaced. */
  replacing = false;
  readonly #options: WorkerHandleOptions;
  readonly #waiting = new Set<Waiting>();
  readonly #requests = new Map<number, (reply: CallsReply | null) => void>();
  readonly #files = new OpenFiles();
  #asks = 0;
  #thread: WorkerThread | null = null;

  constructor(options: WorkerHandleOptions) {
    this.#options = options;
    this.index = options.index;
  }

  get occupied(): boolean {
    return this.#thread !== null;
  }

  /** Starts a thread and waits until it can be told something. Throws when it dies instead. */
  async load(): Promise<void> {
    const { index, entry, clock, pulse } = this.#options;
    const loaded = this.#answer("loaded");
    const name = `worker ${index}`;
    const onMessage = (message: FromWorker): void => this.#take(message);
    this.#thread = new WorkerThread({
      entry,
      name,
      clock,
      pulse,
      onMessage,
      onDeath: (reason, over) => {
        if (over) closeLeftFiles(this.#files);
        this.#leave(reason);
        this.#options.onDeath(reason);
      },
    });
    await loaded;
  }

  /** Lets it open its ports; where it listens. Throws what was in the way. */
  async open(opening: Omit<Opening, "orphans" | "files">): Promise<WorkerEndpoints> {
    const files = this.#files.memory;
    const { endpoints } = await this.ask({ ...opening, files, orphans: this.orphans }, "opened");
    this.endpoints = endpoints;
    this.orphans = [];
    this.#thread?.watch();
    return endpoints;
  }

  /** Posts, and waits for the answer of this type. Throws when the worker fails or dies instead. */
  ask<Type extends AnswerType>(message: ToWorker, type: Type): Promise<FromWorker & { type: Type }> {
    const answer = this.#answer(type);
    if (this.#thread === null) this.#leave("it is not there");
    else this.#thread.post(message);
    return answer;
  }

  /** Asks about its calls; null: it has not answered in time, or is not there. */
  request(request: CallsRequest): Promise<CallsReply | null> {
    const thread = this.#thread;
    if (thread === null) return Promise.resolve(null);
    const ask = ++this.#asks;
    return new Promise((resolve) => {
      const limit = this.#options.clock.after(REPLY_WITHIN_MS, () => settle(null));
      const settle = (reply: CallsReply | null): void => {
        limit[Symbol.dispose]();
        this.#requests.delete(ask);
        resolve(reply);
      };
      this.#requests.set(ask, settle);
      thread.post({ type: "request", ask, request });
    });
  }

  /** Posts; nothing happens when nobody is there. */
  post(message: ToWorker): void {
    this.#thread?.post(message);
  }

  /** Ends the thread, if there is one; what is asked of it fails. */
  terminate(reason: string): void {
    this.#thread?.terminate();
    this.#leave(reason);
  }

  #leave(reason: string): void {
    this.#thread = null;
    for (const waiting of [...this.#waiting]) waiting.fail(reason);
    for (const settle of [...this.#requests.values()]) settle(null);
  }

  #answer<Type extends AnswerType>(type: Type): Promise<FromWorker & { type: Type }> {
    return new Promise((resolve, reject) => {
      const over = (settle: () => void): true => {
        this.#waiting.delete(waiting);
        settle();
        return true;
      };
      const waiting: Waiting = {
        take: (message) => {
          if (message.type === "failed") return over(() => reject(errorOf(message.error)));
          return isOfType(message, type) && over(() => resolve(message));
        },
        fail: (reason) => void over(() => reject(new Error(reason))),
      };
      this.#waiting.add(waiting);
    });
  }

  #take(message: FromWorker): void {
    switch (message.type) {
      case "loaded":
      case "opened":
      case "failed":
      case "reloaded":
      case "stopped":
        for (const waiting of [...this.#waiting]) waiting.take(message);
        return;
      case "reply":
        return this.#requests.get(message.ask)?.(message.reply);
      default:
        return this.#options.onMessage(message);
    }
  }
}

function isOfType<Type extends AnswerType>(
  message: FromWorker,
  type: Type,
): message is FromWorker & { type: Type } {
  return message.type === type;
}

const LOOK_MS = 1_000;

/** Looks without a pulse after which a worker is dead; looks and not times, so that a suspended machine kills nobody. */
export const DEAD_AFTER_LOOKS = 15;

const MAX_HEAP_MIB = 2048;

interface WorkerThreadOptions {
  /** Its first file. */
  readonly entry: URL;
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
