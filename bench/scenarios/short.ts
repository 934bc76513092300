// The short form, for every commit: few calls, and only what does not depend on how fast the machine is. CPU beside
// the bare relay in slices that alternate, CPU of many calls beside that of few, and that everything arrives.
// Role: edge

import type { BenchOptions } from "../control/options.ts";
import { LIMITS } from "../control/figures.ts";
import { sweepCalls, type SweepRow } from "../control/sweep.ts";
import { createBench, startSubjects } from "./scenario.ts";

/** Limits of the short form: those of a long run, and what short slices on a busy machine differ by. */
export const SHORT_LIMITS = {
  /** The target at 300 calls, with the sockets of Linux, which needs less; slices are short and the machine is busy. */
  ratio: 1.35,
  /** CPU per call-second of the most calls by that of the fewest that are judged. Growing costs show far above it. */
  flatness: 1.15 + 0.1,
} as const;

/** Rows with fewer calls are looked at for loss only: fixed costs are most of their CPU. */
const JUDGED_FROM = 50;

/** Most first: by then everything is compiled. */
const COUNTS = [150, 50, 10];

/** Runs it and says in plain words what is wrong; nothing when nothing is. */
export async function runShort(options: BenchOptions, say: (text: string) => void): Promise<string[]> {
  const bench = createBench(options, say);
  await using subjects = await startSubjects(bench, { relay: true });
  const rows: SweepRow[] = [];
  const { load, gateway, relay } = subjects;
  const shape = {
    counts: COUNTS,
    growth: null,
    slices: 4,
    seconds: 1,
    warmSeconds: 0.2,
    perSecond: 50,
    tries: 1,
  };
  for await (const row of sweepCalls({ load, gateway, relay, kind: "speex", ...shape })) rows.push(row);
  for (const row of rows) {
    const { wanted, ratio, gateway: { cost, waited } } = row;
    say(
      `  ${wanted} calls: ${cost?.toFixed(3) ?? "-"} ms a call-second, ${
        ratio?.toFixed(2) ?? "-"
      } x the relay, ` +
        `waited ${(waited * 100).toFixed(1)} %`,
    );
  }
  return judgeShort(rows);
}

/** What is wrong with the rows, in plain words. */
export function judgeShort(rows: readonly SweepRow[]): string[] {
  const wrong: string[] = [];
  for (const row of rows) {
    const { wanted, established, gateway, failures } = row;
    if (established < wanted) wrong.push(`${established} of ${wanted} calls came up: ${failures.join("; ")}`);
    else if (gateway.silent > 0) wrong.push(`of ${wanted} calls ${gateway.silent} heard nothing`);
    const loss = Math.max(gateway.audio.lossUp, gateway.audio.lossDown);
    // A gateway or a load end that another program kept from its core loses packets without a fault of ours.
    const undisturbed = Math.max(gateway.waited, row.load.waited) <= LIMITS.waited && row.load.drops === 0;
    if (loss > LIMITS.loss && undisturbed) {
      wrong.push(`${wanted} calls lose ${(loss * 100).toFixed(2)} % of their packets`);
    }
  }
  const judged = rows.filter(({ wanted }) => wanted >= JUDGED_FROM);
  return [...wrong, ...judgeCosts(judged.toSorted((a, b) => a.wanted - b.wanted))];
}

function judgeCosts(rows: readonly SweepRow[]): string[] {
  const wrong: string[] = [];
  const most = rows.at(-1);
  if (most?.ratio != null && most.ratio > SHORT_LIMITS.ratio) {
    wrong.push(
      `${most.wanted} calls cost ${most.ratio.toFixed(2)} times the CPU of the bare relay, ` +
        `${SHORT_LIMITS.ratio.toFixed(2)} are allowed (slices: ${
          most.ratios.map((one) => one.toFixed(2)).join(", ")
        })`,
    );
  }
  const [few, many] = [rows[0]?.gateway.cost, most?.gateway.cost];
  if (few == null || many == null || most === rows[0]) return wrong;
  const flatness = many / few;
  if (flatness > SHORT_LIMITS.flatness) {
    wrong.push(
      `a call costs ${flatness.toFixed(2)} times as much CPU among ${most!.wanted} as among ${
        rows[0]!.wanted
      }, ` +
        `${SHORT_LIMITS.flatness.toFixed(2)} times is allowed`,
    );
  }
  return wrong;
}
