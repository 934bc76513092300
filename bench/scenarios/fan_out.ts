// One publisher and many players of one live stream: cost of a player, latency, and what a reader that reads nothing
// costs the others.
// Role: edge

import { judged, percentilesOf } from "../control/figures.ts";
import { lossOf, median } from "../control/ratios.ts";
import { latencyText } from "../control/sweep_tables.ts";
import { decimal, percent } from "../control/tables.ts";
import type { FanOutResult } from "../load/protocol.ts";
import { type Bench, type Findings, startSubjects } from "./scenario.ts";

const PICTURE_LENGTH = 2500;
const TEXT = "500 kbit/s of H.264, 25 pictures a second";
/** 6 MB: Linux holds 4 MB for a reader that reads nothing. */
const FILLING = 100;
/** CPU and latency with a slow reader may differ from those without by the noise of the machine. */
const NOISE = 1.15;
const NOISE_MS = 3;

interface FanOutRow {
  readonly players: number;
  readonly slow: number;
  readonly runs: readonly FanOutResult[];
}

/** See the head of the file. */
export async function measureFanOut(bench: Bench): Promise<Findings> {
  const { players, slices } = bench.options;
  await using subjects = await startSubjects(bench, { relay: false });
  const rows: FanOutRow[] = [];
  const { load, gateway } = subjects;
  const { seconds, warmSeconds } = bench.options;
  const run = (count: number, slow: number): Promise<FanOutResult> =>
    load.ask("fanOut", {
      ...{ port: gateway.rtmpPort, pid: gateway.pid, pictureLength: PICTURE_LENGTH, filling: FILLING },
      ...{ players: count, slow, seconds, warmSeconds: Math.max(2, warmSeconds) },
    });
  for (const count of [1, 50, 100, 250].filter((one) => one < players)) {
    rows.push({ players: count, slow: 0, runs: [await run(count, 0)] });
    bench.say(`  ${count} players: ${rowCost(rows.at(-1)!)} ms a player-second`);
  }
  const pairs: { without: FanOutResult; with: FanOutResult }[] = [];
  for (let slice = 0; slice < slices; slice++) {
    pairs.push({ without: await run(players, 0), with: await run(players, 1) });
  }
  rows.push({ players, slow: 0, runs: pairs.map((pair) => pair.without) });
  rows.push({ players, slow: 1, runs: pairs.map((pair) => pair.with) });
  const ratio = median(pairs.map((pair) => (pair.with.cpuMs ?? NaN) / (pair.without.cpuMs ?? NaN)));
  const [p99Without, p99With] = rows.slice(-2).map((row) => latencyOf(row).p99Ms);
  const lost = lossOfRow(rows.at(-1)!);
  const waited = Math.max(...rows.slice(-2).map(waitedOf));
  return {
    tables: [{
      title: `One publisher, many players: ${TEXT}`,
      heads: ["players", "slow", "lost", "latency p50/p99/max", "CPU ms/player-s", "of a core", "waited"],
      rows: rows.map((row) => cellsOf(row)),
      notes: [
        "a slow player reads nothing, and what the systems on the way hold for it is full; times in ms",
      ],
    }],
    targets: [{
      text: "a slow RTMP reader costs the others nothing",
      measured:
        `CPU x ${ratio.toFixed(2)}, p99 ${decimal(p99With!)} ms instead of ${decimal(p99Without!)}, ` +
        `${percent(lost, 3)} lost`,
      reached: judged(ratio < NOISE && p99With! < p99Without! * NOISE + NOISE_MS && lost === 0, waited),
    }],
    data: { pictureLength: PICTURE_LENGTH, rows },
  };
}

function cellsOf(row: FanOutRow): string[] {
  const cores = row.runs.flatMap((run) => run.cpuMs === null ? [] : [run.cpuMs / 1000 / run.seconds]);
  return [
    String(row.players),
    String(row.slow),
    percent(lossOfRow(row), 3),
    latencyText(latencyOf(row)),
    rowCost(row),
    percent(cores.length === 0 ? null : median(cores)),
    percent(waitedOf(row), 1),
  ];
}

function waitedOf(row: FanOutRow): number {
  return median(row.runs.map((run) => (run.waitMs ?? 0) / 1000 / run.seconds));
}

function rowCost(row: FanOutRow): string {
  const costs = row.runs.flatMap((run) => run.cpuMs === null ? [] : [run.cpuMs / run.seconds / run.players]);
  return costs.length === 0 ? "-" : decimal(median(costs), 3);
}

function latencyOf(row: FanOutRow) {
  return percentilesOf(row.runs.map((run) => run.latency));
}

function lossOfRow(row: FanOutRow): number {
  const total = (pick: (run: FanOutResult) => number): number =>
    row.runs.reduce((sum, run) => sum + pick(run), 0);
  return lossOf(total((run) => run.wanted), total((run) => run.received));
}
