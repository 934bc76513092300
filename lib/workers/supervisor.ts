// Several gateways in one process, each in a thread of its own: starts them, joins their messages, replaces those that
// break down, and is to the program what a single Gateway is.
//
//   start      all load at once -> worker 0 opens and says its SIP port -> the others open at the ports behind it
//   breakdown  told in the log -> the others forget its users -> replaced, with its calls to hang up
//   stop       all hang up and unregister at once; who does not end is ended
//
// Role: edge

import { type Clock, delay } from "../base/clock.ts";
import { ConfigError, messageOf } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import { Scope } from "../base/scope.ts";
import type { Config, ConfigSources } from "../config/config.ts";
import type { WorkerCount } from "../config/config_settings.ts";
import { type Endpoint, formatEndpoint } from "../net/endpoint.ts";
import { canSharePort, probePort } from "../net/tcp.ts";
import { RestartSchedule } from "./restart_schedule.ts";
import { SharedCounts } from "./shared_counts.ts";
import { HOME, type Seat, sipPortOf, sliceOf } from "./slice.ts";
import { TeamState } from "./team_state.ts";
import { type TeamOrLog, WorkerDesk } from "./worker_desk.ts";

/**
 * After so many attempts a replacement takes another SIP port: the runtime cannot end a thread that hangs in a loop, and
 * its sockets stay bound.
 */
const ATTEMPTS_AT_PORT = 3;

/** How long workers may take to hang up and unregister before they are ended. */
const STOP_WITHIN_MS = 10_000;

/** The first file of every worker. */
const ENTRY = new URL("./worker_main.ts", import.meta.url);

/** What the supervisor takes from outside. */
export interface SupervisorEnvironment {
  /** Every timer of this thread. */
  readonly clock: Clock;
  /** Where its own lines go. */
  readonly log: Logger;
  /** Makes the secret of the run. */
  readonly random: Random;
  /** Takes finished log lines of the workers. */
  readonly putLine: (line: string) => void;
  /** The first file of the workers; tests name their own. */
  readonly entry?: URL;
}

/** How many workers a setting means on this machine. */
export function workersOf(setting: WorkerCount): number {
  return setting === "auto" ? navigator.hardwareConcurrency : setting;
}

export class Supervisor implements AsyncDisposable {
  readonly #config: Config;
  readonly #sources: ConfigSources;
  readonly #environment: SupervisorEnvironment;
  readonly #counts: SharedCounts;
  readonly #state: TeamState;
  readonly #desks: readonly WorkerDesk[];
  readonly #schedules: readonly RestartSchedule[];
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
    this.#schedules = Array.from({ length: workers }, () => new RestartSchedule(clock));
    const { entry = ENTRY } = environment;
    this.#desks = Array.from({ length: workers }, (_, index): WorkerDesk => {
      const desk: WorkerDesk = new WorkerDesk({
        index,
        entry,
        clock,
        pulse: () => this.#counts.beats(index),
        onMessage: (message) => this.#take(index, message),
        onDeath: (reason) => this.#died(desk, reason),
      });
      return desk;
    });
    this.#state = new TeamState({
      sameAddress: config.sameAddress,
      workers,
      post: (worker, message) => this.#desks[worker]?.post(message),
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
      throw new ConfigError("workers needs Linux: other systems do not spread the connections of one port");
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
    return this.#desks.map(({ place }) => place?.sipPort ?? null);
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
    const there = this.#desks.filter(({ occupied, replacing }) => occupied && !replacing);
    await Promise.allSettled(there.map((desk) => desk.ask({ type: "reload" }, "reloaded")));
  }

  /** Ends every call and registration in all workers, and the workers. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  /** What is wrong with the configuration is told before anything is opened. */
  #checkSlices(): void {
    for (const desk of this.#desks) sliceOf(this.#config, this.#seatOf(desk, this.#config.sip.port));
  }

  /** A worker that opened before opens at the port it had. */
  #seatOf({ index, place: had }: WorkerDesk, base: number, attempts = 0): Seat {
    return {
      index,
      count: this.#desks.length,
      rtmpPort: this.#rtmp.port,
      sipPort: had?.sipPort ?? (index === HOME ? base : sipPortOf(this.#config, base, index)),
      sipFallback: had === null ? this.#config.sip.portFallback : attempts >= ATTEMPTS_AT_PORT,
    };
  }

  async #openAll(): Promise<void> {
    await Promise.all(this.#desks.map((desk) => desk.load()));
    const [home, ...others] = this.#desks;
    const base = await this.#open(home!, this.#config.sip.port);
    await Promise.all(others.map((desk) => this.#open(desk, base)));
  }

  /** Lets a worker open; its SIP port. */
  async #open(desk: WorkerDesk, base: number, attempts = 0): Promise<number> {
    const place = await desk.open({
      type: "open",
      sources: this.#sources,
      seat: this.#seatOf(desk, base, attempts),
      memory: this.#counts.memory,
      secret: this.#secret,
      ...this.#state.opening(desk.index),
    });
    this.#state.opened(place);
    return place.sipPort;
  }

  #take(worker: number, message: TeamOrLog): void {
    if (message.type !== "log") return this.#state.take(worker, message);
    for (const line of message.lines) this.#environment.putLine(line);
  }

  /** One that dies while it starts or is replaced has somebody who waits for it; any other is replaced. */
  #died(desk: WorkerDesk, reason: string): void {
    if (desk.place === null || desk.replacing || this.#stopping !== null) return;
    const { connections } = this.usageOf(desk.index);
    this.#clearUp(desk);
    const lost = `${desk.orphans.length} calls and ${connections} connections are lost`;
    this.#environment.log.error(`worker ${desk.index} broke down, ${lost}: ${reason}`);
    desk.replacing = true;
    this.#scope.spawn(`replace worker ${desk.index}`, (signal) => this.#replace(desk, signal));
  }

  #clearUp(desk: WorkerDesk): void {
    desk.orphans = [...desk.orphans, ...this.#state.gone(desk.index)];
    this.#counts.clear(desk.index);
  }

  async #replace(desk: WorkerDesk, signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#environment;
    const schedule = this.#schedules[desk.index]!;
    for (let attempts = 0; !desk.occupied && await delay(clock, schedule.brokeDown(), signal); attempts++) {
      try {
        await desk.load();
        await this.#open(desk, desk.place!.sipPort, attempts);
        log.info(`worker ${desk.index} was replaced and takes clients again`);
      } catch (error) {
        desk.terminate("it did not start");
        this.#clearUp(desk);
        if (!signal.aborted) log.warn(`worker ${desk.index} could not be replaced yet: ${messageOf(error)}`);
      }
    }
    desk.replacing = false;
  }

  async #stop(): Promise<void> {
    const { clock, log } = this.#environment;
    const ending = this.#scope.close();
    for (const desk of this.#desks) if (desk.replacing) desk.terminate("the program ends");
    await ending;
    const stopped = Promise.allSettled(this.#desks.map((desk) => desk.ask({ type: "stop" }, "stopped")));
    const waited = new AbortController();
    const limit = delay(clock, STOP_WITHIN_MS, waited.signal);
    const inTime = await Promise.race([stopped.then(() => true), limit.then(() => false)]);
    waited.abort();
    if (!inTime) log.warn("some workers did not end in time");
    this.#terminateAll();
  }

  #terminateAll(): void {
    for (const desk of this.#desks) desk.terminate("the program ends");
  }

  #description(): string {
    const ports = this.sipPorts;
    return `RTMP clients connect to ${formatEndpoint(this.#rtmp)}; SIP uses port ${ports[HOME]}; ` +
      `${ports.length} workers have the SIP ports ${ports.join(", ")}`;
  }
}
