// Records one FLV file: put() never waits, the disk is written behind it, one write at a time. A new recording grows
// as FILE.part and takes its name when it is closed, so nobody meets a half-written FILE. An appended one grows in its
// place behind its last whole tag.
// Role: edge

import type { AmfObject } from "../amf/value.ts";
import { ByteWriter } from "../base/bytes.ts";
import { TransportError, WireError } from "../base/errors.ts";
import { DiskFile, kindOf, removeFile, renameFile } from "./disk.ts";
import { FlvCursor, type FlvMetaDataTag, FlvSurvey, inspectFlv } from "./inspect.ts";
import { durationOffset, encodeMetaData, type FlvSummary, METADATA_BYTES } from "./metadata.ts";
import { encodeFlvHeader, encodeFlvTag, type FlvTag } from "./tag.ts";
import { createTag, readTag } from "../media/tag.ts";

const FIRST_BUFFER_BYTES = 65536;
/** A buffer that a slow disk has let grow is given back. */
const KEPT_BUFFER_BYTES = 1024 * 1024;
/** Properties of a recording at most; what a publisher says beyond them is left out. */
const MAX_DESCRIPTIONS = 64;
/** What may wait for a slow disk; above it tags are dropped and counted. */
const MAX_WAITING_BYTES = 8 * 1024 * 1024;

/** Where a recording begins. */
interface Start {
  /** Takes this name when it is closed; null when it has it already. */
  readonly name: string | null;
  readonly survey: FlvSurvey;
  readonly metadata: Pick<FlvMetaDataTag, "position" | "body"> | null;
  readonly properties: AmfObject;
  /** Where the first byte goes. */
  readonly end: number;
  readonly buffer: ByteWriter;
  /** Time of the first tag, when there is one. */
  readonly firstMs: number;
}

/**
 * What a crash leaves is a whole FLV file up to its last tag, with metadata that can be told to be old. When the
 * disk is full or breaks, the recording is finished at once with the whole tags that are there, so that it can be
 * played; without any it is removed.
 */
export class FlvWriter implements AsyncDisposable {
  /** Tags that did not fit into the queue of a slow disk, or came after a failed write. */
  dropped = 0;
  /** Time of the last tag minus time of the first. */
  durationMs = 0;

  readonly #file: DiskFile;
  readonly #start: Start;
  readonly #survey: FlvSurvey;
  readonly #header = createTag();
  #properties: AmfObject;
  #filling: ByteWriter;
  #writing = new ByteWriter(FIRST_BUFFER_BYTES);
  /** Where the bytes go that wait in #filling. */
  #end: number;
  #drain: Promise<void> | null = null;
  #closing: Promise<void> | null = null;
  #failure: TransportError | null = null;
  #kept = true;
  #firstMs: number;

  private constructor(file: DiskFile, start: Start) {
    this.#file = file;
    this.#start = start;
    this.#survey = start.survey;
    this.#properties = start.properties;
    this.#filling = start.buffer;
    this.#end = start.end;
    this.#firstMs = start.firstMs;
    if (start.firstMs >= 0) this.durationMs = start.survey.lastTimeMs - start.firstMs;
  }

  /** Starts a recording that will be `path`. @throws TransportError when its place cannot be written */
  static async create(path: string): Promise<FlvWriter> {
    const file = await DiskFile.open(`${path}.part`, "create");
    const buffer = new ByteWriter(FIRST_BUFFER_BYTES);
    encodeFlvHeader(buffer, { audio: true, video: true });
    const nothing: FlvSummary = { durationMs: 0, fileBytes: 0, keyFrames: [], headers: [], properties: {} };
    const body = encodeMetaData(nothing, METADATA_BYTES)!;
    const position = buffer.length + 11;
    encodeFlvTag(buffer, 18, 0, body);
    const start = {
      metadata: { position, body },
      survey: new FlvSurvey(),
      properties: {},
      end: 0,
      firstMs: -1,
    };
    return new FlvWriter(file, { ...start, name: path, buffer });
  }

  /**
   * Goes on with the recording `path`, or with what a crash has left of it; starts one when there is none.
   * @throws TransportError when it cannot be written, WireError when it is no FLV file
   */
  static async append(path: string): Promise<FlvWriter> {
    if (await kindOf(path) === "missing") {
      if (await kindOf(`${path}.part`) !== "file") return await FlvWriter.create(path);
      await renameFile(`${path}.part`, path);
    }
    const file = await DiskFile.open(path, "update");
    try {
      const { survey, metadata, end } = await inspectFlv(file);
      await file.truncate(end);
      const properties = metadata?.summary.properties ?? {};
      const buffer = new ByteWriter(FIRST_BUFFER_BYTES);
      return new FlvWriter(file, { name: null, survey, metadata, properties, end, buffer, firstMs: 0 });
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /** Latest time in the file; null when there is nothing in it. */
  get lastTimeMs(): number | null {
    return this.#survey.hasMedia ? this.#survey.lastTimeMs : null;
  }

  /** Bytes that wait for the disk. */
  get waiting(): number {
    return this.#filling.length;
  }

  /** Why nothing more is recorded; null while all is well. */
  get failure(): TransportError | null {
    return this.#failure;
  }

  /** False when nothing can be played under its name: it failed before there was anything, or could not be named. */
  get kept(): boolean {
    return this.#kept;
  }

  /** What the publisher has said about the stream, for the metadata; later words replace earlier ones. */
  describe(properties: AmfObject): void {
    const all = { ...this.#properties, ...properties };
    if (Object.keys(all).length <= MAX_DESCRIPTIONS) this.#properties = all;
  }

  /** Appends a tag; the body is consumed when it returns. False when it was dropped. */
  put(type: 8 | 9 | 18, timeMs: number, body: Uint8Array): boolean {
    const full = this.#filling.length + body.length > MAX_WAITING_BYTES;
    if (full || this.#failure !== null || this.#closing !== null) {
      this.dropped++;
      return false;
    }
    if (this.#firstMs < 0) this.#firstMs = timeMs;
    this.durationMs = Math.max(this.durationMs, timeMs - this.#firstMs);
    this.#survey.note(readTag(type, body, this.#header), timeMs, this.#end + this.#filling.length);
    encodeFlvTag(this.#filling, type, timeMs, body);
    this.#drain ??= this.#writeWaiting();
    return true;
  }

  /** Writes what waits, rewrites the metadata and gives the file its name. @throws TransportError when not all is there */
  close(): Promise<void> {
    return this.#closing ??= this.#finish();
  }

  /** Ends a recording that never came to anything: an earlier file of its name stays. @throws TransportError */
  async discard(): Promise<void> {
    if (this.#start.name === null) return await this.close();
    this.#closing ??= this.#remove();
    await this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #finish(): Promise<void> {
    await (this.#drain ?? this.#writeWaiting());
    if (this.#failure === null) {
      try {
        await this.#writeMetaData({ survey: this.#survey, end: this.#end });
        await this.#file.sync();
      } catch (error) {
        if (!(error instanceof TransportError)) throw error;
        await this.#failed(error);
      }
    }
    if (this.#failure !== null) throw this.#failure;
    this.#file.close();
    const { name } = this.#start;
    if (name === null) return;
    this.#kept = false;
    await renameFile(this.#file.path, name);
    this.#kept = true;
  }

  /** The disk takes no more: what has come to it becomes the recording. */
  async #failed(failure: TransportError): Promise<void> {
    this.#failure = failure;
    this.#filling.reset();
    const { name } = this.#start;
    try {
      this.#kept = await this.#salvage();
      if (name === null) return; // it grew in its place
      if (this.#kept) await renameFile(this.#file.path, name);
      else await removeFile(this.#file.path);
    } catch (error) {
      if (!(error instanceof TransportError)) throw error;
      this.#kept = false; // the folder cannot be changed any more either; the first failure is told already
    }
  }

  /** Cuts off behind the last whole tag; false when there is nothing to play before it. */
  async #salvage(): Promise<boolean> {
    using file = this.#file;
    let found = false;
    try {
      const { survey, end } = await inspectFlv(file);
      found = survey.hasMedia;
      if (!found) return false;
      this.durationMs = Math.max(0, survey.lastTimeMs - Math.max(0, this.#firstMs));
      await file.truncate(end);
      await this.#writeMetaData({ survey, end });
    } catch (error) {
      if (!(error instanceof TransportError) && !(error instanceof WireError)) throw error;
    }
    return found; // what is behind the last whole tag, and an old index, are noticed by who plays it
  }

  async #remove(): Promise<void> {
    await this.#drain;
    this.#file.close();
    await removeFile(this.#file.path);
  }

  async #writeMetaData({ survey, end }: { survey: FlvSurvey; end: number }): Promise<void> {
    const { metadata } = this.#start;
    if (metadata === null) return;
    const { durationMs } = this;
    const body = encodeMetaData({
      durationMs,
      fileBytes: end,
      keyFrames: survey.index.entries(),
      headers: survey.headers,
      properties: this.#properties,
    }, metadata.body.length);
    if (body !== null) return await this.#file.writeAt(metadata.position, body);
    // Another program's file, without room for an index.
    const at = durationOffset(metadata.body);
    if (at === null) return;
    const duration = new ByteWriter(8);
    duration.f64(durationMs / 1000);
    await this.#file.writeAt(metadata.position + at, duration.view());
  }

  async #writeWaiting(): Promise<void> {
    try {
      while (this.#filling.length > 0) {
        const full = this.#filling;
        const at = this.#end;
        this.#filling = this.#writing;
        this.#end += full.length;
        await this.#file.writeAt(at, full.view());
        this.#writing = full.length > KEPT_BUFFER_BYTES ? new ByteWriter(FIRST_BUFFER_BYTES) : full;
        this.#writing.reset();
      }
    } catch (error) {
      if (!(error instanceof TransportError)) throw error;
      await this.#failed(error);
    }
    this.#drain = null;
  }
}

export { FlvSeekReader } from "./seek_reader.ts";

export class FlvReader implements Disposable {
  /** True when the file ended inside a tag. */
  truncated = false;
  readonly #file: DiskFile;

  private constructor(file: DiskFile) {
    this.#file = file;
  }

  /** Opens a file. @throws TransportError when it cannot be read */
  static async open(path: string): Promise<FlvReader> {
    return new FlvReader(await DiskFile.open(path, "read"));
  }

  /**
   * The tags in file order; a body is valid until the next tag is asked for. Closes the file at its end.
   * @throws WireError when it is not an FLV file; TransportError when reading fails
   */
  async *tags(): AsyncGenerator<FlvTag, void, void> {
    using _file = this;
    const cursor = new FlvCursor(this.#file);
    do {
      for (let tag = cursor.next(); tag !== null; tag = cursor.next()) yield tag;
    } while (await cursor.fill());
    this.truncated = cursor.unfinished > 0;
  }

  /** Closes the file; harmless when it is closed. */
  close(): void {
    this.#file.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
