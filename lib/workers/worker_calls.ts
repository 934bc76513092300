// The calls of all workers as one: listed, watched and hung up by messages to each of them.
// Role: edge

import type { Logger } from "../base/log.ts";
import {
  type CallChange,
  type CallRecord,
  type CallRegistry,
  type CallWatch,
  CallWatchers,
} from "../call/registry.ts";
import type { CallsRequest } from "./messages.ts";
import type { WorkerHandle } from "./worker_handle.ts";

/** Oldest first. */
export interface CallList {
  readonly calls: readonly CallRecord[];
  /** How many more there are than a worker may post at a time. */
  readonly more: number;
  /** Workers that have not answered in time; theirs are not in the list. */
  readonly missing: readonly number[];
}

type Worker = Pick<WorkerHandle, "index" | "request" | "post">;

interface WorkerCallsEnvironment {
  readonly log: Logger;
  /** Calls of this thread; absent: it has none. */
  readonly calls?: CallRegistry;
}

export class WorkerCalls {
  readonly #workers: readonly Worker[];
  readonly #own: CallRegistry | undefined;
  readonly #log: Logger;
  readonly #watchers = new CallWatchers();
  #ownWatch: CallWatch | null = null;

  constructor(workers: readonly Worker[], { log, calls }: WorkerCallsEnvironment) {
    this.#workers = workers;
    this.#own = calls;
    this.#log = log;
  }

  list(): Promise<CallList> {
    return this.#gather({ type: "list" }, this.#own?.list());
  }

  ended(): Promise<CallList> {
    return this.#gather({ type: "ended" }, this.#own?.ended());
  }

  /** Ends a call, whosever it is; false when nobody has it. */
  async hangUp(id: string): Promise<boolean> {
    if (this.#own?.hangUp(id) === true) return true;
    const request: CallsRequest = { type: "hang up", id };
    const replies = await Promise.all(this.#workers.map((worker) => worker.request(request)));
    return replies.some((reply) => reply?.type === "hung up" && reply.found);
  }

  /** What happens from now on. When a worker crashes its calls end untold: "overrun". */
  watch(): CallWatch {
    const watch = this.#watchers.watch();
    if (this.#watchers.size === 1) this.#switch(true);
    return {
      [Symbol.asyncIterator]: () => watch[Symbol.asyncIterator](),
      [Symbol.dispose]: () => {
        const before = this.#watchers.size;
        watch[Symbol.dispose]();
        if (before === 1 && this.#watchers.size === 0) this.#switch(false);
      },
    };
  }

  take(change: CallChange): void {
    if (this.#watchers.size === 0) return; // was under way
    if (change.type === "overrun") return this.lost();
    this.#watchers.tell(change);
    if (this.#watchers.size === 0) this.#switch(false); // the last has not kept up
  }

  opened(worker: Worker): void {
    if (this.#watchers.size > 0) worker.post({ type: "watch calls", on: true });
  }

  /** Changes were lost: who watches has to list anew. */
  lost(): void {
    if (this.#watchers.size === 0) return;
    this.#watchers.overrun();
    this.#switch(false);
  }

  #switch(on: boolean): void {
    for (const worker of this.#workers) worker.post({ type: "watch calls", on });
    this.#ownWatch?.[Symbol.dispose]();
    this.#ownWatch = null;
    if (on && this.#own !== undefined) void this.#watchOwn(this.#own.watch());
  }

  async #watchOwn(watch: CallWatch): Promise<void> {
    this.#ownWatch = watch;
    for await (const change of watch) this.take(change);
  }

  async #gather(request: CallsRequest, own: readonly CallRecord[] = []): Promise<CallList> {
    const replies = await Promise.all(this.#workers.map((worker) => worker.request(request)));
    const list = { calls: [...own], more: 0, missing: [] as number[] };
    for (const [i, reply] of replies.entries()) {
      if (reply?.type === "calls") {
        list.calls.push(...reply.calls);
        list.more += reply.more;
      } else list.missing.push(this.#workers[i]!.index);
    }
    if (list.missing.length > 0) {
      this.#log.warn(`calls of worker ${list.missing.join(", ")} not listed: no answer in time`);
    }
    list.calls.sort((a, b) => a.startMs - b.startMs);
    return list;
  }
}
