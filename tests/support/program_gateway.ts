// A gateway that is the executable named by SIPRTMP_PROGRAM: for tests that join it with real programs, so that what is
// downloaded is tried as the source is.

import { socketsOf } from "../../bench/process.ts";
import type { Gateway } from "../../lib/gateway/gateway.ts";
import type { SettingName } from "../../lib/config/settings.ts";

/** The executable under test; undefined: the source. */
export const testProgram: string | undefined = pathOf(Deno.env.get("SIPRTMP_PROGRAM"));

/** It is run in other folders. */
function pathOf(program: string | undefined): string | undefined {
  return program === undefined ? undefined : Deno.realPathSync(program);
}

/** What such a gateway tells of itself, by its log and by what the system says of its process. */
export type ProgramGateway = Pick<Gateway, "rtmp" | "sipPort" | "usage">;

export interface RunningExecutable extends AsyncDisposable {
  readonly gateway: ProgramGateway;
  readonly folder: string;
  /** Sends it SIGTERM; its exit code. */
  stop(): Promise<number>;
  signal(name: Deno.Signal): void;
  /** The log so far. */
  lines(): string;
}

/** What became of a run that ends by itself. */
export interface Ended {
  readonly code: number;
  /** On standard output. */
  readonly printed: string;
  /** On standard error. */
  readonly said: string;
  /** Names in its folder, which was its home and its place for temporary files too. */
  readonly left: readonly string[];
}

/** Runs it in an empty folder with an empty environment. */
export async function runExecutable(
  [program = "", ...args]: readonly string[],
  input = "",
): Promise<Ended> {
  const folder = await Deno.makeTempDir({ prefix: "siprtmp-program-" });
  const process = new Deno.Command(program, {
    args,
    ...{ cwd: folder, clearEnv: true, env: { HOME: folder, TMPDIR: folder } },
    ...{ stdin: "piped", stdout: "piped", stderr: "piped" },
  }).spawn();
  const writer = process.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input)).catch(ignoreClosed);
  await writer.close().catch(ignoreClosed);
  const { code, stdout, stderr } = await process.output();
  const left = (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name);
  await Deno.remove(folder, { recursive: true });
  const decoder = new TextDecoder();
  return { code, printed: decoder.decode(stdout), said: decoder.decode(stderr), left };
}

/** It has ended without reading. */
function ignoreClosed(error: unknown): void {
  if (!(error instanceof Error)) throw error;
}

const STARTED = /RTMP clients connect to (\S+):(\d+); SIP uses port (\d+)/;

/** @param file configuration, as TOML */
export async function startExecutable(
  [program = "", ...words]: readonly string[],
  flags: Partial<Record<SettingName, string | boolean>>,
  file?: string,
): Promise<RunningExecutable> {
  const folder = await Deno.makeTempDir({ prefix: "siprtmp-program-" });
  if (file !== undefined) await Deno.writeTextFile(`${folder}/test.toml`, file);
  const process = new Deno.Command(program, {
    args: [
      ...words,
      "-d",
      ...argsOf(flags),
      ...(file === undefined ? [] : ["--config", `${folder}/test.toml`]),
    ],
    cwd: folder,
    clearEnv: words.length === 0, // what runs the source needs its own
    env: words.length === 0 ? { HOME: folder, TMPDIR: folder } : {},
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  let text = "";
  const reading = (async () => {
    const decoder = new TextDecoder();
    for await (const chunk of process.stderr) text += decoder.decode(chunk, { stream: true });
  })();
  const signal = (name: Deno.Signal): void => {
    try {
      process.kill(name);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // it has ended by itself
    }
  };
  const stop = async (): Promise<number> => {
    signal("SIGTERM");
    const { code } = await process.status;
    await reading;
    return code;
  };
  const started = await waitFor(() => STARTED.exec(text), () => text);
  const rtmp = { hostname: started[1]!, port: Number(started[2]) };
  return {
    gateway: {
      rtmp,
      sipPort: Number(started[3]),
      get usage() {
        return usageOf(process.pid, rtmp.port, text);
      },
    },
    folder,
    stop,
    signal,
    lines: () => text.trimEnd(),
    async [Symbol.asyncDispose]() {
      await stop();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

function argsOf(flags: Partial<Record<SettingName, string | boolean>>): string[] {
  return Object.entries(flags).flatMap(([name, value]) => {
    if (value === false) return [];
    return value === true ? [`--${name}`] : [`--${name}`, value];
  });
}

async function waitFor<T>(what: () => T | null, text: () => string): Promise<T> {
  for (let tries = 0; tries < 400; tries++) {
    const found = what();
    if (found !== null) return found;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`the program did not start:\n${text()}`);
}

/** Connections and RTP ports (each RTP and RTCP) are sockets of the process; calls are those in its log that have not ended. */
function usageOf(pid: number, rtmpPort: number, log: string): Gateway["usage"] {
  const tcp = socketsOf(pid, "tcp");
  const clients = tcp.filter(({ state, port }) => state === "01" && port === rtmpPort).length;
  const listening = new Set(tcp.filter(({ state }) => state === "0A").map(({ port }) => port));
  const media = socketsOf(pid, "udp").filter(({ port }) => !listening.has(port)).length;
  // The log comes by a pipe, behind what the system says: without RTP ports there is no call any more.
  const logged = count(log, /: call with \S+ established/g) - count(log, /: call ended: /g);
  const calls = media === 0 ? 0 : logged;
  return { connections: clients, clients, calls, rtpPorts: media };
}

function count(text: string, pattern: RegExp): number {
  return text.match(pattern)?.length ?? 0;
}
