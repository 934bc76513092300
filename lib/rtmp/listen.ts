// Accepts RTMP clients: one RtmpConnection per TCP connection, at once, before anything was read from it.
// What a client sends cannot end the loop; only the signal and an unusable port can.
// Role: edge
// Answers to: FlashServer.serverlistener of rtmp.py (deviation: defect 20, an empty app ended it).

import { Ticker } from "../base/clock.ts";
import { messageOf } from "../base/errors.ts";
import { type Endpoint, formatEndpoint } from "../net/endpoint.ts";
import { listenTcp } from "../net/tcp.ts";
import { RtmpConnection, type RtmpEnvironment, type RtmpOptions } from "./connection.ts";

const BEAT_MS = 1_000;

/**
 * Yields clients until the signal aborts; those yielded stay open and belong to the consumer. Throws
 * TransportError when it cannot listen. `onListening` is told the port that was bound.
 */
export async function* listenRtmp(
  at: Endpoint,
  options: RtmpOptions,
  environment: RtmpEnvironment,
  signal: AbortSignal,
  onListening?: (local: Endpoint) => void,
): AsyncGenerator<RtmpConnection, void, void> {
  const log = environment.log.category("rtmp");
  const { softUnsent, hardUnsent } = options;
  const ticker = new Ticker(environment.clock, BEAT_MS, (error) => log.error("heartbeat failed", error));
  let id = 0;
  const tcp = listenTcp(at, {
    signal,
    softUnsent,
    hardUnsent,
    onError: (error) => log.warn(messageOf(error)),
    ...(onListening && { onListening }),
  });
  for await (const stream of tcp) {
    id++;
    const own = { ...environment, ticker, log: log.child(`client ${id} ${formatEndpoint(stream.peer)}`) };
    yield new RtmpConnection(stream, options, own, id);
  }
}
