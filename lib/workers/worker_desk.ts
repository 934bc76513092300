// The place of one worker, whichever thread is in it now: starts the thread, asks it things, and remembers between two
// threads what the next one must have: where to listen, and the calls to hang up.
// Role: edge

import type { Clock } from "../base/clock.ts";
import { closeLeftFiles } from "../net/linux/calls.ts";
import { OpenFiles } from "../net/linux/open_files.ts";
import type { DialogRecord } from "../sip/ua/neighbours.ts";
import { errorOf, type FromWorker, type Opening, type Place, type ToWorker } from "./messages.ts";
import { WorkerThread } from "./worker_thread.ts";

/** What is asked of a thread has an answer, and these are they. */
export type AnswerType = "loaded" | "opened" | "reloaded" | "stopped";

export type TeamOrLog = Exclude<FromWorker, { type: AnswerType | "failed" }>;

export interface WorkerDeskOptions {
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

export class WorkerDesk {
  readonly index: number;
  /** Where it listens, or did before it broke down; null until it has opened for the first time. */
  place: Place | null = null;
  /** Calls of those who broke down here that nobody has ended yet. */
  orphans: readonly DialogRecord[] = [];
  /** True while it is being replaced. */
  replacing = false;
  readonly #options: WorkerDeskOptions;
  readonly #waiting = new Set<Waiting>();
  readonly #files = new OpenFiles();
  #thread: WorkerThread | null = null;

  constructor(options: WorkerDeskOptions) {
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
  async open(opening: Omit<Opening, "orphans" | "files">): Promise<Place> {
    const files = this.#files.memory;
    const { place } = await this.ask({ ...opening, files, orphans: this.orphans }, "opened");
    this.place = place;
    this.orphans = [];
    this.#thread?.watch();
    return place;
  }

  /** Posts, and waits for the answer of this type. Throws when the worker fails or dies instead. */
  ask<Type extends AnswerType>(message: ToWorker, type: Type): Promise<FromWorker & { type: Type }> {
    const answer = this.#answer(type);
    if (this.#thread === null) this.#leave("it is not there");
    else this.#thread.post(message);
    return answer;
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
