// How many calls the gateway carries and what they cost: `deno task bench:calls`. See docs/performance.md.
// Role: edge

import { canPin } from "./control/child.ts";
import { sweepCalls, type SweepRow } from "./control/calls_sweep.ts";
import { callsTable, healthTable } from "./control/calls_tables.ts";
import { type BenchOptions, readBenchOptions, usage } from "./control/options.ts";
import { startLoad } from "./control/load_client.ts";
import { startGateway, startRelay } from "./control/subjects.ts";
import { formatMarkdown, formatTable } from "./control/tables.ts";
import { PAYLOADS } from "./load/stamp.ts";

const encoder = new TextEncoder();

function print(text: string): void {
  let rest = encoder.encode(text + "\n");
  while (rest.length > 0) rest = rest.subarray(Deno.stdout.writeSync(rest));
}

async function runCalls(options: BenchOptions): Promise<SweepRow[]> {
  const pin = canPin();
  print(pin ? "gateway and relay on core 1, load end on core 0" : "no core of its own for anybody (taskset)");
  await using load = await startLoad(pin ? 0 : null);
  await using gateway = await startGateway({
    cpu: pin ? 1 : null,
    denoFlags: options.denoFlags,
    v8Flags: options.v8Flags,
    args: options.gatewayArgs,
  });
  await using relay = options.relay ? await startRelay(pin ? 1 : null) : null;
  const rows: SweepRow[] = [];
  const { kind, counts, growth, slices, seconds, warmSeconds, perSecond } = options;
  const sweep = { load, gateway, relay, kind, counts, growth, slices, seconds, warmSeconds, perSecond };
  for await (const row of sweepCalls({ ...sweep, say: print })) {
    rows.push(row);
    const ratio = row.ratio === null ? "" : `, ${row.ratio.toFixed(2)} x the relay`;
    print(
      `  ${row.established} calls: ${
        row.gateway.cpuMsPerCallSecond?.toFixed(3)
      } ms a call-second${ratio}: ${row.verdict}`,
    );
    for (const failure of row.failures) print(`    not established: ${failure}`);
  }
  for (const line of new Set(gateway.troubles.slice(0, 5))) print(`  the gateway said: ${line}`);
  await gateway.stop();
  return rows;
}

const options = readBenchOptions(Deno.args);
if (options === null) {
  print(usage);
  Deno.exit(2);
}
const rows = await runCalls(options);
const payload = options.kind === "transcoded"
  ? "Speex <-> PCMU"
  : PAYLOADS[options.kind === "pcmu" ? "pcmu" : "speex"].text;
const format = options.markdown ? formatMarkdown : formatTable;
print("\n" + format(callsTable(rows, `Calls: ${payload}, 50 a second each way`)));
print("\n" + format(healthTable(rows)));
if (options.json !== null) await Deno.writeTextFile(options.json, JSON.stringify({ calls: rows }, null, 1));
Deno.exit(0);
