// Processes of the bench, each on its own core where taskset is there; their output line by line.
// Role: edge

import { linesOf } from "../load/lines.ts";

/** A process to start. */
export interface ChildOptions {
  /** Arguments of deno. */
  readonly args: readonly string[];
  /** CPU it may use; null: any. */
  readonly cpu: number | null;
  readonly stdin?: "piped" | "null";
  /** Told each line of standard output and of standard error. */
  readonly onLine: (line: string, from: "out" | "err") => void;
}

/** A running process. */
export interface Child extends AsyncDisposable {
  readonly pid: number;
  /** Writes a line to its standard input. */
  tell(line: string): Promise<void>;
  /** Ends it with a signal and waits; kills it when it takes too long. */
  end(signal: Deno.Signal): Promise<void>;
  /** Settled when it has ended, for whatever reason. */
  readonly ended: Promise<number>;
}

/** Time to end after a signal. */
const END_WITHIN_MS = 8000;

/** What ends the bench from outside, and the time for all children's listeners. */
const STOP_SIGNALS: readonly Deno.Signal[] = Deno.build.os === "windows"
  ? ["SIGINT"]
  : ["SIGINT", "SIGTERM", "SIGHUP"];
const EXIT_MS = 100;

/** Whether processes can be bound to cores here. */
export function canPin(): boolean {
  if (Deno.build.os !== "linux" || navigator.hardwareConcurrency < 2) return false;
  try {
    return new Deno.Command("taskset", { args: ["-V"], stdout: "null", stderr: "null" }).outputSync().success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Starts deno. taskset replaces itself by it, so that the pid is deno's. */
export function startChild(options: ChildOptions): Child {
  const { cpu, args, onLine } = options;
  const deno = Deno.execPath();
  const [program, words] = cpu === null ? [deno, [...args]] : ["taskset", ["-c", String(cpu), deno, ...args]];
  const process = new Deno.Command(program, {
    args: words,
    stdin: options.stdin ?? "null",
    stdout: "piped",
    stderr: "piped",
    env: { NO_COLOR: "1" },
  }).spawn();
  const read = async (from: "out" | "err"): Promise<void> => {
    for await (const line of linesOf(from === "out" ? process.stdout : process.stderr)) onLine(line, from);
  };
  const reading = Promise.all([read("out"), read("err")]);
  const writer = options.stdin === "piped" ? process.stdin.getWriter() : null;
  const encoder = new TextEncoder();
  const ended = process.status.then(async ({ code }) => {
    await reading;
    return code;
  });
  const kill = (signal: Deno.Signal): void => {
    try {
      process.kill(signal);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // it has ended by itself
    }
  };
  // Whoever stops the bench stops everything: a gateway left behind would disturb the next run.
  const onSignal = (): void => {
    kill("SIGKILL");
    setTimeout(() => Deno.exit(130), EXIT_MS);
  };
  for (const signal of STOP_SIGNALS) Deno.addSignalListener(signal, onSignal);
  void ended.then(() => {
    for (const signal of STOP_SIGNALS) Deno.removeSignalListener(signal, onSignal);
  });
  let ending: Promise<void> | null = null;
  const end = async (signal: Deno.Signal): Promise<void> => {
    kill(signal);
    const timer = setTimeout(() => kill("SIGKILL"), END_WITHIN_MS);
    await ended;
    clearTimeout(timer);
    await writer?.close().catch(() => {});
  };
  return {
    pid: process.pid,
    ended,
    tell: async (line) => await writer?.write(encoder.encode(line + "\n")),
    end: (signal) => ending ??= end(signal),
    [Symbol.asyncDispose]: () => ending ??= end("SIGKILL"),
  };
}
