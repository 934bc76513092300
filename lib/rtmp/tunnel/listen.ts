// RTMPT, RTMP in HTTP requests for clients whose firewall passes nothing else: turns HTTP connections, plain
// or over TLS, into one ByteStream per session. Sessions, connections, requests and times are bounded; what
// a client sends ends its own connection or session and nothing else.
// Role: edge

import type { Clock } from "../../base/clock.ts";
import { messageOf, TransportError, WireError } from "../../base/errors.ts";
import { Mailbox } from "../../base/mailbox.ts";
import { Scope } from "../../base/scope.ts";
import { Ticker } from "../../base/ticker.ts";
import { formatEndpoint } from "../../net/endpoint.ts";
import type { ByteStream, SendLimits } from "../../net/byte_stream.ts";
import {
  encodeResponseHead,
  findHttpHeadEnd,
  type HttpStatus,
  parseRequestHead,
  parseTunnelPath,
  type RequestHead,
} from "./http_message.ts";
import { TunnelSession } from "./session.ts";
import type { Runtime } from "../../base/runtime.ts";

/** Bounds of the listener. */
export interface RtmptOptions extends SendLimits {
  /** Most sessions at a time; one more is told 503. */
  maxSessions: number;
  /** A session whose client asks nothing for so long has ended; default 30 s. */
  silenceMs?: number;
}

const SILENCE_MS = 30_000;
const BEAT_MS = 1_000;
const FLUSH_MS = 5_000;

/** 24 characters of 36: 124 bits. */
const SESSION_NAME_LENGTH = 24;

/** HTTP connections per session: a client uses one, and may leave one behind when it opens another. */
const CONNECTIONS_PER_SESSION = 4;

const MAX_WAITING = 64;
const NOTHING = new Uint8Array(0);

/** The interval byte of an answer after which nothing is asked. */
const GOODBYE = Uint8Array.of(0);

const encoder = new TextEncoder();

/**
 * Yields a stream per session. `listen` gives the HTTP connections until its signal aborts; when they end the
 * sessions go on, and the generator ends after the last. Throws what `listen` throws.
 */
export async function* listenRtmpt(
  listen: (signal: AbortSignal) => AsyncIterable<ByteStream>,
  options: RtmptOptions,
  environment: Runtime,
): AsyncGenerator<ByteStream, void, void> {
  const log = environment.log.category("rtmp");
  await using scope = new Scope("rtmpt", { log });
  const server = new TunnelServer(options, { ...environment, log });
  using ticker = new Ticker(environment.clock, BEAT_MS, (error) => log.error("RTMPT watch failed", error));
  ticker.add((nowMs) => server.check(nowMs));
  const listening = new AbortController();
  scope.spawn("accept", async () => {
    try {
      for await (const stream of listen(listening.signal)) {
        scope.spawn(`http ${formatEndpoint(stream.peer)}`, () => server.serve(stream));
      }
      server.opened.close();
    } catch (error) {
      server.opened.close(error);
    }
  });
  try {
    yield* server.opened;
    await server.lastSessionEnded();
  } finally {
    listening.abort();
    server.closeAll();
  }
}

class TunnelServer {
  readonly opened = new Mailbox<TunnelSession>(MAX_WAITING);
  readonly #options: RtmptOptions;
  readonly #environment: Runtime;
  readonly #sessions = new Map<string, TunnelSession>();
  /** In the order of their last request, the longest idle first. */
  readonly #connections = new Set<HttpConnection>();
  readonly #empty = Promise.withResolvers<void>();

  constructor(options: RtmptOptions, environment: Runtime) {
    this.#options = options;
    this.#environment = environment;
  }

  /** Serves one HTTP connection to its end; never throws for what a client does. */
  async serve(stream: ByteStream): Promise<void> {
    using _closing = stream;
    const { clock, log } = this.#environment;
    const connection = new HttpConnection(stream, clock);
    if (!this.#makeRoom()) return log.warn("too many HTTP connections; one was closed");
    try {
      while (await this.#serveNext(connection));
    } catch (error) {
      if (!(error instanceof WireError || error instanceof TransportError)) throw error;
      log.debug(`RTMPT connection of ${formatEndpoint(stream.peer)}: ${messageOf(error)}`);
      if (error instanceof WireError) connection.respond(400, NOTHING, false);
    } finally {
      this.#connections.delete(connection);
    }
    await stream.flush(FLUSH_MS);
  }

  /** False when this was the last request of the connection. */
  async #serveNext(connection: HttpConnection): Promise<boolean> {
    this.#connections.delete(connection);
    this.#connections.add(connection);
    const request = await connection.next();
    if (request === null) return false;
    const answer = await this.#handle(request, connection.stream);
    const ok = typeof answer !== "number";
    connection.respond(ok ? 200 : answer, ok ? answer : NOTHING, request.head.keepAlive);
    return request.head.keepAlive;
  }

  #handle({ head, body }: HttpRequest, stream: ByteStream): Promise<Uint8Array | HttpStatus> {
    if (head.method !== "POST") return Promise.resolve(405);
    const request = parseTunnelPath(head.path);
    if (request.type === "unknown") return Promise.resolve(404);
    if (request.type === "open") return Promise.resolve(this.#open(stream));
    const session = this.#sessions.get(request.session);
    if (session === undefined) return Promise.resolve(404);
    return this.#exchange(session, request, request.type === "send" ? body : NOTHING);
  }

  async #exchange(
    session: TunnelSession,
    { type, sequence }: { type: string; sequence: number },
    body: Uint8Array,
  ): Promise<Uint8Array | 404> {
    if (type === "close") session.endInput();
    const answer = await session.exchange(sequence, body);
    return answer ?? (type === "close" ? GOODBYE : 404);
  }

  #open({ peer, local }: ByteStream): Uint8Array | 503 {
    const { maxSessions } = this.#options;
    const { clock, log, random } = this.#environment;
    if (this.opened.closed || this.#sessions.size >= maxSessions) {
      log.warn(`RTMPT client ${formatEndpoint(peer)} refused: ${maxSessions} sessions are the limit`);
      return 503;
    }
    const name = random.token(SESSION_NAME_LENGTH);
    const onClose = (): void => this.#ended(name);
    const session = new TunnelSession({ ...this.#options, peer, local, clock, onClose });
    this.#sessions.set(name, session);
    if (this.opened.push(session)) return encoder.encode(`${name}\n`);
    session.close();
    return 503;
  }

  #ended(name: string): void {
    this.#sessions.delete(name);
    if (this.opened.closed && this.#sessions.size === 0) this.#empty.resolve();
  }

  /** Resolves when no session is left after `opened` was closed. */
  lastSessionEnded(): Promise<void> {
    return this.#sessions.size === 0 ? Promise.resolve() : this.#empty.promise;
  }

  /** False when every connection is busy with a request. */
  #makeRoom(): boolean {
    if (this.#connections.size < CONNECTIONS_PER_SESSION * this.#options.maxSessions) return true;
    for (const connection of this.#connections) {
      if (!connection.idle) continue;
      connection.stream.close();
      return this.#connections.delete(connection);
    }
    return false;
  }

  check(nowMs: number): void {
    const sinceMs = nowMs - (this.#options.silenceMs ?? SILENCE_MS);
    for (const session of this.#sessions.values()) session.checkSilence(sinceMs);
    for (const connection of this.#connections) connection.checkTime(nowMs);
  }

  /** Closes every session and connection. */
  closeAll(): void {
    this.opened.close();
    for (const session of [...this.#sessions.values()]) session.close();
    for (const connection of this.#connections) connection.stream.close();
  }
}

/** A request has to be whole within this time of its first byte. */
const REQUEST_MS = 15_000;

/** A connection without a request is closed after this time. */
const IDLE_MS = 60_000;

const READ_BYTES = 16 * 1024;
const KEPT_BYTES = 64 * 1024;

/** A request with its body, which is borrowed until the next one is read. */
interface HttpRequest {
  readonly head: RequestHead;
  readonly body: Uint8Array;
}

export class HttpConnection {
  /** The bytes below. */
  readonly stream: ByteStream;
  readonly #clock: Clock;
  #buffer = new Uint8Array(READ_BYTES);
  #filled = 0;
  #used = 0;
  #deadlineMs: number;

  /** Takes over `stream`. */
  constructor(stream: ByteStream, clock: Clock) {
    this.stream = stream;
    this.#clock = clock;
    this.#deadlineMs = clock.now() + IDLE_MS;
  }

  /** Whether the client has begun no request that is unanswered. */
  get idle(): boolean {
    return this.#filled === 0;
  }

  /** The next request; null when the client has left. Throws WireError and TransportError. */
  async next(): Promise<HttpRequest | null> {
    this.#forget(this.#used);
    this.#deadlineMs = this.#clock.now() + (this.idle ? IDLE_MS : REQUEST_MS);
    let headEnd = findHttpHeadEnd(this.#view());
    while (headEnd < 0) {
      if (!await this.#fill(READ_BYTES)) return null;
      refuseOther(this.#buffer[0]!);
      headEnd = findHttpHeadEnd(this.#view());
    }
    const head = parseRequestHead(this.#view().subarray(0, headEnd));
    if (head.expectsContinue) this.stream.put(encodeResponseHead(100, 0, true));
    const end = headEnd + head.contentLength;
    // Memory follows what has arrived, not what was announced.
    while (this.#filled < end) if (!await this.#fill(READ_BYTES)) return null;
    this.#used = end;
    return { head, body: this.#buffer.subarray(headEnd, end) };
  }

  respond(status: HttpStatus, body: Uint8Array, keepAlive: boolean): void {
    this.stream.put(encodeResponseHead(status, body.length, keepAlive));
    this.stream.put(body);
  }

  /** Closes the connection when it has outlived its deadline. */
  checkTime(nowMs: number): void {
    if (nowMs > this.#deadlineMs) this.stream.close();
  }

  #view(): Uint8Array {
    return this.#buffer.subarray(0, this.#filled);
  }

  async #fill(count: number): Promise<boolean> {
    if (this.#filled + count > this.#buffer.length) {
      const larger = new Uint8Array(2 * (this.#filled + count));
      larger.set(this.#view());
      this.#buffer = larger;
    }
    const wasIdle = this.idle;
    const got = await this.stream.read(this.#buffer.subarray(this.#filled));
    if (got === null) return this.#endedMidway();
    if (wasIdle) this.#deadlineMs = this.#clock.now() + REQUEST_MS;
    this.#filled += got;
    return true;
  }

  #endedMidway(): false {
    if (!this.idle) throw new WireError("HTTP request", "it ends midway");
    return false;
  }

  #forget(count: number): void {
    const rest = this.#buffer.subarray(count, this.#filled);
    if (this.#buffer.length > KEPT_BYTES && rest.length <= READ_BYTES) {
      const smaller = new Uint8Array(READ_BYTES * 2);
      smaller.set(rest);
      this.#buffer = smaller;
    } else this.#buffer.copyWithin(0, count, this.#filled);
    this.#filled = rest.length;
    this.#used = 0;
  }
}

/** Programs that were given the wrong port wait for an answer that would never come. */
function refuseOther(first: number): void {
  if (first === 0x03) throw new WireError("HTTP request", "it is RTMP, which has another port");
  if (first === 0x16) throw new WireError("HTTP request", "it is TLS, which this port does not speak");
}
