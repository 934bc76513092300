// Starts a real HAProxy with deploy/haproxy.cfg, the very file, on free loopback ports: what differs comes by its
// environment.

import { createSelfSigned } from "../../scripts/self_signed.ts";
import { freePort } from "./free_port.ts";

export interface RunningHaproxy extends AsyncDisposable {
  /** Where RTMP clients connect, at 127.0.0.1. */
  readonly rtmpPort: number;
  /** Where RTMPS clients connect. */
  readonly rtmpsPort: number;
  /** What it logged so far. */
  output(): string;
  /** Each server of the configuration as it is now. */
  servers(): Promise<Map<string, HaproxyServer>>;
}

export interface HaproxyServer {
  /** "UP", "DOWN", or on the way, as in "UP 1/2". */
  readonly status: string;
  /** Connections it has now. */
  readonly connections: number;
  /** How its last health check went: "L7OK" when it has answered as it should. */
  readonly check: string;
}

/** The configuration under test. */
export const HAPROXY_CONFIG = new URL("../../deploy/haproxy.cfg", import.meta.url).pathname;

/**
 * @param gateways host:port of the two gateways
 * @param settings more of haproxy.cfg, in the place of ours
 */
export async function startHaproxy(
  gateways: readonly [string, string],
  settings: Readonly<Record<string, string>> = {},
): Promise<RunningHaproxy> {
  const folder = await Deno.makeTempDir({ prefix: "siprtmp-haproxy-" });
  const [rtmpPort, rtmpsPort, socket] = [freePort(), freePort(), `${folder}/admin.sock`];
  const process = new Deno.Command("haproxy", {
    args: ["-db", "-f", HAPROXY_CONFIG],
    env: {
      RTMP_BIND: `127.0.0.1:${rtmpPort}`,
      RTMPS_BIND: `127.0.0.1:${rtmpsPort}`,
      TLS_PEM: await writePem(folder),
      GATEWAY_1: gateways[0],
      GATEWAY_2: gateways[1],
      CONNECTIONS: "2000",
      CONNECTIONS_PER_ADDRESS: "1000",
      NEW_CONNECTIONS_IN_10_S: "1000",
      STATS_SOCKET: socket,
      ...settings,
    },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let text = "";
  const reading = Promise.all([process.stdout, process.stderr].map(async (pipe) => {
    const decoder = new TextDecoder();
    for await (const chunk of pipe) text = (text + decoder.decode(chunk)).slice(-200_000);
  }));
  const running: RunningHaproxy = {
    rtmpPort,
    rtmpsPort,
    output: () => text,
    servers: async () => readServers(await ask(socket, "show stat")),
    async [Symbol.asyncDispose]() {
      process.kill("SIGKILL");
      await process.status;
      await reading;
      await Deno.remove(folder, { recursive: true });
    },
  };
  await untilReady(running);
  return running;
}

/** Certificate and key in one file, as HAProxy wants them. */
export async function writePem(folder: string): Promise<string> {
  const { certificate, privateKey } = await createSelfSigned();
  await Deno.writeTextFile(`${folder}/rtmps.pem`, certificate + privateKey);
  return `${folder}/rtmps.pem`;
}

/** One command on its administration socket. */
async function ask(path: string, command: string): Promise<string> {
  using socket = await Deno.connect({ transport: "unix", path });
  await socket.write(new TextEncoder().encode(`${command}\n`));
  let answer = "";
  const [decoder, buffer] = [new TextDecoder(), new Uint8Array(65536)];
  for (let count = await socket.read(buffer); count !== null; count = await socket.read(buffer)) {
    answer += decoder.decode(buffer.subarray(0, count), { stream: true });
  }
  return answer;
}

/** The answer is a table of comma-separated values. */
function readServers(table: string): Map<string, HaproxyServer> {
  const [head = "", ...rows] = table.trim().split("\n");
  const names = head.replace(/^# /, "").split(",");
  const cell = (row: string, name: string): string => row.split(",")[names.indexOf(name)] ?? "";
  return new Map(
    rows.filter((row) => cell(row, "pxname") === "gateways" && cell(row, "svname") !== "BACKEND")
      .map((row) => [
        cell(row, "svname"),
        {
          status: cell(row, "status"),
          connections: Number(cell(row, "scur")),
          check: cell(row, "check_status"),
        },
      ]),
  );
}

async function untilReady(running: RunningHaproxy): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    try {
      const servers = await running.servers();
      if (servers.size > 0) return;
    } catch (error) {
      const notYet = error instanceof Deno.errors.NotFound || error instanceof Deno.errors.ConnectionRefused;
      if (!notYet) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error(`HAProxy did not start:\n${running.output()}`);
}
