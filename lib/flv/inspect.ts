// What an FLV file on disk is like: its metadata when that is up to date, else what reading it through shows.
// A file whose writer crashed has old metadata and may end inside a tag; both are noticed here.
// Role: edge

import { ByteReader } from "../base/bytes.ts";
import { WireError } from "../base/errors.ts";
import type { DiskFile } from "./disk.ts";
import { type FlvSummary, KeyFrameIndex, MAX_HEADERS, parseMetaData } from "./metadata.ts";
import { type FlvTag, FlvTagReader } from "./tag.ts";
import { createTag, FirstTrack, isFrame, isHeader, readTag, type Tag } from "../media/tag.ts";

export interface FlvMetaDataTag {
  /** Where its body is in the file. */
  readonly position: number;
  readonly body: Uint8Array;
  readonly summary: FlvSummary;
}

export interface FlvBeginning {
  readonly size: number;
  /** Null when the first tag is something else. */
  readonly metadata: FlvMetaDataTag | null;
  /** Where the first other tag is. */
  readonly mediaAt: number;
  /** Time of the last tag; null when the file does not end with a whole tag. */
  readonly lastTimeMs: number | null;
  /** True when the index in the metadata belongs to the file as it is. */
  readonly indexed: boolean;
}

const TAG_HEADER_BYTES = 11;
const SIZE_BYTES = 4;

/** Reads the first tag and the frame of the last one. @throws TransportError, WireError when it is no FLV file */
export async function readBeginning(file: DiskFile): Promise<FlvBeginning> {
  const size = await file.size();
  const cursor = new FlvCursor(file);
  const first = await cursor.read();
  const lastTimeMs = await readLastTime(file, size);
  const position = cursor.tagPosition + TAG_HEADER_BYTES;
  const summary = first?.type === 18 ? parseMetaData(first.body) : null;
  if (first === null || summary === null) {
    return {
      size,
      metadata: null,
      mediaAt: first === null ? size : cursor.tagPosition,
      lastTimeMs,
      indexed: false,
    };
  }
  const body = first.body.slice();
  const indexed = lastTimeMs !== null && summary.fileBytes === size && summary.keyFrames.length > 0;
  return { size, metadata: { position, body, summary }, mediaAt: cursor.position, lastTimeMs, indexed };
}

/** What has been found out about a whole file. */
export interface FlvInspection {
  readonly survey: FlvSurvey;
  /** Null when there is none at the beginning. */
  readonly metadata: FlvMetaDataTag | null;
  readonly end: number;
}

/** Looks at a whole file; reads it through unless its index is up to date. @throws as {@link readBeginning} */
export async function inspectFlv(file: DiskFile): Promise<FlvInspection> {
  const beginning = await readBeginning(file);
  const { metadata, size } = beginning;
  const survey = new FlvSurvey();
  if (metadata !== null && beginning.indexed) {
    const { summary } = metadata;
    survey.adopt(summary, await startsWithPicture(file, summary));
    survey.lastTimeMs = Math.max(survey.lastTimeMs, beginning.lastTimeMs ?? 0);
    return { survey, metadata, end: size };
  }
  return { survey, metadata, end: await readThrough(file, survey) };
}

/** True when the first place of the index is a picture. */
async function startsWithPicture(file: DiskFile, summary: FlvSummary): Promise<boolean> {
  const type = new Uint8Array(1);
  await file.readAt(summary.keyFrames[0]?.position ?? 0, type);
  return type[0] === 9;
}

async function readThrough(file: DiskFile, survey: FlvSurvey): Promise<number> {
  const cursor = new FlvCursor(file);
  const header = createTag();
  for (let tag = await cursor.read(); tag !== null; tag = await cursor.read()) {
    survey.note(readTag(tag.type, tag.body, header), tag.timeMs, cursor.tagPosition);
  }
  return cursor.position;
}

/** Time of the last tag, found from the end of the file; null when there is no whole tag. */
async function readLastTime(file: DiskFile, size: number): Promise<number | null> {
  const length = await readSizeField(file, size - SIZE_BYTES);
  const at = size - SIZE_BYTES - length;
  if (length < TAG_HEADER_BYTES || at <= 0) return null;
  const bytes = new Uint8Array(TAG_HEADER_BYTES);
  if (await file.readAt(at, bytes) < TAG_HEADER_BYTES) return null;
  const header = new ByteReader(bytes, "FLV tag");
  const type = header.u8();
  const whole = header.u24() === length - TAG_HEADER_BYTES;
  const low = header.u24();
  return whole && (type === 8 || type === 9 || type === 18) ? (header.u8() << 24 | low) >>> 0 : null;
}

async function readSizeField(file: DiskFile, position: number): Promise<number> {
  const bytes = new Uint8Array(SIZE_BYTES);
  if (position < 0 || await file.readAt(position, bytes) < SIZE_BYTES) return 0;
  return new ByteReader(bytes, "FLV tag").u32();
}

const PIECE_BYTES = 65536;
/** Header before and size field behind the body of a tag. */
const TAG_FRAME_BYTES = 15;

/** A reading position in an FLV file. The file stays its owner's. */
export class FlvCursor {
  /** Where the tag that next() returned last begins. */
  tagPosition = 0;
  readonly #file: DiskFile;
  readonly #piece = new Uint8Array(PIECE_BYTES);
  #reader = new FlvTagReader();
  #readAt = 0;

  /** At the start of the file, where its header is. */
  constructor(file: DiskFile) {
    this.#file = file;
  }

  /** Where the next tag begins. */
  get position(): number {
    return this.#readAt - this.#reader.unfinished;
  }

  /** Bytes of a tag that was read in part; at the end of the file: it was cut off. */
  get unfinished(): number {
    return this.#reader.unfinished;
  }

  /** The next whole tag, its body valid until the next call; null when fill() is needed. @throws WireError */
  next(): FlvTag | null {
    const tag = this.#reader.next();
    if (tag !== null) this.tagPosition = this.position - tag.body.length - TAG_FRAME_BYTES;
    return tag;
  }

  /** Reads on, when next() has returned null; false at the end of the file. @throws TransportError, WireError */
  async fill(): Promise<boolean> {
    const count = await this.#file.readAt(this.#readAt, this.#piece);
    if (count === 0 && !this.#reader.started) throw new WireError("FLV file", "ends before its first tag");
    if (count === 0) return false;
    this.#readAt += count;
    this.#reader.feed(this.#piece.subarray(0, count));
    return true;
  }

  /** The next whole tag, read from the file if need be; null at the end. @throws TransportError, WireError */
  async read(): Promise<FlvTag | null> {
    for (;;) {
      const tag = this.next();
      if (tag !== null || !await this.fill()) return tag;
    }
  }

  /** Goes to the beginning of a tag; 0 is the beginning of the file. */
  moveTo(position: number): void {
    this.#reader = new FlvTagReader();
    this.#reader.started = position > 0;
    this.#readAt = position;
  }
}

/** In a file without pictures playing can start anywhere: one place a second is enough. */
const AUDIO_PLACE_EVERY_MS = 1_000;

/** Of the positions of configuration the first two stay: most files have no others. */
const KEPT_HEADERS = 2;

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
