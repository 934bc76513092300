// Lets a request for a key frame pass once in a while: key frames are large, and one serves everybody who lost it.
// RFC 5104 4.3.1.2 and RFC 5168 ask for it; siprtmp waited 5 s between two, in which the picture stayed broken. Here
// a key frame that is lost on its way, too, is asked for early enough to mend the picture within a second.
// Role: machine

import type { Clock } from "../base/clock.ts";

/** Least time between two key-frame requests of one side, in ms. */
export const KEY_FRAME_REQUEST_MS = 300;

/** One side's requests. */
export class KeyFrameGate {
  readonly #clock: Clock;
  #passedMs = -Infinity;

  /** The first request passes. */
  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** True when a request may pass now; then no other does for a while. */
  admits(): boolean {
    const nowMs = this.#clock.now();
    if (nowMs - this.#passedMs < KEY_FRAME_REQUEST_MS) return false;
    this.#passedMs = nowMs;
    return true;
  }
}
