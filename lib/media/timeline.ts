// The two time scales of a call, and the only way between them: RTMP milliseconds and RTP clock units. Both directions
// keep one anchor pair and compute from it, so rounding never adds up.
// Role: machine

import type { Clock } from "../base/clock.ts";

/** Farther than this from the time that really passed, a step is a jump of the source, not a pause in it. */
const JUMP_MS = 2000;
/** Audio blocks this close to where the last one ended follow it without a gap: senders round and jitter. */
const GAP_MS = 60;
const WRAP = 0x1_0000_0000;
/** A shift of the time line is spread: it takes at most this share of the time that passes. */
const SHIFT_SHARE = 0.1;

/**
 * Maps the RTMP time of frames to RTP timestamps (RFC 3550 5.1), not yet cut to 32 bits.
 *
 * When the source jumps (stream restarted, counter wrapped, new SSRC, nonsense), they go on from where they were by
 * the time that really passed, so that neither a player nor a phone sees time run backwards.
 */
export class RtmpToRtpTimeline {
  /** True when the block last placed does not follow the one before: it is the first, or comes after a gap. */
  afterGap = false;
  jumps = 0;

  readonly #clock: Clock;
  readonly #ticksPerMs: number;
  #started = false;
  #restarting = false;
  #anchorMs = 0;
  #anchorTimestamp = 0;
  #lastMs = 0;
  #lastTimestamp = 0;
  #lastNowMs = 0;
  #endTimestamp = 0;

  /** The first frame placed is the anchor. @param clockRate RTP clock units per second */
  constructor(clockRate: number, clock: Clock) {
    this.#clock = clock;
    this.#ticksPerMs = clockRate / 1000;
  }

  /** Timestamp of a frame that has no length of its own (video, data); never less than the one before. */
  place(timeMs: number): number {
    const mapped = this.#map(timeMs);
    const timestamp = mapped < this.#lastTimestamp ? this.#lastTimestamp : mapped;
    if (timestamp !== mapped) this.#anchor(timeMs, timestamp);
    this.afterGap = this.#restarting;
    this.#restarting = false;
    this.#lastTimestamp = timestamp;
    return timestamp;
  }

  /** As {@link place} for messages of several kinds in one stream, whose times need not be in order. */
  placeUnordered(timeMs: number): number {
    const timestamp = this.#map(timeMs);
    this.afterGap = this.#restarting;
    this.#restarting = false;
    if (timestamp > this.#lastTimestamp) this.#lastTimestamp = timestamp;
    return timestamp;
  }

  /**
   * Timestamp of an audio block of `ticks` clock units: exactly behind the block before it unless the source
   * paused, then where its time says, with `afterGap` set.
   */
  placeBlock(timeMs: number, ticks: number): number {
    const first = !this.#started;
    const ahead = this.#map(timeMs) - this.#endTimestamp;
    const tolerance = GAP_MS * this.#ticksPerMs;
    const gap = first || ahead > tolerance;
    const timestamp = gap ? this.#endTimestamp + ahead : this.#endTimestamp;
    // Samples came faster than the source's own clock says, or its clock started over: what was sent counts.
    if (!gap && (ahead < -tolerance || this.#restarting)) this.#anchor(timeMs, timestamp);
    this.afterGap = gap || this.#restarting;
    this.#restarting = false;
    this.#lastTimestamp = timestamp;
    this.#endTimestamp = timestamp + ticks;
    return timestamp;
  }

  get lastTimestamp(): number {
    return this.#lastTimestamp;
  }

  /** Tells that the source starts over, as a new publish does: its next time means "now". */
  restart(): void {
    this.#restarting = this.#started;
  }

  #map(timeMs: number): number {
    const nowMs = this.#clock.now();
    if (this.#started) {
      this.#followSource(timeMs, nowMs);
    } else {
      this.#started = true;
      this.#restarting = true;
      this.#anchor(timeMs, Math.round(timeMs * this.#ticksPerMs));
    }
    this.#lastMs = timeMs;
    this.#lastNowMs = nowMs;
    return this.#anchorTimestamp + Math.round((timeMs - this.#anchorMs) * this.#ticksPerMs);
  }

  #followSource(timeMs: number, nowMs: number): void {
    if (timeMs - this.#lastMs < -WRAP / 2) { // the 32-bit millisecond counter came round
      this.#anchorMs -= WRAP;
      this.#lastMs -= WRAP;
    }
    const stepMs = timeMs - this.#lastMs;
    const passedMs = nowMs - this.#lastNowMs;
    // A step far shorter than the time that passed is a backlog after a stall, which TCP delivers late.
    const jumped = stepMs < -JUMP_MS || stepMs > passedMs + JUMP_MS;
    if (!jumped && !this.#restarting) return;
    if (jumped) this.jumps++;
    this.#restarting = true;
    this.#anchor(timeMs, this.#lastTimestamp + Math.round(passedMs * this.#ticksPerMs));
  }

  #anchor(timeMs: number, timestamp: number): void {
    this.#anchorMs = timeMs;
    this.#anchorTimestamp = timestamp;
  }
}

/** Maps RTP timestamps, unwrapped or 32 bit, to the RTMP time of frames: whole milliseconds, never negative. */
export class RtpToRtmpTimeline {
  jumps = 0;

  readonly #clock: Clock;
  readonly #msPerTick: number;
  readonly #originMs: number;
  #started = false;
  #restarting = false;
  #anchorMs = 0;
  #anchorTimestamp = 0;
  #lastTimestamp = 0;
  #lastMs = 0;
  #latestMs = 0;
  #lastNowMs = 0;
  #shiftMs = 0;

  /**
   * The first timestamp means "now".
   * @param clockRate RTP clock units per second
   * @param originMs what `clock.now()` was at RTMP time 0; audio and video of one stream share it
   */
  constructor(clockRate: number, clock: Clock, originMs: number = clock.now()) {
    this.#clock = clock;
    this.#msPerTick = 1000 / clockRate;
    this.#originMs = originMs;
  }

  /** RTMP time of a timestamp; never less than the one before. */
  timeMsOf(timestamp: number): number {
    const mapped = this.presentationMsOf(timestamp);
    if (mapped >= this.#lastMs) return this.#lastMs = mapped;
    this.#anchor(this.#lastMs, timestamp);
    return this.#lastMs;
  }

  /** As {@link timeMsOf} for pictures with B frames, whose timestamps step back a little within the stream. */
  presentationMsOf(timestamp: number): number {
    const nowMs = this.#clock.now();
    if (this.#started) this.#followSource(timestamp, nowMs);
    else this.#start(timestamp, nowMs);
    if (this.#shiftMs !== 0) this.#shiftAlong((timestamp - this.#lastTimestamp) * this.#msPerTick);
    this.#lastTimestamp = timestamp;
    this.#lastNowMs = nowMs;
    const timeMs = Math.round(this.#anchorMs + (timestamp - this.#anchorTimestamp) * this.#msPerTick);
    if (timeMs > this.#latestMs) this.#latestMs = timeMs;
    return timeMs < 0 ? 0 : timeMs;
  }

  /** RTMP time of a timestamp as things stand, with fractions; null before the first. Changes nothing. */
  peekMs(timestamp: number): number | null {
    return this.#started ? this.#anchorMs + (timestamp - this.#anchorTimestamp) * this.#msPerTick : null;
  }

  /** Moves all times from here on, little by little, so that they never run backwards. Replaces what was left. */
  shift(ms: number): void {
    this.#shiftMs = ms;
  }

  /** Tells that the source changed (new SSRC): its next timestamp means "now". */
  restart(): void {
    this.#restarting = this.#started;
  }

  #shiftAlong(stepMs: number): void {
    if (stepMs <= 0) return; // B frames step back
    const most = stepMs * SHIFT_SHARE;
    const part = Math.max(-most, Math.min(most, this.#shiftMs));
    this.#anchorMs += part;
    this.#shiftMs -= part;
  }

  #start(timestamp: number, nowMs: number): void {
    this.#started = true;
    this.#anchor(Math.max(0, nowMs - this.#originMs), timestamp);
  }

  #followSource(timestamp: number, nowMs: number): void {
    if (timestamp - this.#lastTimestamp < -WRAP / 2) { // the 32-bit timestamp came round
      this.#anchorTimestamp -= WRAP;
      this.#lastTimestamp -= WRAP;
    }
    const stepMs = (timestamp - this.#lastTimestamp) * this.#msPerTick;
    const passedMs = nowMs - this.#lastNowMs;
    const jumped = Math.abs(stepMs - passedMs) > JUMP_MS;
    if (!jumped && !this.#restarting) return;
    if (jumped) this.jumps++;
    this.#restarting = false;
    this.#shiftMs = 0;
    this.#anchor(this.#latestMs + passedMs, timestamp);
  }

  #anchor(timeMs: number, timestamp: number): void {
    this.#anchorMs = timeMs;
    this.#anchorTimestamp = timestamp;
  }
}
