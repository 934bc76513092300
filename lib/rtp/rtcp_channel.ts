// The RTCP side of one session: whose packets to believe and where ours go, the report timer, feedback both ways,
// and the goodbye. RFC 3550 6.3, RFC 4585, RFC 5104 4.3.1; addresses as RFC 3605 and RFC 4961 have them.
// Role: machine

import type { Clock } from "../base/clock.ts";
import { WireError } from "../base/errors.ts";
import { type Endpoint, sameAddress, sameEndpoint } from "../net/endpoint.ts";
import type { Described, RemoteLock } from "./remote_lock.ts";
import {
  decodeRtcp,
  encodeRtcp,
  type ReceiverReport,
  type ReportBlock,
  type RtcpPacket,
  type SenderReport,
  type SourceDescription,
} from "./rtcp.ts";
import type { RtpSource } from "./source.ts";
import type { Runtime } from "../base/runtime.ts";

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

interface RtcpChannelOptions {
  readonly clock: Clock;
  /** Whether to send to where packets come from. */
  readonly latch: boolean;
  readonly ssrc: number;
  readonly reporter: Reporter;
  readonly source: RtpSource;
  /** Where RTP goes and comes from. */
  readonly lock: RemoteLock;
  readonly send: (bytes: Uint8Array, to: Endpoint) => void;
  readonly onEvent: (event: RtcpEvent) => void;
}

export class RtcpChannel implements Disposable {
  /** Packets that were no RTCP. */
  invalid = 0;
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

  setRemote(remote: Described | null): void {
    const before = this.#remote;
    const both = remote !== null && remote !== "unknown" && before !== null && before !== "unknown";
    if (both && !sameEndpoint(remote, before)) this.#heardFrom = this.#heardSsrc = null;
    this.#remote = remote;
  }

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

/** Mean time between two reports, for sessions of two members (RFC 3550 6.2). */
const REPORT_INTERVAL_MS = 5000;

/** RFC 3550 6.3.1: makes up for the reconsideration that shortens intervals on average: e - 3/2. */
const COMPENSATION = 1.21828;

/** Seconds from 1900 to 1970. */
const NTP_OFFSET_SECONDS = 2_208_988_800;

const CNAME_ITEM = 1;

interface ReporterOptions extends Pick<Runtime, "clock" | "random"> {
  readonly clockRate: number;
  readonly ssrc: number;
  /** Our canonical name, the same for audio and video of one call. */
  readonly cname: string;
  readonly source: RtpSource;
}

export interface SenderClock {
  /** The peer's wall clock, ms since 1970. */
  readonly wallMs: number;
  readonly timestamp: number;
}

export interface RtpStats {
  readonly sent: number;
  /** Payload bytes sent. */
  readonly octetsSent: number;
  readonly received: number;
  /** Payload bytes of theirs. */
  readonly octetsReceived: number;
  readonly lost: number;
  readonly late: number;
  readonly duplicates: number;
  /** Packets that were no RTP or RTCP, or not believable. */
  readonly invalid: number;
  readonly wrongSource: number;
  /** Packets not sent because the peer takes none now, or too long. */
  readonly suppressed: number;
  /** Share of our packets the peer missed lately, 0..1; null before its first report. */
  readonly remoteLoss: number | null;
  /** Packets of ours the peer missed in all; null before its first report. */
  readonly remoteLost: number | null;
  /** Jitter the peer sees, in ms; null before its first report. */
  readonly remoteJitterMs: number | null;
  /** Last round-trip time; null before the first. */
  readonly roundTripMs: number | null;
  readonly jitterMs: number;
}

export class Reporter {
  packetsSent = 0;
  /** Payload bytes sent. */
  octetsSent = 0;
  /** Share of our packets the peer missed in its last report, 0..1; null before the first. */
  remoteLoss: number | null = null;
  /** Packets of ours the peer missed in all; null before its first report. */
  remoteCumulativeLost: number | null = null;
  /** Jitter the peer sees, in ms; null before its first report. */
  remoteJitterMs: number | null = null;
  /** Last measured round-trip time in ms; null before the first. */
  roundTripMs: number | null = null;
  /** Where the peer's clocks were at its last sender report; null before the first. */
  senderClock: SenderClock | null = null;
  readonly #options: ReporterOptions;
  #clockRate: number;
  /** Added to clock.now() gives wall-clock time: fixed, so that a set clock does not bend the stream. */
  readonly #wallOffsetMs: number;
  #reportsMade = 0;
  #lastPacketMs = -Infinity;
  #lastTimestamp = 0;
  #lastSentMs = 0;
  #anchored = false;
  #lastSenderReport = 0;
  #lastSenderReportMs = 0;

  constructor(options: ReporterOptions) {
    this.#options = options;
    this.#clockRate = options.clockRate;
    this.#wallOffsetMs = options.clock.wallMs() - options.clock.now();
  }

  /** Another codec with another clock was agreed; an anchor on the old clock is forgotten. */
  setClockRate(clockRate: number): void {
    if (clockRate === this.#clockRate) return;
    this.#clockRate = clockRate;
    this.#anchored = false;
    this.senderClock = null;
  }

  /** Counts a packet. @param timestamp as on the wire */
  packetSent(octets: number, timestamp: number, nowMs: number): void {
    this.packetsSent++;
    this.octetsSent += octets;
    this.#lastPacketMs = nowMs;
    if (this.#anchored) return;
    this.#lastTimestamp = timestamp;
    this.#lastSentMs = nowMs;
  }

  /**
   * Fixes which moment a wire timestamp stands for, instead of guessing from when packets were sent; streams
   * anchored on one time line can be played in step (RFC 3550 6.4.1).
   */
  anchor(timestamp: number, atMs: number): void {
    this.#anchored = true;
    this.#lastTimestamp = timestamp;
    this.#lastSentMs = atMs;
  }

  /** Time until the next report: half to one and a half of the mean, half of that before the first. */
  nextIntervalMs(): number {
    const meanMs = this.#reportsMade === 0 ? REPORT_INTERVAL_MS / 2 : REPORT_INTERVAL_MS;
    return meanMs * (0.5 + this.#options.random.float()) / COMPENSATION;
  }

  /** A report for now: SR when something was sent within two intervals (6.4), else RR; and SDES. */
  createReport(nowMs: number): RtcpPacket[] {
    const { ssrc } = this.#options;
    const sending = nowMs - this.#lastPacketMs < 2 * REPORT_INTERVAL_MS;
    this.#reportsMade++;
    const reports = this.#reportBlocks(nowMs);
    const report: SenderReport | ReceiverReport = sending
      ? this.#senderReport(nowMs, reports)
      : { type: "rr", ssrc, reports };
    return [report, this.#description()];
  }

  /** Whether anything was ever sent: who said nothing leaves without BYE (RFC 3550 6.3.7). */
  get spoke(): boolean {
    return this.packetsSent > 0 || this.#reportsMade > 0;
  }

  receive(packet: RtcpPacket, nowMs: number): void {
    if (packet.type === "sr") this.#takeSenderReport(packet, nowMs);
    if (packet.type !== "sr" && packet.type !== "rr") return;
    for (const block of packet.reports) {
      if (block.ssrc === this.#options.ssrc) this.#takeReportBlock(block, nowMs);
    }
  }

  #senderReport(nowMs: number, reports: ReportBlock[]): SenderReport {
    const { ssrc } = this.#options;
    const ntpMs = nowMs + this.#wallOffsetMs;
    const elapsed = (nowMs - this.#lastSentMs) * this.#clockRate / 1000;
    return {
      type: "sr",
      ssrc,
      ntpSeconds: Math.floor(ntpMs / 1000) + NTP_OFFSET_SECONDS >>> 0,
      ntpFraction: ntpFraction(ntpMs),
      rtpTimestamp: Math.round(this.#lastTimestamp + elapsed) >>> 0,
      packetCount: this.packetsSent >>> 0,
      octetCount: this.octetsSent >>> 0,
      reports,
    };
  }

  #description(): SourceDescription {
    const { ssrc, cname } = this.#options;
    return { type: "sdes", chunks: [{ ssrc, items: [{ type: CNAME_ITEM, text: cname }] }] };
  }

  #reportBlocks(nowMs: number): ReportBlock[] {
    const { source } = this.#options;
    if (source.ssrc === null) return [];
    const heard = this.#lastSenderReport !== 0;
    const delay = heard ? Math.round((nowMs - this.#lastSenderReportMs) * 65.536) : 0;
    return [{
      ssrc: source.ssrc,
      ...source.takeReport(),
      lastSenderReport: this.#lastSenderReport,
      delaySinceLastSenderReport: delay >>> 0,
    }];
  }

  #takeSenderReport(report: SenderReport, nowMs: number): void {
    const { source } = this.#options;
    if (report.ssrc !== source.ssrc) return;
    this.#lastSenderReport = middleBits(report.ntpSeconds, report.ntpFraction);
    this.#lastSenderReportMs = nowMs;
    // A sender without a clock says 0 (RFC 3550 6.4.1).
    if (report.ntpSeconds === 0) return;
    this.senderClock = {
      wallMs: (report.ntpSeconds - NTP_OFFSET_SECONDS) * 1000 + report.ntpFraction * 1000 / 2 ** 32,
      timestamp: source.unwrapTimestamp(report.rtpTimestamp),
    };
  }

  #takeReportBlock(block: ReportBlock, nowMs: number): void {
    this.remoteLoss = block.fractionLost / 256;
    this.remoteCumulativeLost = block.cumulativeLost;
    this.remoteJitterMs = block.jitter * 1000 / this.#clockRate;
    if (block.lastSenderReport === 0) return;
    const ntpMs = nowMs + this.#wallOffsetMs;
    const now = middleBits(Math.floor(ntpMs / 1000) + NTP_OFFSET_SECONDS, ntpFraction(ntpMs));
    const units = now - block.lastSenderReport - block.delaySinceLastSenderReport | 0;
    // A peer that miscounts its delay gives a negative time: nothing is learnt from it.
    if (units >= 0) this.roundTripMs = units / 65.536;
  }
}

function ntpFraction(ms: number): number {
  return Math.floor((ms - 1000 * Math.floor(ms / 1000)) / 1000 * 2 ** 32) >>> 0;
}

/** The middle 32 bits of an NTP time: 16 of the seconds, 16 of the fraction. */
function middleBits(seconds: number, fraction: number): number {
  return (seconds << 16 | fraction >>> 16) >>> 0;
}
