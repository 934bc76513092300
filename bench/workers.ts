// What two workers carry beside one: `deno task bench:workers [calls per worker] [slices]`. A gateway with one worker and
// one with two, each with its own load end and as many calls per worker, in slices that alternate. The load runs on the
// same cores, so it is counted out: what a core carries is one second by the CPU that a call takes of it.
//
//   by CPU            2 x (CPU per call-second of one worker) / (CPU per call-second of two), whole processes
//   by busiest thread the same, when the busiest thread of each is full: an uneven spread and serial parts show here
//
// See docs/performance.md, Two workers.
// Role: edge

import { startLoad } from "./control/load_client.ts";
import { lossOf, median } from "./control/ratios.ts";
import { startGateway } from "./control/subjects.ts";
import { decimal, formatTable, percent } from "./control/tables.ts";
import type { RunResult } from "./load/protocol.ts";

const KIND = "speex";
const SLICE = { seconds: 4, warmSeconds: 0.5 } as const;

/** One slice: CPU of the process and of its busiest thread per call and second, in ms. */
interface Slice {
  readonly all: number;
  readonly busiest: number;
  readonly loss: number;
}

/** A gateway with calls. */
interface Side extends AsyncDisposable {
  readonly workers: number;
  readonly calls: number;
  readonly slices: Slice[];
  run(): Promise<void>;
}

/** CPU time of each thread of a process so far, in ms. */
function threadTimes(pid: number): Map<string, number> {
  const times = new Map<string, number>();
  for (const { name } of Deno.readDirSync(`/proc/${pid}/task`)) {
    const text = Deno.readTextFileSync(`/proc/${pid}/task/${name}/schedstat`);
    times.set(name, Number(text.split(" ")[0]) / 1e6);
  }
  return times;
}

function busiest(before: ReadonlyMap<string, number>, after: ReadonlyMap<string, number>): number {
  return Math.max(...[...after].map(([thread, ms]) => ms - (before.get(thread) ?? 0)));
}

async function startSide(workers: number, calls: number): Promise<Side> {
  await using stack = new AsyncDisposableStack();
  const load = stack.use(await startLoad(null));
  const gateway = stack.use(await startGateway({ cpu: null, args: ["--workers", String(workers)] }));
  const target = "gateway" as const;
  const dialled = await load.ask("dial", {
    target,
    kind: KIND,
    count: calls,
    perSecond: 50,
    port: gateway.rtmpPort,
  });
  if (dialled.established < calls) throw new Error(`calls failed: ${dialled.failures.join("; ")}`);
  const slices: Slice[] = [];
  const owner = stack.move();
  return {
    workers,
    calls,
    slices,
    async run() {
      const before = threadTimes(gateway.pid);
      const run: RunResult = await load.ask("run", { target, ...SLICE, pid: gateway.pid });
      const busy = busiest(before, threadTimes(gateway.pid));
      const callSeconds = run.calls * run.seconds;
      const whole = run.calls * (SLICE.seconds + SLICE.warmSeconds);
      const { sentUp, receivedUp, sentDown, receivedDown } = run.audio;
      slices.push({
        all: (run.cpuMs ?? NaN) / callSeconds,
        busiest: busy / whole,
        loss: Math.max(lossOf(sentUp, receivedUp), lossOf(sentDown, receivedDown)),
      });
    },
    [Symbol.asyncDispose]: () => owner[Symbol.asyncDispose](),
  };
}

function rowOf({ workers, calls, slices }: Side): string[] {
  const middle = (pick: (slice: Slice) => number): number => median(slices.map(pick));
  const all = middle((slice) => slice.all);
  const most = middle((slice) => slice.busiest);
  return [
    String(workers),
    String(calls),
    decimal(all, 3),
    decimal(most, 3),
    percent(most / all),
    percent(
      middle((slice) => slice.loss),
      3,
    ),
  ];
}

const [calls, slices] = [Number(Deno.args[0] ?? 100), Number(Deno.args[1] ?? 8)];
await using one = await startSide(1, calls);
await using two = await startSide(2, 2 * calls);
for (let i = 0; i < slices + 1; i++) {
  await one.run();
  await two.run();
}
for (const side of [one, two]) side.slices.shift(); // the compiler of the runtime was at work
const ratios = (pick: (slice: Slice) => number): number[] =>
  one.slices.map((slice, i) => pick(slice) / pick(two.slices[i]!));
const report = formatTable({
  title: "Workers: pass-through Speex, 50 packets a second each way",
  heads: ["workers", "calls", "CPU ms per call-second", "of its busiest thread", "share", "loss"],
  rows: [rowOf(one), rowOf(two)],
  notes: [
    `two workers carry ${decimal(2 * median(ratios((slice) => slice.all)), 2)} times what one does, by CPU`,
    `and ${decimal(median(ratios((slice) => slice.busiest)), 2)} times, by the busiest thread`,
  ],
});
await Deno.stdout.write(new TextEncoder().encode(`${report}\n`));
