// Accepts TCP connections by the system calls of Linux: a generator like listenTcp. Nobody is accepted before the consumer
// asks for the next one.
// Role: edge

import { delay, systemClock } from "../../base/clock.ts";
import { TransportError } from "../../base/errors.ts";
import { AcceptFailures } from "../accept_failures.ts";
import { type Endpoint, formatEndpoint } from "../endpoint.ts";
import { EAGAIN, LINUX, linuxFailure } from "./calls.ts";
import type { LinuxPoll, Watched } from "./poll.ts";
import { LinuxTcpConnection } from "./tcp.ts";
import { AF_INET, decodeSockaddr, encodeSockaddr, SOCKADDR_LENGTH } from "./udp.ts";
import { type ByteStream, type ListenOptions, type SendLimits } from "../tcp.ts";

const BACKLOG = 1024;

const YES = Int32Array.of(1);

/**
 * Yields connections until the signal aborts; then the listener is closed. Throws {@link TransportError} on the first
 * step when it cannot listen.
 */
export async function* listenLinuxTcp(
  openPoll: () => LinuxPoll,
  at: Endpoint,
  options: ListenOptions,
): AsyncGenerator<ByteStream, void, void> {
  const { signal } = options;
  if (signal.aborted) return;
  const listener = LinuxListener.open(openPoll, at, options.reusePort === true);
  const failures = new AcceptFailures(() => systemClock.now(), options.onError);
  const close = (): void => listener.close();
  signal.addEventListener("abort", close, { once: true });
  try {
    options.onListening?.(listener.local);
    while (!listener.closed) {
      const accepted = listener.accept(options);
      if (accepted === null) await listener.acceptable();
      else if (accepted instanceof TransportError) {
        await delay(systemClock, failures.failed(accepted), signal);
      } else {
        failures.succeeded();
        yield accepted;
      }
    }
  } finally {
    signal.removeEventListener("abort", close);
    close();
  }
}

class LinuxListener implements Watched {
  readonly local: Endpoint;
  readonly #poll: LinuxPoll;
  readonly #fd: number;
  #waiting: PromiseWithResolvers<void> | null = null;
  #closed = false;

  private constructor(poll: LinuxPoll, fd: number, local: Endpoint) {
    this.#poll = poll;
    this.#fd = fd;
    this.local = local;
  }

  static open(openPoll: () => LinuxPoll, at: Endpoint, reusePort: boolean): LinuxListener {
    const attempt = `Cannot listen on TCP ${formatEndpoint(at)}`;
    const address = encodeSockaddr(at);
    if (address === null) throw new TransportError(`${attempt}: not an IP address`, "failed");
    const poll = openPoll();
    const { calls } = poll;
    const fd = calls.socket(AF_INET, LINUX.streamSocket, 0);
    if (fd < 0) throw linuxFailure(attempt, calls);
    calls.setsockopt(fd, LINUX.socketLevel, LINUX.reuseAddress, YES, 4);
    if (reusePort) calls.setsockopt(fd, LINUX.socketLevel, LINUX.reusePort, YES, 4);
    const listens = calls.bind(fd, address, SOCKADDR_LENGTH) === 0 && calls.listen(fd, BACKLOG) === 0 &&
      calls.getsockname(fd, address, Uint32Array.of(SOCKADDR_LENGTH)) === 0;
    if (listens) return new LinuxListener(poll, fd, decodeSockaddr(address));
    const error = linuxFailure(attempt, calls);
    calls.close(fd);
    throw error;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Null when nobody waits to be accepted. */
  accept(limits: SendLimits): LinuxTcpConnection | TransportError | null {
    const { calls } = this.#poll;
    const address = new Uint8Array(SOCKADDR_LENGTH);
    const length = Uint32Array.of(SOCKADDR_LENGTH);
    const fd = calls.accept(this.#fd, address, length, LINUX.acceptFlags);
    if (fd < 0) {
      return calls.errno() === EAGAIN ? null : linuxFailure("Cannot accept a connection", calls);
    }
    const peer = decodeSockaddr(address);
    const local = calls.getsockname(fd, address, length) === 0 ? decodeSockaddr(address) : this.local;
    return new LinuxTcpConnection(this.#poll, { fd, peer, local }, limits);
  }

  /** Resolves when somebody waits, or when it is closed. */
  async acceptable(): Promise<void> {
    this.#waiting = Promise.withResolvers();
    this.#poll.watch(this.#fd, LINUX.epollIn, this);
    await this.#waiting.promise;
  }

  ready(): boolean {
    this.#poll.unwatch(this.#fd);
    this.#waiting?.resolve();
    return true;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#poll.unwatch(this.#fd);
    this.#poll.calls.close(this.#fd);
    this.#waiting?.resolve();
  }
}
