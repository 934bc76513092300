// How many calls the gateway carries and what they cost: `deno task bench:calls`. See docs/performance.md.
// Role: edge

import { type BenchOptions, readBenchOptions, type ScenarioName, usage } from "./control/options.ts";
import { formatReport, placeReport, targetTable } from "./control/report.ts";
import { formatTable } from "./control/tables.ts";
import { measureCalls, measureRuntimeSockets, measureTranscoded, measureVideo } from "./scenarios/calls.ts";
import { measureFanOut } from "./scenarios/fan_out.ts";
import { measureIdleUsers } from "./scenarios/idle_users.ts";
import { measureMemory } from "./scenarios/memory.ts";
import { type Bench, createBench, type Findings, type Scenario } from "./scenarios/scenario.ts";
import { measureSetUps } from "./scenarios/set_ups.ts";
import { measureSoak } from "./scenarios/soak.ts";
import { measureStartUp } from "./scenarios/start_up.ts";

const SCENARIOS: Readonly<Record<ScenarioName, Scenario>> = {
  calls: measureCalls,
  "runtime-sockets": measureRuntimeSockets,
  transcoded: measureTranscoded,
  h264: measureVideo,
  setup: measureSetUps,
  idle: measureIdleUsers,
  memory: measureMemory,
  fanout: measureFanOut,
  start: measureStartUp,
  soak: measureSoak,
};

const encoder = new TextEncoder();

function print(text: string): void {
  let rest = encoder.encode(text + "\n");
  while (rest.length > 0) rest = rest.subarray(Deno.stdout.writeSync(rest));
}

/** What this run ran on, for those who read its figures later. */
function machineText(bench: Bench): string {
  const cpu = /^model name\s*:\s*(.*)$/m.exec(readIfThere("/proc/cpuinfo"))?.[1] ?? Deno.build.arch;
  const where = bench.subjectCpu === null
    ? "no core of its own for anybody (no taskset, or --no-pin)"
    : "gateway and relay on one core, load end on another";
  return `Deno ${Deno.version.deno}, ${navigator.hardwareConcurrency} cores of ${cpu}; ${where}.`;
}

function readIfThere(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}

/** Each scenario has its part of the document, so that it can be measured again alone. */
async function writeMarkdown(
  path: string,
  machine: string,
  found: ReadonlyMap<ScenarioName, Findings>,
): Promise<void> {
  let document = readIfThere(path);
  for (const [name, { targets, tables }] of found) {
    const all = targets.length === 0 ? tables : [targetTable(targets), ...tables];
    const heading = `Measured on ${new Date().toISOString().slice(0, 10)}: ${machine}`;
    document = placeReport(document, name, formatReport(heading, all));
  }
  await Deno.writeTextFile(path, document);
}

async function writeFigures(path: string, data: unknown): Promise<void> {
  const folder = /^(.*)\/[^/]*$/.exec(path)?.[1];
  if (folder !== undefined) await Deno.mkdir(folder, { recursive: true });
  await Deno.writeTextFile(path, JSON.stringify(data, null, 1));
  print(`\nfigures: ${path}`);
}

async function run(options: BenchOptions): Promise<void> {
  const bench = createBench(options, print);
  const machine = machineText(bench);
  print(machine);
  const found = new Map<ScenarioName, Findings>();
  const data: Record<string, unknown> = { machine, at: new Date().toISOString(), options };
  for (const name of options.only) {
    print(`${name}:`);
    const findings = await SCENARIOS[name](bench);
    found.set(name, findings);
    data[name] = { targets: findings.targets, ...findings.data as object };
    if (options.markdown !== null) await writeMarkdown(options.markdown, machine, found);
  }
  const all = [...found.values()];
  const targets = all.flatMap((findings) => findings.targets);
  const tables = all.flatMap((findings) => findings.tables);
  for (const table of targets.length === 0 ? tables : [targetTable(targets), ...tables]) {
    print("\n" + formatTable(table));
  }
  await writeFigures(options.json, data);
}

const options = readBenchOptions(Deno.args);
if (options === null) {
  print(usage);
  Deno.exit(2);
}
await run(options);
Deno.exit(0);
