// What a slow client loses: first video up to the next key frame, then audio; never headers, data or commands.
// Role: machine

import { createTag, FirstTrack, isFrame, readTag, type Tag } from "../media/tag.ts";

/** How full the send queue is: nothing to do, shed video, shed audio as well. */
export type Congestion = 0 | 1 | 2;

export interface CongestionLimits {
  /** Shed video from so many unsent bytes on; audio from half way to `hardUnsent`. */
  readonly softUnsent: number;
  readonly hardUnsent: number;
  /** Shed video from so much lag on; audio from twice as much. */
  readonly maxLagMs: number;
}

export function congestionOf(limits: CongestionLimits, unsent: number, lagMs: number): Congestion {
  const { softUnsent, hardUnsent, maxLagMs } = limits;
  if (unsent >= (softUnsent + hardUnsent) / 2 || lagMs >= 2 * maxLagMs) return 2;
  return unsent >= softUnsent || lagMs >= maxLagMs ? 1 : 0;
}

export class DropPolicy {
  /** Video messages not sent. */
  droppedVideo = 0;
  /** Audio messages not sent. */
  droppedAudio = 0;
  readonly #header = createTag();
  #firstTrack = new FirstTrack();
  #sentVideo = false;
  #awaitingKey = false;

  restart(): void {
    this.#firstTrack = new FirstTrack();
    this.#sentVideo = this.#awaitingKey = false;
  }

  /** True when the message is to be sent. */
  admit(type: 8 | 9 | 18, body: Uint8Array, congestion: Congestion): boolean {
    if (type === 18) return true;
    if (type === 9) return this.#admitVideo(readTag(type, body, this.#header), congestion);
    // Without video there is nothing else to shed.
    const shed = congestion === 2 || (congestion === 1 && !this.#sentVideo);
    if (!shed || !isFrame(readTag(type, body, this.#header))) return true;
    this.droppedAudio++;
    return false;
  }

  /** After a pause: what follows makes sense from a key frame on. */
  awaitKeyFrame(): void {
    this.#awaitingKey = this.#sentVideo;
  }

  #admitVideo(tag: Tag, congestion: Congestion): boolean {
    this.#sentVideo = true;
    const starts = this.#firstTrack.startsAt(tag);
    if (!isFrame(tag)) return true;
    if (congestion > 0) this.#awaitingKey = true;
    else if (starts) this.#awaitingKey = false;
    if (!this.#awaitingKey) return true;
    this.droppedVideo++;
    return false;
  }
}

const MARKS = 32;
const MARK_SPACING_MS = 50;
const NO_MARKS = new Float64Array(0);

export class SendLag {
  /** The first mark: the oldest unsent bytes were put at this time or at most a little later. */
  #firstMs = 0;
  /** The marks behind it, in a ring: from this byte on, bytes were put at that time or a little later. */
  #starts = NO_MARKS;
  #timesMs = NO_MARKS;
  #at = 0;
  /** All of them, the first one included. */
  #count = 0;
  #lastMarkMs = Number.NEGATIVE_INFINITY;

  /** To be told before each put: bytes put so far in all, how many of them are unsent, and the time. */
  note(total: number, unsent: number, nowMs: number): void {
    if (unsent === 0) this.#clear();
    if (this.#count > MARKS || nowMs - this.#lastMarkMs < MARK_SPACING_MS) return;
    this.#lastMarkMs = nowMs;
    if (this.#count++ === 0) {
      this.#firstMs = nowMs;
      return;
    }
    if (this.#starts.length === 0) {
      this.#starts = new Float64Array(MARKS);
      this.#timesMs = new Float64Array(MARKS);
    }
    const at = (this.#at + this.#count - 2) % MARKS;
    this.#starts[at] = total;
    this.#timesMs[at] = nowMs;
  }

  /** Milliseconds the oldest unsent byte has waited, at most 50 ms too many; 0 when nothing waits. */
  lagMs(total: number, unsent: number, nowMs: number): number {
    if (unsent === 0) {
      this.#clear();
      return 0;
    }
    const sent = total - unsent;
    while (this.#count > 1 && this.#starts[this.#at]! <= sent) {
      this.#firstMs = this.#timesMs[this.#at]!;
      this.#at = (this.#at + 1) % MARKS;
      this.#count--;
    }
    return this.#count === 0 ? 0 : nowMs - this.#firstMs;
  }

  #clear(): void {
    this.#count = 0;
    this.#lastMarkMs = Number.NEGATIVE_INFINITY;
    if (this.#starts.length > 0) this.#starts = this.#timesMs = NO_MARKS;
  }
}
