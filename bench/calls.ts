// How many calls the gateway carries and what they cost: `deno task bench:calls`. See docs/performance.md.
// Role: edge

import { type BenchOptions, readBenchOptions, type ScenarioName, usage } from "./control/options.ts";
import { formatReport, placeReport, targetTable } from "./control/report.ts";
import { formatTable } from "./control/tables.ts";
import { measureCalls, measureTranscoded, measureVideo } from "./scenarios/calls.ts";
import { measureFanOut } from "./scenarios/fan_out.ts";
import { measureIdleUsers } from "./scenarios/idle_users.ts";
import { measureMemory } from "./scenarios/memory.ts";
import { type Bench, createBench, type Findings, type Scenario } from "./scenarios/scenario.ts";
import { measureSetUps } from "./scenarios/set_ups.ts";
import { measureSoak } from "./scenarios/soak.ts";
import { measureStartUp } from "./scenarios/start_up.ts";

const SCENARIOS: Readonly<Record<ScenarioName, Scenario>> = {
  calls: measureCalls,
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

async function writeReport(
  options: BenchOptions,
  machine: string,
  findings: readonly Findings[],
): Promise<void> {
  const targets = findings.flatMap((one) => one.targets);
  const tables = [
    ...(targets.length === 0 ? [] : [targetTable(targets)]),
    ...findings.flatMap((one) => one.tables),
  ];
  for (const table of tables) print("\n" + formatTable(table));
  if (options.markdown === null) return;
  const heading = `Measured on ${new Date().toISOString().slice(0, 10)}: ${machine}`;
  const report = placeReport(readIfThere(options.markdown), formatReport(heading, tables));
  await Deno.writeTextFile(options.markdown, report);
}

async function run(options: BenchOptions): Promise<void> {
  const bench = createBench(options, print);
  const machine = machineText(bench);
  print(machine);
  const findings: Findings[] = [];
  const data: Record<string, unknown> = { machine, at: new Date().toISOString(), options };
  for (const name of options.only) {
    print(`${name}:`);
    const found = await SCENARIOS[name](bench);
    findings.push(found);
    data[name] = { targets: found.targets, ...found.data as object };
  }
  await writeReport(options, machine, findings);
  const folder = /^(.*)\/[^/]*$/.exec(options.json)?.[1];
  if (folder !== undefined) await Deno.mkdir(folder, { recursive: true });
  await Deno.writeTextFile(options.json, JSON.stringify(data, null, 1));
  print(`\nfigures: ${options.json}`);
}

const options = readBenchOptions(Deno.args);
if (options === null) {
  print(usage);
  Deno.exit(2);
}
await run(options);
Deno.exit(0);
