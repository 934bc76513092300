// What an FLV file on disk is like: its metadata when that is up to date, else what reading it through shows.
// A file whose writer crashed has old metadata and may end inside a tag; both are noticed here.
// Role: edge

import { ByteReader } from "../base/bytes.ts";
import { createTag, readTag } from "../media/tag.ts";
import { FlvCursor } from "./cursor.ts";
import type { DiskFile } from "./disk.ts";
import { type FlvSummary, parseMetaData } from "./metadata.ts";
import { FlvSurvey } from "./survey.ts";

/** The onMetaData tag at the beginning of a file. */
export interface FlvMetaDataTag {
  /** Where its body is in the file. */
  readonly position: number;
  readonly body: Uint8Array;
  readonly summary: FlvSummary;
}

export interface FlvBeginning {
  /** Length of the file now. */
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
  /** Behind the last whole tag. */
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
