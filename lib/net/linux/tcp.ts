// TCP connections by the system calls of Linux, like those of tcp.ts. What can be sent is sent at once, from the bytes
// of the caller; the rest waits in an OutBuffer until there is room. What has come is read when the poll says so,
// straight into the reader's buffer.
// Role: edge

import { delay, systemClock } from "../../base/clock.ts";
import { TransportError } from "../../base/errors.ts";
import { AcceptFailures, type ListenOptions } from "../tcp.ts";
import { type Endpoint, formatEndpoint } from "../endpoint.ts";
import { EAGAIN, LINUX, type LinuxCalls, linuxFailure, type LinuxPoll, type Watched } from "./calls.ts";
import { AF_INET, decodeSockaddr, encodeSockaddr, SOCKADDR_LENGTH } from "./udp.ts";
import { type ByteStream, type SendLimits, SocketStream } from "../byte_stream.ts";

/** A connection that nobody reads is looked at so often before it is left alone. */
const UNREAD_LOOKS = 16;

const YES = Int32Array.of(1);

export interface ConnectedSocket {
  readonly fd: number;
  readonly peer: Endpoint;
  readonly local: Endpoint;
}

export class LinuxTcpConnection extends SocketStream implements Watched {
  readonly #poll: LinuxPoll;
  readonly #calls: LinuxCalls;
  readonly #fd: number;
  /** The events it is watched for; 0: it is not. */
  #watchedFor = 0;
  #into: Uint8Array | null = null;
  #resolveRead: (count: number | null) => void = () => {};
  #rejectRead: (error: unknown) => void = () => {};
  readonly #startRead = (resolve: (count: number | null) => void, reject: (error: unknown) => void): void => {
    this.#resolveRead = resolve;
    this.#rejectRead = reject;
  };
  #unreadLooks = 0;
  #writing: { readonly bytes: Uint8Array; readonly done: PromiseWithResolvers<number> } | null = null;

  constructor(poll: LinuxPoll, { fd, peer, local }: ConnectedSocket, limits: SendLimits) {
    super({ peer, local }, limits);
    this.#poll = poll;
    this.#calls = poll.calls;
    this.#fd = fd;
    this.#calls.setsockopt(fd, LINUX.tcpLevel, LINUX.noDelay, YES, 4);
    this.#calls.setsockopt(fd, LINUX.socketLevel, LINUX.keepAlive, YES, 4);
  }

  read(into: Uint8Array): Promise<number | null> {
    if (this.closed) return this.readAfterEnd();
    this.#into = into;
    const read = new Promise(this.#startRead);
    try {
      this.#watch();
    } catch (error) { // there are too many already
      this.#into = null;
      this.#rejectRead(error);
    }
    return read;
  }

  protected closeSocket(): void {
    this.#poll.unwatch(this.#fd);
    this.#calls.close(this.#fd);
    this.#writing?.done.reject(new TransportError(`Connection to ${this.name} was closed`, "closed"));
    this.#writing = null;
    this.#endRead();
  }

  /** For the OutBuffer. See {@link Writable}. */
  override writeNow(bytes: Uint8Array): number {
    const count = this.#calls.send(this.#fd, bytes, bytes.length, LINUX.noSignal);
    if (count >= 0) return count;
    if (this.#calls.errno() === EAGAIN) return 0;
    throw linuxFailure(`Cannot write to ${this.name}`, this.#calls);
  }

  /** For the OutBuffer, when there was no room. */
  write(bytes: Uint8Array): Promise<number> {
    const done = Promise.withResolvers<number>();
    this.#writing = { bytes, done };
    this.#watch();
    return done.promise;
  }

  ready(events: number): boolean {
    const wrote = this.#writing !== null && (events & ~LINUX.epollIn) !== 0 && this.#writeWaiting();
    const read = !this.closed && (events & ~LINUX.epollOut) !== 0 && this.#readWaiting();
    return wrote || read;
  }

  #writeWaiting(): boolean {
    const { bytes, done } = this.#writing!;
    try {
      const count = this.writeNow(bytes);
      if (count === 0) return false;
      done.resolve(count);
    } catch (error) {
      done.reject(error);
    }
    this.#writing = null;
    this.#watch();
    return true;
  }

  /** Nobody reads (a client that sends too much is made to wait): the system is asked less about it, then not at all. */
  #readWaiting(): boolean {
    const into = this.#into;
    if (into === null) {
      if (++this.#unreadLooks === UNREAD_LOOKS) this.#watch();
      return false;
    }
    const count = this.#calls.recv(this.#fd, into, into.length, LINUX.dontWait);
    if (count < 0 && this.#calls.errno() === EAGAIN) return false;
    this.#into = null;
    if (count > 0) this.#resolveRead(count);
    else if (count === 0) this.#resolveRead(null);
    else this.#rejectRead(linuxFailure(`Connection to ${this.name} broke`, this.#calls));
    return true;
  }

  #endRead(): void {
    if (this.#into === null) return;
    this.#into = null;
    try {
      this.#resolveRead(this.ending.told());
    } catch (error) {
      this.#rejectRead(error);
    }
  }

  /** Watches for what is waited for; reading on is what usually happens next, so that is not given up at once. */
  #watch(): void {
    if (this.closed) return;
    const reads = this.#into !== null || this.#unreadLooks < UNREAD_LOOKS;
    const events = (reads ? LINUX.epollIn : 0) | (this.#writing !== null ? LINUX.epollOut : 0);
    if (this.#into !== null) this.#unreadLooks = 0;
    if (events === this.#watchedFor) return;
    if (events === 0) this.#poll.unwatch(this.#fd);
    else this.#poll.watch(this.#fd, events, this);
    this.#watchedFor = events;
  }
}

const BACKLOG = 1024;

/**
 * Yields connections until the signal aborts; then the listener is closed. Throws {@link TransportError} on the first
 * step when it cannot listen.
 */
export async function* listenLinuxTcp(
  poll: LinuxPoll,
  at: Endpoint,
  options: ListenOptions,
): AsyncGenerator<ByteStream, void, void> {
  const { signal } = options;
  if (signal.aborted) return;
  const listener = LinuxListener.open(poll, at, options.reusePort === true);
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

  static open(poll: LinuxPoll, at: Endpoint, reusePort: boolean): LinuxListener {
    const attempt = `Cannot listen on TCP ${formatEndpoint(at)}`;
    const address = encodeSockaddr(at);
    if (address === null) throw new TransportError(`${attempt}: not an IP address`, "failed");
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
