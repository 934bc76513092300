// The streams application on a free loopback port, for tests with real programs and real clients.

import { systemClock } from "../../lib/base/clock.ts";
import { systemRandom } from "../../lib/base/random.ts";
import { Scope } from "../../lib/base/scope.ts";
import { LiveApp, type LiveOptions } from "../../lib/live/live_client.ts";
import type { Endpoint } from "../../lib/net/endpoint.ts";
import { defaultRtmpOptions, type RtmpConnection, type RtmpOptions } from "../../lib/rtmp/connection.ts";
import { listenRtmp } from "../../lib/rtmp/listen.ts";
import { RecordLog } from "./record_log.ts";

/** A running server. */
export interface LiveServer extends AsyncDisposable {
  /** rtmp://127.0.0.1:PORT */
  readonly url: string;
  readonly app: LiveApp;
  readonly log: RecordLog;
  /** Resolves when a line of the log matches, also one that is there already. */
  logged(pattern: RegExp): Promise<void>;
}

/** How long a test waits for what must come: far above what is needed, to say what is missing instead of hanging. */
const PATIENCE_MS = 30_000;

/** Resolves when the condition holds; fails loudly when it does not in 30 s. */
export async function until(what: string, condition: () => boolean): Promise<void> {
  const endMs = performance.now() + PATIENCE_MS;
  while (!condition()) {
    if (performance.now() > endMs) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Starts a server; disposing it ends all its connections. */
export async function startLiveServer(
  options: LiveOptions,
  rtmp: Partial<RtmpOptions> = {},
): Promise<LiveServer> {
  const log = new RecordLog("debug");
  const environment = { clock: systemClock, random: systemRandom, log };
  const app = new LiveApp(options, environment);
  const scope = new Scope("live server", { log });
  const listening = Promise.withResolvers<Endpoint>();
  const at = { hostname: "127.0.0.1", port: 0 };
  const all = { ...defaultRtmpOptions, ...rtmp };
  scope.spawn("accept", async (signal) => {
    for await (const connection of listenRtmp(at, all, environment, signal, listening.resolve)) {
      scope.spawn(`client ${connection.id}`, (stop) => serve(app, connection, stop));
    }
  });
  const { port } = await listening.promise;
  return {
    url: `rtmp://127.0.0.1:${port}`,
    app,
    log,
    logged: (pattern) => until(`the log line ${pattern}`, () => log.lines.some((line) => pattern.test(line))),
    [Symbol.asyncDispose]: () => scope.close(),
  };
}

/** What a gateway tells its clients when it ends. */
export const STOPPING = ["NetConnection.Connect.AppShutdown", "the gateway is stopping"] as const;

/** Until it is disposed. */
export function whenAborted(signal: AbortSignal, run: () => void): Disposable {
  signal.addEventListener("abort", run, { once: true });
  return { [Symbol.dispose]: () => signal.removeEventListener("abort", run) };
}

async function serve(app: LiveApp, connection: RtmpConnection, stop: AbortSignal): Promise<void> {
  await using client = connection;
  using _closing = whenAborted(stop, () => void client.close(...STOPPING));
  const request = await client.open();
  if (request !== null) await app.serve(client, request, null, stop);
}
