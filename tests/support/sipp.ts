// Runs a real SIPp on loopback with a scenario of ours, as caller or callee.

import { freePort } from "./free_port.ts";

export interface RunningSipp extends AsyncDisposable {
  readonly port: number;
  /** Waits for its end: true when every call went as the scenario says. */
  finished(): Promise<{ ok: boolean; report: string }>;
}

export interface SippOptions {
  /** File name in tests/peers/config/sipp without .xml. */
  readonly scenario: string;
  /** Whom to call, "127.0.0.1:5060"; absent: it waits for calls. */
  readonly target?: string;
  /** User part of the Request-URI when it calls. */
  readonly service?: string;
  readonly calls?: number;
  readonly args?: readonly string[];
  /** Files of its own folder, such as a capture that it plays. */
  readonly files?: Readonly<Record<string, Uint8Array>>;
}

const FOLDER = new URL("../peers/config/sipp/", import.meta.url).pathname;

export async function startSipp(options: SippOptions): Promise<RunningSipp> {
  const port = freePort();
  const folder = await Deno.makeTempDir({ prefix: "siprtmp-sipp-" });
  for (const [name, bytes] of Object.entries(options.files ?? {})) {
    await Deno.writeFile(`${folder}/${name}`, bytes);
  }
  const process = new Deno.Command("sipp", {
    args: [
      ...(options.target === undefined ? [] : [options.target]),
      ...["-sf", `${FOLDER}${options.scenario}.xml`, "-i", "127.0.0.1", "-p", String(port)],
      ...["-mi", "127.0.0.1", "-mp", String(freeMediaPort(port))],
      ...["-m", String(options.calls ?? 1), "-nostdin", "-timeout", "60s", "-timeout_error"],
      ...[
        "-trace_err",
        "-error_file",
        `${folder}/errors`,
        "-trace_msg",
        "-message_file",
        `${folder}/messages`,
      ],
      ...(options.service === undefined ? [] : ["-s", options.service]),
      ...(options.args ?? []),
    ],
    cwd: folder,
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  const ended = process.status;
  const kill = (): void => {
    try {
      process.kill("SIGKILL");
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // it has ended by itself
    }
  };
  if (options.target === undefined && !await isListening(port)) {
    kill();
    await ended;
    const errors = await readIfThere(`${folder}/errors`);
    await Deno.remove(folder, { recursive: true });
    throw new Error(`SIPp did not start\n${errors}`);
  }
  return {
    port,
    async finished() {
      const { code } = await ended;
      const errors = await readIfThere(`${folder}/errors`);
      const messages = await readIfThere(`${folder}/messages`);
      return { ok: code === 0, report: `exit ${code}\n${errors}\n${messages.slice(-6000)}` };
    },
    async [Symbol.asyncDispose]() {
      kill();
      await ended;
      await Deno.remove(folder, { recursive: true });
    },
  };
}

async function readIfThere(path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}

/** SIPp says nothing when it is ready: its UDP port in the system's table does. */
async function isListening(port: number): Promise<boolean> {
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, "0")} `;
  for (let tries = 0; tries < 200; tries++) {
    if ((await Deno.readTextFile("/proc/net/udp")).includes(wanted)) return true;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return false;
}

/** Four ports in a row, the first of them even: RTP and RTCP of audio and video. */
function freeMediaPort(seed: number): number {
  for (let tries = 0; tries < 100; tries++) {
    const port = 40000 + (seed + 7 * tries) % 5000 * 4;
    if ([0, 1, 2, 3].every((offset) => isFree(port + offset))) return port;
  }
  throw new Error("no four neighbouring UDP ports are free");
}

function isFree(port: number): boolean {
  try {
    Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port }).close();
    return true;
  } catch (error) {
    if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    return false;
  }
}
