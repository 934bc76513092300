// One RTP source as heard: its sequence numbers and timestamps without wrap, and the statistics of RFC 3550 A.1, A.3 and A.8
// (without probation: the first packet of a call counts, and remote_lock.ts has told sources apart by address).
// Role: machine

import type { RtpHeader } from "./packet.ts";

/** The largest step forward that counts as loss (RFC 3550 A.1). */
const MAX_DROPOUT = 3000;
/** The largest step backward that counts as reordering (RFC 3550 A.1). */
const MAX_MISORDER = 100;
/** A timestamp this far from where time says it should be is a new start, not a gap. */
const MAX_TIMESTAMP_DRIFT_SECONDS = 5;

export type SourceVerdict =
  | "accepted"
  /** The very first packet. */
  | "started"
  /** The first packet of a new or restarted source: what came before is complete. */
  | "restarted"
  /** Too far from the others to be believed yet: to be dropped. */
  | "suspended";

/** What a report block needs from a source (RFC 3550 6.4.1). */
interface SourceReport {
  /** Loss since the last report, in 256ths. */
  readonly fractionLost: number;
  /** Packets missing since the start, kept within 24 bits. */
  readonly cumulativeLost: number;
  /** Highest sequence number with its cycles, 32 bits. */
  readonly highestSequence: number;
  readonly jitter: number;
}

/**
 * Follows one stream of packets. A new SSRC or a restarted sequence continues the numbers handed on where the old source left
 * them, so nobody behind this ever sees a step backwards.
 *
 *     unheard -> heard -> (large jump: the packet is put aside) -> two packets in order there: restarted
 */
export class RtpSource {
  /** SSRC of the current source; null before the first packet. */
  ssrc: number | null = null;
  /** Sequence number of the last packet taken, without wrap, continuing across restarts. */
  sequence = 0;
  /** Timestamp of the last packet taken, without wrap; 0 for the first, continuing across restarts. */
  timestamp = 0;
  restarts = 0;
  timestampJumps = 0;
  #clockRate: number;
  /** Wire sequence numbers with cycles: first and highest of this source. */
  #baseSequence = 0;
  #maxSequence = 0;
  /** Added to wire numbers to give `sequence`. */
  #sequenceShift = 0;
  #expectedAfterJump = -1;
  /** Wire timestamp of the last packet, and what is added to it to give `timestamp`. */
  #lastTimestamp = 0;
  #timestampShift = 0;
  #highestTimestamp = 0;
  #lastArrivalMs = 0;
  #transit = NaN;
  #jitter = 0;
  #received = 0;
  #expectedPrior = 0;
  #receivedPrior = 0;

  /** Nothing heard yet. @param clockRate RTP clock in Hz */
  constructor(clockRate: number) {
    this.#clockRate = clockRate;
  }

  /** Interarrival jitter in ms (RFC 3550 A.8). */
  get jitterMs(): number {
    return this.#jitter * 1000 / this.#clockRate;
  }

  /** Another codec with another clock was agreed: jitter starts anew, numbers go on. */
  setClockRate(clockRate: number): void {
    if (clockRate === this.#clockRate) return;
    this.#clockRate = clockRate;
    this.#transit = NaN;
    this.#jitter = 0;
  }

  /** Takes the header of a packet; unless it is "suspended", `sequence` and `timestamp` are then the packet's. */
  receive(header: Readonly<RtpHeader>, nowMs: number): SourceVerdict {
    if (this.ssrc === null) {
      this.#restart(header, 0, 0);
      this.#arrive(header, nowMs);
      return "started";
    }
    const step = header.sequenceNumber - this.#maxSequence & 0xffff;
    const nearby = step < MAX_DROPOUT || step >= 0x10000 - MAX_MISORDER;
    if (header.ssrc === this.ssrc && nearby) {
      this.#follow(header, step < MAX_DROPOUT ? step : step - 0x10000, nowMs);
      return "accepted";
    }
    if (header.ssrc === this.ssrc && header.sequenceNumber !== this.#expectedAfterJump) {
      this.#expectedAfterJump = header.sequenceNumber + 1 & 0xffff;
      return "suspended";
    }
    this.restarts++;
    const highest = this.#maxSequence + this.#sequenceShift;
    this.#restart(header, highest + 1, this.#highestTimestamp + this.#elapsed(nowMs));
    this.#arrive(header, nowMs);
    return "restarted";
  }

  /** Where a wire timestamp of the current source (from a sender report) lies among `timestamp` values. */
  unwrapTimestamp(timestamp: number): number {
    return this.#lastTimestamp + this.#timestampShift + (timestamp - this.#lastTimestamp | 0);
  }

  /** Loss and jitter for a report; the next fraction counts from here (RFC 3550 A.3). */
  takeReport(): SourceReport {
    const expected = this.#maxSequence - this.#baseSequence + 1;
    const expectedNow = expected - this.#expectedPrior;
    const lostNow = expectedNow - (this.#received - this.#receivedPrior);
    this.#expectedPrior = expected;
    this.#receivedPrior = this.#received;
    return {
      fractionLost: expectedNow <= 0 || lostNow <= 0
        ? 0
        : Math.min(255, Math.floor(256 * lostNow / expectedNow)),
      cumulativeLost: Math.max(-0x800000, Math.min(0x7fffff, expected - this.#received)),
      highestSequence: this.#maxSequence >>> 0,
      jitter: Math.floor(this.#jitter),
    };
  }

  /** RFC 3550 A.1 init_seq; the given values are what this first packet is handed on as. */
  #restart(header: Readonly<RtpHeader>, sequence: number, timestamp: number): void {
    this.ssrc = header.ssrc;
    this.#baseSequence = header.sequenceNumber;
    this.#maxSequence = header.sequenceNumber;
    this.#sequenceShift = sequence - header.sequenceNumber;
    this.sequence = sequence;
    this.#lastTimestamp = header.timestamp;
    this.#timestampShift = timestamp - header.timestamp;
    this.timestamp = timestamp;
    this.#highestTimestamp = timestamp;
    this.#expectedAfterJump = -1;
    this.#received = 0;
    this.#expectedPrior = 0;
    this.#receivedPrior = 0;
    this.#transit = NaN;
    this.#jitter = 0;
  }

  #follow(header: Readonly<RtpHeader>, step: number, nowMs: number): void {
    const wire = this.#maxSequence + step;
    if (step > 0) this.#maxSequence = wire;
    this.#expectedAfterJump = -1;
    this.sequence = wire + this.#sequenceShift;
    const delta = header.timestamp - this.#lastTimestamp | 0;
    const drift = Math.abs(delta - this.#elapsed(nowMs));
    if (drift <= MAX_TIMESTAMP_DRIFT_SECONDS * this.#clockRate) {
      this.timestamp = this.#lastTimestamp + this.#timestampShift + delta;
    } else if (step > 0) {
      this.timestampJumps++;
      this.timestamp = this.#highestTimestamp + this.#elapsed(nowMs);
      this.#transit = NaN;
    } else {
      // A straggler from before a jump: its own time is no longer known.
      this.timestamp = this.#highestTimestamp;
      this.#received++;
      return;
    }
    this.#timestampShift = this.timestamp - header.timestamp;
    if (this.timestamp > this.#highestTimestamp) this.#highestTimestamp = this.timestamp;
    this.#arrive(header, nowMs);
  }

  /** At least one unit, so that a restart never repeats a timestamp. */
  #elapsed(nowMs: number): number {
    return Math.max(1, Math.round((nowMs - this.#lastArrivalMs) * this.#clockRate / 1000));
  }

  /** RFC 3550 A.8. Packets of one instant (a video frame, one DTMF) say nothing about jitter. */
  #arrive(header: Readonly<RtpHeader>, nowMs: number): void {
    this.#received++;
    const sameInstant = header.timestamp === this.#lastTimestamp && !Number.isNaN(this.#transit);
    this.#lastTimestamp = header.timestamp;
    this.#lastArrivalMs = nowMs;
    if (sameInstant) return;
    const transit = nowMs * this.#clockRate / 1000 - this.timestamp;
    if (!Number.isNaN(this.#transit)) this.#jitter += (Math.abs(transit - this.#transit) - this.#jitter) / 16;
    this.#transit = transit;
  }
}
