// Pairs of UDP ports for RTP and RTCP: RTP even, RTCP the next odd one (RFC 3550 11).
// Ports rotate through the range and rest after use, so that a late packet of the last call does not
// meet the next one; a port taken by another program is passed over.
// Deno permissions: --allow-net for the addresses used; needs the unstable net flag.
// Role: edge
// Answers to: RTPNetwork's port choice in siprtmp, which counted up and failed on the first busy port.

import type { Clock } from "../base/clock.ts";
import { ConfigError, TransportError } from "../base/errors.ts";
import { type Endpoint, formatEndpoint } from "./endpoint.ts";
import { type UdpOptions, UdpSocket } from "./udp.ts";

/** How long a pair rests after use, unless told otherwise. */
const DEFAULT_COOL_DOWN_MS = 2_000;

/** Longest RTP or RTCP packet: a jumbo frame. */
const MAX_PACKET = 9216;

/**
 * What nearly every packet is shorter than: an Ethernet frame carries 1472 bytes, 200 ms of G.711 are 1612. Thousands
 * of sockets hold a buffer of this size; one that meets a longer packet makes room for jumbo frames.
 */
const USUAL_RTP_PACKET = 2047;

/** Pictures in single NAL units may be longer from the first on, and that one would be part of a key frame. */
const USUAL_VIDEO_PACKET = MAX_PACKET;

/** The same for RTCP: two reports and a description take about 150 bytes. */
const USUAL_RTCP_PACKET = 511;

/** Opens one socket. */
type BindSocket = (at: Endpoint, options: UdpOptions) => UdpSocket;

/** Tries when the system chooses the ports. */
const ANY_PORT_TRIES = 64;

/** Two sockets on neighbouring ports; disposing closes both and lets the ports rest. */
export interface RtpPortPair extends Disposable {
  /** The even port. */
  readonly rtp: UdpSocket;
  /** The odd port above it. */
  readonly rtcp: UdpSocket;
}

/** Which ports may be used. */
export interface RtpPortRange {
  /** First port; 0 with max 0: any pair the system has free (tests). */
  min: number;
  /** Last port, inclusive. */
  max: number;
  /** How long a pair rests after use, in ms; default 2000. */
  coolDownMs?: number;
}

/** Gives out port pairs of one range. */
export class RtpPorts {
  readonly #first: number;
  readonly #pairs: number;
  readonly #coolDownMs: number;
  readonly #clock: Clock;
  readonly #inUse = new Set<number>();
  readonly #restsUntilMs = new Map<number, number>();
  readonly #bind: BindSocket;
  #next = 0;

  /**
   * Opens nothing yet. Throws {@link ConfigError} when the range holds no pair.
   * @param bind opens one socket: see sockets.ts; tests have their own
   */
  constructor(options: RtpPortRange, clock: Clock, bind: BindSocket = UdpSocket.bind) {
    this.#first = options.min + options.min % 2;
    this.#pairs = options.max === 0 ? 0 : Math.floor((options.max - this.#first + 1) / 2);
    if (options.max !== 0 && (this.#pairs < 1 || options.min < 1 || options.max > 65535)) {
      throw new ConfigError(
        `RTP ports ${options.min}-${options.max} hold no pair of an even and an odd port`,
      );
    }
    this.#coolDownMs = options.coolDownMs ?? DEFAULT_COOL_DOWN_MS;
    this.#clock = clock;
    this.#bind = bind;
  }

  /** How many pairs are open. */
  get inUse(): number {
    return this.#inUse.size;
  }

  /**
   * Binds the next free pair on `hostname`. Throws {@link TransportError}: "addr-in-use" when every pair is
   * taken or resting, other codes when the address itself cannot be bound.
   */
  bindPair(hostname: string, kind: "audio" | "video" = "audio"): RtpPortPair {
    const usual = kind === "video" ? USUAL_VIDEO_PACKET : USUAL_RTP_PACKET;
    if (this.#pairs === 0) return this.#bindAnyPair(hostname, usual);
    for (let tried = 0; tried < this.#pairs; tried++) {
      const port = this.#first + 2 * this.#next;
      this.#next = (this.#next + 1) % this.#pairs;
      const pair = this.#isFree(port) ? this.#tryPair(hostname, port, usual) : null;
      if (pair !== null) return pair;
    }
    const range = `${this.#first}-${this.#first + 2 * this.#pairs - 1}`;
    throw new TransportError(`All ${this.#pairs} RTP port pairs of ${range} are in use`, "addr-in-use");
  }

  #isFree(port: number): boolean {
    if (this.#inUse.has(port)) return false;
    const untilMs = this.#restsUntilMs.get(port);
    if (untilMs !== undefined && this.#clock.now() < untilMs) return false;
    this.#restsUntilMs.delete(port);
    return true;
  }

  /** Null when another program holds one of the two. */
  #tryPair(hostname: string, port: number, usual: number): RtpPortPair | null {
    const rtp = this.#tryBind({ hostname, port }, usual);
    return rtp === null ? null : this.#completePair(rtp);
  }

  #completePair(rtp: UdpSocket): RtpPortPair | null {
    using half = new DisposableStack();
    half.use(rtp);
    const above = { hostname: rtp.local.hostname, port: rtp.local.port + 1 };
    const rtcp = this.#tryBind(above, USUAL_RTCP_PACKET);
    if (rtcp === null) return null;
    half.move();
    return this.#createPair(rtp, rtcp);
  }

  #tryBind(at: Endpoint, usualReceived: number): UdpSocket | null {
    try {
      return this.#bindOne(at, usualReceived);
    } catch (error) {
      if (error instanceof TransportError && error.code === "addr-in-use") return null;
      throw error;
    }
  }

  #bindOne(at: Endpoint, usualReceived: number): UdpSocket {
    return this.#bind(at, { maxReceived: MAX_PACKET, usualReceived, inTurns: true });
  }

  #createPair(rtp: UdpSocket, rtcp: UdpSocket): RtpPortPair {
    const port = rtp.local.port;
    this.#inUse.add(port);
    let open = true;
    const release = (): void => {
      if (!open) return;
      open = false;
      rtp.close();
      rtcp.close();
      this.#inUse.delete(port);
      this.#restsUntilMs.set(port, this.#clock.now() + this.#coolDownMs);
    };
    return { rtp, rtcp, [Symbol.dispose]: release };
  }

  /** Keeps the sockets that do not fit until the end, or the system would offer the same port again. */
  #bindAnyPair(hostname: string, usual: number): RtpPortPair {
    using misfits = new DisposableStack();
    for (let tried = 0; tried < ANY_PORT_TRIES; tried++) {
      const rtp = this.#bindOne({ hostname, port: 0 }, usual);
      const even = rtp.local.port % 2 === 0 && this.#isFree(rtp.local.port);
      const pair = even ? this.#completePair(rtp) : null;
      if (pair !== null) return pair;
      misfits.defer(() => rtp.close());
    }
    const at = formatEndpoint({ hostname, port: 0 });
    throw new TransportError(`No free RTP port pair on ${at} after ${ANY_PORT_TRIES} tries`, "addr-in-use");
  }
}
