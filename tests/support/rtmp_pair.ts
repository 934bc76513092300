// A server connection and a client over one pipe, for whole conversations in memory.

import { seededRandom } from "../../lib/base/random.ts";
import { RtmpClient, type RtmpClientOptions } from "../../lib/rtmp/client.ts";
import {
  defaultRtmpOptions,
  RtmpConnection,
  type RtmpEnvironment,
  type RtmpOptions,
} from "../../lib/rtmp/connection.ts";
import { FakeClock } from "./fake_clock.ts";
import { type PipeEnd, type PipeOptions, pipePair } from "./pipe.ts";
import { RecordLog } from "./record_log.ts";

/** What a conversation is made of. */
export interface RtmpPair {
  clock: FakeClock;
  log: RecordLog;
  server: RtmpConnection;
  serverEnd: PipeEnd;
  clientEnd: PipeEnd;
  /** Starts the client: handshake and connect. */
  connect(options?: Partial<RtmpClientOptions>, app?: string): Promise<RtmpClient>;
}

/** Both ends, nothing said yet. */
export function rtmpPair(
  options: Partial<RtmpOptions> = {},
  pipe: PipeOptions = {},
  onOffence?: RtmpEnvironment["onOffence"],
): RtmpPair {
  const clock = new FakeClock(1000);
  const log = new RecordLog("debug");
  const [clientEnd, serverEnd] = pipePair(pipe);
  const random = seededRandom(1);
  const server = new RtmpConnection(
    serverEnd,
    { ...defaultRtmpOptions, ...options },
    { clock, log, random, ...(onOffence && { onOffence }) },
    7,
  );
  return {
    clock,
    log,
    server,
    serverEnd,
    clientEnd,
    connect: (clientOptions = {}, app = "sip/alice@example.net") => {
      const target = { app, tcUrl: `rtmp://gw/${app}` };
      const clientLog = new RecordLog("debug");
      return RtmpClient.over(clientEnd, target, {
        clock: new FakeClock(),
        log: clientLog,
        random,
        ...clientOptions,
      });
    },
  };
}

/** Serves a connection as the gateway does: accepts, starts every stream, echoes published media to players. */
export async function serveEcho(server: RtmpConnection, events: string[] = []): Promise<void> {
  await using connection = server;
  if (await connection.open() === null) return;
  const players = new Set<{ send(type: 8 | 9 | 18, timeMs: number, body: Uint8Array): boolean }>();
  connection.onMedia = (_stream, { type, timeMs, body }) => {
    for (const player of players) player.send(type, timeMs, body);
  };
  connection.accept();
  for await (const event of connection.events()) {
    events.push(event.type === "command" ? event.name : event.type);
    if (event.type === "publish" || event.type === "play") event.stream.started();
    if (event.type === "play") players.add(event.stream);
    if (event.type === "ended") players.delete(event.stream);
    if (event.type === "command") event.reply.result("done", event.args.length);
  }
}
