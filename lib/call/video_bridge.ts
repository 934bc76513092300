// What the bridges of video, H.264 and x-flv, have in common: what they are given, and a gate for key-frame requests.
// Role: machine

import type { Clock } from "../base/clock.ts";
import type { RtpSink } from "../rtp/session.ts";
import type { TagSink } from "./call_media.ts";
import type { MediaWarning } from "./media_warnings.ts";

export interface VideoBridgeOptions<Chain> {
  readonly chain: Chain;
  readonly clock: Clock;
  /** What clock.now() was at RTMP time 0 of the client's connection. */
  readonly originMs: number;
  readonly toSip: RtpSink;
  readonly toRtmp: TagSink;
  /** The peer must send a key frame; rate-limited. */
  readonly askPeer: () => void;
  /** The publisher must send a key frame; rate-limited. */
  readonly askPublisher: () => void;
  /** Told what is wrong with the stream, each thing once. */
  readonly onWarning: (warning: MediaWarning) => void;
}

/**
 * Least time between two key-frame requests of one side, in ms: a key frame is large and serves everybody who lost it, but one
 * that is lost, too, is asked for early enough to mend the picture within a second (RFC 5104 4.3.1.2, RFC 5168).
 */
export const KEY_FRAME_REQUEST_MS = 300;

/** Lets a request of one side pass once in a while. */
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
