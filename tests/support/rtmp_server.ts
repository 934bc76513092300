// An RTMP server on a free loopback port for tests against real programs: what it does with streams is given.

import { systemClock } from "../../lib/base/clock.ts";
import { systemRandom } from "../../lib/base/random.ts";
import { Scope } from "../../lib/base/scope.ts";
import type { Endpoint } from "../../lib/net/endpoint.ts";
import type { ByteStream } from "../../lib/net/byte_stream.ts";
import { FlvTagReader } from "../../lib/flv/tag.ts";
import type { ConnectRequest } from "../../lib/rtmp/command.ts";
import { defaultRtmpOptions, type RtmpConnection, type RtmpOptions } from "../../lib/rtmp/connection.ts";
import type { RtmpEvent } from "../../lib/rtmp/stream_commands.ts";
import { listenRtmp, RtmpAcceptor, serveRtmp } from "../../lib/rtmp/listen.ts";
import type { MediaMessage } from "../../lib/rtmp/message.ts";
import type { NetStream } from "../../lib/rtmp/net_stream.ts";
import { RecordLog } from "./record_log.ts";

/** What a test wants to know, or to do. */
export interface ServerScript {
  /** Every client is refused with these words. */
  refusal?: string;
  /** A client has connected. */
  connected?(request: ConnectRequest, connection: RtmpConnection): void;
  /** Commands are answered afterwards, publish and play are started before. */
  event?(event: RtmpEvent, connection: RtmpConnection): void;
  /** Media of a publisher. */
  media?(stream: NetStream, message: MediaMessage): void;
  /** A client has left. */
  left?(connection: RtmpConnection): void;
}

/** A running server. */
export interface TestServer extends AsyncDisposable {
  /** rtmp://127.0.0.1:PORT, or the scheme of the transport. */
  readonly url: string;
  /** Its log, from level debug on. */
  readonly log: RecordLog;
}

/** Another way in than plain TCP. */
export interface TestTransport {
  /** As in the URL: "rtmps". */
  readonly scheme: string;
  /** Streams of bytes until the signal aborts. */
  listen(
    at: Endpoint,
    signal: AbortSignal,
    onListening: (local: Endpoint) => void,
  ): AsyncIterable<ByteStream>;
}

/** Starts a server; disposing it ends all its connections. */
export async function startServer(
  script: ServerScript,
  options: Partial<RtmpOptions> = {},
  transport?: TestTransport,
): Promise<TestServer> {
  const log = new RecordLog("debug");
  const environment = { clock: systemClock, random: systemRandom, log };
  const scope = new Scope("rtmp server", { log });
  const listening = Promise.withResolvers<Endpoint>();
  const at = { hostname: "127.0.0.1", port: 0 };
  const all = { ...defaultRtmpOptions, ...options };
  scope.spawn("accept", async (signal) => {
    const clients = transport === undefined
      ? listenRtmp(at, all, environment, signal, listening.resolve)
      : serveRtmp(transport.listen(at, signal, listening.resolve), new RtmpAcceptor(all, environment));
    for await (const connection of clients) {
      scope.spawn(`client ${connection.id}`, (stop) => serve(connection, script, stop));
    }
  });
  const { port } = await listening.promise;
  return {
    url: `${transport?.scheme ?? "rtmp"}://127.0.0.1:${port}`,
    log,
    [Symbol.asyncDispose]: () => scope.close(),
  };
}

async function serve(connection: RtmpConnection, script: ServerScript, stop: AbortSignal): Promise<void> {
  await using client = connection;
  const onAbort = (): void => void client.close();
  stop.addEventListener("abort", onAbort, { once: true });
  const request = await client.open();
  if (request !== null && script.refusal !== undefined) await client.reject(script.refusal);
  else if (request !== null) {
    client.onMedia = (stream, message) => script.media?.(stream, message);
    client.accept();
    script.connected?.(request, client);
    for await (const event of client.events()) {
      if (event.type === "publish" || event.type === "play") event.stream.started();
      script.event?.(event, client);
      if (event.type === "command") event.reply.result();
    }
    script.left?.(client);
  }
  stop.removeEventListener("abort", onAbort);
}

/** A tag of an FLV file, on its own. */
export interface KeptTag {
  type: 8 | 9 | 18;
  timeMs: number;
  body: Uint8Array;
}

/** All tags of a file. */
export function tagsOf(file: Uint8Array): KeptTag[] {
  const reader = new FlvTagReader();
  reader.feed(file);
  const tags: KeptTag[] = [];
  for (let tag = reader.next(); tag !== null; tag = reader.next()) {
    tags.push({ type: tag.type, timeMs: tag.timeMs, body: tag.body.slice() });
  }
  return tags;
}
