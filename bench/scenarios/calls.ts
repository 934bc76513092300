// Calls: pass-through audio beside the bare relay, transcoded calls, calls with pictures.
// Role: edge

import { decimal } from "../control/tables.ts";
import { hangUp, measureCount, sweepCalls, type SweepOptions, type SweepRow } from "../control/sweep.ts";
import { callsTable, healthTable, videoTable } from "../control/sweep_tables.ts";
import type { SocketKind } from "../../lib/net/sockets.ts";
import { kindOfCall } from "../load/call_kinds.ts";
import type { CallKind } from "../load/protocol.ts";
import { type Bench, type Findings, startSubjects, type Target } from "./scenario.ts";

/**
 * CPU of siprtmp per call and second by that of the bare relay: 8 ms at 120 calls, measured on a core where the relay took
 * 1 ms. Cores differ, and this one from minute to minute, so siprtmp is compared with through the relay.
 */
const SIPRTMP_RATIO = 8;

const TRIES = 3;

/** Rows of a sweep, and one more with half of the most calls that were healthy. */
interface Sweep {
  readonly rows: readonly SweepRow[];
  readonly half: SweepRow | null;
}

/** Pass-through audio, with the sockets of Linux. */
export function measureCalls(bench: Bench): Promise<Findings> {
  return measurePassThrough(bench, "linux");
}

/** The same with the sockets of the runtime. */
export function measureRuntimeSockets(bench: Bench): Promise<Findings> {
  return measurePassThrough(bench, "deno");
}

async function measurePassThrough(bench: Bench, sockets: SocketKind): Promise<Findings> {
  const { kind, counts, relay } = bench.options;
  const { rows, half } = await sweep(bench, { kind, counts, relay, sockets });
  return {
    tables: [
      callsTable(
        half === null ? rows : [...rows, half],
        `Calls with sockets ${sockets}: ${kindOfCall(kind).text}, 50 a second each way`,
      ),
      healthTable(half === null ? rows : [...rows, half]),
    ],
    targets: callTargets(rows, half),
    data: { kind, rows, half },
  };
}

/** Transcoded calls: latency is what packets come late beyond 20 ms behind the one before. */
export async function measureTranscoded(bench: Bench): Promise<Findings> {
  const { rows } = await sweep(bench, { kind: "transcoded", counts: bench.options.transcodedCounts });
  return {
    tables: [callsTable(rows, `Calls: ${kindOfCall("transcoded").text}; lateness instead of latency`)],
    targets: [manyCalls("at least 100 transcoded calls on a core", 100, rows)],
    data: { rows },
  };
}

/** Calls with pictures. */
export async function measureVideo(bench: Bench): Promise<Findings> {
  const { rows } = await sweep(bench, { kind: "h264", counts: bench.options.videoCounts });
  return {
    tables: [callsTable(rows, `Calls: ${kindOfCall("h264").text}`), videoTable(rows)],
    targets: [],
    data: { rows },
  };
}

interface SweepPlan {
  readonly kind: CallKind;
  readonly counts: readonly number[];
  readonly relay?: boolean;
  readonly sockets?: SocketKind;
}

async function sweep(bench: Bench, { kind, counts, relay = false, sockets }: SweepPlan): Promise<Sweep> {
  await using subjects = await startSubjects(bench, { relay, ...(sockets !== undefined && { sockets }) });
  const { growth, slices, seconds, warmSeconds, perSecond } = bench.options;
  const options: SweepOptions = {
    ...{ load: subjects.load, gateway: subjects.gateway, relay: subjects.relay },
    ...{ kind, counts, growth, slices, seconds, warmSeconds, perSecond, tries: TRIES },
  };
  const rows: SweepRow[] = [];
  for await (const row of sweepCalls(options)) {
    rows.push(row);
    tell(bench, row);
  }
  const most = largestHealthy(rows);
  if (growth === null || most === null || kind === "transcoded") return { rows, half: null };
  await hangUp(options, rows.at(-1)!.established);
  const half = await measureCount(options, Math.round(most.wanted / 2), 0);
  tell(bench, half);
  return { rows, half };
}

function tell(bench: Bench, row: SweepRow): void {
  const ratio = row.ratio === null ? "" : `, ${row.ratio.toFixed(2)} x the relay`;
  bench.say(
    `  ${row.established} calls: ${decimal(row.gateway.cost, 3)} ms a call-second${ratio}: ${row.verdict}`,
  );
  for (const failure of row.failures) bench.say(`    not established: ${failure}`);
}

/** The most calls that were healthy, with all smaller rows healthy or not the gateway's fault. */
export function largestHealthy(rows: readonly SweepRow[]): SweepRow | null {
  return rows.filter((row) => row.verdict === "healthy").at(-1) ?? null;
}

/** Whether rows ended by the gateway's own fault, or none ended badly: else the machine has had its part in it. */
function judgeable(rows: readonly SweepRow[]): boolean {
  return rows.every(({ verdict }) => verdict === "healthy" || verdict === "gateway");
}

/** What was not reached on a disturbed machine may have been its fault. */
function honestly(reached: boolean, rows: readonly SweepRow[]): boolean | null {
  return reached || judgeable(rows) ? reached : null;
}

function callTargets(rows: readonly SweepRow[], half: SweepRow | null): Target[] {
  const most = largestHealthy(rows);
  const all = half === null ? rows : [...rows, half];
  const within = (text: string, value: number | null | undefined, limit: number, unit: string): Target => ({
    text,
    measured: value == null ? "not measured" : `${value.toFixed(2)} ${unit}`,
    reached: value == null ? null : honestly(value <= limit, all),
  });
  return [
    within(
      "CPU at most 1.35 x the bare relay at 300 calls",
      rows.find((row) => row.wanted === 300)?.ratio,
      1.35,
      "x",
    ),
    within(
      "CPU per call-second at the largest healthy N at most 1.15 x that at 50",
      flatness(rows),
      1.15,
      "x",
    ),
    within(
      `CPU at least 7 times less than siprtmp's, ${SIPRTMP_RATIO} x the relay: at the largest healthy N at most 1.14 x it`,
      most?.ratio,
      SIPRTMP_RATIO / 7,
      "x",
    ),
    manyCalls("at least 500 healthy calls on one core", 500, rows),
    within("latency added over the relay, p99, at half load: under 3 ms", added(half), 3, "ms"),
    within("latency added over the relay, p99, at the largest healthy N: under 20 ms", added(most), 20, "ms"),
  ];
}

function manyCalls(text: string, wanted: number, rows: readonly SweepRow[]): Target {
  const most = largestHealthy(rows);
  return {
    text,
    measured: most === null
      ? "none healthy"
      : `${most.wanted}, at ${decimal(most.gateway.cost, 2)} ms a call-second`,
    reached: (most?.wanted ?? 0) >= wanted ? true : rows.at(-1)?.verdict === "gateway" ? false : null,
  };
}

/** CPU per call-second at the most healthy calls by that at 50 (or the nearest row). */
export function flatness(rows: readonly SweepRow[]): number | null {
  const base = rows.find((row) => row.wanted >= 50) ?? rows[0];
  const most = largestHealthy(rows);
  if (base?.gateway.cost == null || most?.gateway.cost == null || most === base) return null;
  return most.gateway.cost / base.gateway.cost;
}

/** The larger of both directions' p99, less the relay's. */
function added(row: SweepRow | null): number | null {
  if (row?.relay == null) return null;
  const [ours, bare] = [row.gateway.audio, row.relay.audio];
  return Math.max(0, ours.up.p99Ms - bare.up.p99Ms, ours.down.p99Ms - bare.down.p99Ms);
}
