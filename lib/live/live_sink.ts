// Who takes a live stream: an RTMP player, a recording, a part of this program. And what it is told.
// Role: machine

import type { Congestion } from "../rtmp/drop_policy.ts";

/** Takes tags of one stream. Nothing here may wait, nor end the stream it is called from. */
export interface LiveSink {
  /** Asked before a frame: 0 send all, 1 no pictures before the next key frame, 2 no sound either. */
  congestion(): Congestion;
  /** One tag, its body borrowed. False when it was not taken, which is counted. */
  media(type: 8 | 9 | 18, timeMs: number, body: Uint8Array): boolean;
  /** It is a player now; comes once, before everything else. */
  started?(): void;
  /** A publisher has come; not told when it was there before. */
  published?(): void;
  /** The publisher has gone; another one may come. */
  unpublished?(): void;
  /** Frames have been left out; so many in all so far. */
  dropped?(video: number, audio: number): void;
}
