// A gateway of several workers on free loopback ports, with a log that can be read when a test fails.

import { systemClock } from "../../lib/base/clock.ts";
import { openLog } from "../../lib/base/log.ts";
import { systemRandom } from "../../lib/base/random.ts";
import { buildConfig, type ConfigSources } from "../../lib/config/config.ts";
import type { SettingName } from "../../lib/config/settings.ts";
import { Supervisor } from "../../lib/workers/supervisor.ts";
import { unchecked } from "./workers_script.ts";
import { testSockets } from "./test_gateway.ts";

export interface WorkersHouse extends AsyncDisposable {
  readonly supervisor: Supervisor;
  /** RTMP URL of a path. */
  url(path: string): string;
  /** The log so far, at debug level. */
  lines(): string;
  /** Makes a worker break down, in every house of this process. */
  crash(worker: number, how: "throw" | "close"): void;
}

export async function startWorkers(
  flags: Partial<Record<SettingName, string | boolean>> = {},
): Promise<WorkersHouse> {
  const written: string[] = [];
  const opened = openLog({ verbosity: "debug", write: (line) => void written.push(line) });
  const sources: ConfigSources = {
    flags: {
      host: "127.0.0.1",
      port: "0",
      "int-ip": "127.0.0.1",
      "sip-port": "0",
      sockets: testSockets,
      workers: "2",
      verbose: true,
      ...flags,
    },
  };
  const channel = new BroadcastChannel("siprtmp test: break down");
  const supervisor = await Supervisor.start(buildConfig(sources), sources, {
    clock: systemClock,
    log: opened.log,
    random: systemRandom,
    putLine: opened.put,
    entry: unchecked("tests/support/workers_crashing.ts"),
  });
  return {
    supervisor,
    url: (path) => `rtmp://127.0.0.1:${supervisor.rtmp.port}/${path}`,
    lines: () => written.join("\n"),
    crash: (worker, how) => channel.postMessage({ worker: `worker ${worker}`, how }),
    async [Symbol.asyncDispose]() {
      await supervisor[Symbol.asyncDispose]();
      channel.close();
      await opened.close();
    },
  };
}

/** Waits for what must come about. */
export async function until(
  what: string,
  holds: () => boolean,
  lines: () => string = () => "",
): Promise<void> {
  for (let tries = 0; tries < 400; tries++) {
    if (holds()) return;
    await new Promise((go) => setTimeout(go, 25));
  }
  throw new Error(`never came about: ${what}\n${lines()}`);
}

/** Connects again and again until the kernel has put the client where the test wants it; one caller at a time. */
export async function connectAt<Client extends AsyncDisposable>(
  house: WorkersHouse,
  worker: number,
  connect: () => Promise<Client>,
): Promise<Client> {
  for (let tries = 0; tries < 60; tries++) {
    const before = house.supervisor.usageOf(worker).connections;
    const client = await connect();
    if (house.supervisor.usageOf(worker).connections > before) return client;
    const total = house.supervisor.usage.connections;
    await client[Symbol.asyncDispose]();
    await until("a client has left", () => house.supervisor.usage.connections < total, house.lines);
  }
  throw new Error(`the kernel puts nobody at worker ${worker}`);
}
