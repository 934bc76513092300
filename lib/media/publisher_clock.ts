// The publisher's clock beside ours, one for its audio and its video: which moment of ours an RTMP time stands for; sender
// reports made from it let the peer play both in step (RFC 3550 6.4.1), since both streams err alike. And the other way: both
// RTP streams of a call on one RTMP time.
// Role: machine

import type { Clock } from "../base/clock.ts";

/** Farther than this from where it should be, a time belongs to a clock that was set anew. */
const JUMP_MS = 2000;
/** Audio blocks are stamped with some jitter: each one moves the anchor of its stream by this share only. */
const SMOOTHING = 1 / 32;
/** Farther than this from the anchor it is no jitter. */
const STEP_MS = 100;

export class PublisherClock {
  readonly #clock: Clock;
  #offsetMs: number | null = null;

  /** The first time means "now". */
  constructor(clock: Clock) {
    this.#clock = clock;
  }

  momentOf(timeMs: number): number {
    const nowMs = this.#clock.now();
    const offsetMs = this.#offsetMs;
    if (offsetMs === null || Math.abs(timeMs + offsetMs - nowMs) > JUMP_MS) this.#offsetMs = nowMs - timeMs;
    return timeMs + this.#offsetMs!;
  }

  /** Another publisher: its first time means "now". */
  restart(): void {
    this.#offsetMs = null;
  }
}

/** Keeps the anchor of one RTP stream: a timestamp and the moment it stands for. */
export class StreamAnchor {
  readonly #publisher: PublisherClock;
  readonly #msPerTick: number;
  readonly #anchor: (timestamp: number, atMs: number) => void;
  /** NaN before the first frame. */
  #originMs = NaN;

  /** Idle until its first use. @param anchor RtpSession.anchor, told with every frame */
  constructor(
    publisher: PublisherClock,
    clockRate: number,
    anchor: (timestamp: number, atMs: number) => void,
  ) {
    this.#publisher = publisher;
    this.#msPerTick = 1000 / clockRate;
    this.#anchor = anchor;
  }

  /** A frame of this RTMP time was given this timestamp, unwrapped. */
  placed(timestamp: number, timeMs: number): void {
    const originMs = this.#publisher.momentOf(timeMs) - timestamp * this.#msPerTick;
    const off = originMs - this.#originMs;
    this.#originMs = Math.abs(off) < STEP_MS ? this.#originMs + off * SMOOTHING : originMs;
    this.#anchor(timestamp, this.#originMs + timestamp * this.#msPerTick);
  }
}

/** Nobody notices less (ITU-T J.100 asks for 20 ms ahead, 40 ms behind). */
const LEAST_SKEW_MS = 5;
/** Reports that are farther apart do not share a wall clock. */
const MOST_SKEW_MS = 2000;

/** One instant on the peer's wall clock and on the RTP clock of a stream. */
interface StreamReport {
  /** Wall clock, in ms. */
  readonly wallMs: number;
  readonly timestamp: number;
}

interface TimedStream {
  /** RTMP time of a timestamp as things stand; null before the first. */
  peekMs(timestamp: number): number | null;
}

interface MovableStream extends TimedStream {
  /** Moves the times of what follows by `ms`, little by little; replaces what was left of an earlier move. */
  shift(ms: number): void;
}

export class LipSync {
  /** Video time minus audio time of one moment at the last report of either, before it was mended; null: unknown. */
  skewMs: number | null = null;
  readonly #audio: TimedStream;
  readonly #video: MovableStream;
  readonly #audioRate: number;
  readonly #videoRate: number;
  #audioReport: StreamReport | null = null;
  #videoReport: StreamReport | null = null;

  /** Idle until its first use. @param rates RTP clocks of audio and video in Hz */
  constructor(
    audio: TimedStream,
    video: MovableStream,
    rates: { readonly audio: number; readonly video: number },
  ) {
    this.#audio = audio;
    this.#video = video;
    this.#audioRate = rates.audio;
    this.#videoRate = rates.video;
  }

  audioReported(report: StreamReport): void {
    this.#audioReport = report;
    this.#align(report.wallMs);
  }

  videoReported(report: StreamReport): void {
    this.#videoReport = report;
    this.#align(report.wallMs);
  }

  /** A stream has another source: what was reported of the old one is void. */
  audioChanged(): void {
    this.#audioReport = null;
  }

  /** As {@link audioChanged}. */
  videoChanged(): void {
    this.#videoReport = null;
  }

  #align(wallMs: number): void {
    const [audio, video] = [this.#audioReport, this.#videoReport];
    if (audio === null || video === null) return;
    const heardMs = this.#audio.peekMs(timestampAt(audio, wallMs, this.#audioRate));
    const seenMs = this.#video.peekMs(timestampAt(video, wallMs, this.#videoRate));
    if (heardMs === null || seenMs === null) return;
    const skewMs = seenMs - heardMs;
    this.skewMs = skewMs;
    if (Math.abs(skewMs) > MOST_SKEW_MS) return;
    this.#video.shift(Math.abs(skewMs) < LEAST_SKEW_MS ? 0 : -skewMs);
  }
}

function timestampAt(report: StreamReport, wallMs: number, clockRate: number): number {
  return report.timestamp + (wallMs - report.wallMs) * clockRate / 1000;
}
