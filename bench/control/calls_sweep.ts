// The main scenario: N pass-through calls for growing N, slices through the gateway and through the bare relay in
// turn, until the gateway loses packets or is late.
// Role: edge

import { Histogram, type HistogramData, type Percentiles } from "../load/histogram.ts";
import type { CallKind, DialResult, RunResult, Target } from "../load/protocol.ts";
import { type Collection, type GcSummary, summarizeCollections } from "./gc_trace.ts";
import type { LoadProcess } from "./load_client.ts";
import { lossOf, median, medianRatio } from "./ratios.ts";
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
  /** Factor of the rows behind the last count, until one is unhealthy; null: no more rows. */
  readonly growth: number | null;
  /** Slices of each target per row. */
  readonly slices: number;
  /** Measured length of a slice. */
  readonly seconds: number;
  readonly warmSeconds: number;
  /** New calls per second while dialling. */
  readonly perSecond: number;
  readonly say: (text: string) => void;
}

/** One side of a row. */
export interface TargetFigures {
  readonly calls: number;
  readonly lossUp: number;
  readonly lossDown: number;
  readonly silent: number;
  readonly up: Percentiles;
  readonly down: Percentiles;
  /** CPU per call-second: the median of the slices. Null where the system does not tell. */
  readonly cpuMsPerCallSecond: number | null;
  readonly cpuOfCore: number | null;
  /** Share of the time in which it was ready to run and another program had its core. */
  readonly waited: number;
  readonly rssKiB: number | null;
}

/** The load end in a row. */
export interface LoadFigures {
  readonly lag: Percentiles;
  readonly cpuOfCore: number | null;
  readonly waited: number;
  readonly drops: number;
  readonly blocked: number;
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
  /** Healthy; or what is wrong and whose fault it is. */
  readonly verdict: "healthy" | "gateway" | "load end" | "calls";
}

/** The limits of issue 5. */
export const MAX_LOSS = 0.001;
export const MAX_P99_MS = 40;
/** The load end's own lag, above which a row says nothing about the gateway. */
export const MAX_LOAD_LAG_MS = 10;

/** Yields a row per N. */
export async function* sweepCalls(options: SweepOptions): AsyncGenerator<SweepRow> {
  const counts = [...options.counts];
  let there = 0;
  for (;;) {
    const wanted = counts.shift();
    if (wanted === undefined) return;
    const dialled = await dialMore(options, wanted - there);
    there += dialled.gateway.established;
    const row = await measureRow(options, wanted, there, dialled.gateway);
    yield row;
    if (options.growth === null || counts.length > 0) continue;
    if (row.verdict !== "healthy") return;
    counts.push(Math.round(wanted * options.growth));
  }
}

async function dialMore({ load, gateway, relay, kind, perSecond }: SweepOptions, count: number) {
  const request = { kind, count, perSecond };
  const through = await load.ask("dial", { ...request, target: "gateway", port: gateway.rtmpPort });
  if (relay !== null) await load.ask("dial", { ...request, target: "relay", port: relay.port });
  return { gateway: through };
}

async function measureRow(
  options: SweepOptions,
  wanted: number,
  established: number,
  dialled: DialResult,
): Promise<SweepRow> {
  const runs: Record<Target, RunResult[]> = { gateway: [], relay: [] };
  const collections: Collection[] = [];
  for (let slice = 0; slice < options.slices; slice++) {
    options.gateway.takeCollections();
    runs.gateway.push(await runSlice(options, "gateway", options.gateway.pid));
    collections.push(...options.gateway.takeCollections());
    if (options.relay !== null) runs.relay.push(await runSlice(options, "relay", options.relay.pid));
  }
  const gateway = figuresOf(runs.gateway);
  const relay = options.relay === null ? null : figuresOf(runs.relay);
  const load = loadFigures([...runs.gateway, ...runs.relay]);
  const costs = { gateway: runs.gateway.flatMap(costOf), relay: runs.relay.flatMap(costOf) };
  const compared = costs.relay.length > 0 && costs.relay.length === costs.gateway.length;
  return {
    wanted,
    established,
    failures: dialled.failures,
    setUp: Histogram.sum([dialled.setUp]).percentiles(),
    connect: Histogram.sum([dialled.connect]).percentiles(),
    gateway,
    relay,
    ratio: compared ? medianRatio(costs.gateway, costs.relay) : null,
    ratios: compared ? costs.gateway.map((cost, i) => cost / costs.relay[i]!) : [],
    gc: summarizeCollections(collections),
    load,
    gatewayDrops: runs.gateway.reduce((sum, run) => sum + run.targetDrops, 0),
    verdict: verdictOf(wanted, established, gateway, load),
  };
}

function runSlice({ load, seconds, warmSeconds }: SweepOptions, target: Target, pid: number) {
  return load.ask("run", { target, seconds, warmSeconds, pid });
}

function figuresOf(runs: readonly RunResult[]): TargetFigures {
  const total = (pick: (run: RunResult) => number): number => runs.reduce((sum, run) => sum + pick(run), 0);
  const costs = runs.flatMap(costOf);
  return {
    calls: Math.max(...runs.map(({ calls }) => calls)),
    lossUp: lossOf(total((run) => run.sentUp), total((run) => run.receivedUp)),
    lossDown: lossOf(total((run) => run.sentDown), total((run) => run.receivedDown)),
    silent: Math.max(...runs.map(({ silent }) => silent)),
    up: percentilesOf(runs.map(({ up }) => up)),
    down: percentilesOf(runs.map(({ down }) => down)),
    cpuMsPerCallSecond: costs.length === 0 ? null : median(costs),
    cpuOfCore: shareOf(runs, (run) => run.cpuMs),
    waited: shareOf(runs, (run) => run.waitMs) ?? 0,
    rssKiB: runs.at(-1)?.rssKiB ?? null,
  };
}

function loadFigures(runs: readonly RunResult[]): LoadFigures {
  return {
    lag: percentilesOf(runs.map(({ lag }) => lag)),
    cpuOfCore: shareOf(runs, (run) => run.loadCpuMs),
    waited: shareOf(runs, (run) => run.loadWaitMs) ?? 0,
    drops: runs.reduce((sum, run) => sum + run.loadDrops, 0),
    blocked: runs.reduce((sum, run) => sum + run.blocked, 0),
  };
}

/** CPU ms per call and second; nothing where the system does not tell. */
function costOf(run: RunResult): number[] {
  return run.cpuMs === null || run.calls === 0 ? [] : [run.cpuMs / run.calls / run.seconds];
}

function shareOf(runs: readonly RunResult[], pick: (run: RunResult) => number | null): number | null {
  const shares = runs.flatMap((run) => {
    const ms = pick(run);
    return ms === null ? [] : [ms / 1000 / run.seconds];
  });
  return shares.length === 0 ? null : median(shares);
}

function percentilesOf(parts: readonly HistogramData[]): Percentiles {
  return Histogram.sum(parts).percentiles();
}

function verdictOf(
  wanted: number,
  established: number,
  gateway: TargetFigures,
  load: LoadFigures,
): SweepRow["verdict"] {
  if (established < wanted || gateway.silent > 0) return "calls";
  const late = Math.max(gateway.up.p99Ms, gateway.down.p99Ms) > MAX_P99_MS;
  const lossy = Math.max(gateway.lossUp, gateway.lossDown) > MAX_LOSS;
  if (!late && !lossy) return "healthy";
  return load.lag.p99Ms > MAX_LOAD_LAG_MS || load.drops > 0 ? "load end" : "gateway";
}
