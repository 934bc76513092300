// What slices of runs come to: loss, latency, CPU per call-second, and whose fault it is when a row is not healthy.
// Role: machine

import { Histogram, type HistogramData, type Percentiles } from "../load/histogram.ts";
import type { RunResult, StreamResult, WindowResult } from "../load/protocol.ts";
import { lossOf, median } from "./ratios.ts";

/** One kind of media of one target. */
export interface StreamFigures {
  readonly sent: number;
  readonly lossUp: number;
  readonly lossDown: number;
  readonly up: Percentiles;
  readonly down: Percentiles;
  /** Received by sent, each way: what transcoding makes of gaps is more than none lost. */
  readonly shareUp: number;
  readonly shareDown: number;
}

/** A process over some slices. Null where the system does not tell. */
export interface ProcessFigures {
  /** Share of a core. */
  readonly cpuOfCore: number | null;
  /** Share of the time in which it was ready to run and another program had its core. */
  readonly waited: number;
  readonly rssKiB: number | null;
}

/** One target of a row. */
export interface TargetFigures extends ProcessFigures {
  readonly calls: number;
  readonly silent: number;
  readonly audio: StreamFigures;
  readonly video: StreamFigures | null;
  /** CPU per call-second, in ms: the median of the slices. */
  readonly cost: number | null;
}

/** The load end over some slices. */
export interface LoadFigures {
  /** How late its timer came. */
  readonly lag: Percentiles;
  /** How long what had arrived waited until it was read. */
  readonly ioLag: Percentiles;
  readonly cpuOfCore: number | null;
  readonly waited: number;
  /** Datagrams that found its sockets full. */
  readonly drops: number;
  /** What it could not send in time. */
  readonly blocked: number;
}

/** Healthy; or who is to blame: the gateway, the load end, other programs on the machine; or calls that failed. */
export type Verdict = "healthy" | "gateway" | "load end" | "machine" | "calls";

/** The limits of a healthy row. */
export const LIMITS = {
  loss: 0.001,
  p99Ms: 40,
  /** The load end's own lag, above which a row says nothing about the gateway. */
  loadLagMs: 10,
  /** Share of the time that a process may wait for its core, above which a row says nothing about it. */
  waited: 0.03,
} as const;

/** Adds slices of one target up. */
export function targetFigures(runs: readonly RunResult[]): TargetFigures {
  const costs = runs.flatMap(costOf);
  const video = runs.map((run) => run.video);
  return {
    ...processFigures(runs),
    calls: Math.max(...runs.map(({ calls }) => calls)),
    silent: Math.max(...runs.map(({ silent }) => silent)),
    audio: streamFigures(runs.map((run) => run.audio)),
    video: video.some(({ sentUp }) => sentUp > 0) ? streamFigures(video) : null,
    cost: costs.length === 0 ? null : median(costs),
  };
}

/** Adds windows up. */
export function processFigures(windows: readonly WindowResult[]): ProcessFigures {
  return {
    cpuOfCore: shareOf(windows, (window) => window.cpuMs),
    waited: worstWait(windows.map(({ waitMs, seconds }) => (waitMs ?? 0) / 1000 / seconds)),
    rssKiB: windows.at(-1)?.rssKiB ?? null,
  };
}

/** Adds the load end's side up. */
export function loadFigures(runs: readonly RunResult[]): LoadFigures {
  const total = (pick: (run: RunResult) => number): number => runs.reduce((sum, run) => sum + pick(run), 0);
  return {
    lag: percentilesOf(runs.map(({ lag }) => lag)),
    ioLag: percentilesOf(runs.map(({ ioLag }) => ioLag)),
    cpuOfCore: shareOf(runs, (run) => run.loadCpuMs),
    waited: worstWait(runs.map(({ loadWaitMs, seconds }) => (loadWaitMs ?? 0) / 1000 / seconds)),
    drops: total((run) => run.loadDrops),
    blocked: total((run) => run.audio.blocked + run.video.blocked),
  };
}

/** CPU ms per call and second of a slice; nothing where the system does not tell. */
export function costOf(run: RunResult): number[] {
  return run.cpuMs === null || run.calls === 0 ? [] : [run.cpuMs / run.calls / run.seconds];
}

/** Percentiles of all parts together. */
export function percentilesOf(parts: readonly HistogramData[]): Percentiles {
  return Histogram.sum(parts).percentiles();
}

/** What was missed while other programs had the core cannot be told. */
export function judged(reached: boolean, waited: number): boolean | null {
  return reached || waited <= LIMITS.waited ? reached : null;
}

/** Judges a row. */
export function verdictOf(
  row: { wanted: number; established: number; gateway: TargetFigures; load: LoadFigures },
): Verdict {
  const { gateway, load } = row;
  const missing = row.established < row.wanted || gateway.silent > 0;
  const streams = [gateway.audio, ...(gateway.video === null ? [] : [gateway.video])];
  const late = streams.some(({ up, down }) => Math.max(up.p99Ms, down.p99Ms) > LIMITS.p99Ms);
  const lossy = streams.some(({ lossUp, lossDown }) => Math.max(lossUp, lossDown) > LIMITS.loss);
  if (!missing && !late && !lossy) return "healthy";
  if (Math.max(gateway.waited, load.waited) > LIMITS.waited) return "machine";
  if (missing) return "calls";
  return Math.max(load.lag.p99Ms, load.ioLag.p99Ms) > LIMITS.loadLagMs || load.drops > 0
    ? "load end"
    : "gateway";
}

function streamFigures(results: readonly StreamResult[]): StreamFigures {
  const total = (pick: (result: StreamResult) => number): number =>
    results.reduce((sum, result) => sum + pick(result), 0);
  const [sentUp, receivedUp] = [total((one) => one.sentUp), total((one) => one.receivedUp)];
  const [sentDown, receivedDown] = [total((one) => one.sentDown), total((one) => one.receivedDown)];
  return {
    sent: sentUp,
    lossUp: lossOf(sentUp, receivedUp),
    lossDown: lossOf(sentDown, receivedDown),
    up: percentilesOf(results.map(({ up }) => up)),
    down: percentilesOf(results.map(({ down }) => down)),
    shareUp: sentUp === 0 ? 0 : receivedUp / sentUp,
    shareDown: sentDown === 0 ? 0 : receivedDown / sentDown,
  };
}

function shareOf(
  windows: readonly WindowResult[],
  pick: (window: WindowResult) => number | null,
): number | null {
  const shares = windows.flatMap((window) => {
    const ms = pick(window);
    return ms === null ? [] : [ms / 1000 / window.seconds];
  });
  return shares.length === 0 ? null : median(shares);
}

/** Of the slices the one that waited most: its packets are among those that were late. */
function worstWait(shares: readonly number[]): number {
  return Math.max(0, ...shares);
}
