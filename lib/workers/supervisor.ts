// Several gateways in one process, each a worker in a thread of its own: starts them, joins their messages, restarts
// those that crash, and is to the program what a single Gateway is.
// Role: edge

import { type Clock, delay } from "../base/clock.ts";
import { ConfigError, messageOf } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import { Scope } from "../base/scope.ts";
import {
  type CallChange,
  type CallRecord,
  type CallRegistry,
  type CallWatch,
  CallWatchers,
} from "../call/registry.ts";
import type { Config, ConfigSources } from "../config/config.ts";
import type { WorkerCount } from "../config/setting_values.ts";
import { type Endpoint, formatEndpoint } from "../net/endpoint.ts";
import { canSharePort, probePort } from "../net/tcp.ts";
import type { CallsRequest } from "./messages.ts";
import { SharedCounts } from "./shared_counts.ts";
import { TeamState } from "./team_state.ts";
import { type TeamOrLog, WorkerHandle } from "./worker_handle.ts";
import { sipPortOf, sliceOf, STREAMS_WORKER, type WorkerSlot } from "./worker_slot.ts";
import type { Runtime } from "../base/runtime.ts";

/**
 * After so many attempts a replacement takes another SIP port: the runtime cannot end a thread that hangs in a loop, and
 * its sockets stay bound.
 */
const ATTEMPTS_AT_PORT = 3;

/** How long workers may take to hang up and unregister before they are ended. */
const STOP_WITHIN_MS = 10_000;

/** The first file of every worker. */
const ENTRY = new URL("./worker_main.ts", import.meta.url);

interface SupervisorEnvironment extends Runtime {
  readonly putLine: (line: string) => void;
  /** Calls of this thread, listed with theirs; absent: it has none. */
  readonly calls?: CallRegistry;
  /** The first file of the workers; tests name their own. */
  readonly entry?: URL;
}

export function workersOf(setting: WorkerCount): number {
  return setting === "auto" ? navigator.hardwareConcurrency : setting;
}

/**
 *   start   all load at once -> worker 0 opens and says its SIP port -> the others open at the ports behind it
 *   crash   logged -> the others forget its users -> restarted, with its calls to hang up
 *   stop    all hang up and unregister at once; who does not end is ended
 */
export class Supervisor implements AsyncDisposable {
  readonly calls: WorkerCalls;
  readonly #config: Config;
  readonly #sources: ConfigSources;
  readonly #environment: SupervisorEnvironment;
  readonly #counts: SharedCounts;
  readonly #state: TeamState;
  readonly #workers: readonly WorkerHandle[];
  readonly #schedules: readonly RestartBackoff[];
  readonly #scope: Scope;
  readonly #secret: string;
  #rtmp: Endpoint;
  #stopping: Promise<void> | null = null;

  private constructor(config: Config, sources: ConfigSources, environment: SupervisorEnvironment) {
    const { clock, log, random } = environment;
    const workers = workersOf(config.workers);
    this.#config = config;
    this.#sources = sources;
    this.#environment = environment;
    this.#rtmp = config.rtmp.listen;
    this.#secret = random.token(40);
    this.#scope = new Scope("workers", { log });
    this.#counts = new SharedCounts(workers);
    this.#schedules = Array.from({ length: workers }, () => new RestartBackoff(clock));
    const { entry = ENTRY } = environment;
    this.#workers = Array.from({ length: workers }, (_, index): WorkerHandle => {
      const worker: WorkerHandle = new WorkerHandle({
        index,
        entry,
        clock,
        pulse: () => this.#counts.beats(index),
        onMessage: (message) => this.#take(index, message),
        onDeath: (reason) => this.#died(worker, reason),
      });
      return worker;
    });
    this.calls = new WorkerCalls(this.#workers, environment);
    this.#state = new TeamState({
      sameAddress: config.sameAddress,
      workers,
      post: (worker, message) => this.#workers[worker]?.post(message),
    });
  }

  /**
   * Starts all workers; they accept clients when this resolves. Errors: as Gateway.start, from whichever worker.
   * @param config checked, with what else was decided since
   * @param sources what it was read from: workers read it again
   */
  static async start(
    config: Config,
    sources: ConfigSources,
    environment: SupervisorEnvironment,
  ): Promise<Supervisor> {
    if (!canSharePort) {
      throw new ConfigError("--workers needs Linux: other systems do not spread the connections of one port");
    }
    const supervisor = new Supervisor(config, sources, environment);
    supervisor.#checkSlices();
    const { listen } = config.rtmp;
    supervisor.#rtmp = { ...listen, port: probePort(listen) };
    try {
      await supervisor.#openAll();
    } catch (error) {
      supervisor.#terminateAll();
      await supervisor.#scope.close();
      throw error;
    }
    environment.log.info(supervisor.#description());
    return supervisor;
  }

  /** Where RTMP clients connect; the real port when 0 was asked for. */
  get rtmp(): Endpoint {
    return this.#rtmp;
  }

  /** The SIP port of each worker; null while it is being replaced for the first time. */
  get sipPorts(): (number | null)[] {
    return this.#workers.map(({ endpoints }) => endpoints?.sipPort ?? null);
  }

  /** What is in use now in all workers together; RTP ports are half a second old. */
  get usage(): { connections: number; clients: number; calls: number; rtpPorts: number } {
    return {
      connections: this.#counts.total("connections"),
      clients: this.#counts.total("clients"),
      calls: this.#counts.total("calls"),
      rtpPorts: this.#counts.total("rtpPorts"),
    };
  }

  usageOf(worker: number): { connections: number; clients: number; calls: number } {
    const of = (count: "connections" | "clients" | "calls"): number => this.#counts.of(worker, count);
    return { connections: of("connections"), clients: of("clients"), calls: of("calls") };
  }

  /** All workers read certificate, key and users again; one that is being replaced reads them anyway. */
  async reload(): Promise<void> {
    const there = this.#workers.filter(({ occupied, replacing }) => occupied && !replacing);
    await Promise.allSettled(there.map((worker) => worker.ask({ type: "reload" }, "reloaded")));
  }

  /** Ends every call and registration in all workers, and the workers. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  /** What is wrong with the configuration is told before anything is opened. */
  #checkSlices(): void {
    for (const worker of this.#workers) sliceOf(this.#config, this.#slotOf(worker, this.#config.sip.port));
  }

  /** A worker that opened before opens at the port it had. */
  #slotOf({ index, endpoints: had }: WorkerHandle, base: number, attempts = 0): WorkerSlot {
    return {
      index,
      count: this.#workers.length,
      rtmpPort: this.#rtmp.port,
      sipPort: had?.sipPort ?? (index === STREAMS_WORKER ? base : sipPortOf(this.#config, base, index)),
      sipFallback: had === null ? this.#config.sip.portFallback : attempts >= ATTEMPTS_AT_PORT,
    };
  }

  async #openAll(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.load()));
    const [home, ...others] = this.#workers;
    const base = await this.#open(home!, this.#config.sip.port);
    await Promise.all(others.map((worker) => this.#open(worker, base)));
  }

  /** Lets a worker open; its SIP port. */
  async #open(worker: WorkerHandle, base: number, attempts = 0): Promise<number> {
    const endpoints = await worker.open({
      type: "open",
      sources: this.#sources,
      slot: this.#slotOf(worker, base, attempts),
      memory: this.#counts.memory,
      secret: this.#secret,
      ...this.#state.opening(worker.index),
    });
    this.#state.opened(endpoints);
    this.calls.opened(worker);
    return endpoints.sipPort;
  }

  #take(worker: number, message: TeamOrLog): void {
    if (message.type === "call") return this.calls.take(message.change);
    if (message.type !== "log") return this.#state.take(worker, message);
    for (const line of message.lines) this.#environment.putLine(line);
  }

  /** One that dies while it starts or is replaced has somebody who waits for it; any other is replaced. */
  #died(worker: WorkerHandle, reason: string): void {
    if (worker.endpoints === null || worker.replacing || this.#stopping !== null) return;
    const { connections } = this.usageOf(worker.index);
    this.#clearUp(worker);
    const lost = `${worker.orphans.length} calls and ${connections} connections are lost`;
    this.#environment.log.error(`worker ${worker.index} crashed, ${lost}: ${reason}`);
    worker.replacing = true;
    this.#scope.spawn(`replace worker ${worker.index}`, (signal) => this.#replace(worker, signal));
  }

  #clearUp(worker: WorkerHandle): void {
    worker.orphans = [...worker.orphans, ...this.#state.gone(worker.index)];
    this.#counts.clear(worker.index);
    this.calls.lost();
  }

  async #replace(worker: WorkerHandle, signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#environment;
    const schedule = this.#schedules[worker.index]!;
    for (let attempts = 0; !worker.occupied && await delay(clock, schedule.brokeDown(), signal); attempts++) {
      try {
        await worker.load();
        await this.#open(worker, worker.endpoints!.sipPort, attempts);
        log.info(`worker ${worker.index} restarted, accepting clients again`);
      } catch (error) {
        worker.terminate("it did not start");
        this.#clearUp(worker);
        if (!signal.aborted) log.warn(`worker ${worker.index} restart failed, retrying: ${messageOf(error)}`);
      }
    }
    worker.replacing = false;
  }

  async #stop(): Promise<void> {
    const { clock, log } = this.#environment;
    const ending = this.#scope.close();
    for (const worker of this.#workers) if (worker.replacing) worker.terminate("the program ends");
    await ending;
    const stopped = Promise.allSettled(
      this.#workers.map((worker) => worker.ask({ type: "stop" }, "stopped")),
    );
    const waited = new AbortController();
    const limit = delay(clock, STOP_WITHIN_MS, waited.signal);
    const inTime = await Promise.race([stopped.then(() => true), limit.then(() => false)]);
    waited.abort();
    if (!inTime) log.warn("some workers did not stop in time");
    this.#terminateAll();
  }

  #terminateAll(): void {
    for (const worker of this.#workers) worker.terminate("the program ends");
  }

  #description(): string {
    const ports = this.sipPorts;
    return `RTMP clients connect to ${formatEndpoint(this.#rtmp)}; SIP uses port ${ports[STREAMS_WORKER]}; ` +
      `${ports.length} workers have the SIP ports ${ports.join(", ")}`;
  }
}

const FIRST_MS = 50;
const AGAIN_MS = 1_000;
const LONGEST_MS = 30_000;

const GOOD_MS = 60_000;

/** Counts the breakdowns of one worker. */
export class RestartBackoff {
  readonly #clock: Clock;
  #lastMs = -Infinity;
  #inARow = 0;

  /** Nothing has happened yet. */
  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** It broke down now; how long to wait before it is replaced, in milliseconds. */
  brokeDown(): number {
    const nowMs = this.#clock.now();
    this.#inARow = nowMs - this.#lastMs < GOOD_MS + this.#delayMs() ? this.#inARow + 1 : 1;
    this.#lastMs = nowMs;
    return this.#delayMs();
  }

  #delayMs(): number {
    if (this.#inARow <= 1) return this.#inARow * FIRST_MS;
    return Math.min(LONGEST_MS, AGAIN_MS * 2 ** (this.#inARow - 2));
  }
}

/** Oldest first. */
interface CallList {
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
