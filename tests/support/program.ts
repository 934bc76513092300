// Runs main.ts as its own process, as a user would, and reads what it says.

import { socketsOf } from "../../bench/process.ts";
import { testProgram } from "./program_gateway.ts";
import { testSockets } from "./test_gateway.ts";

const ROOT = new URL("../../", import.meta.url).pathname;

export interface RunningProgram extends AsyncDisposable {
  readonly pid: number;
  /** Where RTMP clients connect. */
  readonly rtmpPort: number;
  readonly sipPort: number;
  /** What it said so far on standard error. */
  output(): string;
  /** Sends a signal and waits for the end; the exit code. */
  stop(signal: Deno.Signal): Promise<number>;
}

export interface ProgramOptions {
  readonly args?: readonly string[];
  /** Where its log goes; "piped" lets output() see it. A path sends it there by the shell. */
  readonly logTo?: string;
}

/** Starts the gateway on loopback with free ports and waits until it listens. */
export async function startProgram(options: ProgramOptions = {}): Promise<RunningProgram> {
  const run = testProgram !== undefined ? [testProgram] : [
    "deno",
    "run",
    "--allow-net",
    "--allow-read",
    "--allow-sys=networkInterfaces",
    "--allow-ffi",
    `${ROOT}main.ts`,
  ];
  const args = [
    "-i",
    "127.0.0.1",
    "-p",
    "0",
    "-l",
    "127.0.0.1",
    "--sip-port",
    "0",
    "--sockets",
    testSockets,
    ...options.args ?? [],
  ];
  // The log goes through tee, so that a full disk behind it is met by the program's own writes.
  const command = [...run, ...args].map((word) => `'${word}'`).join(" ");
  const shell = options.logTo === undefined ? `exec ${command}` : `exec ${command} 2>${options.logTo}`;
  const process = new Deno.Command("sh", {
    args: ["-c", shell],
    cwd: ROOT,
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  let text = "";
  const reading = (async () => {
    const decoder = new TextDecoder();
    for await (const chunk of process.stderr) text = (text + decoder.decode(chunk)).slice(-200_000);
  })();
  const ports = options.logTo === undefined ? await readPorts(() => text) : await portsOfProcess(process.pid);
  const end = async (signal: Deno.Signal): Promise<number> => {
    try {
      process.kill(signal);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // it has ended by itself
    }
    const { code } = await process.status;
    await reading;
    return code;
  };
  let ended: Promise<number> | null = null;
  return {
    pid: process.pid,
    ...ports,
    output: () => text,
    stop: (signal) => ended ??= end(signal),
    async [Symbol.asyncDispose]() {
      await (ended ??= end("SIGKILL"));
    },
  };
}

async function readPorts(output: () => string): Promise<{ rtmpPort: number; sipPort: number }> {
  for (let tries = 0; tries < 400; tries++) {
    const match = /RTMP clients connect to 127\.\d+\.\d+\.\d+:(\d+); SIP uses port (\d+)/.exec(output());
    if (match !== null) return { rtmpPort: Number(match[1]), sipPort: Number(match[2]) };
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`the program did not start:\n${output()}`);
}

/** The listening TCP ports of a process that cannot say them: RTMP is the one SIP's UDP port does not share. */
async function portsOfProcess(pid: number): Promise<{ rtmpPort: number; sipPort: number }> {
  for (let tries = 0; tries < 400; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    const tcp = portsOf(pid, "tcp", "0A");
    const udp = udpPortsOf(pid);
    const rtmpPort = tcp.find((port) => !udp.includes(port));
    const sipPort = tcp.find((port) => udp.includes(port));
    if (rtmpPort !== undefined && sipPort !== undefined) return { rtmpPort, sipPort };
  }
  throw new Error("the program did not listen");
}

/** The UDP ports a process has bound. */
export function udpPortsOf(pid: number): number[] {
  return portsOf(pid, "udp", "07");
}

function portsOf(pid: number, protocol: "tcp" | "udp", state: string): number[] {
  return socketsOf(pid, protocol).filter((socket) => socket.state === state).map(({ port }) => port);
}
