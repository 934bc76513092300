// All TCP connections of one SIP transport: accepted or opened, reused for whoever is at the other end, closed when
// idle or when a message never ends, bounded in number altogether and for each host (RFC 3261 18).
// Role: edge

import { equalBytes } from "../../base/bytes.ts";
import type { Clock } from "../../base/clock.ts";
import { messageOf, TransportError } from "../../base/errors.ts";
import type { Scope } from "../../base/scope.ts";
import { type Endpoint, formatEndpoint } from "../../net/endpoint.ts";
import type { ByteStream } from "../../net/byte_stream.ts";
import { connectTcp } from "../../net/tcp.ts";
import { SipParseError } from "../message/message_head.ts";
import type { SipMessage } from "../message/message.ts";
import { SipStreamParser } from "../message/parser.ts";
import type { Flow } from "../message/target.ts";

/** Bounds of a pool. */
export interface PoolLimits {
  /** Connections at a time; above it the one idle longest is closed. */
  readonly maxConnections: number;
  /** Connections at a time with one address; above it that address's own idlest is closed. */
  readonly maxPerHost: number;
  /** A connection without traffic for so long is closed. */
  readonly idleMs: number;
  /** A message must be complete after so long. */
  readonly messageMs: number;
}

interface PoolEnv {
  readonly clock: Clock;
  readonly scope: Scope;
  readonly outlets: ConnectionOutlets;
  /** A connection ended without our doing. */
  readonly onBroken: (flow: Flow, reason: string) => void;
}

/** How often idle connections are looked for, as a share of the shorter limit. */
const SWEEPS_PER_LIMIT = 4;

export class ConnectionPool {
  readonly #limits: PoolLimits;
  readonly #env: PoolEnv;
  readonly #byId = new Map<number, SipConnection>();
  readonly #byRemote = new Map<string, SipConnection>();
  readonly #connecting = new Map<string, Promise<SipConnection>>();
  #nextId = 1;
  #sweep: Disposable | null = null;
  readonly #stop = new AbortController();

  /** Starts empty. */
  constructor(limits: PoolLimits, env: PoolEnv) {
    this.#limits = limits;
    this.#env = env;
  }

  get size(): number {
    return this.#byId.size;
  }

  /** Takes over a connection that was accepted or opened, and reads from it. */
  add(stream: ByteStream): SipConnection {
    const { clock, outlets } = this.#env;
    const connection = new SipConnection(stream, this.#nextId++, outlets, () => clock.now());
    const key = formatEndpoint(connection.flow.remote);
    this.#byId.set(connection.flow.connectionId, connection);
    this.#byRemote.set(key, connection);
    this.#evict(connection);
    this.#env.scope.spawn(`connection ${key}`, () => this.#run(connection, key));
    this.#startSweeping();
    return connection;
  }

  async #run(connection: SipConnection, key: string): Promise<void> {
    try {
      const reason = await connection.run();
      // A connection we closed ourselves is out of the table already.
      if (this.#byId.has(connection.flow.connectionId)) this.#env.onBroken(connection.flow, reason);
    } finally {
      this.#forget(connection, key);
    }
  }

  #forget(connection: SipConnection, key = formatEndpoint(connection.flow.remote)): void {
    this.#byId.delete(connection.flow.connectionId);
    if (this.#byRemote.get(key) === connection) this.#byRemote.delete(key);
    if (this.#byId.size > 0) return;
    this.#sweep?.[Symbol.dispose]();
    this.#sweep = null;
  }

  /** The open connection of a flow, else one with that peer; null when there is none. */
  find(endpoint: Endpoint, flow: Flow | undefined): SipConnection | null {
    const connection = this.#byId.get(flow?.connectionId ?? 0) ??
      this.#byRemote.get(formatEndpoint(endpoint));
    return connection?.isOpen ? connection : null;
  }

  /** Opens a connection, or waits for one that is being opened to the same place. TransportError when it fails. */
  connect(endpoint: Endpoint, withinMs: number): Promise<SipConnection> {
    const key = formatEndpoint(endpoint);
    const known = this.#connecting.get(key);
    if (known) return known;
    if (this.#connecting.size >= this.#limits.maxConnections) {
      return Promise.reject(new TransportError("too many SIP connections are being opened", "failed"));
    }
    const opening = this.#open(endpoint, withinMs).finally(() => this.#connecting.delete(key));
    this.#connecting.set(key, opening);
    return opening;
  }

  async #open(endpoint: Endpoint, withinMs: number): Promise<SipConnection> {
    const stop = this.#stop.signal;
    const limit = new AbortController();
    let timedOut = false;
    const giveUp = () => limit.abort();
    using _timer = this.#env.clock.after(withinMs, () => {
      timedOut = true;
      limit.abort();
    });
    stop.addEventListener("abort", giveUp, { once: true });
    try {
      const stream = await connectTcp(endpoint, limit.signal);
      if (!stop.aborted) return this.add(stream);
      stream.close();
      throw new TransportError("the SIP transport is closed", "closed");
    } catch (error) {
      if (!timedOut) throw error;
      const place = formatEndpoint(endpoint);
      throw new TransportError(`${place} did not accept a connection within ${withinMs} ms`, "timeout");
    } finally {
      stop.removeEventListener("abort", giveUp);
    }
  }

  /** Makes room for a newcomer at the cost of whoever has been silent longest. */
  #evict(newcomer: SipConnection): void {
    const host = newcomer.flow.remote.hostname;
    const others = [...this.#byId.values()].filter((one) => one !== newcomer);
    const sameHost = others.filter((one) => one.flow.remote.hostname === host);
    if (sameHost.length >= this.#limits.maxPerHost) this.#closeIdlest(sameHost);
    else if (others.length >= this.#limits.maxConnections) this.#closeIdlest(others);
  }

  #closeIdlest(connections: readonly SipConnection[]): void {
    this.#drop(connections.reduce((idlest, one) => (one.lastUsedMs < idlest.lastUsedMs ? one : idlest)));
  }

  #drop(connection: SipConnection): void {
    this.#forget(connection);
    connection.close();
  }

  #startSweeping(): void {
    const { idleMs, messageMs } = this.#limits;
    this.#sweep ??= this.#env.clock.after(Math.min(idleMs, messageMs) / SWEEPS_PER_LIMIT, () => {
      this.#sweep = null;
      this.#closeStale(this.#env.clock.now());
      if (this.#byId.size > 0) this.#startSweeping();
    });
  }

  #closeStale(nowMs: number): void {
    for (const connection of [...this.#byId.values()]) {
      const incompleteMs = nowMs - (connection.incompleteSinceMs ?? nowMs);
      const idle = nowMs - connection.lastUsedMs >= this.#limits.idleMs;
      if (idle || incompleteMs >= this.#limits.messageMs) this.#drop(connection);
    }
  }

  /** Sends what is unsent (a second at most), closes all, and opens none any more. Their tasks end; the scope waits for them. */
  async close(): Promise<void> {
    this.#stop.abort();
    const all = [...this.#byId.values()];
    this.#byId.clear();
    this.#byRemote.clear();
    this.#sweep?.[Symbol.dispose]();
    this.#sweep = null;
    await Promise.all(all.map((connection) => connection.finish()));
    await Promise.allSettled(this.#connecting.values());
  }
}

const READ_BYTES = 8 * 1024;
const FLUSH_MS = 1000;
const PING = new Uint8Array([13, 10, 13, 10]);
const PONG = new Uint8Array([13, 10]);

interface ConnectionOutlets {
  message(message: SipMessage, warnings: string[], flow: Flow): void;
  /** A message that cannot be processed. */
  malformed(error: SipParseError, flow: Flow): void;
  keepAlive(): void;
  pong(flow: Flow): void;
}

/** A connection while it lives. */
export class SipConnection {
  /** Who is at the other end; `connectionId` is ours. */
  readonly flow: Flow;
  /** When bytes last came or went, by the pool's clock. */
  lastUsedMs: number;
  /** Since when a message has been incomplete; null when none is. */
  incompleteSinceMs: number | null = null;
  readonly #stream: ByteStream;
  readonly #outlets: ConnectionOutlets;
  readonly #now: () => number;
  readonly #parser = new SipStreamParser();
  #pinged = false;
  #open = true;

  /** Reads nothing before run(). */
  constructor(stream: ByteStream, connectionId: number, outlets: ConnectionOutlets, now: () => number) {
    this.flow = { transport: "tcp", remote: stream.peer, local: stream.local, connectionId };
    this.#stream = stream;
    this.#outlets = outlets;
    this.#now = now;
    this.lastUsedMs = now();
  }

  /** False once it was closed or the peer has ended it. */
  get isOpen(): boolean {
    return this.#open;
  }

  /** Reads until the end; says in one line why it ended. */
  async run(): Promise<string> {
    try {
      const buffer = new Uint8Array(READ_BYTES);
      for (let count; (count = await this.#stream.read(buffer)) !== null;) {
        this.lastUsedMs = this.#now();
        this.#receive(buffer.subarray(0, count));
      }
      return "closed";
    } catch (error) {
      if (error instanceof SipParseError) await this.#stream.flush(FLUSH_MS);
      else if (!(error instanceof TransportError)) throw error;
      return messageOf(error);
    } finally {
      this.#open = false;
      this.#stream.close();
    }
  }

  #receive(bytes: Uint8Array): void {
    if (this.#isPong(bytes)) return this.#outlets.pong(this.flow);
    try {
      this.#parser.push(
        bytes,
        (message, warnings) => this.#outlets.message(message, warnings, this.flow),
        () => this.#pong(),
        (error) => this.#outlets.malformed(error, this.flow),
      );
    } catch (error) {
      if (error instanceof SipParseError) this.#outlets.malformed(error, this.flow);
      throw error;
    }
    this.incompleteSinceMs = this.#parser.pendingBytes === 0 ? null : this.incompleteSinceMs ?? this.#now();
  }

  /** A line end by itself, while one is waited for; else it may be half of the peer's own ping. */
  #isPong(bytes: Uint8Array): boolean {
    if (!this.#pinged || this.#parser.pendingBytes > 0 || !equalBytes(bytes, PONG)) return false;
    this.#pinged = false;
    return true;
  }

  #pong(): void {
    this.#outlets.keepAlive();
    this.#stream.put(PONG);
  }

  /** Sends; false when the connection is closed. A peer that does not read is closed by its send queue. */
  send(bytes: Uint8Array): boolean {
    if (!this.#open) return false;
    this.lastUsedMs = this.#now();
    return this.#stream.put(bytes) || this.#stream.unsent > 0;
  }

  /** Sends CRLFCRLF, to which a peer of RFC 5626 4.4.1 says CRLF; false when the connection is closed. */
  ping(): boolean {
    this.#pinged = true;
    return this.send(PING);
  }

  /** Sends what is unsent, for a second at most, then closes; run() ends. */
  async finish(): Promise<void> {
    if (this.#open) await this.#stream.flush(FLUSH_MS);
    this.close();
  }

  /** Closes at once; run() ends. */
  close(): void {
    this.#open = false;
    this.#stream.close();
  }
}
