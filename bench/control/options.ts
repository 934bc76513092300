// The options of the bench.
// Role: wire

import type { CallKind } from "../load/protocol.ts";

/** What to do. */
export interface BenchOptions {
  /** Names of scenarios, in their order. */
  readonly only: readonly ScenarioName[];
  /** Audio of the scenarios "calls" and "runtime-sockets". */
  readonly kind: CallKind;
  readonly counts: readonly number[];
  readonly transcodedCounts: readonly number[];
  readonly videoCounts: readonly number[];
  /** Null: no rows behind the given ones. */
  readonly growth: number | null;
  readonly slices: number;
  readonly seconds: number;
  readonly warmSeconds: number;
  readonly perSecond: number;
  readonly relay: boolean;
  readonly users: number;
  readonly players: number;
  readonly soakCalls: number;
  readonly minutes: number;
  readonly pin: boolean;
  readonly denoFlags: readonly string[];
  readonly v8Flags: readonly string[];
  readonly gatewayArgs: readonly string[];
  /** Where tables go as Markdown; null: nowhere. */
  readonly markdown: string | null;
  readonly json: string;
}

/** What can be measured. */
export const scenarioNames = [
  "calls",
  "runtime-sockets",
  "transcoded",
  "h264",
  "setup",
  "idle",
  "memory",
  "fanout",
  "start",
  "soak",
] as const;

/** One of them. */
export type ScenarioName = typeof scenarioNames[number];

/** Printed for options that nobody knows. */
export const usage: string = `deno task bench:calls [options]
  --only=NAME,...        ${scenarioNames.join(", ")} (default: all but soak)
  --kind=speex           audio of "calls" and "runtime-sockets": speex or pcmu
  --n=10,50,100          calls of the rows of calls, transcoded and h264, and no more
                         (default: growing, and on by x 1.25 until one is not healthy)
  --slices=3             slices through gateway and relay per row
  --seconds=5            measured length of a slice
  --warm=1               unmeasured start of a slice
  --rate=50              new calls per second while dialling
  --no-relay             no comparison
  --users=10000          of idle and memory
  --players=500          of fanout
  --minutes=60           of soak
  --soak-calls=250       of soak
  --no-pin               processes on any core
  --deno-flag=--cpu-prof option of deno for the gateway; again for more
  --v8-flag=--max-lazy   option of V8 for the gateway; again for more
  --gateway-arg=-d       option of the gateway; again for more
  --json=FILE            figures as JSON (default: bench-results/calls.json)
  --markdown=FILE        tables as Markdown: each scenario has its part of the file`;

const FLAGS = ["no-relay", "no-pin"];
const NUMBERS = ["slices", "seconds", "warm", "rate", "users", "players", "minutes", "soak-calls"];
const TEXTS = ["only", "kind", "n", "deno-flag", "v8-flag", "gateway-arg", "json", "markdown"];

/** Null when an option is not known or its value makes no sense. */
export function readBenchOptions(args: readonly string[]): BenchOptions | null {
  const values = readValues(args);
  if (values === null) return null;
  const last = (name: string): string | null => values.get(name)?.at(-1) ?? null;
  const number = (name: string, fallback: number): number => Number(last(name) ?? fallback);
  const counts = last("n")?.split(",").map(Number) ?? null;
  const names = last("only")?.split(",") ?? scenarioNames.filter((name) => name !== "soak");
  const only = scenarioNames.filter((name) => names.includes(name));
  const kind = last("kind") ?? "speex";
  if (only.length !== names.length || (kind !== "speex" && kind !== "pcmu")) return null;
  if (counts !== null && !counts.every((count) => Number.isInteger(count) && count > 0)) return null;
  return {
    only,
    kind,
    counts: counts ?? [10, 50, 100, 300, 500],
    transcodedCounts: counts ?? [10, 25, 50, 75, 100],
    videoCounts: counts ?? [10, 25, 50, 75, 100],
    growth: counts === null ? 1.25 : null,
    slices: number("slices", 3),
    seconds: number("seconds", 5),
    warmSeconds: number("warm", 1),
    perSecond: number("rate", 50),
    relay: !values.has("no-relay"),
    users: number("users", 10_000),
    players: number("players", 500),
    soakCalls: number("soak-calls", 250),
    minutes: number("minutes", 60),
    pin: !values.has("no-pin"),
    denoFlags: values.get("deno-flag") ?? [],
    v8Flags: values.get("v8-flag") ?? [],
    gatewayArgs: values.get("gateway-arg") ?? [],
    markdown: last("markdown"),
    json: last("json") ?? "bench-results/calls.json",
  };
}

/** The values of each option, in order; null when one is not known or not right. */
function readValues(args: readonly string[]): Map<string, string[]> | null {
  const values = new Map<string, string[]>();
  for (const arg of args) {
    const match = /^--([a-z0-9-]+)(?:=(.+))?$/.exec(arg);
    if (match === null) return null;
    const [, name, value] = match;
    const isFlag = FLAGS.includes(name!);
    if (isFlag !== (value === undefined) || !(isFlag || NUMBERS.includes(name!) || TEXTS.includes(name!))) {
      return null;
    }
    if (NUMBERS.includes(name!) && !(Number(value) > 0)) return null;
    values.set(name!, [...values.get(name!) ?? [], value ?? ""]);
  }
  return values;
}
