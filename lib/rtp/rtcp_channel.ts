// The RTCP side of one session: whose packets to believe and where ours go, the report timer, feedback both ways,
// and the goodbye. RFC 3550 6.3, RFC 4585, RFC 5104 4.3.1; addresses as RFC 3605 and RFC 4961 have them.
// Role: machine

import type { Clock } from "../base/clock.ts";
import { WireError } from "../base/errors.ts";
import { type Endpoint, sameAddress, sameEndpoint } from "../net/endpoint.ts";
import type { Described, RemoteLock } from "./remote_lock.ts";
import type { Reporter, SenderClock } from "./reporter.ts";
import { decodeRtcp, encodeRtcp, type RtcpPacket } from "./rtcp.ts";
import type { RtpSource } from "./source.ts";

/** What the peer says over RTCP. */
export type RtcpEvent =
  | {
    /** It cannot decode our pictures (PLI, FIR): send a key frame. Repeated FIRs are left out. */
    type: "pli" | "fir";
  }
  | {
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

export interface RtcpChannelOptions {
  readonly clock: Clock;
  /** Whether to send to where packets come from. */
  readonly latch: boolean;
  readonly ssrc: number;
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
  /** When the peer was heard last; -Infinity before. */
  heardMs: number = -Infinity;
  readonly #options: RtcpChannelOptions;
  #remote: Described | null = null;
  #heardFrom: Endpoint | null = null;
  #heardSsrc: number | null = null;
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
    const described = remote === "unknown" ? null : remote;
    const host = lock.locked?.hostname ?? described?.hostname ?? null;
    const heardFrom = this.#heardFrom;
    if (latch && heardFrom !== null && (host === null || sameAddress(heardFrom.hostname, host))) {
      return heardFrom;
    }
    if (lock.locked === null || described !== null && sameAddress(lock.locked.hostname, described.hostname)) {
      return described;
    }
    // The described host is probably out of reach; by custom RTCP is one port above RTP.
    return { hostname: lock.locked.hostname, port: Math.min(65_535, lock.locked.port + 1) };
  }

  /** The peer's RTCP address from its description. */
  setRemote(remote: Described | null): void {
    const before = this.#remote;
    const both = remote !== null && remote !== "unknown" && before !== null && before !== "unknown";
    if (both && !sameEndpoint(remote, before)) this.#heardFrom = this.#heardSsrc = null;
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
    if (!this.#comesFromPeer(from)) return void this.wrongSource++;
    let packets: RtcpPacket[];
    try {
      packets = decodeRtcp(bytes);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      return void this.invalid++;
    }
    if (!this.#isSameReporter(from, packets)) return void this.wrongSource++;
    this.#heardFrom = { hostname: from.hostname, port: from.port };
    const nowMs = this.heardMs = this.#options.clock.now();
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

  /** From the described address, from the host RTP comes from, or before RTP from where it may come first. */
  #comesFromPeer(from: Endpoint): boolean {
    return this.#isDescribed(from) || this.#options.lock.hears(from.hostname);
  }

  #isDescribed(from: Endpoint): boolean {
    const remote = this.#remote;
    return remote !== null && remote !== "unknown" && sameEndpoint(from, remote);
  }

  /** Another port of the peer's host has to say whose it is: reports are not for who only knows the port. */
  #isSameReporter(from: Endpoint, packets: readonly RtcpPacket[]): boolean {
    const { ssrc: heard } = this.#options.source;
    const ssrc = reporterOf(packets);
    const known = this.#heardFrom === null || sameEndpoint(from, this.#heardFrom) ||
      this.#isDescribed(from) ||
      ssrc !== null && (ssrc === heard || ssrc === this.#heardSsrc);
    if (known && ssrc !== null) this.#heardSsrc = ssrc;
    return known;
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

/** Who sent a compound: every one begins with a report (RFC 3550 6.1), or with feedback (RFC 5506). */
function reporterOf(packets: readonly RtcpPacket[]): number | null {
  const [first] = packets;
  return first !== undefined && "ssrc" in first ? first.ssrc : null;
}
