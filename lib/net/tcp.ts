// TCP: an accept generator, and connections that read into the caller's buffer and write from their own. One write is
// in flight per connection; what is put meanwhile is gathered behind it (out_buffer.ts), so a peer that reads slowly
// costs memory up to a bound and then its connection, never a wait.
// Role: edge

import { delay, systemClock } from "../base/clock.ts";
import { TransportError } from "../base/errors.ts";
import { type SendLimits, SocketStream } from "./byte_stream.ts";
import { type Endpoint, formatEndpoint, isIpAddress, unmapAddress } from "./endpoint.ts";
import { isClosedHere, transportError } from "./out_buffer.ts";

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
export class TcpConnection extends SocketStream {
  readonly #conn: Deno.TcpConn;
  readonly #onRead = (count: number | null): number | null => this.closed ? this.ending.told() : count;
  readonly #onReadFailure = (error: unknown): null => {
    if (this.closed || isClosedHere(error)) return this.ending.told();
    throw transportError(`Connection to ${this.name} broke`, error);
  };

  constructor(conn: Deno.TcpConn, limits: SendLimits = {}) {
    super({ peer: endpointOf(conn.remoteAddr), local: endpointOf(conn.localAddr) }, limits);
    this.#conn = conn;
    setSocketOptions(conn);
  }

  read(into: Uint8Array): Promise<number | null> {
    if (this.closed) return this.readAfterEnd();
    return this.#conn.read(into).then(this.#onRead, this.#onReadFailure);
  }

  write(bytes: Uint8Array): Promise<number> {
    return this.#conn.write(bytes);
  }

  protected closeSocket(): void {
    this.#conn.close();
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

/** The first pause in milliseconds; each further one in a row is twice as long. */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 1_000;

const TOLD_EVERY_MS = 60_000;

/** What the operating system says when it is out of file descriptors or memory for sockets, and what to do. */
const SHORTAGES: readonly (readonly [reason: string, remedy: string])[] = [
  ["Too many open files in ", "raise the limit of the machine (fs.file-max)"],
  ["Too many open files", "raise the limit of the process (ulimit -n, LimitNOFILE)"],
  ["No buffer space available", "the machine is short of memory for sockets"],
  ["Cannot allocate memory", "the machine is short of memory"],
];

export class AcceptFailures {
  readonly #now: () => number;
  readonly #tell: ((error: TransportError) => void) | undefined;
  #pauseMs = FIRST_PAUSE_MS;
  #toldAtMs = Number.NEGATIVE_INFINITY;
  #untold = 0;

  /** None yet. @param now milliseconds that only go on @param tell where the lines go */
  constructor(now: () => number, tell: ((error: TransportError) => void) | undefined) {
    this.#now = now;
    this.#tell = tell;
  }

  /** Another one: the milliseconds to wait before the next attempt. */
  failed(error: TransportError): number {
    const nowMs = this.#now();
    if (nowMs - this.#toldAtMs >= TOLD_EVERY_MS) {
      this.#tell?.(this.#line(error));
      this.#toldAtMs = nowMs;
      this.#untold = 0;
    } else this.#untold++;
    const pauseMs = this.#pauseMs;
    this.#pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS);
    return pauseMs;
  }

  succeeded(): void {
    this.#pauseMs = FIRST_PAUSE_MS;
  }

  #line(error: TransportError): TransportError {
    const remedy = SHORTAGES.find(([reason]) => error.message.includes(reason))?.[1];
    const advice = remedy === undefined ? "" : `; accepting pauses: ${remedy}`;
    const before = this.#untold === 0 ? "" : ` (and ${this.#untold} times before)`;
    return new TransportError(`${error.message}${before}${advice}`, error.code, { cause: error });
  }
}
