// Messages to chunks: header forms 0, 1 and 2 by what has changed, form 3 inside a message.
// Adobe RTMP 1.0, section 5.3. Times beyond 24 bits are extended, also on the type 3 chunks that follow.
// Form 3 never starts a message: readers disagree about its time after form 0.
// Role: wire

import { ByteWriter } from "../base/bytes.ts";
import { DEFAULT_CHUNK_SIZE } from "./chunk_reader.ts";

const EXTENDED = 0xffffff;
const FIRST_CAPACITY = 4096;
const KEPT_CAPACITY = 64 * 1024;

/** Where messages are put together, for all connections of this thread: what is made is taken before the next one. */
const workbench = { writer: new ByteWriter(FIRST_CAPACITY) };

class SentHeader {
  readonly id: number;
  timestamp = 0;
  length = -1;
  type = -1;
  streamId = -1;

  constructor(id: number) {
    this.id = id;
  }
}

/** Turns messages into chunks. Whole messages only: chunks of different messages are never mixed. */
export class ChunkWriter {
  /** Size of the chunks sent; the peer must have been told (Set Chunk Size) when it is changed. */
  chunkSize: number = DEFAULT_CHUNK_SIZE;
  readonly #sent = new Map<number, SentHeader>();
  #last: SentHeader | null = null;

  /**
   * Chunks of one message. `chunkStreamId` is 2 to 65599; `timestamp` in milliseconds is cut to 32 bits;
   * `body` has at most 0xffffff bytes. The result is borrowed: valid until the next call on any writer.
   */
  encode(
    chunkStreamId: number,
    type: number,
    streamId: number,
    timestamp: number,
    body: Uint8Array,
  ): Uint8Array {
    if (body.length > 0xffffff) throw new RangeError(`a message of ${body.length} bytes cannot be sent`);
    if (workbench.writer.length > KEPT_CAPACITY) workbench.writer = new ByteWriter(FIRST_CAPACITY);
    const { writer } = workbench;
    writer.reset();
    const time = timestamp >>> 0;
    const extended = this.#writeHeader(chunkStreamId, type, streamId, time, body.length);
    for (let at = 0; at < body.length; at += this.chunkSize) {
      if (at > 0) {
        writeBasicHeader(writer, 3, chunkStreamId);
        if (extended) writer.u32(time);
      }
      const end = at + this.chunkSize;
      writer.bytes(at === 0 && end >= body.length ? body : body.subarray(at, end));
    }
    return writer.view();
  }

  /** Writes the first header of a message; true when its time is extended. */
  #writeHeader(id: number, type: number, streamId: number, time: number, length: number): boolean {
    const last = this.#last !== null && this.#last.id === id ? this.#last : this.#headerOf(id);
    const delta = time - last.timestamp;
    // A delta that would need extending is ambiguous to some readers: the absolute time is not.
    const absolute = last.streamId !== streamId || delta < 0 || delta >= EXTENDED;
    const sameShape = last.length === length && last.type === type;
    const { writer } = workbench;
    const extended = absolute && time >= EXTENDED;
    writeBasicHeader(writer, absolute ? 0 : sameShape ? 2 : 1, id);
    writer.u24(extended ? EXTENDED : absolute ? time : delta);
    if (absolute || !sameShape) {
      writer.u24(length);
      writer.u8(type);
    }
    if (absolute) writer.u32le(streamId);
    if (extended) writer.u32(time);
    last.timestamp = time;
    last.length = length;
    last.type = type;
    last.streamId = streamId;
    return extended;
  }

  #headerOf(id: number): SentHeader {
    let header = this.#sent.get(id);
    if (header === undefined) this.#sent.set(id, header = new SentHeader(id));
    return this.#last = header;
  }
}

function writeBasicHeader(writer: ByteWriter, format: number, id: number): void {
  if (id < 64) return writer.u8((format << 6) | id);
  if (id < 320) {
    writer.u8(format << 6);
    return writer.u8(id - 64);
  }
  writer.u8((format << 6) | 1);
  writer.u8((id - 64) & 0xff);
  writer.u8((id - 64) >> 8);
}
