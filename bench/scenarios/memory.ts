// What a call and an idle user hold: resident memory behind a full collection, per one more of them. Beside it what is
// resident before, because the collector lets garbage lie until it pays.
// Role: edge

import { collectGarbage } from "../control/collector.ts";
import { memoryText } from "../control/sweep_tables.ts";
import { decimal, type Table } from "../control/tables.ts";
import { sampleProcess } from "../process.ts";
import { type Bench, type Findings, startSubjects, type Subjects, type Target } from "./scenario.ts";

const CALLS = { few: 50, many: 300, seconds: 10 } as const;
/** How many users log in at the same time. */
const TOGETHER = 50;
const FEW_USERS = 500;
/** A gateway that takes less of a core is at rest. */
const REST = { share: 0.1, lookMs: 1000, tries: 15 } as const;

/** Resident KiB with few and with many, each with garbage and behind a full collection. */
interface Steps {
  readonly few: number;
  readonly many: number;
  readonly resident: readonly [few: number, many: number];
  readonly held: readonly [few: number, many: number];
}

/** See the head of the file. */
export async function measureMemory(bench: Bench): Promise<Findings> {
  const calls = await stepsOf(bench, CALLS.few, CALLS.many, async ({ load, gateway }, count) => {
    const { perSecond } = bench.options;
    const { rtmpPort: port, pid } = gateway;
    await load.ask("dial", { target: "gateway", port, kind: "speex", count, perSecond });
    await load.ask("run", { target: "gateway", seconds: CALLS.seconds, warmSeconds: 0.5, pid });
  });
  bench.say(`  a call: ${memoryText(perOne(calls, "held"))}`);
  const users = await stepsOf(bench, FEW_USERS, bench.options.users, async ({ load, gateway }, count) => {
    await load.ask("register", { port: gateway.rtmpPort, count, together: TOGETHER });
  });
  bench.say(`  an idle user: ${memoryText(perOne(users, "held"))}`);
  return {
    tables: [tableOf([["pass-through calls", calls], ["idle registered users", users]])],
    targets: [target("a pass-through call", calls, 60), target("an idle registered user", users, 25)],
    data: { calls, users },
  };
}

/** Starts a gateway of its own, for a heap without a past. */
async function stepsOf(
  bench: Bench,
  few: number,
  many: number,
  add: (subjects: Subjects, count: number) => Promise<void>,
): Promise<Steps> {
  await using subjects = await startSubjects(bench, {
    relay: false,
    inspect: true,
    args: ["--expires", "3600"],
  });
  const { pid, inspectorUrl } = subjects.gateway;
  const step = async (count: number): Promise<{ resident: number; held: number }> => {
    await add(subjects, count);
    await atRest(pid);
    const resident = sampleProcess(pid)?.rssKiB ?? NaN;
    await collectGarbage(inspectorUrl!);
    return { resident, held: sampleProcess(pid)?.rssKiB ?? NaN };
  };
  const [first, second] = [await step(few), await step(many - few)];
  return { few, many, resident: [first.resident, second.resident], held: [first.held, second.held] };
}

/** What is still to be worked off would count as held. */
async function atRest(pid: number): Promise<void> {
  let before = sampleProcess(pid)?.cpuMs ?? 0;
  for (let tries = 0; tries < REST.tries; tries++) {
    await new Promise((resolve) => setTimeout(resolve, REST.lookMs));
    const now = sampleProcess(pid)?.cpuMs ?? 0;
    if (now - before < REST.share * REST.lookMs) return;
    before = now;
  }
}

function perOne({ few, many, ...sizes }: Steps, what: "resident" | "held"): number {
  const [before, after] = sizes[what];
  return (after - before) / (many - few);
}

function target(what: string, steps: Steps, maxKiB: number): Target {
  const held = perOne(steps, "held");
  return {
    text: `memory under ${maxKiB} KiB ${what}, held after a full collection`,
    measured: `${memoryText(held)} (${memoryText(perOne(steps, "resident"))} with garbage)`,
    reached: Number.isNaN(held) ? null : held < maxKiB,
  };
}

function tableOf(rows: readonly (readonly [name: string, steps: Steps])[]): Table {
  const mib = (kib: number): string => decimal(kib / 1024, 0);
  return {
    title: "Memory held",
    heads: ["what", "from", "to", "resident MiB", "held MiB", "resident each", "held each"],
    rows: rows.map(([name, steps]) => [
      name,
      String(steps.few),
      String(steps.many),
      steps.resident.map(mib).join(" to "),
      steps.held.map(mib).join(" to "),
      memoryText(perOne(steps, "resident")),
      memoryText(perOne(steps, "held")),
    ]),
    notes: ["held: resident after a full collection, which the bench asks for through the inspector"],
  };
}
