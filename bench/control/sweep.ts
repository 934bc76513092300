// N calls for growing N: slices through the gateway and through the bare relay in turn, until the gateway loses
// packets or is late.
// Role: edge

import type { Percentiles } from "../load/histogram.ts";
import type { CallKind, DialResult, RunResult, Target } from "../load/protocol.ts";
import {
  costOf,
  type LoadFigures,
  loadFigures,
  percentilesOf,
  type TargetFigures,
  targetFigures,
  type Verdict,
  verdictOf,
} from "./figures.ts";
import { type Collection, type GcSummary, summarizeCollections } from "./gc_trace.ts";
import type { LoadProcess } from "./load_client.ts";
import { medianRatio } from "./ratios.ts";
import type { GatewayProcess, RelayProcess } from "./subjects.ts";

/** What a sweep needs. */
export interface SweepOptions {
  readonly load: LoadProcess;
  readonly gateway: GatewayProcess;
  /** Null: nothing is compared. */
  readonly relay: RelayProcess | null;
  readonly kind: CallKind;
  /** Calls of each row, growing. */
  readonly counts: readonly number[];
  /** Factor of the rows behind the last count, until one is not healthy; null: no more rows. */
  readonly growth: number | null;
  /** Slices of each target per row. */
  readonly slices: number;
  /** Measured length of a slice. */
  readonly seconds: number;
  readonly warmSeconds: number;
  /** New calls per second while dialling. */
  readonly perSecond: number;
  /** How often a row is measured, at most, when other programs disturb it. */
  readonly tries: number;
}

/** One N. */
export interface SweepRow {
  readonly wanted: number;
  readonly established: number;
  readonly failures: readonly string[];
  readonly setUp: Percentiles;
  readonly connect: Percentiles;
  readonly gateway: TargetFigures;
  readonly relay: TargetFigures | null;
  /** CPU of the gateway by that of the relay: median of the pairs of slices. */
  readonly ratio: number | null;
  readonly ratios: readonly number[];
  readonly gc: GcSummary;
  readonly load: LoadFigures;
  /** Datagrams that found the gateway's sockets full. */
  readonly gatewayDrops: number;
  readonly verdict: Verdict;
}

/** Before anything is measured the compiler of the runtime has seen the paths of both, with many calls. */
const WARM_UP = { calls: 100, seconds: 6 } as const;

const SETTLE_MS = 1500;

/** Yields a row per N. */
export async function* sweepCalls(options: SweepOptions): AsyncGenerator<SweepRow> {
  const counts = [...options.counts];
  let there = await warmUp(options, counts[0] ?? 0);
  for (;;) {
    const wanted = counts.shift();
    if (wanted === undefined) return;
    const row = await measureCount(options, wanted, there);
    there = row.established;
    yield row;
    if (options.growth === null || counts.length > 0) continue;
    if (row.verdict !== "healthy") return;
    counts.push(Math.round(wanted * options.growth));
  }
}

/** A row with so many calls; those that are missing are dialled, those too many are hung up. */
export async function measureCount(options: SweepOptions, wanted: number, there: number): Promise<SweepRow> {
  const none = { bins: [], maxUs: 0, sumUs: 0 };
  if (there > wanted) await hangUp(options, there - wanted);
  const dialled = there < wanted
    ? await dialMore(options, wanted - there)
    : { established: 0, failures: [], setUp: none, connect: none };
  return await measureRow(options, wanted, dialled);
}

/** Says how many calls are still up: none, if the first row has fewer, so that it shows their set-up. */
async function warmUp(options: SweepOptions, first: number): Promise<number> {
  const dialled = await dialMore(options, Math.max(WARM_UP.calls, first));
  const longer = { ...options, seconds: WARM_UP.seconds, warmSeconds: 0.1 };
  await runSlice(longer, "gateway", options.gateway.pid);
  if (options.relay !== null) await runSlice(longer, "relay", options.relay.pid);
  if (first >= dialled.established) return dialled.established;
  await hangUp(options, dialled.established);
  return 0;
}

/** Ends calls; what had piled up for them in an overload is gone a little later. */
export async function hangUp({ load, relay }: SweepOptions, count: number): Promise<void> {
  await load.ask("hangUp", { target: "gateway", count });
  if (relay !== null) await load.ask("hangUp", { target: "relay", count });
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
}

async function dialMore({ load, gateway, relay, kind, perSecond }: SweepOptions, count: number) {
  const request = { kind, count, perSecond };
  const dialled = await load.ask("dial", { ...request, target: "gateway", port: gateway.rtmpPort });
  if (relay !== null) await load.ask("dial", { ...request, target: "relay", port: relay.port });
  return dialled;
}

/** A row that other programs have disturbed is measured again; of all tries the one that waited least counts. */
async function measureRow(options: SweepOptions, wanted: number, dialled: DialResult): Promise<SweepRow> {
  let best = await tryRow(options, wanted, dialled);
  for (let tries = 1; tries < options.tries && best.verdict === "machine"; tries++) {
    const row = await tryRow(options, wanted, dialled);
    if (row.gateway.waited + row.load.waited < best.gateway.waited + best.load.waited) best = row;
  }
  return best;
}

async function tryRow(options: SweepOptions, wanted: number, dialled: DialResult): Promise<SweepRow> {
  const runs: Record<Target, RunResult[]> = { gateway: [], relay: [] };
  const collections: Collection[] = [];
  for (let slice = 0; slice < options.slices; slice++) {
    options.gateway.takeCollections();
    runs.gateway.push(await runSlice(options, "gateway", options.gateway.pid));
    collections.push(...options.gateway.takeCollections());
    if (options.relay !== null) runs.relay.push(await runSlice(options, "relay", options.relay.pid));
  }
  const gateway = targetFigures(runs.gateway);
  const load = loadFigures([...runs.gateway, ...runs.relay]);
  const { calls: established } = gateway;
  return {
    wanted,
    established,
    failures: dialled.failures,
    setUp: percentilesOf([dialled.setUp]),
    connect: percentilesOf([dialled.connect]),
    gateway,
    relay: options.relay === null ? null : targetFigures(runs.relay),
    ...ratiosOf(runs),
    gc: summarizeCollections(collections),
    load,
    gatewayDrops: runs.gateway.reduce((sum, run) => sum + run.targetDrops, 0),
    verdict: verdictOf({ wanted, established, gateway, load: loadFigures(runs.gateway) }),
  };
}

function ratiosOf(runs: Record<Target, RunResult[]>): Pick<SweepRow, "ratio" | "ratios"> {
  const [ours, bare] = [runs.gateway.flatMap(costOf), runs.relay.flatMap(costOf)];
  if (bare.length === 0 || bare.length !== ours.length) return { ratio: null, ratios: [] };
  return { ratio: medianRatio(ours, bare), ratios: ours.map((cost, i) => cost / bare[i]!) };
}

function runSlice({ load, seconds, warmSeconds }: SweepOptions, target: Target, pid: number) {
  return load.ask("run", { target, seconds, warmSeconds, pid });
}
