// What is learned about an FLV file tag by tag, while it is written or read through: where playing can start,
// where decoder configuration is, when it ends.
// Role: machine

import { KeyFrameIndex } from "./key_frame_index.ts";
import { type FlvSummary, MAX_HEADERS } from "./metadata.ts";
import { FirstTrack, isFrame, isHeader, type Tag } from "../media/tag.ts";

/** In a file without pictures playing can start anywhere: one place a second is enough. */
const AUDIO_PLACE_EVERY_MS = 1_000;

/** Of the positions of configuration the first two stay: most files have no others. */
const KEPT_HEADERS = 2;

/** Findings about one file. */
export class FlvSurvey {
  /** Where playing can start: key frames, or audio when there are no pictures. */
  readonly index: KeyFrameIndex = new KeyFrameIndex();
  /** Latest time of an audio or video tag; 0 before the first. */
  lastTimeMs = 0;
  /** True when there is sound or a picture. */
  hasMedia = false;
  /** True when there are pictures. */
  hasVideo = false;
  readonly #headers: number[] = [];
  readonly #firstTrack = new FirstTrack();
  #lastPlaceMs = Number.NEGATIVE_INFINITY;

  /** Positions of tags with decoder configuration, in order; when there are many, the first and the latest. */
  get headers(): readonly number[] {
    return this.#headers;
  }

  /** Takes over what a file says about itself. */
  adopt(summary: FlvSummary, hasVideo: boolean): void {
    for (const { timeMs, position } of summary.keyFrames) this.index.add(timeMs, position);
    for (const position of summary.headers) this.#noteHeader(position);
    this.lastTimeMs = Math.max(this.lastTimeMs, summary.durationMs);
    this.hasVideo ||= hasVideo;
    this.hasMedia ||= summary.keyFrames.length > 0;
  }

  /** Takes the next tag of the file. */
  note(tag: Tag, timeMs: number, position: number): void {
    if (tag.kind === "data") return;
    this.lastTimeMs = Math.max(this.lastTimeMs, timeMs);
    this.hasMedia = true;
    if (tag.kind === "video" && !this.hasVideo) {
      this.hasVideo = true;
      this.index.clear(); // from here on only key frames count
    }
    if (this.#firstTrack.startsAt(tag)) this.index.add(timeMs, position);
    else if (isHeader(tag)) this.#noteHeader(position);
    else if (tag.kind === "audio" && isFrame(tag)) this.#noteAudio(timeMs, position);
  }

  #noteAudio(timeMs: number, position: number): void {
    if (this.hasVideo || timeMs < this.#lastPlaceMs + AUDIO_PLACE_EVERY_MS) return;
    this.#lastPlaceMs = timeMs;
    this.index.add(timeMs, position);
  }

  #noteHeader(position: number): void {
    if (position <= (this.#headers.at(-1) ?? -1)) return;
    if (this.#headers.length >= MAX_HEADERS) this.#headers.splice(KEPT_HEADERS, 1);
    this.#headers.push(position);
  }
}
