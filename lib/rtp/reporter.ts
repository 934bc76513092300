// RTCP of one session: when reports are due (RFC 3550 6.3, 6.2), what they say (6.4), and what the peer's reports
// say about us: loss, round-trip time (6.4.1), and how its RTP clock lies to wall-clock time.
// Role: machine

import type { Clock } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import type { ReceiverReport, ReportBlock, RtcpPacket, SenderReport, SourceDescription } from "./rtcp.ts";
import type { RtpSource } from "./source.ts";

/** Mean time between two reports, for sessions of two members (RFC 3550 6.2). */
export const REPORT_INTERVAL_MS = 5000;

/** RFC 3550 6.3.1: makes up for the reconsideration that shortens intervals on average: e - 3/2. */
const COMPENSATION = 1.21828;

/** Seconds from 1900 to 1970. */
const NTP_OFFSET_SECONDS = 2_208_988_800;

const CNAME_ITEM = 1;

export interface ReporterOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** RTP clock in Hz. */
  readonly clockRate: number;
  readonly ssrc: number;
  /** Our canonical name, the same for audio and video of one call. */
  readonly cname: string;
  readonly source: RtpSource;
}

/** An instant on the peer's wall clock and its RTP clock. */
export interface SenderClock {
  /** The peer's wall clock, ms since 1970. */
  readonly wallMs: number;
  /** The same instant as an unwrapped timestamp of the source. */
  readonly timestamp: number;
}

export interface RtpStats {
  readonly sent: number;
  /** Payload bytes sent. */
  readonly octetsSent: number;
  /** Valid packets received, with late and double ones. */
  readonly received: number;
  /** Payload bytes of theirs. */
  readonly octetsReceived: number;
  /** Packets given up. */
  readonly lost: number;
  /** Packets that came too late. */
  readonly late: number;
  /** Packets that came twice. */
  readonly duplicates: number;
  /** Packets that were no RTP or RTCP, or not believable. */
  readonly invalid: number;
  /** Packets from somebody else. */
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
  /** Jitter of what we receive. */
  readonly jitterMs: number;
}

/** Keeps the accounts of one session. */
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

  /** Starts with empty accounts. */
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

  /** Learns from one packet of the peer. */
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
