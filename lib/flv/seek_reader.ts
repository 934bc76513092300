// Plays an FLV file from any time on: finds the key frame at or before it by the file's index, or by reading
// the file as far as needed and remembering what was seen, and the decoder configuration that applies there.
// Role: edge

import { WireError } from "../base/errors.ts";
import { createTag, FirstTrack, headerSlot, isFrame, isHeader, readTag, type Tag } from "../media/tag.ts";
import { type FlvBeginning, FlvCursor, FlvSurvey, readBeginning } from "./inspect.ts";
import { DiskFile } from "./disk.ts";
import { encodePlayerMetaData, type KeyFrame } from "./metadata.ts";
import type { FlvTag } from "./tag.ts";

interface FlvHeaderTag {
  /** 8 audio, 9 video. */
  readonly type: 8 | 9;
  readonly body: Uint8Array;
}

/** Where a seek has led. */
export interface FlvPlace {
  readonly timeMs: number;
  /** Decoder configuration that applies there, to be sent before it. */
  readonly headers: readonly FlvHeaderTag[];
}

interface FoundHeader extends FlvHeaderTag {
  readonly slot: number;
  readonly position: number;
}

/** Configuration of an indexed file of another program is looked for in so many tags at its beginning. */
const TAGS_WITH_HEADERS = 200;

/** Longest configuration that is believed. */
const MAX_HEADER_BYTES = 65536;
const MAX_HEADERS = 32;

export class FlvSeekReader implements Disposable {
  /** Time of the last tag, as far as known; 0 when nothing is. */
  readonly durationMs: number;
  readonly metadata: Uint8Array;
  readonly #file: DiskFile;
  readonly #beginning: FlvBeginning;
  readonly #cursor: FlvCursor;
  #survey = new FlvSurvey();
  readonly #headers: FoundHeader[] = [];
  readonly #header = createTag();
  /** So far has the file been read through; all of it when it has an index. */
  #surveyedTo: number;

  private constructor(file: DiskFile, beginning: FlvBeginning) {
    const { metadata, lastTimeMs, mediaAt } = beginning;
    const summary = metadata?.summary ??
      { durationMs: 0, fileBytes: 0, keyFrames: [], headers: [], properties: {} };
    this.#file = file;
    this.#beginning = beginning;
    this.#cursor = new FlvCursor(file);
    this.#cursor.moveTo(mediaAt);
    this.#surveyedTo = mediaAt;
    this.durationMs = beginning.indexed
      ? Math.max(summary.durationMs, lastTimeMs ?? 0)
      : lastTimeMs ?? summary.durationMs;
    this.metadata = encodePlayerMetaData(summary, this.durationMs);
  }

  /** Opens a file, at its first tag of media. @throws TransportError, WireError when it is no FLV file */
  static async open(path: string): Promise<FlvSeekReader> {
    const file = await DiskFile.open(path, "read");
    try {
      const reader = new FlvSeekReader(file, await readBeginning(file));
      await reader.#adoptIndex();
      return reader;
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /** The next whole tag, its body valid until the next call; null when fill() is needed. @throws WireError */
  next(): FlvTag | null {
    return this.#cursor.next();
  }

  /** Reads on when next() has returned null; false at the end. @throws TransportError */
  fill(): Promise<boolean> {
    return this.#cursor.fill();
  }

  /**
   * Goes to the last key frame at or before `timeMs` (in a file without pictures: the last tag), or else to the
   * first tag. Null, and nothing changes, when the file is known to end before. @throws TransportError, WireError
   */
  async seek(timeMs: number): Promise<FlvPlace | null> {
    if (timeMs > this.durationMs && this.durationMs > 0) return null;
    await this.#surveyUntil(timeMs);
    const place = await this.#refine(this.#survey.index.before(timeMs), timeMs) ??
      await this.#withoutIndex(timeMs);
    this.#cursor.moveTo(place.position);
    return { timeMs: place.timeMs, headers: this.#headersAt(place.position) };
  }

  /** Closes the file; not while next(), fill() or seek() is under way. */
  close(): void {
    this.#file.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async #adoptIndex(): Promise<void> {
    const { metadata, indexed, size } = this.#beginning;
    if (metadata === null || !indexed) return;
    const { summary } = metadata;
    const first = new FlvCursor(this.#file);
    first.moveTo(summary.keyFrames[0]!.position);
    this.#survey.adopt(summary, await peekType(first) === 9);
    this.#surveyedTo = size;
    for (const position of summary.headers) await this.#readHeader(position);
    if (summary.headers.length === 0) await this.#findHeaders();
  }

  async #readHeader(position: number): Promise<void> {
    const cursor = new FlvCursor(this.#file);
    cursor.moveTo(position);
    const tag = position < this.#beginning.size ? await readOrNull(cursor) : null;
    if (tag !== null) this.#noteHeader(this.#read(tag), tag, position);
  }

  async #findHeaders(): Promise<void> {
    const cursor = new FlvCursor(this.#file);
    cursor.moveTo(this.#beginning.mediaAt);
    for (let i = 0; i < TAGS_WITH_HEADERS; i++) {
      const tag = await readOrNull(cursor);
      if (tag === null) return;
      this.#noteHeader(this.#read(tag), tag, cursor.tagPosition);
    }
  }

  /** Reads the file through up to `timeMs`, unless that has been done. */
  async #surveyUntil(timeMs: number): Promise<void> {
    if (this.#surveyedTo >= this.#beginning.size) return;
    const cursor = new FlvCursor(this.#file);
    cursor.moveTo(this.#surveyedTo);
    for (let tag = await cursor.read(); tag !== null; tag = await cursor.read()) {
      const header = this.#read(tag);
      this.#survey.note(header, tag.timeMs, cursor.tagPosition);
      this.#noteHeader(header, tag, cursor.tagPosition);
      this.#surveyedTo = cursor.position;
      if (tag.type !== 18 && tag.timeMs > timeMs) return;
    }
  }

  /** The last place at or before `timeMs`, looked for from `from` on; null when the index has misled us. */
  async #refine(from: KeyFrame | null, timeMs: number): Promise<KeyFrame | null> {
    const cursor = new FlvCursor(this.#file);
    const start = from ?? { timeMs: 0, position: this.#beginning.mediaAt };
    cursor.moveTo(start.position);
    let place = start;
    let valid = from === null;
    const firstTrack = new FirstTrack();
    for (let tag = await readOrNull(cursor); tag !== null; tag = await readOrNull(cursor)) {
      const position = cursor.tagPosition;
      const header = this.#read(tag);
      const isPlace = firstTrack.startsAt(header) || this.#isSoundPlace(header);
      if (position === from?.position) valid = isPlace;
      if (!valid) return null;
      if (tag.type !== 18 && tag.timeMs > timeMs) return place;
      this.#noteHeader(header, tag, position);
      if (isPlace) place = { timeMs: tag.timeMs, position };
    }
    return valid ? place : null;
  }

  /** The index of the file is wrong: it is not used any more. */
  async #withoutIndex(timeMs: number): Promise<KeyFrame> {
    this.#survey = new FlvSurvey();
    this.#surveyedTo = this.#beginning.mediaAt;
    await this.#surveyUntil(timeMs);
    return this.#survey.index.before(timeMs) ?? { timeMs: 0, position: this.#beginning.mediaAt };
  }

  #read({ type, body }: FlvTag): Tag {
    return readTag(type, body, this.#header);
  }

  #isSoundPlace(header: Tag): boolean {
    return header.kind === "audio" && isFrame(header) && !this.#survey.hasVideo;
  }

  #noteHeader(header: Tag, tag: FlvTag, position: number): void {
    if (!isHeader(header)) return;
    if (tag.body.length > MAX_HEADER_BYTES || this.#headers.length >= MAX_HEADERS) return;
    if (this.#headers.some((known) => known.position === position)) return;
    const type = header.kind === "audio" ? 8 : 9;
    this.#headers.push({ type, slot: headerSlot(header), body: tag.body.slice(), position });
  }

  #headersAt(position: number): FlvHeaderTag[] {
    const latest = new Map<number, FoundHeader>();
    for (const header of this.#headers) {
      const known = latest.get(header.slot);
      if (header.position < position && (known === undefined || known.position < header.position)) {
        latest.set(header.slot, header);
      }
    }
    return [...latest.values()]
      .sort((a, b) => b.type - a.type || a.position - b.position)
      .map(({ type, body }) => ({ type, body }));
  }
}

/** As read(), and null where the bytes are no tags: an index may point anywhere. */
async function readOrNull(cursor: FlvCursor): Promise<FlvTag | null> {
  try {
    return await cursor.read();
  } catch (error) {
    if (error instanceof WireError) return null;
    throw error;
  }
}

async function peekType(cursor: FlvCursor): Promise<number | null> {
  return (await readOrNull(cursor))?.type ?? null;
}
