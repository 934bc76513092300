// Who records into which file: one recording per file at a time, and whoever wants a file that is just being
// finished waits for it.
// Role: edge

import { messageOf, TransportError, WireError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import { publisherProperties } from "../flv/metadata.ts";
import { FlvSeekReader } from "../flv/seek_reader.ts";
import { FlvWriter } from "../flv/writer.ts";
import type { FoundFile, MediaFolder } from "./media_folder.ts";
import type { LiveSink } from "./player_sink.ts";
import { createTag, readTag } from "../media/tag.ts";
import type { Congestion } from "../rtmp/drop_policy.ts";

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
  readonly #log: Logger;
  /** Files being written; the promise is there once they are being finished. */
  readonly #busy = new Map<string, { finished: Promise<void> | null }>();

  constructor(folder: MediaFolder, log: Logger) {
    this.#folder = folder;
    this.#log = log;
  }

  get size(): number {
    return this.#busy.size;
  }

  /** Starts to record. Refused when the name cannot be a file or somebody else records into it. */
  async record(path: string, mode: "record" | "append"): Promise<Opened<OpenRecording>> {
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
