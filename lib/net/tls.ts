// TLS: an accept generator like listenTcp, whose certificate can be exchanged while it runs. It stands on node:tls
// because Deno.listenTls can neither switch off Nagle's algorithm nor take another certificate
// (docs/decisions/tls.md).
// Role: edge

import type { Socket } from "node:net";
import { createServer, type Server, type TLSSocket } from "node:tls";
import { systemClock } from "../base/clock.ts";
import { ConfigError, messageOf, TransportError } from "../base/errors.ts";
import { Mailbox } from "../base/mailbox.ts";
import { AcceptFailures, type ListenOptions } from "./tcp.ts";
import { type Endpoint, formatEndpoint, isIpAddress, unmapAddress } from "./endpoint.ts";
import { transportError } from "./out_buffer.ts";
import { type SendLimits, SocketStream } from "./byte_stream.ts";
import { readTlsPem, type TlsPem } from "./tls_pem.ts";

/**
 * The certificate in use: one value that listeners follow when it is replaced.
 *
 * Handshakes run beside each other, bounded in number and time; one that fails ends that connection and is told to
 * onError, never to the loop. Deno permissions: --allow-net for the address.
 */
export class TlsIdentity {
  #pem: TlsPem;
  readonly #followers = new Set<(pem: TlsPem) => void>();

  /** Throws {@link ConfigError} when the two cannot be used together. */
  constructor(pem: TlsPem) {
    this.#pem = usablePem(pem);
  }

  get pem(): TlsPem {
    return this.#pem;
  }

  /**
   * From now on connections get this one; those that exist are not touched. Throws {@link ConfigError}, and
   * keeps the old one, when it cannot be used.
   */
  replace(pem: TlsPem): void {
    this.#pem = usablePem(pem);
    for (const follow of this.#followers) follow(this.#pem);
  }

  /** Calls `run` on each replacement until the result is disposed. */
  follow(run: (pem: TlsPem) => void): Disposable {
    this.#followers.add(run);
    return { [Symbol.dispose]: () => void this.#followers.delete(run) };
  }
}

export interface ListenTlsOptions extends ListenOptions {
  identity: TlsIdentity;
  /** A handshake that takes longer ends its connection; default 10 s. */
  handshakeMs?: number;
}

const HANDSHAKE_MS = 10_000;

/** Handshakes at a time; one more ends the oldest, which an honest peer would have finished by then. */
const MAX_HANDSHAKES = 256;

/** Connections that may wait for the consumer of the generator. */
const MAX_WAITING = 64;

/**
 * Yields connections, their handshakes done, until the signal aborts; then the listener is closed. Throws
 * {@link TransportError} on the first step when it cannot listen.
 */
export async function* listenTls(
  at: Endpoint,
  options: ListenTlsOptions,
): AsyncGenerator<TlsConnection, void, void> {
  const { signal } = options;
  if (signal.aborted) return;
  using door = new TlsListener(options);
  await door.open(at);
  const close = (): void => door[Symbol.dispose]();
  signal.addEventListener("abort", close, { once: true });
  if (signal.aborted) close();
  try {
    yield* door.accepted;
  } finally {
    signal.removeEventListener("abort", close);
  }
}

/** What the runtime says of a client that sends anything else than TLS. */
const NOT_TLS = /InvalidContentType|wrong version number/;

/** A listening server, its unfinished handshakes and its accepted connections. */
class TlsListener implements Disposable {
  readonly accepted = new Mailbox<TlsConnection>(MAX_WAITING);
  readonly #options: ListenTlsOptions;
  readonly #server: Server;
  readonly #following: Disposable;
  readonly #handshakes = new Set<Socket>();
  /** Clients that speak something else: told once a minute. */
  readonly #notTls: AcceptFailures;
  #closed = false;

  constructor(options: ListenTlsOptions) {
    const { identity, handshakeMs } = options;
    this.#options = options;
    this.#notTls = new AcceptFailures(() => systemClock.now(), options.onError);
    this.#server = createServer({
      ...contextOf(identity.pem),
      handshakeTimeout: handshakeMs ?? HANDSHAKE_MS,
      noDelay: true,
    });
    this.#following = identity.follow((pem) => this.#server.setSecureContext(contextOf(pem)));
    this.#server.on("connection", (raw: Socket) => this.#begin(raw));
    this.#server.on("secureConnection", (socket) => this.#finish(socket));
    this.#server.on("tlsClientError", (error, socket) => this.#refuse(error, socket));
  }

  open(at: Endpoint): Promise<void> {
    const attempt = `Cannot listen on TLS ${formatEndpoint(at)}`;
    if (!isIpAddress(at.hostname)) {
      throw new TransportError(`${attempt}: not an IP address`, "failed");
    }
    return new Promise((resolve, reject) => {
      this.#server.once("error", (error) => reject(bindError(attempt, error)));
      this.#server.listen({ host: at.hostname, port: at.port, exclusive: true }, () => {
        const failures = new AcceptFailures(() => systemClock.now(), this.#options.onError);
        this.#server.on(
          "error",
          (error) => void failures.failed(transportError("Cannot accept a connection", error)),
        );
        this.#options.onListening?.(this.#local());
        resolve();
      });
    });
  }

  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#following[Symbol.dispose]();
    for (const raw of this.#handshakes) raw.destroy();
    this.#server.close();
    this.accepted.close();
  }

  #begin(raw: Socket): void {
    const [oldest] = this.#handshakes;
    if (oldest !== undefined && this.#handshakes.size >= MAX_HANDSHAKES) oldest.destroy();
    this.#handshakes.add(raw);
    raw.once("close", () => this.#handshakes.delete(raw));
  }

  #finish(socket: TLSSocket): void {
    for (const raw of this.#handshakes) if (isSamePeer(raw, socket)) this.#handshakes.delete(raw);
    const connection = new TlsConnection(socket, this.#options);
    if (this.accepted.push(connection)) return;
    connection.close();
    if (!this.#closed) this.#tell("Dropped a connection", new Error("too many wait to be served"));
  }

  #refuse(error: Error, socket: TLSSocket): void {
    const peer = socket.remoteAddress === undefined ? "a peer" : unmapAddress(socket.remoteAddress);
    socket.destroy();
    if (this.#closed) return;
    if (!NOT_TLS.test(error.message)) return this.#tell(`TLS handshake with ${peer} failed`, error);
    this.#notTls.failed(new TransportError("A client without TLS came to the TLS port", "failed"));
  }

  #tell(attempt: string, error: Error): void {
    this.#options.onError?.(transportError(attempt, error));
  }

  #local(): Endpoint {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("the TLS server has no address");
    return { hostname: address.address, port: address.port };
  }
}

function isSamePeer(raw: Socket, socket: TLSSocket): boolean {
  return raw.remotePort === socket.remotePort && raw.remoteAddress === socket.remoteAddress;
}

function contextOf(pem: TlsPem): { cert: string; key: string; minVersion: "TLSv1.2" } {
  return { cert: pem.certificate, key: pem.privateKey, minVersion: "TLSv1.2" };
}

/** Without what we say ourselves: "listen EADDRINUSE: address already in use 127.0.0.1:443". */
function bindError(attempt: string, error: Error & { code?: string }): TransportError {
  const notOurs = error.code === "EINVAL"; // what the runtime says of an address this machine does not have
  const reason = notOurs
    ? "address not available"
    : error.message.replace(/^listen \w+: (.*?)(?: \S+:\d+)?$/s, "$1");
  return transportError(
    attempt,
    Object.assign(new Error(reason, { cause: error }), {
      code: notOurs ? "EADDRNOTAVAIL" : error.code,
    }),
  );
}

/** What is right as such may still be of a kind that the runtime does not know: its HTTP client looks without a socket. */
function usablePem(files: TlsPem): TlsPem {
  const pem = readTlsPem(files);
  try {
    Deno.createHttpClient({ cert: pem.certificate, key: pem.privateKey }).close();
  } catch (error) {
    throw new ConfigError(`the TLS certificate and key cannot be used: ${messageOf(error)}`);
  }
  return pem;
}

/** How long the closing alert (RFC 8446 6.1) may take to leave. */
const CLOSING_MS = 1_000;

export class TlsConnection extends SocketStream {
  readonly #socket: TLSSocket;
  #ended = false;
  #wake: (() => void) | null = null;

  constructor(socket: TLSSocket, limits: SendLimits = {}) {
    super(
      {
        peer: endpointOf(socket.remoteAddress, socket.remotePort),
        local: endpointOf(socket.localAddress, socket.localPort),
      },
      limits,
    );
    this.#socket = socket;
    socket.on("readable", () => this.#wake?.());
    socket.on("end", () => this.#end());
    socket.on("close", () => this.#end());
    socket.on("error", (error) => this.fail(transportError(`Connection to ${this.name} broke`, error)));
  }

  async read(into: Uint8Array): Promise<number | null> {
    for (;;) {
      if (this.closed) return this.ending.told();
      const count = this.#take(into);
      if (count > 0) return count;
      if (this.#ended) return this.ending.told();
      await new Promise<void>((resolve) => this.#wake = resolve);
      this.#wake = null;
    }
  }

  write(bytes: Uint8Array): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#socket.write(bytes, (error) => error ? reject(error) : resolve(bytes.length));
    });
  }

  protected closeSocket(allSent: boolean): void {
    this.#wake?.();
    if (allSent && !this.#socket.destroyed) this.#sayGoodbye();
    else this.#socket.destroy();
  }

  #sayGoodbye(): void {
    const timer = systemClock.after(CLOSING_MS, () => this.#socket.destroy());
    this.#socket.once("close", () => timer[Symbol.dispose]());
    this.#socket.destroySoon();
  }

  #take(into: Uint8Array): number {
    const count = Math.min(into.length, this.#socket.readableLength);
    const chunk: Uint8Array | null = this.#socket.read(count > 0 ? count : undefined);
    if (chunk === null) return 0;
    if (chunk.length > into.length) {
      this.#socket.unshift(chunk.subarray(into.length));
      into.set(chunk.subarray(0, into.length));
      return into.length;
    }
    into.set(chunk);
    return chunk.length;
  }

  #end(): void {
    this.#ended = true;
    this.#wake?.();
  }
}

/** The runtime knows no address any more when the peer left during the handshake. */
function endpointOf(hostname: string | undefined, port: number | undefined): Endpoint {
  return { hostname: unmapAddress(hostname ?? "0.0.0.0"), port: port ?? 0 };
}
