// TCP: an accept generator, and connections that read into the caller's buffer and write from their own. One write is
// in flight per connection; what is put meanwhile is gathered behind it (out_buffer.ts), so a peer that reads slowly
// costs memory up to a bound and then its connection, never a wait.
// Role: edge

import { delay, systemClock } from "../base/clock.ts";
import { TransportError } from "../base/errors.ts";
import { AcceptFailures } from "./accept_failures.ts";
import { EndOfStream, isClosedHere, OutBuffer, transportError } from "./out_buffer.ts";
import { type Endpoint, formatEndpoint, isIpAddress, unmapAddress } from "./endpoint.ts";

/** Bytes both ways. TcpConnection is one, the pipes of the tests are others. */
export interface ByteStream extends Disposable {
  readonly peer: Endpoint;
  readonly local: Endpoint;
  /**
   * Reads at least one byte into the front of `into` and says how many; null when the peer has ended or we
   * have closed. Throws {@link TransportError} when the connection broke or the peer was too slow.
   */
  read(into: Uint8Array): Promise<number | null>;
  /** Copies and sends; false when more than the soft mark is unsent now, or when closed. */
  put(bytes: Uint8Array): boolean;
  /** Bytes not yet taken by the operating system. */
  readonly unsent: number;
  /** Waits until all is sent; false when time is up or the connection ended before. */
  flush(withinMs: number): Promise<boolean>;
  /** Closes at once; may be called again. What is unsent is lost: flush() first. */
  close(): void;
}

/** Marks of the send queue, in bytes. */
export interface SendLimits {
  /** Above it put() returns false; default 256 KiB. */
  softUnsent?: number;
  /** Above it the connection is closed: the peer is too slow; default 4 MiB. */
  hardUnsent?: number;
}

export interface ListenOptions extends SendLimits {
  /** Ends the listening; accepted connections are not touched. */
  signal: AbortSignal;
  /** Told the real address once, also when port 0 was asked for. */
  onListening?: (local: Endpoint) => void;
  /** Told of connections that failed while being accepted (out of file descriptors, for one). */
  onError?: (error: TransportError) => void;
  reusePort?: boolean;
}

/** Whether several listeners can share a port here: only Linux spreads the connections over them. */
export const canSharePort: boolean = Deno.build.os === "linux";

/**
 * The port that would be bound, after making sure that it can be: who shares a port with `reusePort` is not told that
 * another program has it. Throws TransportError.
 */
export function probePort(at: Endpoint): number {
  const listener = openListener(at, false);
  const { port } = listener.addr;
  listener.close();
  return port;
}

/** Deno permissions: --allow-net for the addresses used; reusePort needs the unstable net flag. */
export class TcpConnection implements ByteStream {
  readonly peer: Endpoint;
  readonly local: Endpoint;
  readonly #conn: Deno.TcpConn;
  readonly #out: OutBuffer;
  #closed = false;
  readonly #end = new EndOfStream();
  readonly #onRead = (count: number | null): number | null => this.#closed ? this.#end.told() : count;
  readonly #onReadFailure = (error: unknown): null => {
    if (this.#closed || isClosedHere(error)) return this.#end.told();
    throw transportError(`Connection to ${this.#name()} broke`, error);
  };

  constructor(conn: Deno.TcpConn, limits: SendLimits = {}) {
    this.#conn = conn;
    this.peer = endpointOf(conn.remoteAddr);
    this.local = endpointOf(conn.localAddr);
    this.#out = new OutBuffer(limits, {
      to: conn,
      overflow: (unsent) =>
        this.#fail(new TransportError(`${this.#name()} is too slow: ${unsent} bytes unsent`, "timeout")),
      failed: (error) => this.#fail(transportError(`Cannot write to ${this.#name()}`, error)),
    });
    setSocketOptions(conn);
  }

  /** Bytes not yet taken by the operating system. */
  get unsent(): number {
    return this.#out.unsent;
  }

  get closed(): boolean {
    return this.#closed;
  }

  read(into: Uint8Array): Promise<number | null> {
    if (this.#closed) return this.#readAfterEnd();
    return this.#conn.read(into).then(this.#onRead, this.#onReadFailure);
  }

  put(bytes: Uint8Array): boolean {
    return this.#out.put(bytes);
  }

  flush(withinMs: number): Promise<boolean> {
    return this.#out.flush(withinMs);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#out.close();
    this.#conn.close();
  }

  /** Same as close(). */
  [Symbol.dispose](): void {
    this.close();
  }

  #fail(failure: TransportError): void {
    if (this.#closed) return;
    this.#end.failed(failure);
    this.close();
  }

  async #readAfterEnd(): Promise<null> {
    await Promise.resolve(); // as late as any read
    return this.#end.told();
  }

  #name(): string {
    return formatEndpoint(this.peer);
  }
}

/**
 * Yields connections until the signal aborts; then the listener is closed. Throws {@link TransportError}
 * on the first step when it cannot listen.
 */
export async function* listenTcp(
  at: Endpoint,
  options: ListenOptions,
): AsyncGenerator<TcpConnection, void, void> {
  const { signal } = options;
  if (signal.aborted) return;
  const listener = openListener(at, options.reusePort === true);
  const failures = new AcceptFailures(() => systemClock.now(), options.onError);
  let open = true;
  const close = (): void => {
    if (open) listener.close();
    open = false;
  };
  signal.addEventListener("abort", close, { once: true });
  try {
    options.onListening?.(endpointOf(listener.addr));
    while (open) {
      const accepted = await acceptOne(listener, options);
      if (!(accepted instanceof TransportError)) {
        failures.succeeded();
        yield accepted;
      } else if (open) await delay(systemClock, failures.failed(accepted), signal);
    }
  } finally {
    signal.removeEventListener("abort", close);
    close();
  }
}

/** Connects; throws {@link TransportError}, also (code "closed") when the signal aborts. */
export async function connectTcp(
  to: Endpoint,
  signal?: AbortSignal,
  limits?: SendLimits,
): Promise<TcpConnection> {
  const attempt = `Cannot connect to ${formatEndpoint(to)}`;
  if (isAborted(signal)) throw new TransportError(`${attempt}: given up`, "closed");
  try {
    const conn = await Deno.connect({ hostname: to.hostname, port: to.port, ...(signal && { signal }) });
    const connection = new TcpConnection(conn, limits);
    if (!isAborted(signal)) return connection;
    connection.close();
    throw new TransportError(`${attempt}: given up`, "closed");
  } catch (error) {
    if (isAborted(signal)) {
      throw new TransportError(`${attempt}: given up`, "closed", { cause: error });
    }
    throw transportError(attempt, error);
  }
}

function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true;
}

function openListener(at: Endpoint, reusePort: boolean): Deno.TcpListener {
  const attempt = `Cannot listen on TCP ${formatEndpoint(at)}`;
  if (!isIpAddress(at.hostname)) throw new TransportError(`${attempt}: not an IP address`, "failed");
  try {
    return Deno.listen({ hostname: at.hostname, port: at.port, ...(reusePort && { reusePort }) });
  } catch (error) {
    throw transportError(attempt, error);
  }
}

async function acceptOne(
  listener: Deno.TcpListener,
  limits: SendLimits,
): Promise<TcpConnection | TransportError> {
  try {
    return new TcpConnection(await listener.accept(), limits);
  } catch (error) {
    return transportError("Cannot accept a connection", error);
  }
}

/** The peer may be gone already; its read will say so. */
function setSocketOptions(conn: Deno.TcpConn): void {
  try {
    conn.setNoDelay(true);
    conn.setKeepAlive(true);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
  }
}

function endpointOf(address: Deno.NetAddr): Endpoint {
  return { hostname: unmapAddress(address.hostname), port: address.port };
}
