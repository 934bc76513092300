// Records a live stream: takes its tags like a player, on the time line of the file. A new file starts at 0,
// an appended one 20 ms behind its last tag; a publisher whose clock jumps back does not overwrite time.
// Role: edge

import type { Congestion } from "../rtmp/drop_policy.ts";
import type { FlvWriter } from "../flv/writer.ts";
import { publisherProperties } from "../flv/metadata.ts";
import { createTag, readTag } from "../media/tag.ts";
import type { LiveSink } from "./live_sink.ts";

/** Between the last tag of a file and the first one that is appended. */
const APPEND_GAP_MS = 20;

/** Tags of sound and pictures are this much out of order at most; what jumps back further has a new clock. */
const MAX_DISORDER_MS = 1_000;

/** From so many bytes that wait for the disk on, pictures are left out up to the next key frame. */
const SLOW_DISK_BYTES = 4 * 1024 * 1024;

export class Recording implements LiveSink {
  /** Told once, with the reason in plain words, when nothing more can be recorded. */
  onFailure: ((reason: string) => void) | null = null;
  /** Frames left out because the disk was slow. */
  droppedFrames = 0;
  readonly #writer: FlvWriter;
  readonly #tag = createTag();
  /** Where the next tag goes when there is nothing to relate it to. */
  #shiftMs: number | null = null;
  #lastMs: number;
  #empty = true;
  #failed = false;

  /** Nothing is written yet. @param writer of a new file, or of one that has tags already */
  constructor(writer: FlvWriter) {
    this.#writer = writer;
    const { lastTimeMs } = writer;
    this.#lastMs = lastTimeMs === null ? 0 : lastTimeMs + APPEND_GAP_MS;
  }

  /** Length so far. */
  get durationMs(): number {
    return this.#writer.durationMs;
  }

  /** False when nothing of it can be played. */
  get kept(): boolean {
    return this.#writer.kept;
  }

  congestion(): Congestion {
    return this.#writer.waiting > SLOW_DISK_BYTES ? 1 : 0;
  }

  media(type: 8 | 9 | 18, timeMs: number, body: Uint8Array): boolean {
    if (this.#failed) return true;
    if (type === 18 && readTag(type, body, this.#tag).content === "metadata") {
      this.#writer.describe(publisherProperties(body));
      return true;
    }
    const taken = this.#writer.put(type, this.#fileTime(timeMs), body);
    if (taken) this.#empty = false;
    else if (this.#writer.failure !== null) this.#fail(this.#writer.failure.message);
    return taken || this.#failed;
  }

  dropped(video: number, audio: number): void {
    this.droppedFrames = video + audio;
  }

  /** Ends the recording; without a single tag an earlier file stays. @throws TransportError */
  async close(): Promise<void> {
    if (this.#empty) await this.#writer.discard();
    else await this.#writer.close();
  }

  #fileTime(timeMs: number): number {
    this.#shiftMs ??= this.#lastMs - timeMs;
    if (timeMs + this.#shiftMs < this.#lastMs - MAX_DISORDER_MS) {
      this.#shiftMs = this.#lastMs + APPEND_GAP_MS - timeMs;
    }
    const fileMs = Math.max(0, timeMs + this.#shiftMs);
    this.#lastMs = Math.max(this.#lastMs, fileMs);
    return fileMs;
  }

  #fail(reason: string): void {
    this.#failed = true;
    this.onFailure?.(reason);
  }
}
