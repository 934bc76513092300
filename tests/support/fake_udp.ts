// A network of UDP sockets in memory that loses, delays, reorders and repeats packets by a seed.
// Time is the test's clock: packets with a delay arrive when it is advanced, others in a microtask.
// Role: edge

import type { Clock } from "../../lib/base/clock.ts";
import { TransportError } from "../../lib/base/errors.ts";
import { type Random, seededRandom } from "../../lib/base/random.ts";
import { type Endpoint, formatEndpoint, isUnspecified } from "../../lib/net/endpoint.ts";
import type { RtpPortPair } from "../../lib/net/rtp_ports.ts";
import type { UdpSocket } from "../../lib/net/udp.ts";
import type { Datagram } from "./udp_packets.ts";

/** What the network does to packets. */
export interface FakeUdpOptions {
  /** Needed when there is any delay. */
  clock?: Clock;
  /** Decides all that is random; default 1. */
  seed?: number;
  /** Share of packets lost, 0 to 1. */
  loss?: number;
  /** Share of packets delivered twice. */
  duplication?: number;
  /** Every packet takes so long. */
  delayMs?: number;
  /** Up to so much longer, which reorders. */
  jitterMs?: number;
}

/** Holds the sockets; each test makes its own. */
export class FakeUdpNetwork {
  /** May be changed while it runs. */
  readonly options: FakeUdpOptions;
  /** Packets the network lost on purpose. */
  lost = 0;
  /** Packets for which nobody was bound. */
  undeliverable = 0;
  readonly #random: Random;
  readonly #sockets = new Map<string, FakeUdpSocket>();
  #nextPort = 20000;

  /** Starts without sockets. */
  constructor(options: FakeUdpOptions = {}) {
    this.options = options;
    this.#random = seededRandom(options.seed ?? 1);
  }

  /** How many sockets are open. */
  get size(): number {
    return this.#sockets.size;
  }

  /** As UdpSocket.bind: port 0 gives the next free one, a taken port throws "addr-in-use". */
  bind(at: Endpoint): FakeUdpSocket {
    const port = at.port === 0 ? this.#freePort() : at.port;
    const local = { hostname: at.hostname, port };
    if (this.#sockets.has(formatEndpoint(local))) {
      throw new TransportError(`Cannot bind UDP ${formatEndpoint(local)}: taken`, "addr-in-use");
    }
    const socket = new FakeUdpSocket(this, local);
    this.#sockets.set(formatEndpoint(local), socket);
    return socket;
  }

  /** A pair as RtpPorts gives it. */
  bindPair(hostname: string): RtpPortPair {
    this.#nextPort += this.#nextPort % 2;
    const rtp = this.bind({ hostname, port: 0 });
    const rtcp = this.bind({ hostname, port: rtp.local.port + 1 });
    const release = (): void => {
      rtp.close();
      rtcp.close();
    };
    return { rtp, rtcp, earlier: null, heard: null, [Symbol.dispose]: release };
  }

  /** Takes a packet from a socket. */
  carry(bytes: Uint8Array, from: Endpoint, to: Endpoint): void {
    if (this.#random.float() < (this.options.loss ?? 0)) return void this.lost++;
    const copies = this.#random.float() < (this.options.duplication ?? 0) ? 2 : 1;
    for (let i = 0; i < copies; i++) this.#deliverLater(bytes.slice(), from, to);
  }

  /** Forgets a closed socket. */
  release(local: Endpoint): void {
    this.#sockets.delete(formatEndpoint(local));
  }

  #deliverLater(bytes: Uint8Array, from: Endpoint, to: Endpoint): void {
    const ms = (this.options.delayMs ?? 0) + this.#random.float() * (this.options.jitterMs ?? 0);
    const deliver = (): void => this.#deliver(bytes, from, to);
    if (ms > 0 && this.options.clock !== undefined) this.options.clock.after(ms, deliver);
    else queueMicrotask(deliver);
  }

  #deliver(bytes: Uint8Array, from: Endpoint, to: Endpoint): void {
    const any = to.hostname.includes(":") ? "::" : "0.0.0.0";
    const socket = this.#sockets.get(formatEndpoint(to)) ??
      this.#sockets.get(formatEndpoint({ hostname: any, port: to.port }));
    if (socket === undefined) this.undeliverable++;
    else socket.deliver({ bytes, from });
  }

  #freePort(): number {
    while ([...this.#sockets.values()].some((socket) => socket.local.port === this.#nextPort)) {
      this.#nextPort++;
    }
    return this.#nextPort++;
  }
}

/** One socket of the network; packets that nobody reads wait for the reader. */
export class FakeUdpSocket implements UdpSocket {
  /** Where it is bound. */
  readonly local: Endpoint;
  /** As UdpSocket. */
  sendErrors = 0;
  /** As UdpSocket. */
  receiveErrors = 0;
  /** As UdpSocket. */
  handlerErrors = 0;
  /** As UdpSocket. */
  onError: ((error: unknown) => void) | null = null;
  /** Everything sent, in order, also what was lost. */
  readonly sent: { readonly bytes: Uint8Array; readonly to: Endpoint }[] = [];
  readonly #network: FakeUdpNetwork;
  readonly #waiting: Datagram[] = [];
  #onPacket: ((bytes: Uint8Array, from: Endpoint) => void) | null = null;
  #wake: (() => void) | null = null;
  #closed = false;

  /** Made by FakeUdpNetwork.bind. */
  constructor(network: FakeUdpNetwork, local: Endpoint) {
    this.#network = network;
    this.local = local;
  }

  /** Whether close() was called. */
  get closed(): boolean {
    return this.#closed;
  }

  /** As UdpSocket: packets are handed over as they arrive. */
  async run(onPacket: (bytes: Uint8Array, from: Endpoint) => void): Promise<void> {
    this.#onPacket = onPacket;
    for (const { bytes, from } of this.#waiting.splice(0)) this.#hand(bytes, from);
    while (!this.#closed) await new Promise<void>((resolve) => this.#wake = resolve);
  }

  /** As UdpSocket. */
  send(bytes: Uint8Array, to: Endpoint): void {
    if (this.#closed) return;
    this.sent.push({ bytes: bytes.slice(), to: { hostname: to.hostname, port: to.port } });
    const hostname = isUnspecified(this.local.hostname) ? to.hostname : this.local.hostname;
    this.#network.carry(bytes, { hostname, port: this.local.port }, to);
  }

  /** As UdpSocket. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#network.release(this.local);
    this.#wake?.();
  }

  /** Same as close(). */
  [Symbol.dispose](): void {
    this.close();
  }

  /** The network brings a packet. */
  deliver(packet: Datagram): void {
    if (this.#closed) return;
    if (this.#onPacket !== null) return this.#hand(packet.bytes, packet.from);
    this.#waiting.push(packet);
    this.#wake?.();
  }

  /** The bytes are spoilt afterwards, as a reused receive buffer would: who keeps them must copy. */
  #hand(bytes: Uint8Array, from: Endpoint): void {
    try {
      this.#onPacket!(bytes, from);
    } catch (error) {
      this.handlerErrors++;
      this.onError?.(error);
    }
    bytes.fill(0xee);
  }
}
