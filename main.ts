// siprtmp: a SIP-RTMP gateway. The only file that knows the process: arguments, signals, exit code.
// Role: edge

import { setFlagsFromString } from "node:v8";
import type { Build } from "./lib/app/build.ts";
import type { Host } from "./lib/app/program.ts";

/** How long peers may take to answer BYE and REGISTER when the program is told to end. */
const STOP_WITHIN_MS = 3000;

/** Ctrl-C under `deno task` comes twice, from the terminal and from the task: within this time it is one. */
const SAME_SIGNAL_MS = 500;

/** Of a start that has failed for a reason of our own: service managers try again. */
const FAILED_START = 1;

/**
 * What this program asks of V8 (docs/decisions/performance.md). After a burst (a thousand users log in) V8 holds on to
 * its garbage until it has been idle for 30 s, and a gateway is seldom that idle: 2 s give the memory back. A packet's
 * way is a chain of short functions: it costs less when more of them become one.
 */
setFlagsFromString("--gc-memory-reducer-start-delay-ms=2000");
setFlagsFromString("--max-inlined-bytecode-size-cumulative=3000");

const stop = new AbortController();
const encoder = new TextEncoder();
const verbose = Deno.args.some((arg) => /^(?:-[dD]+|--verbose(?:-all)?)$/.test(arg));
let started = false;
let stoppedAtMs = 0;
/** Hides secrets in what is complained about, once it is loaded: before that there are none. */
let mask = (text: string): string => text;

const host: Omit<Host, "giveUp"> = {
  build: Deno.build.standalone ? readBuild() : { type: "source" },
  runtime: Deno.version,
  replaceFile,
  readPassword,
  readFile: (path) => Deno.readTextFileSync(path),
  print: (text) => write(Deno.stdout, text),
  complain: (text) => write(Deno.stderr, mask(text)),
  started: () => void (started = true),
  stop: stop.signal,
  onReload: (reload) => {
    if (Deno.build.os !== "windows") Deno.addSignalListener("SIGHUP", () => void reload());
  },
};

/** What `deno task compile` has put into the executable beside this file; one that was compiled by hand has nothing there. */
function readBuild(): Build {
  const read = (name: string): string | null => {
    try {
      return Deno.readTextFileSync(new URL(name, import.meta.url));
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return null;
      throw error;
    }
  };
  const { commit, target } = JSON.parse(read("build.json") ?? "{}");
  return {
    type: "executable",
    commit: commit ?? "unknown",
    target: target ?? Deno.build.target,
    licences: () => read("licences.txt"),
  };
}

/** Owner and mode stay what they are: a service with a user of its own reads it. A new file is for its owner alone. */
async function replaceFile(path: string, text: string): Promise<void> {
  const old = await Deno.stat(path).catch(() => null);
  await Deno.writeTextFile(`${path}.new`, text, { mode: 0o600 });
  if (old !== null && old.mode !== null && Deno.build.os !== "windows") {
    await Deno.chown(`${path}.new`, old.uid, old.gid);
    await Deno.chmod(`${path}.new`, old.mode & 0o777);
  }
  await Deno.rename(`${path}.new`, path);
}

async function readPassword(): Promise<string> {
  const terminal = Deno.stdin.isTerminal();
  if (terminal) Deno.stderr.writeSync(encoder.encode("password (not shown): "));
  if (terminal) Deno.stdin.setRaw(true, { cbreak: true });
  try {
    return await readLine();
  } finally {
    if (terminal) Deno.stdin.setRaw(false);
    if (terminal) write(Deno.stderr, "");
  }
}

/** Up to a line end; with the keys of a terminal that correct it. */
async function readLine(): Promise<string> {
  const bytes: number[] = [];
  const byte = new Uint8Array(1);
  while (await Deno.stdin.read(byte) !== null && byte[0] !== 0x0a && byte[0] !== 0x0d) {
    if (byte[0] === 0x7f || byte[0] === 0x08) bytes.pop();
    else bytes.push(byte[0]!);
  }
  return new TextDecoder().decode(Uint8Array.from(bytes));
}

/** A closed or full output ends nothing: calls go on without it. */
function write(to: typeof Deno.stdout | typeof Deno.stderr, text: string): void {
  try {
    let rest = encoder.encode(text + "\n");
    while (rest.length > 0) rest = rest.subarray(to.writeSync(rest));
  } catch (error) {
    if (!(error instanceof Error)) throw error;
  }
}

/** The first signal ends everything politely, a later one at once. */
function onSignal(): void {
  if (stop.signal.aborted) {
    if (performance.now() - stoppedAtMs > SAME_SIGNAL_MS) Deno.exit(130);
    return;
  }
  stoppedAtMs = performance.now();
  stop.abort();
  setTimeout(() => Deno.exit(0), STOP_WITHIN_MS);
}

/** A defect of ours outside every task: it is told with its stack, and the calls go on. Before there are any, it ends us. */
function onDefect(event: Event, error: unknown): void {
  event.preventDefault();
  if (!started) failStart(error);
  host.complain(`siprtmp: internal error, please report it: ${stackOf(error)}`);
}

/** One line: whoever starts the program sees what is wrong, and -d shows where. */
function failStart(error: unknown): never {
  const text = verbose ? stackOf(error) : lineOf(error);
  host.complain(`siprtmp: cannot start, internal error: ${text}${verbose ? "" : " (-d shows where)"}`);
  Deno.exit(FAILED_START);
}

function stackOf(error: unknown): string {
  return plain(error instanceof Error ? error.stack ?? error.message : String(error));
}

function lineOf(error: unknown): string {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return plain(text).replace(/\s+/g, " ").trim();
}

/** Without the colours that the runtime puts around the name of a missing module. */
function plain(text: string): string {
  return text.split("\x1b").map((part, index) => index === 0 ? part : part.replace(/^\[[\d;]{0,20}m/, ""))
    .join("");
}

globalThis.addEventListener("unhandledrejection", (event) => onDefect(event, event.reason));
globalThis.addEventListener("error", (event) => onDefect(event, event.error));
const signals: Deno.Signal[] = Deno.build.os === "windows" ? ["SIGINT"] : ["SIGINT", "SIGTERM"];
for (const signal of signals) Deno.addSignalListener(signal, onSignal);
try {
  // Loaded here and not above: a module that is missing is a failed start like any other.
  mask = (await import("./lib/base/mask_secrets.ts")).maskSecrets;
  const { giveUp, runProgram } = await import("./lib/app/program.ts");
  Deno.exit(await runProgram(Deno.args, { ...host, giveUp }));
} catch (error) {
  failStart(error);
}
