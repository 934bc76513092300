// The publisher's clock beside ours, one for its audio and its video: which moment of ours an RTMP time stands for.
// Sender reports made from it let the peer play both in step (RFC 3550 6.4.1), since both streams err alike.
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
