// A scope owns the tasks started in it: closing it aborts them and waits for every one.
// Nothing in the project runs outside a scope; a failing task is logged once and leaves its siblings alone.
// A task ends by its wait being ended (its signal aborts, its socket closes), never by force.
// Role: edge
// Answers to: multitask.add of siprtmp, whose tasks nobody waited for.

import { systemClock } from "./clock.ts";
import { type Logger, silentLog } from "./log.ts";

/** After this long in close() the log says which tasks are still being waited for. */
const SLOW_CLOSE_MS = 5_000;

/** After this long close() gives the remaining tasks up: they are a bug of ours, named in the log. */
const GIVE_UP_MS = 30_000;

/** What a scope needs besides its name. */
export interface ScopeOptions {
  /** Aborting it aborts the scope. */
  parent?: AbortSignal;
  /** Where failures go; nowhere by default. */
  log?: Logger;
  /** Told of each failure, after the log. */
  onFailure?: (task: string, error: unknown) => void;
}

/** A named set of running tasks with one signal and one end. */
export class Scope implements AsyncDisposable {
  /** Aborted when the scope closes or its parent aborts. */
  readonly signal: AbortSignal;
  readonly #name: string;
  readonly #log: Logger;
  readonly #onFailure: ((task: string, error: unknown) => void) | undefined;
  readonly #controller = new AbortController();
  readonly #tasks = new Map<Promise<void>, string>();
  readonly #leaveParent: () => void;
  #closing: Promise<void> | null = null;

  /** Starts without tasks. @param name first part of the task path in logs */
  constructor(name: string, options: ScopeOptions = {}) {
    this.#name = name;
    this.#log = options.log ?? silentLog;
    this.#onFailure = options.onFailure;
    this.signal = this.#controller.signal;
    const parent = options.parent;
    const onAbort = (): void => this.#controller.abort(parent?.reason);
    this.#leaveParent = () => parent?.removeEventListener("abort", onAbort);
    if (parent?.aborted === true) onAbort();
    else parent?.addEventListener("abort", onAbort, { once: true });
  }

  /** How many tasks are running. */
  get size(): number {
    return this.#tasks.size;
  }

  /**
   * Runs a task. It must end soon after `signal` aborts. In a scope already aborted it still runs, with the
   * signal aborted, so that it can release what it was handed; its failure is logged, never thrown here.
   */
  spawn(task: string, run: (signal: AbortSignal) => Promise<void>): void {
    // Two handlers and no coroutine around the task: thousands of tasks wait at a time.
    const ended: Promise<void> = startTask(run, this.signal).then(
      () => void this.#tasks.delete(ended),
      (error) => {
        this.#tasks.delete(ended);
        if (!this.#isOurAbort(error)) this.#report(task, error);
      },
    );
    this.#tasks.set(ended, task);
  }

  /**
   * Aborts every task and waits until all have ended; later calls wait for the same end. A task must not
   * await the close of its own scope. Waiting longer than 5 s is logged; after 30 s it is given up, loudly.
   */
  close(reason?: unknown): Promise<void> {
    this.#closing ??= this.#end(reason);
    return this.#closing;
  }

  /** Same as close(). */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** A wait that ended because this scope was aborted is the normal end of a task. */
  #isOurAbort(error: unknown): boolean {
    if (!this.signal.aborted) return false;
    return error === this.signal.reason || error instanceof DOMException && error.name === "AbortError";
  }

  #report(task: string, error: unknown): void {
    this.#log.error(`Task "${this.#name} > ${task}" failed`, error);
    try {
      this.#onFailure?.(task, error);
    } catch (second) {
      this.#log.error(`The failure handler of "${this.#name} > ${task}" failed`, second);
    }
  }

  async #end(reason: unknown): Promise<void> {
    this.#leaveParent();
    this.#controller.abort(reason);
    if (this.#tasks.size === 0) return;
    const gaveUp = Promise.withResolvers<void>();
    using _slow = systemClock.after(SLOW_CLOSE_MS, () => this.#tellSlow());
    using _limit = systemClock.after(GIVE_UP_MS, () => gaveUp.resolve());
    await Promise.race([this.#allEnded(), gaveUp.promise]);
    if (this.#tasks.size > 0) {
      this.#log.error(`Scope "${this.#name}" gave up waiting for: ${this.#taskNames()}`);
    }
  }

  /** Tasks may spawn tasks while they end, so look again until none is left. */
  async #allEnded(): Promise<void> {
    while (this.#tasks.size > 0) await Promise.all(this.#tasks.keys());
  }

  #tellSlow(): void {
    this.#log.warn(
      `Scope "${this.#name}" still waits after ${SLOW_CLOSE_MS / 1000} s for: ${this.#taskNames()}`,
    );
  }

  #taskNames(): string {
    return [...this.#tasks.values()].join(", ");
  }
}

/** A task may throw before it returns its promise. */
function startTask(run: (signal: AbortSignal) => Promise<void>, signal: AbortSignal): Promise<void> {
  try {
    return run(signal);
  } catch (error) {
    return Promise.reject(error);
  }
}
