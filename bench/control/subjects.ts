// What is measured: the gateway as `deno task start` runs it and the bare relay, each as its own process.
// Role: edge

import { type Child, startChild } from "./child.ts";
import type { SocketKind } from "../../lib/net/sockets.ts";
import { type Collection, parseCollection } from "./gc_trace.ts";

const ROOT = new URL("../../", import.meta.url).pathname;

/** A running gateway. */
export interface GatewayProcess extends AsyncDisposable {
  readonly pid: number;
  readonly rtmpPort: number;
  readonly sipPort: number;
  /** Where its inspector listens; null unless it was asked for. */
  readonly inspectorUrl: string | null;
  /** From the start of the process to its line that it listens. */
  readonly startMs: number;
  /** Collections since the last call of this. */
  takeCollections(): Collection[];
  /** Lines of its log that tell of trouble. */
  readonly troubles: readonly string[];
  /** Ends it as a user would. */
  stop(): Promise<void>;
}

/** How to start it. */
export interface GatewayOptions {
  readonly cpu: number | null;
  /** Options of deno, e.g. --cpu-prof. */
  readonly denoFlags?: readonly string[];
  /** Options of V8 beside --trace-gc. */
  readonly v8Flags?: readonly string[];
  /** True: V8's inspector listens, too. */
  readonly inspect?: boolean;
  /** Options of the gateway. */
  readonly args?: readonly string[];
  /** Absent: those of Linux. */
  readonly sockets?: SocketKind;
}

/** High enough never to be met, and ports that the system does not give to others. */
const ROOMY = [
  ["-i", "127.0.0.1", "-p", "0", "-l", "127.0.0.1", "--sip-port", "0"],
  ["--max-connections", "30000", "--max-calls", "20000", "--rtp-ports", "10000-32767"],
  ["--max-lag", "0", "--max-memory", "0", "--max-half-open", "10000"],
].flat();
const START_WITHIN_MS = 20_000;
const LISTENS = /RTMP clients connect to 127\.0\.0\.1:(\d+); SIP uses port (\d+)/;

/** Starts the gateway and waits until it listens. */
export async function startGateway(options: GatewayOptions): Promise<GatewayProcess> {
  const startedMs = performance.now();
  const listening = Promise.withResolvers<{ rtmpPort: number; sipPort: number; startMs: number }>();
  const troubles: string[] = [];
  let inspectorUrl: string | null = null;
  const last: string[] = [];
  let collections: Collection[] = [];
  const { v8Flags, denoFlags } = flagsOf("start");
  const child = startChild({
    cpu: options.cpu,
    args: [
      ["run", `--v8-flags=${["--trace-gc", ...v8Flags, ...options.v8Flags ?? []].join(",")}`],
      options.inspect === true ? ["--inspect=127.0.0.1:0"] : ["--quiet"], // quiet does not say where the inspector is
      [...options.denoFlags ?? [], ...denoFlags],
      [`${ROOT}main.ts`, ...ROOMY, "--sockets", options.sockets ?? "linux", ...options.args ?? []],
    ].flat(),
    onLine: (line, from) => {
      const collection = from === "out" ? parseCollection(line) : null;
      if (collection !== null) return void collections.push(collection);
      last.push(line);
      if (last.length > 20) last.shift();
      if (/\b(?:WRN|ERR|warning|error|warn)\b|defect of ours/i.test(line)) troubles.push(line);
      inspectorUrl ??= /Debugger listening on (ws:\S+)/.exec(line)?.[1] ?? null;
      const match = LISTENS.exec(line);
      if (match === null) return;
      const startMs = performance.now() - startedMs;
      listening.resolve({ rtmpPort: Number(match[1]), sipPort: Number(match[2]), startMs });
    },
  });
  await waitFor(child, listening, () => `the gateway did not start:\n${last.join("\n")}`);
  const where = await listening.promise;
  return {
    ...where,
    inspectorUrl,
    pid: child.pid,
    troubles,
    takeCollections: () => {
      const taken = collections;
      collections = [];
      return taken;
    },
    stop: () => child.end("SIGTERM"),
    [Symbol.asyncDispose]: () => child.end("SIGTERM"),
  };
}

/** The gateway under test has what the task gives it: options of V8, and those of deno, permissions above all. */
export function flagsOf(task: "start"): { v8Flags: string[]; denoFlags: string[] } {
  const { tasks } = JSON.parse(Deno.readTextFileSync(`${ROOT}deno.json`));
  const [, words = ""] = / deno run (.*) main\.ts$/.exec(tasks[task].command) ?? [];
  const flags = words.split(" ");
  const ofV8 = flags.filter((flag) => flag.startsWith("--v8-flags="));
  return {
    v8Flags: ofV8.flatMap((flag) => flag.slice("--v8-flags=".length).split(",")),
    denoFlags: flags.filter((flag) => !ofV8.includes(flag)),
  };
}

/** A running relay. */
export interface RelayProcess extends AsyncDisposable {
  readonly pid: number;
  readonly port: number;
}

/** Starts the bare relay. */
export async function startRelay(cpu: number | null): Promise<RelayProcess> {
  const listening = Promise.withResolvers<number>();
  const last: string[] = [];
  const child = startChild({
    cpu,
    args: ["run", "--quiet", "--allow-net", `${ROOT}bench/relay.ts`],
    onLine: (line) => {
      last.push(line);
      const port = /relay listens on (\d+)/.exec(line)?.[1];
      if (port !== undefined) listening.resolve(Number(port));
    },
  });
  await waitFor(child, listening, () => `the relay did not start:\n${last.join("\n")}`);
  return {
    pid: child.pid,
    port: await listening.promise,
    [Symbol.asyncDispose]: () => child[Symbol.asyncDispose](),
  };
}

async function waitFor<T>(child: Child, ready: PromiseWithResolvers<T>, why: () => string): Promise<void> {
  const timer = setTimeout(() => ready.reject(new Error(why())), START_WITHIN_MS);
  void child.ended.then(() => ready.reject(new Error(why())));
  try {
    await ready.promise;
  } finally {
    clearTimeout(timer);
  }
}
