// Messages as chunks, both ways: four header forms, chunk stream ids of 1 to 3 bytes, extended timestamps, any split. What is
// read whole in one chunk is handed out as a view of the bytes pushed; any other message is gathered in a buffer of its chunk
// stream, grown as bytes arrive. Adobe RTMP 1.0, section 5.3.
// Role: wire

import { ByteWriter, viewOf } from "../base/bytes.ts";
import { WireError } from "../base/errors.ts";
import type { MessageSink, RtmpMessage } from "./message.ts";

/** Chunk size of both sides until they say otherwise (5.4.1). */
const DEFAULT_CHUNK_SIZE = 128;

interface ChunkLimits {
  maxMessageBytes: number;
  maxBufferedBytes: number;
  /** Chunk streams remembered; real peers use fewer than 20. */
  maxChunkStreams: number;
}

/** Limits for connected peers: no usual key frame comes near 4 MiB. */
export const DEFAULT_CHUNK_LIMITS: ChunkLimits = {
  maxMessageBytes: 4 * 1024 * 1024,
  maxBufferedBytes: 8 * 1024 * 1024,
  maxChunkStreams: 128,
};

const LONGEST_HEADER = 3 + 11 + 4;
const MESSAGE_HEADER_SIZE = [11, 7, 3, 0] as const;
const EXTENDED = 0xffffff;
const KEPT_BUFFER_BYTES = 64 * 1024;
const KEPT_TOTAL_BYTES = 256 * 1024;
const FIRST_BUFFER_BYTES = 512;
const NO_BYTES: Uint8Array = new Uint8Array(0);
const AUDIO = 8;

class ChunkStream {
  readonly id: number;
  timestamp = 0;
  delta = 0;
  length = 0;
  type = 0;
  streamId = 0;
  /** The last header of form 0, 1 or 2 had an extended timestamp, and this was it. */
  extended = false;
  extendedValue = 0;
  /** Bytes of the current message still to come; 0 between messages. */
  missing = 0;
  buffer: Uint8Array = NO_BYTES;

  constructor(id: number) {
    this.id = id;
  }
}

/**
 * Turns pushed bytes into messages.
 *
 *   basic    fmt:2 id:6            id 0: one byte more (64 + b)   id 1: two more (64 + b + 256 * c)
 *   header   0: time:u24 length:u24 type:u8 stream:u32le   1: delta length type   2: delta   3: none
 *   extended time:u32 when the time or delta is ffffff, repeated on the type 3 chunks that follow
 */
export class ChunkReader {
  /** What the peer may make us hold; may be raised later. */
  limits: ChunkLimits;
  readonly #sink: MessageSink;
  readonly #message: RtmpMessage = { type: 0, streamId: 0, timestamp: 0, body: NO_BYTES };
  readonly #streams = new Map<number, ChunkStream>();
  readonly #carry = new Uint8Array(LONGEST_HEADER);
  #carried = 0;
  #audio = NO_BYTES;
  #chunkSize = DEFAULT_CHUNK_SIZE;
  #buffered = 0;
  #stopped = false;
  #current: ChunkStream | null = null;
  /** Bytes of the current chunk still to come. */
  #chunkMissing = 0;

  constructor(limits: ChunkLimits, sink: MessageSink) {
    this.limits = limits;
    this.#sink = sink;
  }

  /** Bytes held in the buffers of chunk streams. */
  get bufferedBytes(): number {
    return this.#buffered;
  }

  /** Takes effect with the next chunk. Throws WireError for 0 and for more than 31 bits (5.4.1). */
  setChunkSize(size: number): void {
    if (size < 1 || size > 0x7fffffff) throw new WireError("RTMP chunk", `chunk size ${size}`);
    this.#chunkSize = size;
  }

  /** Forgets the unfinished message of a chunk stream (5.4.2). */
  abort(chunkStreamId: number): void {
    const stream = this.#streams.get(chunkStreamId);
    if (stream === undefined) return;
    stream.missing = 0;
    if (this.#current === stream) this.#chunkMissing = 0;
  }

  /** To be called by the outlet: push() returns after this message. */
  stop(): void {
    this.#stopped = true;
  }

  /**
   * Reads the chunks from `start` to `end` and calls the outlet for every message that is complete. Returns how many
   * bytes it has consumed: all of them unless stop() was called. Throws WireError; the reader is useless afterwards.
   */
  push(bytes: Uint8Array, start = 0, end: number = bytes.length): number {
    this.#stopped = false;
    let at = start;
    while (!this.#stopped) {
      if (this.#carried > 0 && this.#drainCarry()) continue;
      if (at >= end) break;
      if (this.#chunkMissing > 0) at = this.#gather(bytes, at, end);
      else if (this.#carried > 0) this.#carry[this.#carried++] = bytes[at++]!;
      else at = this.#readChunk(bytes, at, end);
    }
    return at - start;
  }

  /** The common case: header, and perhaps the whole message, lie in `bytes`. */
  #readChunk(bytes: Uint8Array, at: number, end: number): number {
    const payload = this.#readHeader(bytes, at, end);
    if (payload < 0) {
      this.#carried = end - at;
      this.#carry.set(bytes.subarray(at, end));
      return end;
    }
    const stream = this.#current!;
    const { length } = stream;
    const whole = length > 0 && stream.missing === length && this.#chunkMissing === length;
    if (!whole || payload + length > end) return payload;
    stream.missing = 0;
    this.#chunkMissing = 0;
    const message = this.#fill(stream, this.#bodyOf(stream, bytes, payload));
    this.#sink.receive(message);
    message.body = NO_BYTES; // a view would keep the whole receive buffer it lies in
    return payload + length;
  }

  /**
   * Uses the bytes of a header that came in pieces as soon as they suffice; false when they do not. What a
   * type 3 header turns out not to need (its extended timestamp is missing) is payload, and stays behind it.
   */
  #drainCarry(): boolean {
    const used = this.#chunkMissing > 0
      ? this.#gather(this.#carry, 0, this.#carried)
      : this.#readHeader(this.#carry, 0, this.#carried);
    if (used < 0) return false;
    this.#carry.copyWithin(0, used, this.#carried);
    this.#carried -= used;
    return true;
  }

  /** Returns where the payload starts, or -1 when the header is not complete (then nothing has changed). */
  #readHeader(bytes: Uint8Array, start: number, end: number): number {
    const first = bytes[start]!;
    const format = first >> 6;
    let id = first & 0x3f;
    let at = start + 1;
    if (id < 2) {
      if (at + id + 1 > end) return -1;
      const wide = id === 1 ? bytes[at + 1]! << 8 : 0;
      at += id + 1;
      id = 64 + bytes[start + 1]! + wide;
    }
    const fields = at;
    at += MESSAGE_HEADER_SIZE[format as 0 | 1 | 2 | 3];
    if (at > end) return -1;
    const last = this.#current;
    const known = last !== null && last.id === id ? last : this.#streams.get(id);
    let time = format < 3 ? u24(bytes, fields) : known !== undefined && known.extended ? EXTENDED : 0;
    const extended = time === EXTENDED;
    if (extended) {
      if (at + 4 > end) return -1;
      time = u32(bytes, at);
      if (format < 3 || this.#repeatsTime(known!, time)) at += 4;
    }
    const stream = known ?? this.#createStream(id, format);
    if (format === 3) this.#continue(stream);
    else {
      stream.extended = extended;
      stream.extendedValue = time;
      this.#begin(stream, format, time, bytes, fields);
    }
    this.#current = stream;
    this.#chunkMissing = Math.min(this.#chunkSize, stream.missing);
    if (stream.missing === 0) this.#emit(stream, NO_BYTES);
    return at;
  }

  /**
   * Some peers leave the extended timestamp out of type 3 chunks inside a message. There it repeats a known
   * value: four other bytes are payload.
   */
  #repeatsTime(stream: ChunkStream, time: number): boolean {
    return stream.missing === 0 || time === stream.extendedValue || time === stream.timestamp;
  }

  #createStream(id: number, format: number): ChunkStream {
    // Form 1 as a first header is a known habit of librtmp for pings; forms 2 and 3 would have no length.
    if (format > 1) {
      throw new WireError("RTMP chunk", `chunk stream ${id} starts with a type ${format} header`);
    }
    if (this.#streams.size >= this.limits.maxChunkStreams) {
      throw new WireError("RTMP chunk", `more than ${this.limits.maxChunkStreams} chunk streams`);
    }
    const stream = new ChunkStream(id);
    this.#streams.set(id, stream);
    return stream;
  }

  /** A header of form 0, 1 or 2 always starts a message; an unfinished one before it is given up. */
  #begin(stream: ChunkStream, format: number, time: number, bytes: Uint8Array, fields: number): void {
    stream.delta = time;
    stream.timestamp = format === 0 ? time : (stream.timestamp + time) >>> 0;
    if (format < 2) {
      stream.length = u24(bytes, fields + 3);
      stream.type = bytes[fields + 6]!;
      if (stream.length > this.limits.maxMessageBytes) {
        throw new WireError(
          "RTMP chunk",
          `message length ${stream.length} exceeds ${this.limits.maxMessageBytes}`,
        );
      }
    }
    if (format === 0) stream.streamId = u32le(bytes, fields + 7);
    stream.missing = stream.length;
  }

  /** Form 3 goes on with a message, or starts one like the last: after form 0 its time is the delta (5.3.1.2.4). */
  #continue(stream: ChunkStream): void {
    if (stream.missing > 0) return;
    stream.timestamp = (stream.timestamp + stream.delta) >>> 0;
    stream.missing = stream.length;
  }

  #gather(bytes: Uint8Array, at: number, end: number): number {
    const stream = this.#current!;
    const count = Math.min(this.#chunkMissing, end - at);
    const filled = stream.length - stream.missing;
    if (filled + count > stream.buffer.length) this.#grow(stream, filled, filled + count);
    stream.buffer.set(bytes.subarray(at, at + count), filled);
    stream.missing -= count;
    this.#chunkMissing -= count;
    if (stream.missing === 0) this.#emitGathered(stream);
    return at + count;
  }

  #grow(stream: ChunkStream, filled: number, needed: number): void {
    const doubled = Math.max(FIRST_BUFFER_BYTES, 2 * stream.buffer.length);
    const size = Math.max(needed, Math.min(stream.length, doubled));
    const total = this.#buffered - stream.buffer.length + size;
    if (total > this.limits.maxBufferedBytes) {
      throw new WireError("RTMP chunk", `unfinished messages exceed ${this.limits.maxBufferedBytes} bytes`);
    }
    const larger = new Uint8Array(size);
    larger.set(stream.buffer.subarray(0, filled));
    stream.buffer = larger;
    this.#buffered = total;
  }

  /** Audio messages come one per read, to the same place: their view is used again. Others must not hold the buffer. */
  #bodyOf({ type, length }: ChunkStream, bytes: Uint8Array, at: number): Uint8Array {
    if (type !== AUDIO) return bytes.subarray(at, at + length);
    return this.#audio = viewOf(bytes, at, at + length, this.#audio);
  }

  #emitGathered(stream: ChunkStream): void {
    const { buffer } = stream;
    if (buffer.length > KEPT_BUFFER_BYTES || this.#buffered > KEPT_TOTAL_BYTES) {
      stream.buffer = NO_BYTES;
      this.#buffered -= buffer.length;
    }
    this.#emit(stream, buffer.subarray(0, stream.length));
  }

  #emit(stream: ChunkStream, body: Uint8Array): void {
    const message = this.#fill(stream, body);
    this.#sink.receive(message);
    message.body = NO_BYTES;
  }

  #fill(stream: ChunkStream, body: Uint8Array): RtmpMessage {
    const message = this.#message;
    message.type = stream.type;
    message.streamId = stream.streamId;
    message.timestamp = stream.timestamp;
    message.body = body;
    return message;
  }
}

function u24(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!;
}

function u32(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | u24(bytes, at + 1)) >>> 0;
}

function u32le(bytes: Uint8Array, at: number): number {
  return ((bytes[at + 3]! << 24) | (bytes[at + 2]! << 16) | (bytes[at + 1]! << 8) | bytes[at]!) >>> 0;
}

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
