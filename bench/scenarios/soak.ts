// Half load for as long as asked: memory stays flat, nothing is lost, and when all calls are over no socket is left.
// Role: edge

import { percentilesOf, targetFigures } from "../control/figures.ts";
import { median } from "../control/ratios.ts";
import { decimal, percent } from "../control/tables.ts";
import { openFiles, sampleProcess } from "../process.ts";
import { type Bench, type Findings, startSubjects } from "./scenario.ts";

/** Length of one measured stretch. */
const STRETCH_SECONDS = 30;
/** Calls that come and go beside the ones that stay, a second. */
const CHURN_PER_SECOND = 2;
/** Ports rest 2 s, dialogs and transactions 32 s. */
const AFTER_MS = 40_000;
/** The last quarter of the samples may be so much above the second one: garbage in waiting. */
const FLAT = 1.1;

interface Sample {
  readonly atSeconds: number;
  readonly rssKiB: number;
  readonly cost: number | null;
  readonly p99Ms: number;
  readonly loss: number;
  readonly files: number;
}

/** See the head of the file. */
export async function measureSoak(bench: Bench): Promise<Findings> {
  const { minutes, soakCalls, perSecond } = bench.options;
  await using subjects = await startSubjects(bench, { relay: false });
  const { load, gateway } = subjects;
  const { rtmpPort: port, pid } = gateway;
  const idleFiles = openFiles(pid);
  await load.ask("dial", { target: "gateway", port, kind: "speex", count: soakCalls, perSecond });
  const samples: Sample[] = [];
  let [came, failed] = [0, 0];
  const stretches = Math.max(4, Math.round(minutes * 60 / STRETCH_SECONDS));
  const seconds = Math.max(5, minutes * 60 / stretches);
  for (let i = 0; i < stretches; i++) {
    const running = load.ask("run", { target: "gateway", seconds, warmSeconds: 1, pid });
    const churn = await load.ask("churn", {
      port,
      kind: "speex",
      perSecond: CHURN_PER_SECOND,
      seconds,
      holdMs: 1000,
    });
    came += churn.attempted;
    failed += churn.attempted - churn.established;
    for (const failure of churn.failures) bench.say(`  not established: ${failure}`);
    const run = await running;
    const { audio, cost, rssKiB } = targetFigures([run]);
    const p99Ms = percentilesOf([run.audio.up, run.audio.down]).p99Ms;
    const loss = Math.max(audio.lossUp, audio.lossDown);
    samples.push({
      atSeconds: (i + 1) * seconds,
      rssKiB: rssKiB ?? 0,
      cost,
      p99Ms,
      loss,
      files: openFiles(pid),
    });
    if (i % 4 === 0) {
      bench.say(`  ${decimal((i + 1) * seconds / 60)} min: ${decimal((rssKiB ?? 0) / 1024)} MiB`);
    }
  }
  await load.ask("hangUp", { target: "gateway", count: soakCalls });
  await new Promise((resolve) => setTimeout(resolve, AFTER_MS));
  const left = openFiles(pid) - idleFiles;
  const after = sampleProcess(pid);
  const growth = growthOf(samples);
  const worst = samples.toSorted((a, b) => b.p99Ms - a.p99Ms)[0]!;
  const lost = Math.max(...samples.map(({ loss }) => loss));
  return {
    tables: [{
      title: `Soak: ${soakCalls} calls for ${
        decimal(minutes, 0)
      } minutes, ${CHURN_PER_SECOND} more come and go a second`,
      heads: ["at min", "resident MiB", "CPU ms/call-s", "p99 ms", "lost", "open files"],
      rows: everyFew(samples, 12).map((sample) => [
        decimal(sample.atSeconds / 60),
        decimal(sample.rssKiB / 1024),
        decimal(sample.cost, 3),
        decimal(sample.p99Ms, 2),
        percent(sample.loss, 3),
        String(sample.files),
      ]),
      notes: [
        `${came} calls came and went, ${failed} of them were not established`,
        `afterwards: ${left} files and sockets more than before, ${
          decimal((after?.rssKiB ?? 0) / 1024)
        } MiB resident`,
      ],
    }],
    targets: [
      {
        text: "soak: memory flat, no socket or file left",
        measured: `memory x ${growth.toFixed(3)}, ${left} files left, at most ${percent(lost, 3)} lost, ` +
          `worst p99 ${decimal(worst.p99Ms, 1)} ms`,
        reached: growth < FLAT && left <= 0,
      },
    ],
    data: { minutes, calls: soakCalls, came, failed, samples, filesLeft: left, growth },
  };
}

/** Median memory of the last quarter by that of the second one. */
function growthOf(samples: readonly Sample[]): number {
  const quarter = Math.ceil(samples.length / 4);
  const middle = (part: readonly Sample[]): number => median(part.map(({ rssKiB }) => rssKiB));
  return middle(samples.slice(-quarter)) / middle(samples.slice(quarter, 2 * quarter));
}

function everyFew(samples: readonly Sample[], rows: number): readonly Sample[] {
  const step = Math.max(1, Math.ceil(samples.length / rows));
  return samples.filter((_, i) => i % step === 0 || i === samples.length - 1);
}
