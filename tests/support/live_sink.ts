// A taker of live streams that keeps what it gets, and may be as slow as the test wants.

import type { Congestion } from "../../lib/rtmp/drop_policy.ts";
import type { LiveSink } from "../../lib/live/subscription.ts";
import type { TestTag } from "./live_flv.ts";

/** Keeps tags as "TYPE TIME FIRST-BYTES", and what it is told. */
export class KeepingSink implements LiveSink {
  readonly lines: string[] = [];
  readonly tags: TestTag[] = [];
  /** What congestion() says. */
  slow: Congestion = 0;
  /** What media() says. */
  takes = true;
  /** So many more tags are taken before it is slow. */
  room = Infinity;
  told: [video: number, audio: number] = [0, 0];

  congestion(): Congestion {
    return this.room <= 0 ? 1 : this.slow;
  }

  media(type: 8 | 9 | 18, timeMs: number, body: Uint8Array): boolean {
    if (!this.takes) return false;
    this.room--;
    this.tags.push({ type, timeMs, body: body.slice() });
    this.lines.push(nameOf(type, timeMs, body));
    return true;
  }

  started(): void {
    this.lines.push("started");
  }

  published(): void {
    this.lines.push("published");
  }

  unpublished(): void {
    this.lines.push("unpublished");
  }

  dropped(video: number, audio: number): void {
    this.told = [video, audio];
  }

  /** What has come since the last call. */
  take(): string[] {
    return this.lines.splice(0);
  }
}

/** "key 0", "picture 40", "avc1 0", "aac 0", "sound 20", "speech 20", "metadata 0", "data 0". */
export function nameOf(type: 8 | 9 | 18, timeMs: number, body: Uint8Array): string {
  const [first, second] = body;
  if (type === 18) return `${dataName(body)} ${timeMs}`;
  if (type === 8) return `${first === 0xb2 ? "speech" : second === 0 ? "aac" : "sound"} ${timeMs}`;
  if (second === 0) return `avc${body[5]} ${timeMs}`;
  return `${first === 0x17 ? "key" : "picture"} ${timeMs}`;
}

function dataName(body: Uint8Array): string {
  return new TextDecoder().decode(body.subarray(3, 3 + (body[2] ?? 0))) === "onMetaData"
    ? "metadata"
    : "data";
}
