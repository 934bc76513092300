// SIP over UDP and TCP on one port (RFC 3261 18, RFC 3581, RFC 5626 4.4): binds, receives, sends, closes.
// Nothing a peer sends ends the receiving; every task belongs to the scope of the transport.
// Deno permissions: --allow-net for the port and all peers.
// Role: edge

import { TransportError } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { Scope } from "../../base/scope.ts";
import { type Endpoint, formatEndpoint } from "../../net/endpoint.ts";
import { listenTcp, type TcpConnection } from "../../net/tcp.ts";
import { UdpSocket } from "../../net/udp.ts";
import { messageText, messageTitle, type SipMessage } from "../message/message.ts";
import { type Flow, formatTarget, type SendOutcome, type Target, targetOf } from "../message/target.ts";
import { ConnectionPool, type PoolLimits } from "./connection_pool.ts";
import { type DatagramFilter, type KeepAliveAnswer, Receiver, type TransportStats } from "./receiver.ts";
import { Sender } from "./sender.ts";
import { isReliable } from "../message/transports.ts";
import type { Runtime } from "../../base/runtime.ts";

export type { PoolLimits } from "./connection_pool.ts";
export type { DatagramFilter, KeepAliveAnswer, TransportStats } from "./receiver.ts";

export interface SipTransportOptions extends Partial<PoolLimits> {
  /** IP address to bind; `::` serves IPv4 as well. */
  readonly bind: string;
  /** Wanted port; 0: any. */
  readonly port: number;
  /** Take the next port that is free for UDP and TCP when the wanted one is taken; the log says so. */
  readonly fallback: boolean;
  /** How long opening a TCP connection may take; default 5 s. */
  readonly connectMs?: number;
  /** The same for a large request meant for UDP, which has a second chance; default 2 s. */
  readonly switchMs?: number;
}

const DEFAULTS = {
  maxConnections: 512,
  maxPerHost: 64,
  idleMs: 600_000,
  messageMs: 32_000,
  connectMs: 5_000,
  switchMs: 2_000,
} as const;

export class SipTransport implements AsyncDisposable {
  /** Takes messages; requests have `received` and `rport` filled in. What it throws is logged. */
  onMessage: ((message: SipMessage, flow: Flow) => void) | null = null;
  /** Judges bad traffic; while it is null everything is answered. */
  filter: DatagramFilter | null = null;
  /** A TCP connection ended without our doing. */
  onBroken: ((flow: Flow, reason: string) => void) | null = null;
  onKeepAliveAnswer: ((answer: KeepAliveAnswer, flow: Flow) => void) | null = null;
  readonly #log: Logger;
  readonly #wire: Logger;
  readonly #scope: Scope;
  readonly #sockets: SipSockets;
  readonly #receiver: Receiver;
  readonly #pool: ConnectionPool;
  readonly #sender: Sender;
  #closed = false;

  /** Binds and starts to receive. TransportError when the port cannot be had. */
  static open(options: SipTransportOptions, env: Pick<Runtime, "clock" | "log">): SipTransport {
    return new SipTransport({ ...DEFAULTS, ...options }, env);
  }

  private constructor(options: Required<SipTransportOptions>, env: Pick<Runtime, "clock" | "log">) {
    const { clock } = env;
    const log = this.#log = env.log.category("sip");
    this.#wire = env.log.category("sip.wire");
    const scope = this.#scope = new Scope("sip transport", { log });
    const onError = (error: Error) => log.warn("SIP connection not accepted", error);
    this.#sockets = openSipSockets({ ...options, signal: scope.signal, onError });
    this.#receiver = new Receiver({
      clock,
      log,
      filter: () => this.filter,
      onMessage: (message, flow) => this.onMessage?.(message, flow),
      answer: (response, flow) => void this.send(response, targetOf(flow)),
      answerStun: (bytes, flow) => this.#sockets.udp.send(bytes, flow.remote),
      onKeepAliveAnswer: (answer, flow) => this.onKeepAliveAnswer?.(answer, flow),
    });
    const onBroken = (flow: Flow, reason: string) => this.#broken(flow, reason);
    this.#pool = new ConnectionPool(options, { clock, scope, outlets: this.#receiver, onBroken });
    const { connectMs, switchMs } = options;
    this.#sender = new Sender({ udp: this.#sockets.udp, pool: this.#pool, clock, log, connectMs, switchMs });
    this.#start(options.port);
  }

  get port(): number {
    return this.local.port;
  }

  /** The bound address and port. */
  get local(): Endpoint {
    return this.#sockets.udp.local;
  }

  /** Counters since the start. */
  get stats(): Readonly<TransportStats> {
    return this.#receiver.stats;
  }

  get connections(): number {
    return this.#pool.size;
  }

  #start(wantedPort: number): void {
    const { udp, accepted } = this.#sockets;
    if (wantedPort !== 0 && this.port !== wantedPort) {
      this.#log.warn(`SIP port ${wantedPort} is taken, using ${this.port} instead`);
    }
    udp.onError = (error) => this.#log.error("internal error: SIP datagram", error);
    const receive = (bytes: Uint8Array, remote: Endpoint) =>
      this.#receiver.datagram(bytes, { transport: "udp", remote, local: udp.local, connectionId: 0 });
    this.#scope.spawn("udp", () => udp.run(receive));
    this.#scope.spawn("tcp", () => this.#accept(accepted));
  }

  async #accept(accepted: AsyncGenerator<TcpConnection, void, void>): Promise<void> {
    for await (const stream of accepted) {
      if (this.#closed) stream.close();
      else this.#pool.add(stream);
    }
  }

  #broken(flow: Flow, reason: string): void {
    this.#log.debug(`SIP connection with ${formatEndpoint(flow.remote)} ended: ${reason}`);
    try {
      this.onBroken?.(flow, reason);
    } catch (error) {
      this.#log.error("internal error: end of a SIP connection", error);
    }
  }

  /**
   * Sends a message. Never rejects: what went wrong is in the outcome. The message is read before this returns.
   *
   * Requests go to the target; one of more than 1300 bytes meant for UDP goes by TCP if that works (the Via on the
   * wire says so, `message` stays as it is; the outcome tells the transport used). Responses follow their topmost
   * Via over UDP, and `target.flow` over TCP; `target.endpoint` counts for them when the Via gives no address.
   */
  async send(message: SipMessage, target: Target): Promise<SendOutcome> {
    if (this.#closed) return { type: "failed", reason: "the SIP transport is closed" };
    if (this.#wire.enabled("debug")) {
      this.#wire.debug(`sent to ${formatTarget(target)}: ${messageTitle(message)}\n${messageText(message)}`);
    }
    const outcome = await this.#sender.send(message, target);
    if (outcome.type === "sent") this.#receiver.stats.sent++;
    else {this.#log.debug(
        `sending ${messageTitle(message)} to ${formatTarget(target)} failed`,
        outcome.reason,
      );}
    return outcome;
  }

  /**
   * Keeps the way to `target` open: `bytes` over UDP, CRLFCRLF over TCP. Opens no connection: false without one.
   * What comes back is told to onKeepAliveAnswer.
   */
  sendKeepAlive(bytes: Uint8Array, target: Target): boolean {
    return !this.#closed && this.#sender.keepAlive(bytes, target);
  }

  /** Closes the TCP connection to this place, if there is one, as if the peer had: onBroken is told. */
  abandon(target: Target): void {
    if (isReliable(target.transport)) this.#pool.find(target.endpoint, target.flow)?.close();
  }

  /** Sends what is unsent over TCP (a second at most), closes everything and waits for all tasks. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await this.#pool.close();
    this.#sockets.udp.close();
    await this.#scope.close();
  }
}

/** Ports tried after the wanted one. */
const FALLBACK_PORTS = 100;
/** Tries to find a free pair when the system chooses (port 0). */
const ANY_PORT_TRIES = 20;

/** Connections that wait for the system to take their bytes: slower peers than this are closed. */
const SEND_LIMITS = { softUnsent: 256 * 1024, hardUnsent: 1024 * 1024 } as const;

export interface SipSockets {
  readonly udp: UdpSocket;
  /** Accepted TCP connections, until the signal aborts. */
  readonly accepted: AsyncGenerator<TcpConnection, void, void>;
}

/** What is bound, and how. */
interface SipSocketOptions {
  /** IP address to bind; `::` serves IPv4 as well. */
  readonly bind: string;
  /** Wanted port; 0: any. */
  readonly port: number;
  /** Take the next free port when the wanted one is taken. */
  readonly fallback: boolean;
  readonly signal: AbortSignal;
  /** Told of connections that failed while being accepted. */
  readonly onError: (error: TransportError) => void;
}

/** Binds both sockets. TransportError when it cannot be done; nothing is left bound then. */
export function openSipSockets(options: SipSocketOptions): SipSockets {
  const tries = options.port === 0 ? ANY_PORT_TRIES : options.fallback ? FALLBACK_PORTS + 1 : 1;
  for (let attempt = 0;; attempt++) {
    const port = options.port === 0 ? 0 : options.port + attempt;
    try {
      return bindBoth(port, options);
    } catch (error) {
      const taken = error instanceof TransportError && error.code === "addr-in-use";
      if (!taken || attempt + 1 >= tries || port >= 65535) throw error;
    }
  }
}

function bindBoth(port: number, options: SipSocketOptions): SipSockets {
  const udp = UdpSocket.bind({ hostname: options.bind, port }, { inTurns: true });
  const local = udp.local;
  let listening = false;
  const { signal, onError } = options;
  const onListening = () => listening = true;
  const accepted = listenTcp(local, { signal, onError, onListening, ...SEND_LIMITS });
  // The generator listens in its first step, before it waits for anything.
  const first = accepted.next();
  if (listening) return { udp, accepted: startingWith(first, accepted) };
  udp.close();
  first.catch(ignore);
  throw new TransportError(`TCP port ${local.port} of ${local.hostname} is taken`, "addr-in-use");
}

/** Why the listener failed is known already: UDP could be bound there, so the TCP port is taken. */
function ignore(): void {}

async function* startingWith(
  first: Promise<IteratorResult<TcpConnection, void>>,
  rest: AsyncGenerator<TcpConnection, void, void>,
): AsyncGenerator<TcpConnection, void, void> {
  const result = await first;
  if (result.done) return;
  yield result.value;
  yield* rest;
}
