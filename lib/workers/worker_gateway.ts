// A gateway as a worker: opened, reloaded and stopped by messages, its log lines posted in batches, its pulse in shared
// memory. What the runtime of this thread is, it is told; so a test can run it in the thread of the test.
// Role: edge

import type { Clock } from "../base/clock.ts";
import { Ticker } from "../base/ticker.ts";
import { type Logger, type OpenLog, openLog } from "../base/log.ts";
import type { Codecs } from "../codecs/codecs.ts";
import type { CallRegistry, CallWatch } from "../call/registry.ts";
import { buildConfig } from "../config/config.ts";
import { Gateway } from "../gateway/gateway.ts";
import { OpenFiles } from "../net/linux/calls.ts";
import { openSockets, type Sockets } from "../net/sockets.ts";
import type { DnsResolver } from "../net/dns.ts";
import {
  type CallsReply,
  type CallsRequest,
  type FromWorker,
  MAX_POSTED_CALLS,
  type Opening,
  postedError,
  type ToWorker,
} from "./messages.ts";
import { SharedCounts } from "./shared_counts.ts";
import { sliceOf } from "./worker_slot.ts";
import { TeamMember } from "./team_member.ts";
import type { Runtime } from "../base/runtime.ts";

interface WorkerEnvironment extends Pick<Runtime, "clock" | "random"> {
  readonly dns: DnsResolver;
  readonly loadCodecs: () => Promise<Codecs>;
}

/** How often a worker shows that it is alive, in milliseconds. */
const BEAT_MS = 500;

/** Runs at most one gateway, as it is told. */
export class WorkerGateway {
  readonly #post: (message: FromWorker) => void;
  readonly #environment: WorkerEnvironment;
  #opening: Promise<Running | null> | null = null;
  #member: TeamMember | null = null;
  #watch: CallWatch | null = null;
  #log: Logger | null = null;

  /** Says that it is there. @param post to the supervisor */
  constructor(environment: WorkerEnvironment, post: (message: FromWorker) => void) {
    this.#environment = environment;
    this.#post = post;
    post({ type: "loaded" });
  }

  take(message: ToWorker): void {
    switch (message.type) {
      case "open":
        this.#opening ??= this.#open(message);
        return;
      case "request":
        return void this.#answer(message.ask, message.request);
      case "watch calls":
        return void this.#watchCalls(message.on);
      case "reload":
        return void this.#reload();
      case "stop":
        return void this.#stop();
      default:
        this.#member?.take(message);
    }
  }

  /**
   * An error that nobody caught: it is told, and the calls go on, as in a program without workers. False when nothing
   * was opened yet: then it ends the worker.
   */
  uncaught(error: unknown): boolean {
    this.#log?.error("internal error, please report it", error);
    return this.#log !== null;
  }

  async #open(opening: Opening): Promise<Running | null> {
    const running = new Running();
    try {
      await this.#start(opening, running);
      return running;
    } catch (error) {
      await running.end();
      this.#post({ type: "failed", error: postedError(error) });
      return null;
    }
  }

  async #start(opening: Opening, running: Running): Promise<void> {
    const post = this.#post;
    const { clock } = this.#environment;
    const { index, count } = opening.slot;
    const config = buildConfig(opening.sources);
    const lines = new LineBatch((batch) => post({ type: "log", lines: batch }));
    running.log = openLog({ verbosity: config.verbosity, write: (line) => lines.put(line) });
    const log = this.#log = running.log.log.child(`worker ${index}`);
    const counts = new SharedCounts(count, opening.memory);
    const { softUnsent, hardUnsent } = config.rtmp.options;
    const limits = { softUnsent, hardUnsent };
    const team = this.#member = new TeamMember({ opening, counts, post, limits, clock, log });
    running.beat(clock, counts, index);
    const codecs = await this.#environment.loadCodecs();
    const sockets = running.sockets = openSockets(config.sockets, new OpenFiles(opening.files));
    const gateway = await Gateway.start(sliceOf(config, opening.slot), {
      ...this.#environment,
      codecs,
      sockets,
      log,
      team,
    });
    running.gateway = gateway;
    team.opened();
    post({ type: "opened", endpoints: await team.endpoints(gateway.sipPort) });
    void this.#endOrphans(opening, gateway, log);
  }

  async #endOrphans({ orphans }: Opening, gateway: Gateway, log: Logger): Promise<void> {
    if (orphans.length === 0) return;
    const agreed = await gateway.hangUpOrphans(orphans);
    log.info(`${orphans.length} calls of the crashed worker: BYE sent to all, ${agreed} answered`);
  }

  /** Before the gateway is there nobody can have asked. */
  async #answer(ask: number, request: CallsRequest): Promise<void> {
    const calls = (await this.#opening)?.gateway?.calls;
    if (calls !== undefined) this.#post({ type: "reply", ask, reply: replyAbout(calls, request) });
  }

  async #watchCalls(on: boolean): Promise<void> {
    const calls = (await this.#opening)?.gateway?.calls;
    this.#watch?.[Symbol.dispose]();
    this.#watch = null;
    if (!on || calls === undefined) return;
    const watch = this.#watch = calls.watch();
    for await (const change of watch) this.#post({ type: "call", change });
    if (this.#watch === watch) await this.#watchCalls(true); // after an overrun
  }

  async #reload(): Promise<void> {
    const running = await this.#opening;
    await running?.gateway?.reload();
    this.#post({ type: "reloaded" });
  }

  async #stop(): Promise<void> {
    const running = await this.#opening;
    await running?.end();
    await this.#watchCalls(false);
    this.#post({ type: "stopped" });
  }
}

/** What is running: a log, a pulse, and after a while a gateway. */
class Running {
  gateway: Gateway | null = null;
  log: OpenLog | null = null;
  sockets: Sockets | null = null;
  #ticker: Ticker | null = null;

  beat(clock: Clock, counts: SharedCounts, worker: number): void {
    this.#ticker = new Ticker(clock, BEAT_MS);
    this.#ticker.add(() => {
      counts.beat(worker);
      counts.set(worker, "rtpPorts", this.gateway?.usage.rtpPorts ?? 0);
    });
  }

  async end(): Promise<void> {
    await this.gateway?.[Symbol.asyncDispose]();
    this.sockets?.[Symbol.dispose]();
    this.#ticker?.[Symbol.dispose]();
    await this.log?.close();
  }
}

/** Lines of one turn of the event loop go in one message. */
class LineBatch {
  readonly #post: (lines: readonly string[]) => void;
  #lines: string[] = [];

  constructor(post: (lines: readonly string[]) => void) {
    this.#post = post;
  }

  put(line: string): void {
    if (this.#lines.length === 0) queueMicrotask(() => this.#flush());
    this.#lines.push(line);
  }

  #flush(): void {
    const lines = this.#lines;
    this.#lines = [];
    this.#post(lines);
  }
}

function replyAbout(calls: CallRegistry, request: CallsRequest): CallsReply {
  if (request.type === "hang up") return { type: "hung up", found: calls.hangUp(request.id) };
  const all = request.type === "list" ? calls.list() : calls.ended();
  const posted = all.slice(-MAX_POSTED_CALLS);
  return { type: "calls", calls: posted, more: all.length - posted.length };
}
