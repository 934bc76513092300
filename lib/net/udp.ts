// UDP sockets: one reused receive buffer, sends that copy and never wait. Sends must not share a buffer (the runtime
// does not copy, a burst would be overwritten): each packet has one of a pool until it has left. Deno permissions:
// --allow-net for the addresses used; needs the unstable net flag.
// Role: edge

import { systemClock } from "../base/clock.ts";
import { TransportError } from "../base/errors.ts";
import { BufferPool, isClosedHere, transportError } from "./out_buffer.ts";
import { type Endpoint, formatEndpoint, isIpAddress, unmapAddress } from "./endpoint.ts";

export interface UdpOptions {
  /** Longest packet in bytes, 65507 unless given; longer ones are dropped and counted. */
  maxReceived?: number;
  /**
   * What nearly all packets are shorter than; the receive buffer takes that much memory for the life of the
   * socket. The first packet that is as long or longer is dropped and counted; from then on there is room for
   * `maxReceived`. Unless given: `maxReceived` at once.
   */
  usualReceived?: number;
  /** True: a flood of packets here does not delay other sockets, see ReadBudget; for sockets anybody may send to. */
  inTurns?: boolean;
}

/** A bound UDP socket; the fakes of the tests have the same shape. */
export interface UdpSocket extends Disposable {
  /** The bound address; the real port when 0 was asked for. */
  readonly local: Endpoint;
  /** Packets that could not be sent (no route, too long, not an IP address). */
  readonly sendErrors: number;
  /** Receive calls that failed while the socket lived on (ICMP errors on some systems), packets too long, failed onError. */
  readonly receiveErrors: number;
  readonly handlerErrors: number;
  onError: ((error: unknown) => void) | null;
  /**
   * Hands each packet to `onPacket` until the socket is closed; the bytes are borrowed until it returns.
   * A handler that throws is counted and reported, the socket lives. Once.
   * Throws {@link TransportError} only when receiving fails again and again.
   */
  run(onPacket: (bytes: Uint8Array, from: Endpoint) => void): Promise<void>;
  /** Copies and sends, without waiting; failures are counted. `to` must be an IP address. */
  send(bytes: Uint8Array, to: Endpoint): void;
  /** Closes at once; may be called again. Receiving ends normally. */
  close(): void;
}

/** The largest UDP payload over IPv4. */
export const MAX_PAYLOAD = 65507;

/** Shared by every socket of this thread. */
const pool = new BufferPool();

const NOBODY: Endpoint = { hostname: "", port: 0 };

const now = (): number => systemClock.now();

/** A timer, because only a program with nothing to do asks the system about all of its sockets. */
function afterOthers(): Promise<void> {
  return new Promise((resolve) => systemClock.after(1, resolve));
}

/** Receive failures in a row after which the socket counts as broken. */
export const MAX_RECEIVE_FAILURES = 100;

/** What run() goes on with, packet by packet: a coroutine that waits for hours would cost more memory. */
interface Running {
  readonly onPacket: (bytes: Uint8Array, from: Endpoint) => void;
  readonly ended: PromiseWithResolvers<void>;
  buffer: Uint8Array;
}

class DenoUdpSocket implements UdpSocket {
  readonly local: Endpoint;
  sendErrors = 0;
  receiveErrors = 0;
  handlerErrors = 0;
  onError: ((error: unknown) => void) | null = null;
  readonly #socket: Deno.DatagramConn;
  readonly #maxReceived: number;
  readonly #usualReceived: number;
  readonly #ipv6: boolean;
  readonly #onSendError = (_error: unknown): void => {
    if (!this.#closed) this.sendErrors++;
  };
  readonly #turn: ReadBudget | null;
  #running: Running | null = null;
  /** Where the last packet went, and the same for the runtime. */
  #lastTo = NOBODY;
  #lastAddress: Deno.NetAddr = { transport: "udp", ...NOBODY };
  /** Who sent the last packet, and the name the runtime has for it. */
  #lastFrom = NOBODY;
  #lastName = "";
  #receiveFailures = 0;
  #closed = false;
  readonly #receiveNext = (): void => {
    void this.#socket.receive(this.#running!.buffer).then(this.#onReceived, this.#onReceiveError);
  };
  readonly #onReceived = (received: [Uint8Array, Deno.Addr]): void => this.#take(received);
  readonly #onReceiveError = (error: unknown): void => this.#goOnAfter(error);

  constructor(at: Endpoint, options: UdpOptions) {
    const { maxReceived = MAX_PAYLOAD, usualReceived = maxReceived } = options;
    this.#turn = options.inTurns === true ? new ReadBudget() : null;
    this.#maxReceived = maxReceived;
    this.#usualReceived = Math.min(usualReceived, maxReceived);
    this.#socket = openSocket(at);
    const { hostname, port } = this.#socket.addr as Deno.NetAddr;
    this.local = { hostname, port };
    this.#ipv6 = hostname.includes(":");
  }

  run(onPacket: (bytes: Uint8Array, from: Endpoint) => void): Promise<void> {
    const ended = Promise.withResolvers<void>();
    this.#running = { onPacket, ended, buffer: this.#createBuffer() };
    this.#receiveNext();
    return ended.promise;
  }

  send(bytes: Uint8Array, to: Endpoint): void {
    if (this.#closed) return;
    if (to !== this.#lastTo && !this.#isReachable(to)) return void this.sendErrors++;
    if (bytes.length > MAX_PAYLOAD) return void this.sendErrors++;
    const copy = pool.take(bytes.length);
    copy.bytes.set(bytes);
    // The buffer of a packet that fails is left to the collector: the runtime may still hold it.
    this.#socket.send(copy.view(0, bytes.length), this.#lastAddress).then(copy.release, this.#onSendError);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #take(received: [Uint8Array, Deno.Addr]): void {
    const running = this.#running!;
    if (this.#closed) return running.ended.resolve();
    this.#receiveFailures = 0;
    const bytes = received[0];
    if (bytes.length < running.buffer.length) {
      deliverPacket(this, running.onPacket, bytes, this.#senderOf(received[1] as Deno.NetAddr));
    } else running.buffer = this.#largerThan(running.buffer);
    if (this.#turn !== null && this.#turn.isOver(now)) void afterOthers().then(this.#receiveNext);
    else this.#receiveNext();
  }

  #goOnAfter(error: unknown): void {
    const { ended } = this.#running!;
    try {
      this.#receiveFailed(error);
    } catch (failure) {
      return ended.reject(failure);
    }
    if (this.#closed) ended.resolve();
    else this.#receiveNext();
  }

  /** One byte to spare: a packet that fills it was longer than that and has lost its end. */
  #createBuffer(): Uint8Array {
    return new Uint8Array(this.#usualReceived + 1);
  }

  /** The packet that filled the buffer is lost; the next one as long is not, if it may be that long. */
  #largerThan(buffer: Uint8Array): Uint8Array {
    this.receiveErrors++;
    return buffer.length > this.#maxReceived ? buffer : new Uint8Array(this.#maxReceived + 1);
  }

  /** Closed by us is the end; otherwise one failure is counted, and many in a row break the socket. */
  #receiveFailed(error: unknown): void {
    if (this.#closed || isClosedHere(error)) return;
    this.receiveErrors++;
    if (++this.#receiveFailures < MAX_RECEIVE_FAILURES) return;
    this.close();
    throw transportError(`Cannot receive on UDP ${formatEndpoint(this.local)}`, error);
  }

  /** Remembers whom the next packets go to. A name would be looked up by the runtime, for each packet: refused. */
  #isReachable(to: Endpoint): boolean {
    const { hostname, port } = to;
    const last = this.#lastTo;
    if (last.port !== port || last.hostname !== hostname) {
      if (!isIpAddress(hostname)) return false;
      this.#lastAddress = { transport: "udp", hostname, port };
    }
    this.#lastTo = to;
    return true;
  }

  /**
   * The same object for packets of the same sender: what the runtime hands out is slow to look into. A socket bound
   * to :: meets IPv4 senders as ::ffff:192.0.2.1.
   */
  #senderOf(from: Deno.NetAddr): Endpoint {
    const { hostname: name, port } = from;
    if (this.#lastFrom.port === port && this.#lastName === name) return this.#lastFrom;
    this.#lastName = name;
    return this.#lastFrom = { hostname: this.#ipv6 ? unmapAddress(name) : name, port };
  }
}

/** Hands a packet over. Time stands still meanwhile; what the handler throws, or who is told of it, ends nothing. */
export function deliverPacket(
  socket: Pick<UdpSocket, "onError"> & { handlerErrors: number; receiveErrors: number },
  onPacket: (bytes: Uint8Array, from: Endpoint) => void,
  bytes: Uint8Array,
  from: Endpoint,
): void {
  systemClock.hold();
  try {
    onPacket(bytes, from);
  } catch (error) {
    socket.handlerErrors++;
    tellOf(error, socket);
  } finally {
    systemClock.release();
  }
}

function tellOf(error: unknown, socket: Pick<UdpSocket, "onError"> & { receiveErrors: number }): void {
  try {
    socket.onError?.(error);
  } catch (_failure) {
    socket.receiveErrors++; // there is nobody else to tell
  }
}

export const UdpSocket: {
  /** Binds to an IP address; port 0 lets the system choose. Throws {@link TransportError}. */
  bind(at: Endpoint, options?: UdpOptions): UdpSocket;
} = {
  bind: (at, options = {}) => new DenoUdpSocket(at, options),
};

function openSocket(at: Endpoint): Deno.DatagramConn {
  const attempt = `Cannot bind UDP ${formatEndpoint(at)}`;
  if (!isIpAddress(at.hostname)) throw new TransportError(`${attempt}: not an IP address`, "failed");
  try {
    return Deno.listenDatagram({ transport: "udp", hostname: at.hostname, port: at.port });
  } catch (error) {
    throw transportError(attempt, error);
  }
}

/** Packets after which the time is looked at. */
export const TURN_PACKETS = 32;

/** So many packets in less than this are a flood, or as good as one: 8000 a second. */
export const TURN_MS = 4;

/** Counts the packets of one socket, or whatever else may come in floods. */
export class ReadBudget {
  readonly #turnPackets: number;
  readonly #turnMs: number;
  #packets = 0;
  #sinceMs = 0;

  /** So many in less than so much time are a flood. */
  constructor(packets: number = TURN_PACKETS, ms: number = TURN_MS) {
    this.#turnPackets = packets;
    this.#turnMs = ms;
  }

  /** One more packet was handled; true: let the others go first. @param now asked once in a turn */
  isOver(now: () => number): boolean {
    if (++this.#packets < this.#turnPackets) return false;
    this.#packets = 0;
    const nowMs = now();
    const wasQuick = nowMs - this.#sinceMs < this.#turnMs;
    this.#sinceMs = nowMs;
    return wasQuick;
  }
}
