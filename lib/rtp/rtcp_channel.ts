// The RTCP side of one session: whose packets to believe and where ours go, the report timer, feedback both ways,
// and the goodbye. RFC 3550 6.3, RFC 4585, RFC 5104 4.3.1; addresses as RFC 3605 and RFC 4961 have them.
// Role: machine
// Answers to: the RTCP half of p2p-sip's RTPSession.

import type { Clock } from "../base/clock.ts";
import { WireError } from "../base/errors.ts";
import { type Endpoint, sameAddress, sameEndpoint } from "../net/endpoint.ts";
import type { RemoteLock } from "./remote_lock.ts";
import type { Reporter, SenderClock } from "./reporter.ts";
import { decodeRtcp, type RtcpPacket } from "./rtcp.ts";
import { encodeRtcp } from "./rtcp_encoder.ts";
import type { RtpSource } from "./source.ts";

/** What the peer says over RTCP. */
export type RtcpEvent =
  | {
    /** It cannot decode our pictures (PLI, FIR): send a key frame. Repeated FIRs are left out. */
    type: "pli" | "fir";
  }
  | {
    /** Its source leaves. */
    type: "bye";
    /** Why, or null. */
    reason: string | null;
  }
  | {
    /** A sender report: its clocks at one instant. */
    type: "sr";
    /** Wall clock beside unwrapped timestamp. */
    clock: SenderClock;
  };

/** What a channel needs. */
export interface RtcpChannelOptions {
  /** Time. */
  readonly clock: Clock;
  /** Whether to send to where packets come from. */
  readonly latch: boolean;
  /** Our SSRC. */
  readonly ssrc: number;
  /** The accounts. */
  readonly reporter: Reporter;
  /** What is received over RTP. */
  readonly source: RtpSource;
  /** Where RTP goes and comes from. */
  readonly lock: RemoteLock;
  /** Sends one compound packet. */
  readonly send: (bytes: Uint8Array, to: Endpoint) => void;
  /** Told what the peer says. */
  readonly onEvent: (event: RtcpEvent) => void;
}

/** Reports, feedback and goodbye of one session. */
export class RtcpChannel implements Disposable {
  /** Packets that were no RTCP. */
  invalid = 0;
  /** Packets from somebody else. */
  wrongSource = 0;
  readonly #options: RtcpChannelOptions;
  #remote: Endpoint | null = null;
  #heardFrom: Endpoint | null = null;
  /** When the next report is due, in the time of the ticks; NaN: not yet known. */
  #reportMs = NaN;
  #started = false;
  #firSequence = 0;
  #lastFir = -1;
  #closed = false;

  /** Silent until start(). */
  constructor(options: RtcpChannelOptions) {
    this.#options = options;
  }

  /** Where to send; null while no address is known. RTCP follows RTP when that comes from another host. */
  get target(): Endpoint | null {
    const { lock, latch } = this.#options;
    const remote = this.#remote;
    if (remote === null) return null;
    const host = lock.locked?.hostname ?? remote.hostname;
    const heardFrom = this.#heardFrom;
    if (latch && heardFrom !== null && sameAddress(heardFrom.hostname, host)) return heardFrom;
    if (lock.locked === null || sameAddress(host, remote.hostname)) return remote;
    // The described host is probably out of reach; by custom RTCP is one port above RTP.
    return { hostname: host, port: Math.min(65_535, lock.locked.port + 1) };
  }

  /** The peer's RTCP address from its description. */
  setRemote(remote: Endpoint | null): void {
    const moved = remote !== null && this.#remote !== null && !sameEndpoint(remote, this.#remote);
    if (moved) this.#heardFrom = null;
    this.#remote = remote;
  }

  /** Begins to report, on the ticks. */
  start(): void {
    this.#started = true;
  }

  /** To be called on the ticks that all sessions share: a timer each would be too many. */
  tick(nowMs: number): void {
    if (!this.#started || this.#closed || nowMs < this.#reportMs) return;
    if (!Number.isNaN(this.#reportMs)) this.#sendReport();
    this.#reportMs = nowMs + this.#options.reporter.nextIntervalMs();
  }

  /** Takes a compound packet; what cannot be read is counted. */
  receive(bytes: Uint8Array, from: Endpoint): void {
    if (this.#closed) return;
    if (!this.#accepts(from)) return void this.wrongSource++;
    let packets: RtcpPacket[];
    try {
      packets = decodeRtcp(bytes);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      return void this.invalid++;
    }
    this.#heardFrom = { hostname: from.hostname, port: from.port };
    const nowMs = this.#options.clock.now();
    for (const packet of packets) {
      this.#options.reporter.receive(packet, nowMs);
      this.#announce(packet);
    }
  }

  /** Asks for a key frame; false when nothing was heard from the peer yet or nothing can be sent. */
  sendFeedback(kind: "pli" | "fir"): boolean {
    const { ssrc, source } = this.#options;
    if (source.ssrc === null || this.target === null) return false;
    if (kind === "pli") this.#sendReport({ type: "pli", ssrc, mediaSsrc: source.ssrc });
    else {
      this.#firSequence = this.#firSequence + 1 & 0xff;
      const requests = [{ ssrc: source.ssrc, sequence: this.#firSequence }];
      this.#sendReport({ type: "fir", ssrc, requests });
    }
    return true;
  }

  /** Says BYE, unless nothing was ever said, and stops reporting. */
  [Symbol.dispose](): void {
    if (this.#closed) return;
    const { reporter, ssrc } = this.#options;
    if (reporter.spoke) this.#sendReport({ type: "bye", ssrcs: [ssrc], reason: null });
    this.#closed = true;
  }

  /** From the described address, or from the host RTP comes from. */
  #accepts(from: Endpoint): boolean {
    if (this.#remote !== null && sameEndpoint(from, this.#remote)) return true;
    const { lock } = this.#options;
    const rtp = lock.locked ?? lock.target;
    return rtp !== null && sameAddress(from.hostname, rtp.hostname);
  }

  #announce(packet: RtcpPacket): void {
    const { source, reporter } = this.#options;
    switch (packet.type) {
      case "sr":
        if (packet.ssrc === source.ssrc && reporter.senderClock !== null) {
          this.#tell({ type: "sr", clock: reporter.senderClock });
        }
        break;
      case "pli":
        this.#tell({ type: "pli" });
        break;
      case "fir":
        this.#announceFir(packet.requests);
        break;
      case "bye":
        this.#tell({ type: "bye", reason: packet.reason });
        break;
    }
  }

  /** A request is repeated with its number until it is served (RFC 5104 4.3.1.2). */
  #announceFir(requests: readonly { readonly ssrc: number; readonly sequence: number }[]): void {
    for (const { ssrc, sequence } of requests) {
      if (ssrc !== this.#options.ssrc || sequence === this.#lastFir) continue;
      this.#lastFir = sequence;
      this.#tell({ type: "fir" });
    }
  }

  #tell(event: RtcpEvent): void {
    if (!this.#closed) this.#options.onEvent(event);
  }

  #sendReport(extra?: RtcpPacket): void {
    const { target } = this;
    if (target === null || this.#closed) return;
    const { reporter, clock, send } = this.#options;
    const packets = reporter.createReport(clock.now());
    if (extra !== undefined) packets.push(extra);
    send(encodeRtcp(packets), target);
  }
}
