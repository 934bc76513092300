// The options of the bench.
// Role: wire

import type { CallKind } from "../load/protocol.ts";

/** What to do. */
export interface BenchOptions {
  readonly kind: CallKind;
  readonly counts: readonly number[];
  readonly growth: number | null;
  readonly slices: number;
  readonly seconds: number;
  readonly warmSeconds: number;
  readonly perSecond: number;
  readonly relay: boolean;
  readonly denoFlags: readonly string[];
  readonly v8Flags: readonly string[];
  readonly gatewayArgs: readonly string[];
  readonly markdown: boolean;
  readonly json: string | null;
}

/** Printed for options that nobody knows. */
export const usage: string = `deno task bench:calls [options]
  --only=calls           what to measure
  --kind=speex           speex, pcmu, transcoded
  --n=10,50,100          calls of the rows; one number: one row (default 10,50,100,300,500 and on, x 1.25)
  --slices=3             slices through gateway and relay per row
  --seconds=5            measured length of a slice
  --warm=1               unmeasured start of a slice
  --rate=50              new calls per second while dialling
  --no-relay             no comparison
  --deno-flag=--cpu-prof option of deno for the gateway; again for more
  --v8-flag=--max-lazy   option of V8 for the gateway; again for more
  --gateway-arg=-d       option of the gateway; again for more
  --json=FILE            figures as JSON
  --markdown             tables as Markdown`;

const CALL_KINDS: readonly CallKind[] = ["speex", "pcmu", "transcoded"];

/** Null when an option is not known or its value makes no sense. */
export function readBenchOptions(args: readonly string[]): BenchOptions | null {
  const values = new Map<string, string[]>();
  for (const arg of args) {
    const match = /^--([a-z0-9-]+)(?:=(.*))?$/.exec(arg);
    if (match === null || !KNOWN.has(match[1]!)) return null;
    values.set(match[1]!, [...values.get(match[1]!) ?? [], match[2] ?? ""]);
  }
  const number = (name: string, fallback: number): number => Number(values.get(name)?.at(-1) ?? fallback);
  const counts = values.get("n")?.at(-1)?.split(",").map(Number);
  const kind = CALL_KINDS.find((one) => one === (values.get("kind")?.at(-1) ?? "speex"));
  const options: BenchOptions | null = kind === undefined ? null : {
    kind,
    counts: counts ?? [10, 50, 100, 300, 500],
    growth: counts === undefined ? 1.25 : null,
    slices: number("slices", 3),
    seconds: number("seconds", 5),
    warmSeconds: number("warm", 1),
    perSecond: number("rate", 50),
    relay: !values.has("no-relay"),
    denoFlags: values.get("deno-flag") ?? [],
    v8Flags: values.get("v8-flag") ?? [],
    gatewayArgs: values.get("gateway-arg") ?? [],
    markdown: values.has("markdown"),
    json: values.get("json")?.at(-1) ?? null,
  };
  const numbers = options === null
    ? []
    : [...options.counts, options.slices, options.seconds, options.perSecond];
  return numbers.length > 0 && numbers.every((value) => value > 0) ? options : null;
}

const KNOWN: ReadonlySet<string> = new Set([
  ["only", "kind", "n", "slices", "seconds", "warm", "rate", "no-relay", "deno-flag", "v8-flag"],
  ["gateway-arg", "json", "markdown"],
].flat());
