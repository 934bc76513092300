// Pairs of UDP ports for RTP and RTCP: RTP even, RTCP the next odd one (RFC 3550 11). Ports are chosen by chance (RFC
// 6056 3.3.1): who wants to hear a call must not know where the next one will be.
// Role: edge

import type { Clock } from "../base/clock.ts";
import { ConfigError, TransportError } from "../base/errors.ts";
import { type Random, systemRandom } from "../base/random.ts";
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

type BindSocket = (at: Endpoint, options: UdpOptions) => UdpSocket;

/** Tries when the system chooses the ports. */
const ANY_PORT_TRIES = 64;

export interface HeardStream {
  readonly ssrc: number;
  readonly sequence: number;
  readonly atMs: number;
}

/** Two sockets on neighbouring ports; disposing closes both and lets the ports rest. */
export interface RtpPortPair extends Disposable {
  readonly rtp: UdpSocket;
  readonly rtcp: UdpSocket;
  /** What the call before heard on these ports; null: nothing. */
  readonly earlier: HeardStream | null;
  /** What this call heard, for the next one; whoever receives sets it before the end. */
  heard: HeardStream | null;
}

interface RtpPortRange {
  /** First port; 0 with max 0: any pair the system has free (tests). */
  min: number;
  max: number;
  /** How long a pair rests after use, in ms; default 2000. */
  coolDownMs?: number;
}

/**
 * Gives out port pairs of one range.
 *
 * They rest after use, and what was heard on one is remembered, so that packets of the last call do not meet the
 * next one; a port taken by another program is passed over. Deno permissions: --allow-net for the addresses used;
 * needs the unstable net flag.
 */
export class RtpPorts {
  readonly #first: number;
  readonly #pairs: number;
  readonly #coolDownMs: number;
  readonly #clock: Clock;
  readonly #inUse = new Set<number>();
  readonly #restsUntilMs = new Map<number, number>();
  readonly #heard = new Map<number, HeardStream>();
  readonly #bind: BindSocket;
  readonly #random: Random;

  /**
   * Opens nothing yet. Throws {@link ConfigError} when the range holds no pair.
   * @param bind opens one socket: see sockets.ts; tests have their own
   * @param random chooses the ports
   */
  constructor(
    options: RtpPortRange,
    clock: Clock,
    bind: BindSocket = UdpSocket.bind,
    random: Random = systemRandom,
  ) {
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
    this.#random = random;
  }

  get inUse(): number {
    return this.#inUse.size;
  }

  /**
   * Binds a free pair on `hostname`. Throws {@link TransportError}: "addr-in-use" when every pair is
   * taken or resting, other codes when the address itself cannot be bound.
   */
  bindPair(hostname: string, kind: "audio" | "video" = "audio"): RtpPortPair {
    const usual = kind === "video" ? USUAL_VIDEO_PACKET : USUAL_RTP_PACKET;
    if (this.#pairs === 0) return this.#bindAnyPair(hostname, usual);
    const start = Math.floor(this.#random.float() * this.#pairs);
    for (let tried = 0; tried < this.#pairs; tried++) {
      const port = this.#first + 2 * ((start + tried) % this.#pairs);
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
      if (pair.heard !== null) this.#heard.set(port, pair.heard);
    };
    const earlier = this.#heard.get(port) ?? null;
    this.#heard.delete(port);
    const pair: RtpPortPair = { rtp, rtcp, earlier, heard: null, [Symbol.dispose]: release };
    return pair;
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
