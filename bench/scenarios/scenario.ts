// What every scenario of the bench is given, and what it gives back.
// Role: edge

import { canPin } from "../control/child.ts";
import { type LoadProcess, startLoad } from "../control/load_client.ts";
import type { BenchOptions } from "../control/options.ts";
import { type GatewayProcess, type RelayProcess, startGateway, startRelay } from "../control/subjects.ts";
import type { SocketKind } from "../../lib/net/sockets.ts";
import type { Table } from "../control/tables.ts";

/** A demand of the project, and whether this run has met it. */
export interface Target {
  /** What is demanded. */
  readonly text: string;
  /** What was measured. */
  readonly measured: string;
  /** Null: this run cannot tell. */
  readonly reached: boolean | null;
}

/** What a scenario found. */
export interface Findings {
  readonly tables: readonly Table[];
  readonly targets: readonly Target[];
  /** Everything, for the JSON file. */
  readonly data: unknown;
}

/** Where processes run, and what was asked for. */
export interface Bench {
  readonly options: BenchOptions;
  /** Core of gateway and relay; null: any. */
  readonly subjectCpu: number | null;
  readonly loadCpu: number | null;
  /** Progress, a line at a time. */
  say(text: string): void;
}

/** One thing to measure. */
export type Scenario = (bench: Bench) => Promise<Findings>;

/** Puts the gateway on the second core and the load on the first where that can be done. */
export function createBench(options: BenchOptions, say: (text: string) => void): Bench {
  const pin = options.pin && canPin();
  return { options, subjectCpu: pin ? 1 : null, loadCpu: pin ? 0 : null, say };
}

/** The processes of a scenario; the gateway ends first and as a user ends it. */
export interface Subjects extends AsyncDisposable {
  readonly load: LoadProcess;
  readonly gateway: GatewayProcess;
  readonly relay: RelayProcess | null;
}

/** What is started, and how. */
export interface SubjectOptions {
  /** False: no bare relay. */
  readonly relay: boolean;
  /** True: V8's inspector of the gateway listens. */
  readonly inspect?: boolean;
  /** Options of the gateway. */
  readonly args?: readonly string[];
  readonly sockets?: SocketKind;
}

/** Starts them. */
export async function startSubjects(
  bench: Bench,
  { relay, inspect = false, args = [], sockets = "linux" }: SubjectOptions,
): Promise<Subjects> {
  const { denoFlags, v8Flags, gatewayArgs } = bench.options;
  await using stack = new AsyncDisposableStack();
  const load = stack.use(await startLoad(bench.loadCpu));
  const bare = relay ? stack.use(await startRelay(bench.subjectCpu)) : null;
  const gateway = stack.use(
    await startGateway({
      cpu: bench.subjectCpu,
      denoFlags,
      v8Flags,
      inspect,
      sockets,
      args: [...args, ...gatewayArgs],
    }),
  );
  stack.defer(() => {
    for (const line of new Set(gateway.troubles.slice(0, 5))) bench.say(`  the gateway said: ${line}`);
  });
  const owner = stack.move();
  return { load, relay: bare, gateway, [Symbol.asyncDispose]: () => owner[Symbol.asyncDispose]() };
}
