// The media folder: which file belongs to a stream, who records into which (one recording per file at a time), and whoever
// wants a file that is just being finished waits for it.
// Role: edge

import { encodeUtf8, trimEndCharacters } from "../base/bytes.ts";
import { messageOf, TransportError, WireError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import { isLink, kindOf, makeFolder, realPath } from "../flv/disk.ts";
import { publisherProperties } from "../flv/metadata.ts";
import { FlvSeekReader } from "../flv/seek_reader.ts";
import { FlvWriter } from "../flv/writer.ts";
import type { LiveSink } from "./subscription.ts";
import { createTag, readTag } from "../media/tag.ts";
import type { Congestion } from "../rtmp/drop_policy.ts";
import { joinStreamPath } from "../rtmp/stream_path.ts";

/** What came of opening; reasons are for the client. */
type Opened<T> =
  | { readonly type: "open"; readonly opened: T }
  | { readonly type: "refused"; readonly reason: string };

export interface OpenRecording {
  readonly recording: Recording;
  /** Finishes the file; failures are logged. To be called once. */
  close(): Promise<void>;
}

const FAILED = "the file cannot be used; the server's log says why";

export class Recordings {
  readonly #folder: MediaFolder;
  readonly #mayRecord: boolean;
  readonly #log: Logger;
  /** Files being written; the promise is there once they are being finished. */
  readonly #busy = new Map<string, { finished: Promise<void> | null }>();

  constructor({ root, record }: { readonly root: string; readonly record: boolean }, log: Logger) {
    this.#folder = new MediaFolder(root);
    this.#mayRecord = record;
    this.#log = log;
  }

  get size(): number {
    return this.#busy.size;
  }

  /** Starts to record. Refused when the name cannot be a file or somebody else records into it. */
  async record(path: string, mode: "record" | "append"): Promise<Opened<OpenRecording>> {
    if (!this.#mayRecord) return this.#refuseAll(path);
    return await this.#attempt(`record ${path}`, async () => {
      const place = await this.#folder.place(path);
      if (place.type === "refused") return place;
      await this.#busy.get(place.path)?.finished;
      if (this.#busy.has(place.path)) {
        return { type: "refused", reason: "this file is being recorded already" };
      }
      const entry = { finished: null };
      this.#busy.set(place.path, entry);
      try {
        const writer =
          await (mode === "append" ? FlvWriter.append(place.path) : FlvWriter.create(place.path));
        const recording = new Recording(writer);
        return {
          type: "open",
          opened: { recording, close: () => this.#close(place.path, entry, recording) },
        };
      } catch (error) {
        this.#busy.delete(place.path);
        throw error;
      }
    });
  }

  #refuseAll(path: string): Opened<OpenRecording> {
    const reason = "recording is off here: --record turns it on";
    this.#log.warn(`cannot record ${path}: ${reason}`);
    return { type: "refused", reason };
  }

  /** Opens a recording to be played; null when there is none. */
  async play(path: string): Promise<FlvSeekReader | null> {
    const opened = await this.#attempt<FlvSeekReader>(`play ${path}`, async () => {
      const file = await this.#find(path);
      if (file.type === "refused") return file;
      return { type: "open", opened: await FlvSeekReader.open(file.path) };
    });
    return opened.type === "open" ? opened.opened : null;
  }

  /** Length of a recording; 0 when there is none. */
  async durationSeconds(path: string): Promise<number> {
    using reader = await this.play(path);
    return reader === null ? 0 : reader.durationMs / 1000;
  }

  async #find(path: string): Promise<FoundFile> {
    const found = await this.#folder.find(path);
    if (found.type === "file") {
      await this.#busy.get(found.path)?.finished;
      return found;
    }
    if (this.#busy.size === 0) return found;
    // A new file has its name only when it is finished, which may be now.
    await Promise.all(Array.from(this.#busy.values(), (entry) => entry.finished));
    return await this.#folder.find(path);
  }

  /** Trouble with the disk or a file is told in the log, with its path; the client learns that there is some. */
  async #attempt<T>(what: string, run: () => Promise<Opened<T>>): Promise<Opened<T>> {
    try {
      return await run();
    } catch (error) {
      if (!(error instanceof TransportError) && !(error instanceof WireError)) throw error;
      this.#log.warn(`cannot ${what}: ${messageOf(error)}`);
      return { type: "refused", reason: FAILED };
    }
  }

  #close(path: string, entry: { finished: Promise<void> | null }, recording: Recording): Promise<void> {
    return entry.finished ??= this.#finish(path, recording);
  }

  async #finish(path: string, recording: Recording): Promise<void> {
    try {
      await recording.close();
      const seconds = (recording.durationMs / 1000).toFixed(1);
      const lost = recording.droppedFrames === 0
        ? ""
        : `, ${recording.droppedFrames} frames lost to a slow disk`;
      this.#log.info(`recorded ${path}: ${seconds} s${lost}`);
    } catch (error) {
      if (!(error instanceof TransportError)) throw error;
      const left = recording.kept
        ? `${(recording.durationMs / 1000).toFixed(1)} s of it can be played`
        : "nothing of it can be played";
      this.#log.error(`recording ${path} incomplete: ${messageOf(error)}; ${left}`);
    } finally {
      this.#busy.delete(path);
    }
  }
}

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

/** A file, or why there is none; the reason is for the client and shows no path of this machine. */
type FoundFile =
  | { readonly type: "file"; readonly path: string }
  | { readonly type: "refused"; readonly reason: string };

const NOT_A_FILE = "this name cannot be that of a file";

export class MediaFolder {
  readonly #root: string;

  /** Nothing is looked at yet. @param root the folder, relative or absolute */
  constructor(root: string) {
    this.#root = root;
  }

  /** The recording of a stream. @throws TransportError when the disk fails */
  async find(path: string): Promise<FoundFile> {
    const segments = recordingSegments(path);
    if (segments === null) return refused(NOT_A_FILE);
    const root = await realPath(this.#root);
    const file = root === null ? null : await realPath(join(root, segments));
    if (root === null || file === null) return refused("there is no such recording");
    if (!isBelow(root, file) || await kindOf(file) !== "file") return refused("there is no such recording");
    return { type: "file", path: file };
  }

  /** Where a stream is to be recorded; its folders are made. @throws TransportError when the disk fails */
  async place(path: string): Promise<FoundFile> {
    const segments = recordingSegments(path);
    if (segments === null) return refused(NOT_A_FILE);
    if (await kindOf(this.#root) === "missing") await makeFolder(this.#root);
    const root = await realPath(this.#root);
    if (root === null) throw new TransportError(`Cannot find the folder ${this.#root}`, "failed");
    const folder = await makeFolders(root, segments.slice(0, -1));
    if (folder === null) return refused(NOT_A_FILE);
    return await checkedTarget(root, join(folder, segments.slice(-1)));
  }
}

/** Folder by folder, so that none is made through a link that leads out; null when one is in the way. */
async function makeFolders(root: string, segments: readonly string[]): Promise<string | null> {
  let folder = root;
  for (const segment of segments) {
    const below = join(folder, [segment]);
    if (await kindOf(below) === "missing") {
      if (await isLink(below)) return null;
      await makeFolder(below);
    }
    const real = await realPath(below);
    if (real === null || !isBelow(root, real) || await kindOf(real) !== "folder") return null;
    folder = real;
  }
  return folder;
}

/** A link may stand for a file of the folder, never for a file elsewhere nor for one that is not there. */
async function checkedTarget(root: string, target: string): Promise<FoundFile> {
  if (await isLink(`${target}.part`)) return refused(NOT_A_FILE);
  const linked = await isLink(target);
  const real = linked ? await realPath(target) : target;
  if (real === null || !isBelow(root, real)) return refused(NOT_A_FILE);
  for (const path of [real, `${real}.part`]) {
    const kind = await kindOf(path);
    if (kind !== "file" && kind !== "missing") return refused(NOT_A_FILE);
  }
  return { type: "file", path: real };
}

function join(folder: string, segments: readonly string[]): string {
  return [trimEndCharacters(folder, "\\/"), ...segments].join("/");
}

function isBelow(root: string, path: string): boolean {
  const base = trimEndCharacters(root, "\\/");
  return path.length > base.length + 1 && path.startsWith(base) && /[\\/]/.test(path[base.length]!);
}

function refused(reason: string): FoundFile {
  return { type: "refused", reason };
}

/** File systems allow 255 bytes; ".flv.part" comes behind. */
const MAX_SEGMENT_BYTES = 240;
const MAX_SEGMENTS = 16;

// deno-lint-ignore no-control-regex -- the control characters are what is looked for
const CONTROL = /[\x00-\x1f\x7f]/;

/** Applications with streams of their own, which their own rules guard. */
const OTHER_APPLICATIONS: readonly string[] = ["sip", "call", "line"];

/** Longest path of a stream, in characters. */
const MAX_PATH_LENGTH = 512;

/** True for what may be the app of a connect; "" leaves all to the names. */
export function isAppName(app: string): boolean {
  return app.length <= MAX_PATH_LENGTH && !CONTROL.test(app);
}

/**
 * The path of a stream from the app of connect and the name, wherever they were cut. "flv:film", "film.flv" and "film"
 * are the same stream. Null when nothing is named, it belongs to another application, is too long or has control characters.
 */
export function parseStreamPath(app: string, name: string): string | null {
  const bare = /^(?:flv|mp4):/.test(name) ? name.slice(4) : name;
  const path = bare === "" && name !== "" ? null : joinStreamPath(app, bare);
  if (path === null || path.length > MAX_PATH_LENGTH || CONTROL.test(path)) return null;
  if (OTHER_APPLICATIONS.includes(path.split("/", 1)[0]!)) return null;
  const stem = path.endsWith(".flv") ? path.slice(0, -4) : path;
  return stem === "" || stem.endsWith("/") ? null : stem;
}

/** Where a stream is recorded: folders and file name below the root; null when it must not be. */
export function recordingSegments(path: string): string[] | null {
  const whole = path.split("/");
  const segments = whole.length > 1 ? whole.slice(1) : whole;
  if (segments.length > MAX_SEGMENTS || !segments.every(isSegment)) return null;
  segments.push(`${segments.pop()!}.flv`);
  return segments;
}

/** No way up, no absolute path, no drive, no separator of another system, no name that some system changes. */
function isSegment(segment: string): boolean {
  if (segment === "" || segment === "." || segment === "..") return false;
  if (/[\\:*?"<>|]/.test(segment) || CONTROL.test(segment) || /[. ]$/.test(segment)) return false;
  return encodeUtf8(segment).length <= MAX_SEGMENT_BYTES;
}
