// FLV files on disk: reading them tag by tag, and recording them.
// A recording grows as FILE.part and takes its name when it is closed, so nobody meets a half-written FILE.
// What a crash leaves in FILE.part is a whole FLV file up to its last tag, only without its duration.
// Role: edge
// Answers to: FLV.open, FLV.read, FLV.write and FLV.close of rtmp.py.

import { ByteWriter } from "../base/bytes.ts";
import { messageOf, TransportError, WireError } from "../base/errors.ts";
import { encodeFlvHeader, encodeFlvTag, type FlvTag, FlvTagReader } from "./tag.ts";

const READ_OCTETS = 65536;
/** What may wait for a slow disk; above it tags are dropped and counted. */
const MAX_WAITING_OCTETS = 8 * 1024 * 1024;

/** Reads one FLV file from start to end. */
export class FlvReader implements Disposable {
  /** True when the file ended inside a tag. */
  truncated = false;
  readonly #path: string;
  readonly #file: Deno.FsFile;
  #open = true;

  private constructor(path: string, file: Deno.FsFile) {
    this.#path = path;
    this.#file = file;
  }

  /** Opens a file. @throws TransportError when it cannot be read */
  static async open(path: string): Promise<FlvReader> {
    try {
      return new FlvReader(path, await Deno.open(path, { read: true }));
    } catch (error) {
      throw fileError("open", path, error);
    }
  }

  /**
   * The tags in file order; a body is valid until the next tag is asked for. Closes the file at its end.
   * @throws WireError when it is not an FLV file; TransportError when reading fails
   */
  async *tags(): AsyncGenerator<FlvTag, void, void> {
    using _file = this;
    const reader = new FlvTagReader();
    const piece = new Uint8Array(READ_OCTETS);
    for (;;) {
      const count = await this.#read(piece);
      if (count === null) break;
      reader.feed(piece.subarray(0, count));
      for (let tag = reader.next(); tag !== null; tag = reader.next()) yield tag;
    }
    if (!reader.started) throw new WireError("FLV file", "ends before its first tag");
    this.truncated = reader.unfinished > 0;
  }

  /** Closes the file; harmless when it is closed. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#file.close();
  }

  /** As {@link close}. */
  [Symbol.dispose](): void {
    this.close();
  }

  async #read(into: Uint8Array): Promise<number | null> {
    if (!this.#open) return null;
    try {
      return await this.#file.read(into);
    } catch (error) {
      throw fileError("read", this.#path, error);
    }
  }
}

/** Records one FLV file. `put` never waits; the disk is written behind it, one write at a time. */
export class FlvWriter implements AsyncDisposable {
  /** Tags that did not fit into the queue of a slow disk, or came after a failed write. */
  dropped = 0;
  /** Time of the last tag minus time of the first. */
  durationMs = 0;

  readonly #path: string;
  readonly #file: Deno.FsFile;
  readonly #durationAt: number;
  #filling: ByteWriter;
  #writing = new ByteWriter(READ_OCTETS);
  #drain: Promise<void> | null = null;
  #closing: Promise<void> | null = null;
  #failure: unknown = null;
  #firstMs = -1;

  private constructor(path: string, file: Deno.FsFile) {
    this.#path = path;
    this.#file = file;
    this.#filling = new ByteWriter(READ_OCTETS);
    encodeFlvHeader(this.#filling, { audio: true, video: true });
    this.#durationAt = this.#filling.length + encodeMetaData(this.#filling);
  }

  /** Starts a recording that will be `path`. @throws TransportError when its place cannot be written */
  static async create(path: string): Promise<FlvWriter> {
    try {
      return new FlvWriter(
        path,
        await Deno.open(`${path}.part`, { write: true, create: true, truncate: true }),
      );
    } catch (error) {
      throw fileError("create", path, error);
    }
  }

  /** Appends a tag; the body is consumed when it returns. False when it was dropped. */
  put(type: 8 | 9 | 18, timeMs: number, body: Uint8Array): boolean {
    const full = this.#filling.length + body.length > MAX_WAITING_OCTETS;
    if (full || this.#failure !== null || this.#closing !== null) {
      this.dropped++;
      return false;
    }
    if (this.#firstMs < 0) this.#firstMs = timeMs;
    this.durationMs = Math.max(this.durationMs, timeMs - this.#firstMs);
    encodeFlvTag(this.#filling, type, timeMs, body);
    this.#drain ??= this.#writeWaiting();
    return true;
  }

  /** Writes what waits, fills in the duration and gives the file its name. @throws TransportError */
  close(): Promise<void> {
    return this.#closing ??= this.#finish();
  }

  /** As {@link close}. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #finish(): Promise<void> {
    await (this.#drain ?? this.#writeWaiting());
    try {
      using _file = this.#file;
      if (this.#failure !== null) throw this.#failure;
      const duration = new ByteWriter(8);
      duration.f64(this.durationMs / 1000);
      await this.#file.seek(this.#durationAt, Deno.SeekMode.Start);
      await writeAll(this.#file, duration.view());
      await this.#file.syncData();
    } catch (error) {
      throw fileError("write", this.#path, error);
    }
    await this.#takeName();
  }

  async #takeName(): Promise<void> {
    try {
      await Deno.rename(`${this.#path}.part`, this.#path);
    } catch (error) {
      throw fileError("name", this.#path, error);
    }
  }

  async #writeWaiting(): Promise<void> {
    try {
      while (this.#filling.length > 0) {
        const full = this.#filling;
        this.#filling = this.#writing;
        this.#writing = full;
        await writeAll(this.#file, full.view());
        full.reset();
      }
    } catch (error) {
      this.#failure = error;
    }
    this.#drain = null;
  }
}

/** An AMF0 onMetaData tag whose duration is filled in at the end; returns where its 8 octets are. */
function encodeMetaData(writer: ByteWriter): number {
  const body = new ByteWriter(128);
  const text = (value: string): void => {
    body.u16(value.length);
    body.utf8(value);
  };
  body.u8(2); // string
  text("onMetaData");
  body.u8(8); // associative array
  body.u32(2);
  text("duration");
  body.u8(0); // number
  const durationAt = body.length;
  body.f64(0);
  text("creator");
  body.u8(2);
  text("siprtmp");
  body.u24(9); // end of object
  encodeFlvTag(writer, 18, 0, body.view());
  return 11 + durationAt;
}

async function writeAll(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
}

function fileError(action: string, path: string, error: unknown): TransportError {
  return new TransportError(`Cannot ${action} ${path}: ${messageOf(error)}`, "failed", { cause: error });
}
