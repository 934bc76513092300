// UDP sockets by the system calls of Linux, for those who allow it: a packet costs two calls and nothing of the runtime.
// A call copies, so one buffer receives for all sockets, and sending needs none.
// Role: edge

import { viewOf } from "../../base/bytes.ts";
import { TransportError } from "../../base/errors.ts";
import { decodeIp, type Endpoint, formatEndpoint } from "../endpoint.ts";
import { EAGAIN, LINUX, type LinuxCalls, linuxFailure, type LinuxPoll, type Watched } from "./calls.ts";
import { deliverPacket, MAX_PAYLOAD, MAX_RECEIVE_FAILURES, type UdpOptions, type UdpSocket } from "../udp.ts";

/** Asked for each socket; the system gives what it allows (net.core.rmem_max). */
const RECEIVE_BUFFER = 1024 * 1024;

/** Binds to an IPv4 address; port 0 lets the system choose. Throws {@link TransportError}. */
export function bindLinuxUdp(poll: LinuxPoll, at: Endpoint, options: UdpOptions = {}): UdpSocket {
  const attempt = `Cannot bind UDP ${formatEndpoint(at)}`;
  const address = encodeSockaddr(at);
  if (address === null) throw new TransportError(`${attempt}: not an IPv4 address`, "failed");
  const { calls } = poll;
  const fd = calls.socket(AF_INET, LINUX.datagramSocket, 0);
  if (fd < 0) throw linuxFailure(attempt, calls);
  calls.setsockopt(fd, LINUX.socketLevel, LINUX.receiveBuffer, Int32Array.of(RECEIVE_BUFFER), 4);
  const bound = calls.bind(fd, address, SOCKADDR_LENGTH) === 0 &&
    calls.getsockname(fd, address, Uint32Array.of(SOCKADDR_LENGTH)) === 0;
  if (bound) return new LinuxUdpSocket(poll, { fd, local: decodeSockaddr(address), options });
  const error = linuxFailure(attempt, calls);
  calls.close(fd);
  throw error;
}

export const SOCKADDR_LENGTH = 16;

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
  readonly local: Endpoint;
  sendErrors = 0;
  receiveErrors = 0;
  handlerErrors = 0;
  onError: ((error: unknown) => void) | null = null;
  readonly #fd: number;
  readonly #poll: LinuxPoll;
  readonly #calls: LinuxCalls;
  readonly #maxReceived: number;
  #onPacket: ((bytes: Uint8Array, from: Endpoint) => void) | null = null;
  #ended: PromiseWithResolvers<void> | null = null;
  /** Where the last packet went, and the same for the system. */
  #lastTo = NOBODY;
  #lastAddress = new Uint8Array(SOCKADDR_LENGTH);
  #lastFrom = NOBODY;
  #lastKey = -1;
  #receiveFailures = 0;
  #closed = false;

  constructor(poll: LinuxPoll, { fd, local, options }: Bound) {
    this.#poll = poll;
    this.#calls = poll.calls;
    this.#fd = fd;
    this.local = local;
    this.#maxReceived = options.maxReceived ?? MAX_PAYLOAD;
  }

  async run(onPacket: (bytes: Uint8Array, from: Endpoint) => void): Promise<void> {
    if (this.#closed) return;
    this.#onPacket = onPacket;
    this.#poll.watch(this.#fd, LINUX.epollIn, this);
    await (this.#ended = Promise.withResolvers<void>()).promise;
  }

  send(bytes: Uint8Array, to: Endpoint): void {
    if (this.#closed) return;
    if (to !== this.#lastTo && !this.#isReachable(to)) return void this.sendErrors++;
    const { length } = bytes;
    const address = this.#lastAddress;
    const sent = this.#calls.sendto(this.#fd, bytes, length, LINUX.dontWait, address, SOCKADDR_LENGTH);
    if (sent !== length) this.sendErrors++;
  }

  ready(): boolean {
    sharedFromLength[0] = SOCKADDR_LENGTH;
    const { wholePacket } = LINUX;
    const calls = this.#calls;
    const length = calls.recvfrom(this.#fd, shared, shared.length, wholePacket, sharedFrom, sharedFromLength);
    if (length < 0) return this.#receiveFailed();
    this.#receiveFailures = 0;
    if (length > this.#maxReceived) {
      this.receiveErrors++;
      return true;
    }
    sharedView = viewOf(shared, 0, length, sharedView);
    deliverPacket(this, this.#onPacket!, sharedView, this.#sender());
    return true;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#poll.unwatch(this.#fd);
    this.#calls.close(this.#fd);
    this.#ended?.resolve();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** A packet with a bad checksum is nothing; many failures in a row break the socket. */
  #receiveFailed(): boolean {
    if (this.#calls.errno() === EAGAIN) return false;
    this.receiveErrors++;
    if (++this.#receiveFailures < MAX_RECEIVE_FAILURES) return true;
    this.#ended!.reject(linuxFailure(`Cannot receive on UDP ${formatEndpoint(this.local)}`, this.#calls));
    this.close();
    return true;
  }

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

  #sender(): Endpoint {
    const key = sockaddrKey(sharedFrom);
    if (key === this.#lastKey) return this.#lastFrom;
    this.#lastKey = key;
    return this.#lastFrom = decodeSockaddr(sharedFrom);
  }
}

export const AF_INET = 2;

/** Null for what is not an IPv4 address in text form. */
export function encodeSockaddr({ hostname, port }: Endpoint): Uint8Array<ArrayBuffer> | null {
  const ip = decodeIp(hostname);
  if (ip?.length !== 4) return null;
  const bytes = new Uint8Array(SOCKADDR_LENGTH);
  bytes[0] = AF_INET; // little-endian hosts only, and Deno runs on no others
  bytes[2] = port >> 8;
  bytes[3] = port & 0xff;
  bytes.set(ip, 4);
  return bytes;
}

export function decodeSockaddr(bytes: Uint8Array): Endpoint {
  return {
    hostname: `${bytes[4]}.${bytes[5]}.${bytes[6]}.${bytes[7]}`,
    port: bytes[2]! << 8 | bytes[3]!,
  };
}

/** One number for address and port, equal when both are. */
export function sockaddrKey(bytes: Uint8Array): number {
  const port = bytes[2]! << 8 | bytes[3]!;
  return port * 0x1_0000_0000 + bytes[4]! * 0x100_0000 + (bytes[5]! << 16 | bytes[6]! << 8 | bytes[7]!);
}
