// RTP port pairs on loopback whose sending side loses and reorders packets by a seed, as a bad network does.
// Role: edge

import type { Random } from "../../lib/base/random.ts";
import type { Endpoint } from "../../lib/net/endpoint.ts";
import type { RtpPortPair, RtpPorts } from "../../lib/net/rtp_ports.ts";
import type { UdpSocket } from "../../lib/net/udp.ts";

/** What the network does. */
export interface LossyOptions {
  readonly random: Random;
  /** Share of packets lost. */
  readonly loss: number;
  /** Share of packets that come late, so that later ones overtake them. */
  readonly late: number;
  /** How late. */
  readonly lateMs: number;
}

/** A packet that was lost. */
export interface LostPacket {
  readonly atMs: number;
  readonly payloadType: number;
}

/** Port pairs of a bad network. */
export class LossyPorts {
  /** Nothing is lost or late before it is set. */
  bad = false;
  /** What was lost, in order. */
  readonly lost: LostPacket[] = [];
  /** How many packets came late. */
  late = 0;
  readonly #ports: RtpPorts;
  readonly #options: LossyOptions;

  constructor(ports: RtpPorts, options: LossyOptions) {
    this.#ports = ports;
    this.#options = options;
  }

  /** As RtpPorts. RTCP arrives: what is asked for is no part of the measurement. */
  bindPair(hostname: string): RtpPortPair {
    const pair = this.#ports.bindPair(hostname);
    const { rtp } = pair;
    const send = rtp.send.bind(rtp);
    rtp.send = (bytes, to) => this.#pass(bytes, to, send);
    return pair;
  }

  #pass(bytes: Uint8Array, to: Endpoint, send: UdpSocket["send"]): void {
    const { random, loss, late, lateMs } = this.#options;
    if (!this.bad) return send(bytes, to);
    const chance = random.float();
    if (chance < loss) {
      this.lost.push({ atMs: performance.now(), payloadType: bytes[1]! & 0x7f });
    } else if (chance < loss + late) {
      this.late++;
      const copy = bytes.slice();
      const where = { hostname: to.hostname, port: to.port };
      setTimeout(() => send(copy, where), lateMs);
    } else send(bytes, to);
  }
}
