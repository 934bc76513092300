// What onMetaData says of a file, and where playing can start in it: times and positions of key frames in bounded memory. When
// that is full every second entry goes, and from then on only every second one comes in: a longer file has a coarser index.
// Role: machine

import { decodeAmf0, encodeAmf0 } from "../amf/amf0.ts";
import {
  AmfEcmaArray,
  type AmfObject,
  type AmfValue,
  getProperty,
  propertiesOf,
  setProperty,
} from "../amf/value.ts";
import { nullIfMalformed } from "../base/errors.ts";
import { createTag, readTag } from "../media/tag.ts";

export interface KeyFrame {
  readonly timeMs: number;
  /** Its first byte in the file. */
  readonly position: number;
}

/** As many as an hour of one key frame in two seconds, and some. */
export const MAX_KEY_FRAMES = 2048;

/** A list of places, sorted by time and position. */
export class KeyFrameIndex {
  readonly #timesMs: number[] = [];
  readonly #positions: number[] = [];
  readonly #capacity: number;
  #stride = 1;
  #passed = 0;

  /** Empty. @param capacity how many places it remembers, 2 or more */
  constructor(capacity: number = MAX_KEY_FRAMES) {
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#timesMs.length;
  }

  /** Adds a place behind the last one; anything else is ignored. */
  add(timeMs: number, position: number): void {
    const last = this.size - 1;
    const inOrder = last < 0 || timeMs >= this.#timesMs[last]! && position > this.#positions[last]!;
    if (!inOrder || ++this.#passed < this.#stride) return;
    this.#passed = 0;
    if (this.size >= this.#capacity) this.#thin();
    this.#timesMs.push(timeMs);
    this.#positions.push(position);
  }

  /** The last place at or before `timeMs`; null when there is none. */
  before(timeMs: number): KeyFrame | null {
    let low = 0;
    let high = this.size;
    while (low < high) {
      const middle = low + high >> 1;
      if (this.#timesMs[middle]! <= timeMs) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? null : this.#at(low - 1);
  }

  entries(): KeyFrame[] {
    return this.#timesMs.map((_time, at) => this.#at(at));
  }

  clear(): void {
    this.#timesMs.length = 0;
    this.#positions.length = 0;
    this.#stride = 1;
    this.#passed = 0;
  }

  #at(index: number): KeyFrame {
    return { timeMs: this.#timesMs[index]!, position: this.#positions[index]! };
  }

  #thin(): void {
    const kept = this.size + 1 >> 1;
    for (let i = 0; i < kept; i++) {
      this.#timesMs[i] = this.#timesMs[2 * i]!;
      this.#positions[i] = this.#positions[2 * i]!;
    }
    this.#timesMs.length = kept;
    this.#positions.length = kept;
    this.#stride *= 2;
  }
}

export interface FlvSummary {
  readonly durationMs: number;
  /** Length of the file; an index beside another length is out of date. */
  readonly fileBytes: number;
  /** Where playing can start. */
  readonly keyFrames: readonly KeyFrame[];
  readonly headers: readonly number[];
  readonly properties: AmfObject;
}

/** Positions of decoder configuration that are remembered: the first one and the latest. */
export const MAX_HEADERS = 32;

const MAX_PROPERTY_BYTES = 4096;
/** Longest body of a publisher that is read. */
const MAX_PUBLISHED_BYTES = 64 * 1024;
const MAX_PROPERTIES = 64;
const MAX_NAME = 64;
const MAX_TEXT = 256;

/** A position or time in a list takes a marker and eight bytes; the names and the frame of it all some more. */
const NUMBER_BYTES = 9;

/** FFmpeg reads strings of 1023 bytes at most. A string takes a marker and its length besides. */
const MAX_PADDING_STRING = 1000;
const STRING_FRAME_BYTES = 3;

/** Length of the metadata body that a new recording starts with; enough for a full index. */
export const METADATA_BYTES: number = 512 + MAX_PROPERTY_BYTES +
  NUMBER_BYTES * (2 * MAX_KEY_FRAMES + MAX_HEADERS);

/** Names that are ours; a publisher's values under them are left out. */
const OWN_NAMES: ReadonlySet<string> = new Set([
  "duration",
  "filesize",
  "lasttimestamp",
  "hasKeyframes",
  "keyframes",
  "siprtmpheaders",
  "padding",
]);

/**
 * A metadata body of exactly `length` bytes; null when that is too little, even without the publisher's values.
 *
 *   "onMetaData" | array: duration FIRST, publisher's values..., keyframes, siprtmpheaders, padding
 */
export function encodeMetaData(summary: FlvSummary, length: number): Uint8Array | null {
  return encodePadded(summary, summary.properties, length) ?? encodePadded(summary, {}, length);
}

function encodePadded(summary: FlvSummary, properties: AmfObject, length: number): Uint8Array | null {
  const padding = paddingOf(length - encodeWith(summary, properties, []).length);
  return padding === null ? null : encodeWith(summary, properties, padding);
}

/** Strings that take so many bytes together; null when no strings do. */
function paddingOf(bytes: number): string[] | null {
  const padding: string[] = [];
  let left = bytes;
  while (left >= STRING_FRAME_BYTES) {
    const most = Math.min(left, STRING_FRAME_BYTES + MAX_PADDING_STRING);
    const rest = left - most;
    const taken = rest > 0 && rest < STRING_FRAME_BYTES ? most - STRING_FRAME_BYTES : most;
    padding.push(" ".repeat(taken - STRING_FRAME_BYTES));
    left -= taken;
  }
  return left === 0 ? padding : null;
}

function encodeWith(summary: FlvSummary, properties: AmfObject, padding: string[]): Uint8Array {
  const { durationMs, fileBytes, keyFrames, headers } = summary;
  const members: AmfObject = {
    duration: durationMs / 1000,
    ...properties,
    lasttimestamp: durationMs / 1000,
    filesize: fileBytes,
    hasKeyframes: keyFrames.length > 0,
    keyframes: {
      filepositions: keyFrames.map(({ position }) => position),
      times: keyFrames.map(({ timeMs }) => timeMs / 1000),
    },
    siprtmpheaders: [...headers],
    padding,
  };
  return encodeAmf0(["onMetaData", new AmfEcmaArray(members)]);
}

/** Reads a metadata body of any program, as far as it makes sense; null when it is none or is damaged. */
export function parseMetaData(body: Uint8Array): FlvSummary | null {
  const members = membersOf(body);
  if (members === null) return null;
  const keyframes = propertiesOf(getProperty(members, "keyframes"));
  const positions = numbersOf(getProperty(keyframes, "filepositions"));
  const times = numbersOf(getProperty(keyframes, "times"));
  const seconds = getProperty(members, "duration");
  const fileBytes = getProperty(members, "filesize");
  const keyFrames: KeyFrame[] = [];
  for (let i = 0; i < Math.min(positions.length, times.length); i++) {
    keyFrames.push({ timeMs: Math.round(times[i]! * 1000), position: positions[i]! });
  }
  return {
    durationMs: isAmount(seconds) ? Math.round(seconds * 1000) : 0,
    fileBytes: isAmount(fileBytes) ? fileBytes : 0,
    keyFrames,
    headers: numbersOf(getProperty(members, "siprtmpheaders")).slice(0, MAX_HEADERS),
    properties: plainProperties(members),
  };
}

/** The metadata body for a player of a file: without the index, which means nothing outside of the file. */
export function encodePlayerMetaData(summary: FlvSummary, durationMs: number): Uint8Array {
  return encodeAmf0([
    "onMetaData",
    new AmfEcmaArray({ duration: durationMs / 1000, ...summary.properties }),
  ]);
}

/** What a publisher's metadata body says in plain values, within bounds; empty when it is none. */
export function publisherProperties(body: Uint8Array): AmfObject {
  const members = body.length > MAX_PUBLISHED_BYTES ? null : membersOf(body);
  return members === null ? {} : plainProperties(members);
}

/** Where the eight bytes of the duration are in a metadata body, to be overwritten in place; null without one. */
export function durationOffset(body: Uint8Array): number | null {
  const name = encodeAmf0(["duration"]).subarray(1); // without the marker: as a member's name is written
  for (let at = 0; at + name.length + NUMBER_BYTES <= body.length; at++) {
    let same = 0;
    while (same < name.length && body[at + same] === name[same]) same++;
    if (same === name.length && body[at + same] === 0) return at + same + 1;
  }
  return null;
}

function membersOf(body: Uint8Array): AmfObject | null {
  if (readTag(18, body, createTag()).content !== "metadata") return null;
  return nullIfMalformed(() => propertiesOf(decodeAmf0(body)[1]));
}

function plainProperties(members: AmfObject): AmfObject {
  const plain: AmfObject = {};
  let room = MAX_PROPERTY_BYTES;
  let left = MAX_PROPERTIES;
  for (const [name, value] of Object.entries(members)) {
    if (!isPlain(value) || OWN_NAMES.has(name) || name.length > MAX_NAME || left === 0) continue;
    const bytes = encodeAmf0([name, value]).length;
    if (bytes > room) continue;
    room -= bytes;
    left--;
    setProperty(plain, name, value);
  }
  return plain;
}

function isPlain(value: AmfValue): boolean {
  return typeof value === "number" || typeof value === "boolean" ||
    typeof value === "string" && value.length <= MAX_TEXT;
}

function isAmount(value: AmfValue): value is number {
  return typeof value === "number" && Number.isFinite(value) && value >= 0;
}

/** A list of amounts; empty as soon as anything else is in it. Some programs write lists as objects "0", "1"... */
function numbersOf(value: AmfValue): number[] {
  const list = Array.isArray(value) ? value : Object.values(propertiesOf(value));
  return list.every(isAmount) ? list : [];
}
