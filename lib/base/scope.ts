// A scope owns the tasks started in it: closing it aborts them and waits for every one.
// Nothing in the project runs outside a scope; a failing task is logged once and leaves its siblings alone.
// A task ends by its wait being ended (its signal aborts, its socket closes), never by force.
// Role: edge

import { systemClock } from "./clock.ts";
import { type Logger, silentLog } from "./log.ts";

/** After this long in close() the log says which tasks are still being waited for. */
const SLOW_CLOSE_MS = 5_000;

/** After this long close() gives the remaining tasks up: they are a bug of ours, named in the log. */
const GIVE_UP_MS = 30_000;

/** What a scope needs besides its name. */
interface ScopeOptions {
  parent?: AbortSignal;
  /** Where failures go; nowhere by default. */
  log?: Logger;
  /** Told of each failure, after the log. */
  onFailure?: (task: string, error: unknown) => void;
}

/** A named set of running tasks with one signal and one end. */
export class Scope implements AsyncDisposable {
  readonly #name: string;
  readonly #options: ScopeOptions;
  /** Made when somebody asks: of thousands of scopes most only wait for their end. */
  #controller: AbortController | null = null;
  #tasks: Map<Promise<void>, string> | null = null;
  #joined: Set<JoinedSignal> | null = null;
  #leaveParent: (() => void) | null = null;
  #closed = false;
  #reason: unknown = undefined;
  #closing: Promise<void> | null = null;

  /** Starts without tasks. @param name first part of the task path in logs */
  constructor(name: string, options: ScopeOptions = {}) {
    this.#name = name;
    this.#options = options;
  }

  /** Aborted when the scope closes or its parent aborts. */
  get signal(): AbortSignal {
    return (this.#controller ??= this.#createController()).signal;
  }

  get size(): number {
    return this.#tasks?.size ?? 0;
  }

  /**
   * Runs a task. It must end soon after `signal` aborts. In a scope already aborted it still runs, with the
   * signal aborted, so that it can release what it was handed; its failure is logged, never thrown here.
   */
  spawn(task: string, run: (signal: AbortSignal) => Promise<void>): void {
    // Two handlers and no coroutine around the task: thousands of tasks wait at a time.
    const ended: Promise<void> = startTask(run, this.signal).then(
      () => this.#forget(ended),
      (error) => {
        this.#forget(ended);
        if (!this.#isOurAbort(error)) this.#report(task, error);
      },
    );
    (this.#tasks ??= new Map()).set(ended, task);
  }

  /**
   * A signal that aborts with `signal` or with this scope, for one piece of work: dispose it when that is done. Unlike
   * AbortSignal.any() it leaves nothing behind.
   */
  join(signal: AbortSignal): JoinedSignal {
    const joined: JoinedSignal = new JoinedSignal(signal, () => this.#joined?.delete(joined));
    if (this.#closed || this.#options.parent?.aborted === true) joined.abort(this.signal.reason);
    else {
      (this.#joined ??= new Set()).add(joined);
      if (this.#options.parent !== undefined) void this.signal; // follows its parent from now on
    }
    return joined;
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
    const { log = silentLog, onFailure } = this.#options;
    log.error(`task "${this.#name} > ${task}" failed`, error);
    try {
      onFailure?.(task, error);
    } catch (second) {
      log.error(`failure handler of "${this.#name} > ${task}" failed`, second);
    }
  }

  async #end(reason: unknown): Promise<void> {
    this.#leaveParent?.();
    this.#closed = true;
    this.#reason = reason;
    this.#abort(reason);
    if (this.size === 0) return;
    const gaveUp = Promise.withResolvers<void>();
    using _slow = systemClock.after(SLOW_CLOSE_MS, () => this.#tellSlow());
    using _limit = systemClock.after(GIVE_UP_MS, () => gaveUp.resolve());
    await Promise.race([this.#allEnded(), gaveUp.promise]);
    if (this.size > 0) {
      this.#options.log?.error(`scope "${this.#name}" gave up waiting for: ${this.#taskNames()}`);
    }
  }

  /** Tasks may spawn tasks while they end, so look again until none is left. */
  async #allEnded(): Promise<void> {
    while (this.size > 0) await Promise.all(this.#tasks?.keys() ?? []);
  }

  #tellSlow(): void {
    this.#options.log?.warn(
      `scope "${this.#name}" still waits after ${SLOW_CLOSE_MS / 1000} s for: ${this.#taskNames()}`,
    );
  }

  #taskNames(): string {
    return [...this.#tasks?.values() ?? []].join(", ");
  }

  #createController(): AbortController {
    const controller = new AbortController();
    const { parent } = this.#options;
    if (this.#closed) controller.abort(this.#reason);
    else if (parent?.aborted === true) controller.abort(parent.reason);
    else if (parent !== undefined) this.#follow(parent);
    return controller;
  }

  #follow(parent: AbortSignal): void {
    const onAbort = (): void => this.#abort(parent.reason);
    parent.addEventListener("abort", onAbort, { once: true });
    this.#leaveParent = () => parent.removeEventListener("abort", onAbort);
  }

  #abort(reason: unknown): void {
    this.#controller?.abort(reason);
    for (const joined of this.#joined ?? []) joined.abort(reason);
  }

  #forget(ended: Promise<void>): void {
    this.#tasks?.delete(ended);
    if (this.size === 0) this.#tasks = null;
  }
}

/** A signal that aborts with another signal or with a scope; see {@link Scope.join}. */
class JoinedSignal implements Disposable {
  readonly #controller = new AbortController();
  readonly #source: AbortSignal;
  readonly #leaveScope: () => void;
  readonly #onAbort = (): void => this.abort(this.#source.reason);

  /** Follows `source` until it is disposed. @param leaveScope called when it is disposed or has aborted */
  constructor(source: AbortSignal, leaveScope: () => void) {
    this.#source = source;
    this.#leaveScope = leaveScope;
    if (source.aborted) this.#controller.abort(source.reason);
    else source.addEventListener("abort", this.#onAbort, { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Aborts it; for the scope. */
  abort(reason: unknown): void {
    this[Symbol.dispose]();
    this.#controller.abort(reason);
  }

  /** Follows no more. */
  [Symbol.dispose](): void {
    this.#source.removeEventListener("abort", this.#onAbort);
    this.#leaveScope();
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
