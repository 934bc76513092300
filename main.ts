// siprtmp: a SIP-RTMP gateway. The only file that knows the process: arguments, signals, exit code.
// Role: edge
// Answers to: the __main__ part of siprtmp.py.

import { setFlagsFromString } from "node:v8";
import { type Host, runProgram } from "./lib/app/program.ts";

/** How long peers may take to answer BYE and REGISTER when the program is told to end. */
const STOP_WITHIN_MS = 3000;

/**
 * What this program asks of V8 (docs/decisions/performance.md). After a burst (a thousand users log in) V8 holds on to
 * its garbage until it has been idle for 30 s, and a gateway is seldom that idle: 2 s give the memory back. A packet's
 * way is a chain of short functions: it costs less when more of them become one.
 */
setFlagsFromString("--gc-memory-reducer-start-delay-ms=2000");
setFlagsFromString("--max-inlined-bytecode-size-cumulative=3000");

const stop = new AbortController();
const encoder = new TextEncoder();

const host: Host = {
  readFile: (path) => Deno.readTextFileSync(path),
  print: (text) => write(Deno.stdout, text),
  complain: (text) => write(Deno.stderr, text),
  stop: stop.signal,
  onReload: (reload) => {
    if (Deno.build.os !== "windows") Deno.addSignalListener("SIGHUP", () => void reload());
  },
};

/** A closed or full output ends nothing: calls go on without it. */
function write(to: typeof Deno.stdout | typeof Deno.stderr, text: string): void {
  try {
    let rest = encoder.encode(text + "\n");
    while (rest.length > 0) rest = rest.subarray(to.writeSync(rest));
  } catch (error) {
    if (!(error instanceof Error)) throw error;
  }
}

/** The first signal ends everything politely, the second at once. */
function onSignal(): void {
  if (stop.signal.aborted) Deno.exit(130);
  stop.abort();
  setTimeout(() => Deno.exit(0), STOP_WITHIN_MS);
}

/** A defect of ours outside every task: it is told with its stack, and the calls go on. */
globalThis.addEventListener("unhandledrejection", (event) => {
  event.preventDefault();
  host.complain(`siprtmp: this is a defect of ours, please report it: ${describe(event.reason)}`);
});
globalThis.addEventListener("error", (event) => {
  event.preventDefault();
  host.complain(`siprtmp: this is a defect of ours, please report it: ${describe(event.error)}`);
});

function describe(error: unknown): string {
  return error instanceof Error ? error.stack ?? error.message : String(error);
}

const signals: Deno.Signal[] = Deno.build.os === "windows" ? ["SIGINT"] : ["SIGINT", "SIGTERM"];
for (const signal of signals) Deno.addSignalListener(signal, onSignal);
Deno.exit(await runProgram(Deno.args, host));
