// One RTP stream both ways over a pair of sockets, RTCP in between (RFC 3550, RFC 4961). Between socket and outlet nothing
// waits and nothing is made but the view of the payload.
// Role: edge

import { viewOf } from "../base/bytes.ts";
import type { Clock } from "../base/clock.ts";
import type { Ticker } from "../base/ticker.ts";
import type { Runtime } from "../base/runtime.ts";
import { type Endpoint, formatEndpoint } from "../net/endpoint.ts";
import type { RtpPortPair } from "../net/rtp_ports.ts";
import type { UdpSocket } from "../net/udp.ts";
import {
  encodeRtpHeader,
  MAX_RTP_PAYLOAD,
  PacketWorkbench,
  RTP_HEADER_LENGTH,
  type RtpHeader,
  RtpView,
} from "./packet.ts";
import { type Described, RemoteLock, type SourceRule } from "./remote_lock.ts";
import { type OrderedPacket, ReorderBuffer } from "./reorder_buffer.ts";
import { Reporter, RtcpChannel, type RtcpEvent, type RtpStats, type SenderClock } from "./rtcp_channel.ts";
import { RtpSource } from "./source.ts";

export interface RtpSessionOptions extends Runtime {
  /** The session owns it from now on. */
  readonly pair: RtpPortPair;
  readonly clockRate: number;
  /** Canonical name (RFC 3550 6.5.1), the same for all streams of one call. */
  readonly cname: string;
  /** Shared; lets packets go on that have waited long enough, and sends reports that are due. */
  readonly ticker: Ticker;
  /** Longest wait for a missing packet, 0..200 ms, 60 unless given. */
  readonly reorderMs?: number;
  /** Whether to send to where packets come from (symmetric RTP). */
  readonly latch: boolean;
  /** Whose first packet counts; "nat" unless given. */
  readonly sourceRule?: SourceRule;
}

/** Who the peer is, as far as it is known beside the addresses of one stream. */
interface StreamPeer {
  /** IP addresses its signalling came from, the nearest first. */
  readonly signalling: readonly string[];
  readonly payloadTypes: ReadonlySet<number>;
}

/** Where payloads for the peer go, as into its session. */
export interface RtpSink {
  /** Sends one payload, consumed when this returns. */
  send(payload: Uint8Array, timestamp: number, marker: boolean, payloadType: number): void;
}

export interface RtpReceiver {
  /**
   * One payload, in order and borrowed; `timestamp` starts at 0, has no wrap and continues across changes of the
   * source; `lostBefore` packets are missing right before.
   */
  fromRtp(
    payload: Uint8Array,
    timestamp: number,
    marker: boolean,
    payloadType: number,
    lostBefore: number,
  ): void;
}

const NO_BYTES = new Uint8Array(0);
/** Time between two ticks that shows that this program was held up. Ticks come every 10 ms. */
const STALL_MS = 40;
/** RTCP, which has seconds, looks at the time on each of so many ticks. */
const TICKS_PER_REPORT_CHECK = 25;

/** For all sessions of this thread: what is made is sent before the next one. */
const workbench = new PacketWorkbench();

/** The header of the packet that is being received, for all sessions of this thread. */
const incoming = new RtpView();

//   in:  UdpSocket.run -> RtpView -> RemoteLock -> RtpSource -> ReorderBuffer -> receiver
//   out: send -> encodeRtpHeader -> UdpSocket.send

/** A stream both ways. Set the outlets, then run(); disposing it says BYE and closes the sockets. */
export class RtpSession implements Disposable {
  receiver: RtpReceiver | null = null;
  /** Told when another source takes over or the source restarts, before its first packet. */
  onSourceChange: ((ssrc: number) => void) | null = null;
  onRtcp: ((event: RtcpEvent) => void) | null = null;
  readonly #options: RtpSessionOptions;
  /** Of the options, what each packet needs: it is not to be looked for. */
  readonly #socket: UdpSocket;
  readonly #clock: Clock;
  readonly #lock: RemoteLock;
  readonly #source: RtpSource;
  readonly #reorder: ReorderBuffer;
  readonly #reporter: Reporter;
  readonly #rtcp: RtcpChannel;
  /** The payload received last: packets of one length share their view. */
  #payload: Uint8Array = NO_BYTES;
  readonly #header: RtpHeader;
  readonly #timestampBase: number;
  readonly #reporting: Disposable;
  /** While packets wait for a missing one. */
  #waiting: Disposable | null = null;
  #received = 0;
  #octetsReceived = 0;
  #invalid = 0;
  #wrongSource = 0;
  #suppressed = 0;
  #failed = false;
  #closed = false;
  #tickedMs = 0;

  /** Takes over the sockets; nothing is received before run(). */
  constructor(options: RtpSessionOptions) {
    const { clockRate, random, latch, sourceRule: rule = "nat", reorderMs, clock, cname, pair } = options;
    this.#options = options;
    this.#socket = pair.rtp;
    this.#clock = clock;
    this.#lock = new RemoteLock({ latch, rule, earlier: pair.earlier });
    this.#source = new RtpSource(clockRate);
    this.#reorder = new ReorderBuffer({
      ...(reorderMs === undefined ? {} : { maxWaitMs: reorderMs }),
      deliver: (packet, lostBefore) => this.#deliver(packet, lostBefore),
    });
    const ssrc = random.u32();
    this.#header = { marker: false, payloadType: 0, sequenceNumber: random.u16(), timestamp: 0, ssrc };
    this.#timestampBase = random.u32();
    this.#reporter = new Reporter({ clock, random, clockRate, ssrc, cname, source: this.#source });
    this.#rtcp = new RtcpChannel({
      clock,
      latch,
      ssrc,
      reporter: this.#reporter,
      source: this.#source,
      lock: this.#lock,
      send: (bytes, to) => pair.rtcp.send(bytes, to),
      onEvent: (event) => this.onRtcp?.(event),
    });
    this.#reporting = options.ticker.add((nowMs) => this.#rtcp.tick(nowMs), TICKS_PER_REPORT_CHECK);
  }

  /** The RTP port; RTCP has the next one. */
  get localPort(): number {
    return this.#options.pair.rtp.local.port;
  }

  get ssrc(): number {
    return this.#header.ssrc;
  }

  /** Where packets are sent now; null while the peer takes none. */
  get target(): Endpoint | null {
    return this.#lock.target;
  }

  /** The peer's clocks at its last sender report; null before the first. */
  get senderClock(): SenderClock | null {
    return this.#reporter.senderClock;
  }

  get stats(): RtpStats {
    const { lost, late, duplicates } = this.#reorder;
    const { packetsSent, octetsSent, remoteLoss, remoteJitterMs, roundTripMs } = this.#reporter;
    return {
      sent: packetsSent,
      octetsSent,
      received: this.#received,
      octetsReceived: this.#octetsReceived,
      lost,
      late,
      duplicates,
      invalid: this.#invalid + this.#rtcp.invalid,
      wrongSource: this.#wrongSource + this.#rtcp.wrongSource,
      suppressed: this.#suppressed,
      remoteLoss,
      remoteLost: this.#reporter.remoteCumulativeLost,
      remoteJitterMs,
      roundTripMs,
      jitterMs: this.#source.jitterMs,
    };
  }

  /** Another codec with another clock was agreed (RFC 7160 tells why one stream should keep to one). */
  setClockRate(clockRate: number): void {
    this.#source.setClockRate(clockRate);
    this.#reporter.setClockRate(clockRate);
  }

  /**
   * The peer's addresses from its description. `rtp` null (hold, port 0) stops sending; with an `rtcp` address
   * reports go on (RFC 3264 8.4). "unknown" sends nothing before the peer has been heard.
   */
  setRemote(rtp: Described | null, rtcp: Described | null): void {
    this.#lock.setRemote(rtp, this.#options.clock.now());
    this.#rtcp.setRemote(rtcp);
  }

  /** Whose packets are to be expected: before the first setRemote, and whenever signalling says something new. */
  setPeer({ signalling, payloadTypes }: StreamPeer): void {
    this.#lock.signalling = signalling;
    this.#lock.payloadTypes = payloadTypes;
  }

  /** When a packet of the stream came last; -Infinity before the first. */
  get receivedMs(): number {
    return this.#lock.heardMs;
  }

  /** Where packets come from; null before the first. */
  get source(): Endpoint | null {
    return this.#lock.locked;
  }

  /** When the peer was heard last, by RTP or RTCP; -Infinity before. */
  get heardMs(): number {
    return Math.max(this.#lock.heardMs, this.#rtcp.heardMs);
  }

  /** Receives and reports until disposed. Throws TransportError when a socket breaks for good. */
  async run(): Promise<void> {
    const { rtp, rtcp } = this.#options.pair;
    rtp.onError = rtcp.onError = (error) => this.#reportFailure(error);
    this.#rtcp.start();
    await Promise.all([
      rtp.run(this.#receiveRtp),
      rtcp.run((bytes, from) => this.#rtcp.receive(bytes, from)),
    ]);
  }

  /** Sends one payload, consumed when this returns. `timestamp` counts from 0; a random base is added to it. */
  send(payload: Uint8Array, timestamp: number, marker: boolean, payloadType: number): void {
    const target = this.#lock.target;
    if (target === null || this.#closed || payload.length > MAX_RTP_PAYLOAD) return void this.#suppressed++;
    const packet = workbench.place(RTP_HEADER_LENGTH + payload.length);
    const header = this.#header;
    header.marker = marker;
    header.payloadType = payloadType;
    header.timestamp = this.#wireTimestamp(timestamp);
    encodeRtpHeader(packet, header);
    packet.set(payload, RTP_HEADER_LENGTH);
    this.#socket.send(packet, target);
    header.sequenceNumber = header.sequenceNumber + 1 & 0xffff;
    this.#reporter.packetSent(payload.length, header.timestamp, this.#clock.now());
  }

  /** Says which moment of the clock a timestamp of send() stands for; reports tell the peer. */
  anchor(timestamp: number, atMs: number): void {
    this.#reporter.anchor(this.#wireTimestamp(timestamp), atMs);
  }

  /** Asks the peer for a key frame (RFC 4585 PLI, RFC 5104 FIR); false when nothing was heard from it yet. */
  sendFeedback(kind: "pli" | "fir"): boolean {
    return this.#rtcp.sendFeedback(kind);
  }

  /** Says BYE and closes the sockets; may be called again, also from an outlet. */
  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#reporting[Symbol.dispose]();
    this.#waiting?.[Symbol.dispose]();
    this.#rtcp[Symbol.dispose]();
    this.#options.pair.heard = this.#lock.heard;
    this.#options.pair[Symbol.dispose]();
  }

  /** Ticks are for those whose packets wait: to look at every call every 10 ms would cost more than it finds. */
  #startWaiting(nowMs: number): void {
    if (this.#closed) return; // by an outlet
    this.#tickedMs = nowMs;
    this.#waiting = this.#options.ticker.add((tickMs) => this.#flushLate(tickMs));
  }

  /** A tick that comes late says that we were, not the packets: what waits in the socket is read first. */
  #flushLate(nowMs: number): void {
    const stalled = nowMs - this.#tickedMs > STALL_MS;
    this.#tickedMs = nowMs;
    if (!stalled) this.#reorder.flush(nowMs);
    if (this.#reorder.held > 0) return;
    this.#waiting?.[Symbol.dispose]();
    this.#waiting = null;
  }

  #wireTimestamp(timestamp: number): number {
    return this.#timestampBase + Math.round(timestamp) >>> 0;
  }

  readonly #receiveRtp = (bytes: Uint8Array, from: Endpoint): void => {
    if (this.#closed) return;
    // A peer may put RTCP on the RTP port although nobody agreed to (RFC 5761 4 tells them apart).
    if (bytes.length >= 8 && bytes[1]! >= 192 && bytes[1]! <= 223) return this.#rtcp.receive(bytes, from);
    const view = incoming;
    if (!view.decode(bytes)) return void this.#invalid++;
    const nowMs = this.#clock.now();
    const lockedBefore = this.#lock.locked;
    if (!this.#lock.accept(from, nowMs, view)) return void this.#wrongSource++;
    if (this.#lock.locked !== lockedBefore) this.#logLock(from);
    const verdict = this.#source.receive(view, nowMs);
    if (verdict === "suspended") return void this.#invalid++;
    this.#received++;
    this.#octetsReceived += view.payloadEnd - view.payloadStart;
    const { sequence, timestamp } = this.#source;
    const { marker, payloadType } = view;
    const payload = this.#payload = viewOf(bytes, view.payloadStart, view.payloadEnd, this.#payload);
    if (verdict === "restarted") this.#changeSource(view.ssrc);
    if (this.#closed) return; // by an outlet
    if (this.#reorder.passes(sequence)) {
      return this.receiver?.fromRtp(payload, timestamp, marker, payloadType, 0);
    }
    this.#reorder.push({ sequence, timestamp, marker, payloadType, payload }, nowMs);
    if (this.#reorder.held > 0 && this.#waiting === null) this.#startWaiting(nowMs);
  };

  #changeSource(ssrc: number): void {
    this.#reorder.drain();
    if (!this.#closed) this.onSourceChange?.(ssrc);
  }

  #deliver(packet: OrderedPacket, lostBefore: number): void {
    if (this.#closed) return;
    const { payload, timestamp, marker, payloadType } = packet;
    this.receiver?.fromRtp(payload, timestamp, marker, payloadType, lostBefore);
  }

  /** Our own bug in an outlet: said once with its stack, not fifty times a second; the sockets count the rest. */
  #reportFailure(error: unknown): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#options.log.error(`RTP port ${this.localPort} failed on a received packet`, error);
  }

  #logLock(from: Endpoint): void {
    const { log } = this.#options;
    if (log.enabled("debug")) log.debug(`RTP port ${this.localPort} latched to ${formatEndpoint(from)}`);
  }
}
