// UDP sockets by the system calls of Linux, for those who allow it (--allow-ffi). All sockets of a thread are looked at
// together, every millisecond while there are any: a packet costs two calls and nothing of the runtime, and is at most
// that much later. A call copies, so one buffer receives for all sockets, and sending needs none.
//
//   tick -> epoll_wait: who has something? -> recvfrom, onPacket, for each -> once more, until nobody has, 8 times at most
//
// Role: edge
// Answers to: multitask.recvfrom and RTPNetwork of siprtmp.

import { viewOf } from "../base/bytes.ts";
import { type Clock, systemClock } from "../base/clock.ts";
import { TransportError } from "../base/errors.ts";
import { type Endpoint, formatEndpoint } from "./endpoint.ts";
import { EPOLL_EVENT, LINUX, type LinuxCalls } from "./linux_calls.ts";
import { AF_INET, decodeSockaddr, encodeSockaddr, SOCKADDR_LENGTH, sockaddrKey } from "./sockaddr.ts";
import { deliverPacket, MAX_PAYLOAD, MAX_RECEIVE_FAILURES, type UdpOptions, type UdpSocket } from "./udp.ts";

/** Time between two looks. */
const TICK_MS = 1;

/** Sockets that one look tells of. */
const MAX_EVENTS = 256;

/** Packets that one socket may have per tick: a flood on it waits, as in turn.ts. */
const MAX_ROUNDS = 8;

/** Asked for each socket; the system gives what it allows (net.core.rmem_max). */
const RECEIVE_BUFFER = 1024 * 1024;

const RECEIVE_FLAGS = LINUX.dontWait | LINUX.wholeLength;

/** errno(3): there is nothing (any more), e.g. a packet with a bad checksum. */
const EAGAIN = 11;

const REASONS: ReadonlyMap<number, readonly [TransportError["code"], string]> = new Map([
  [98, ["addr-in-use", "the port is in use"]],
  [99, ["unreachable", "this machine has no such address"]],
  [13, ["failed", "permission denied"]],
  [24, ["failed", "too many open files"]],
]);

/** A socket that can be watched. */
export interface Watched {
  /** Its file descriptor. */
  readonly fd: number;
  /** Where it is bound. */
  readonly local: Endpoint;
  /** The system has a packet for it. */
  receive(): void;
  /** As {@link UdpSocket}. */
  close(): void;
}

/** The sockets of one thread. */
export class LinuxUdp implements Disposable {
  readonly #calls: LinuxCalls;
  readonly #clock: Clock;
  readonly #epoll: number;
  readonly #events = new Uint8Array(EPOLL_EVENT.length * MAX_EVENTS);
  readonly #view = new DataView(this.#events.buffer);
  /** By file descriptor. */
  readonly #sockets: (Watched | undefined)[] = [];
  #running = 0;
  #timer: Disposable | null = null;
  #closed = false;
  readonly #tick = (): void => {
    this.#timer = null;
    try {
      this.#look();
    } finally {
      this.#arm();
    }
  };

  /** Owns the calls, whether it can use them or not. Throws {@link TransportError}. */
  constructor(calls: LinuxCalls, clock: Clock = systemClock) {
    this.#calls = calls;
    this.#clock = clock;
    this.#epoll = calls.epollCreate(LINUX.epollCloseOnExec);
    if (this.#epoll >= 0) return;
    const error = failure("Cannot watch UDP sockets", calls);
    calls[Symbol.dispose]();
    throw error;
  }

  /** Binds to an IPv4 address; port 0 lets the system choose. Throws {@link TransportError}. */
  bind(at: Endpoint, options: UdpOptions = {}): UdpSocket {
    const attempt = `Cannot bind UDP ${formatEndpoint(at)}`;
    const address = encodeSockaddr(at);
    if (address === null) throw new TransportError(`${attempt}: not an IPv4 address`, "failed");
    const calls = this.#calls;
    const fd = calls.socket(AF_INET, LINUX.datagramSocket, 0);
    if (fd < 0) throw failure(attempt, calls);
    calls.setsockopt(fd, LINUX.solSocket, LINUX.soReceiveBuffer, Int32Array.of(RECEIVE_BUFFER), 4);
    const bound = calls.bind(fd, address, SOCKADDR_LENGTH) === 0 &&
      calls.getsockname(fd, address, Uint32Array.of(SOCKADDR_LENGTH)) === 0;
    if (bound) return new LinuxUdpSocket(this, calls, { fd, local: decodeSockaddr(address), options });
    const error = failure(attempt, calls);
    calls.close(fd);
    throw error;
  }

  /** Looks at this socket, too, from now on. */
  watch(socket: Watched): void {
    const event = new Uint8Array(EPOLL_EVENT.length);
    const view = new DataView(event.buffer);
    view.setUint32(0, LINUX.epollIn, true);
    view.setInt32(EPOLL_EVENT.dataAt, socket.fd, true);
    if (this.#calls.epollControl(this.#epoll, LINUX.epollAdd, socket.fd, event) < 0) {
      throw failure(`Cannot receive on UDP ${formatEndpoint(socket.local)}`, this.#calls);
    }
    this.#sockets[socket.fd] = socket;
    this.#running++;
    this.#arm();
  }

  /** The socket is about to be closed. */
  forget(socket: Watched): void {
    if (this.#sockets[socket.fd] !== socket) return;
    this.#sockets[socket.fd] = undefined;
    if (--this.#running > 0) return;
    this.#timer?.[Symbol.dispose]();
    this.#timer = null;
  }

  /** Closes all sockets that run; those that do not are closed by their owners, before. */
  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const socket of this.#sockets) socket?.close();
    this.#calls.close(this.#epoll);
    this.#calls[Symbol.dispose]();
  }

  #arm(): void {
    if (this.#running > 0 && this.#timer === null) this.#timer = this.#clock.after(TICK_MS, this.#tick);
  }

  #look(): void {
    for (let round = 0; round < MAX_ROUNDS && !this.#closed; round++) {
      const count = this.#calls.epollWait(this.#epoll, this.#events, MAX_EVENTS, 0);
      if (count <= 0) return;
      for (let i = 0; i < count; i++) {
        const fd = this.#view.getInt32(i * EPOLL_EVENT.length + EPOLL_EVENT.dataAt, true);
        this.#sockets[fd]?.receive(); // one that was closed by a packet before it has no place any more
      }
    }
  }
}

/** Receives for all sockets of this thread, one packet at a time; one octet to spare tells what was too long. */
const shared = new Uint8Array(MAX_PAYLOAD + 1);
let sharedView = shared;
const sharedFrom = new Uint8Array(SOCKADDR_LENGTH);
const sharedFromLength = new Uint32Array(1);

const NOBODY: Endpoint = { hostname: "", port: 0 };

interface Bound {
  readonly fd: number;
  readonly local: Endpoint;
  readonly options: UdpOptions;
}

class LinuxUdpSocket implements UdpSocket, Watched {
  readonly fd: number;
  readonly local: Endpoint;
  sendErrors = 0;
  receiveErrors = 0;
  handlerErrors = 0;
  onError: ((error: unknown) => void) | null = null;
  readonly #owner: LinuxUdp;
  readonly #calls: LinuxCalls;
  readonly #maxReceived: number;
  #onPacket: ((bytes: Uint8Array, from: Endpoint) => void) | null = null;
  #ended: PromiseWithResolvers<void> | null = null;
  /** Where the last packet went, and the same for the system. */
  #lastTo = NOBODY;
  #lastAddress = new Uint8Array(SOCKADDR_LENGTH);
  /** Who sent the last packet, and the number of that address. */
  #lastFrom = NOBODY;
  #lastKey = -1;
  #receiveFailures = 0;
  #closed = false;

  constructor(owner: LinuxUdp, calls: LinuxCalls, { fd, local, options }: Bound) {
    this.#owner = owner;
    this.#calls = calls;
    this.fd = fd;
    this.local = local;
    this.#maxReceived = options.maxReceived ?? MAX_PAYLOAD;
  }

  async run(onPacket: (bytes: Uint8Array, from: Endpoint) => void): Promise<void> {
    if (this.#closed) return;
    this.#onPacket = onPacket;
    this.#owner.watch(this);
    await (this.#ended = Promise.withResolvers<void>()).promise;
  }

  send(bytes: Uint8Array<ArrayBuffer>, to: Endpoint): void {
    if (this.#closed) return;
    if (to !== this.#lastTo && !this.#isReachable(to)) return void this.sendErrors++;
    const { length } = bytes;
    const { dontWait } = LINUX;
    const sent = this.#calls.sendto(this.fd, bytes, length, dontWait, this.#lastAddress, SOCKADDR_LENGTH);
    if (sent !== length) this.sendErrors++;
  }

  /** The system has a packet for us. */
  receive(): void {
    sharedFromLength[0] = SOCKADDR_LENGTH;
    const calls = this.#calls;
    const length = calls.recvfrom(
      this.fd,
      shared,
      shared.length,
      RECEIVE_FLAGS,
      sharedFrom,
      sharedFromLength,
    );
    if (length < 0) return this.#receiveFailed();
    this.#receiveFailures = 0;
    if (length > this.#maxReceived) return void this.receiveErrors++;
    sharedView = viewOf(shared, 0, length, sharedView);
    deliverPacket(this, this.#onPacket!, sharedView, this.#sender());
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#owner.forget(this);
    this.#calls.close(this.fd);
    this.#ended?.resolve();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #receiveFailed(): void {
    if (this.#calls.errno() === EAGAIN) return;
    this.receiveErrors++;
    if (++this.#receiveFailures < MAX_RECEIVE_FAILURES) return;
    const error = failure(`Cannot receive on UDP ${formatEndpoint(this.local)}`, this.#calls);
    this.#ended!.reject(error);
    this.close();
  }

  /** Remembers whom the next packets go to. */
  #isReachable(to: Endpoint): boolean {
    const last = this.#lastTo;
    if (last.port !== to.port || last.hostname !== to.hostname) {
      const address = encodeSockaddr(to);
      if (address === null) return false;
      this.#lastAddress = address;
    }
    this.#lastTo = to;
    return true;
  }

  /** The same object for packets of the same sender. */
  #sender(): Endpoint {
    const key = sockaddrKey(sharedFrom);
    if (key === this.#lastKey) return this.#lastFrom;
    this.#lastKey = key;
    return this.#lastFrom = decodeSockaddr(sharedFrom);
  }
}

function failure(attempt: string, calls: LinuxCalls): TransportError {
  const errno = calls.errno();
  const [code, reason] = REASONS.get(errno) ?? ["failed", `error ${errno}`] as const;
  return new TransportError(`${attempt}: ${reason}`, code);
}
