// Accepts RTMP clients: one RtmpConnection per stream of bytes, at once, before anything was read from it.
// Streams come from TCP, TLS or RTMPT alike; all share one numbering and one heartbeat. What a client sends
// cannot end the loop; only the signal and an unusable port can.
// Role: edge

import { Ticker } from "../base/ticker.ts";
import { messageOf } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import { type Endpoint, formatEndpoint } from "../net/endpoint.ts";
import type { ByteStream } from "../net/byte_stream.ts";
import { listenTcp } from "../net/tcp.ts";
import { HEARTBEAT } from "./heartbeat.ts";
import { RtmpConnection, type RtmpEnvironment, type RtmpOptions } from "./connection.ts";

/** Makes connections of streams, numbered in the order of their arrival whatever listener they came from. */
export class RtmpAcceptor {
  readonly #options: RtmpOptions;
  readonly #environment: RtmpEnvironment;
  readonly #log: Logger;
  readonly #ticker: Ticker;
  readonly #nextId: () => number;

  /** Nothing runs before the first connection. @param nextId numbers connections; from 1 when left out */
  constructor(options: RtmpOptions, environment: RtmpEnvironment, nextId: () => number = countFrom1()) {
    this.#nextId = nextId;
    const log = environment.log.category("rtmp");
    this.#options = options;
    this.#environment = environment;
    this.#log = log;
    this.#ticker = new Ticker(
      environment.clock,
      HEARTBEAT.tickMs,
      (error) => log.error("heartbeat failed", error),
    );
  }

  /** Takes over one stream; the connection belongs to the caller. @param name its transport, for the log */
  accept(stream: ByteStream, name = "client"): RtmpConnection {
    const id = this.#nextId();
    const log = this.#log.child(`${name} ${id} ${formatEndpoint(stream.peer)}`);
    return new RtmpConnection(stream, this.#options, { ...this.#environment, ticker: this.#ticker, log }, id);
  }
}

function countFrom1(): () => number {
  let count = 0;
  return () => ++count;
}

/** Yields a client for each stream, until there are no more. */
export async function* serveRtmp(
  streams: AsyncIterable<ByteStream>,
  acceptor: RtmpAcceptor,
  name?: string,
): AsyncGenerator<RtmpConnection, void, void> {
  for await (const stream of streams) yield acceptor.accept(stream, name);
}

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
  const tcp = listenTcp(at, {
    signal,
    softUnsent,
    hardUnsent,
    onError: (error) => log.warn(messageOf(error)),
    ...(onListening && { onListening }),
  });
  yield* serveRtmp(tcp, new RtmpAcceptor(options, environment));
}
