// A lean reader of RTMP chunks for load ends: one buffer per connection, headers of all four forms, whole messages
// to one outlet. It trusts the server: no limits, no extended times beyond skipping them.
// Adobe RTMP 1.0, section 5.3.1.
// Role: wire

/** Told each message; `body` is a view that is valid until it returns. */
export type MessageOutlet = (type: number, streamId: number, body: Uint8Array) => void;

interface ChunkStream {
  length: number;
  type: number;
  streamId: number;
  extended: boolean;
  /** Body of a message of several chunks, and how much of it is there. */
  body: Uint8Array;
  filled: number;
}

const SET_CHUNK_SIZE = 1;
const EXTENDED = 0xffffff;
const HEADER_LENGTHS = [11, 7, 3, 0];

/** Reads the chunks of one connection. */
export class ChunkParser {
  readonly #streams: (ChunkStream | undefined)[] = [];
  readonly #onMessage: MessageOutlet;
  #chunkSize = 128;

  /** Nothing read yet. */
  constructor(onMessage: MessageOutlet) {
    this.#onMessage = onMessage;
  }

  /** Pretends that a message of this shape has come on a chunk stream, so that short headers can follow. */
  prime(chunkStreamId: number, type: number, length: number): void {
    Object.assign(this.#stream(chunkStreamId), { type, length, streamId: 1 });
  }

  /** Reads whole chunks from the front of `bytes` up to `end`; says where it stopped. */
  push(bytes: Uint8Array, end: number): number {
    let at = 0;
    for (;;) {
      const next = this.#readChunk(bytes, at, end);
      if (next < 0) return at;
      at = next;
    }
  }

  /** Where the chunk that begins at `start` ends, or -1 when it is not all there. */
  #readChunk(bytes: Uint8Array, start: number, end: number): number {
    if (start >= end) return -1;
    const form = bytes[start]! >> 6;
    let id = bytes[start]! & 63;
    const wide = id < 2 ? id + 1 : 0;
    let at = start + 1 + wide;
    if (at + HEADER_LENGTHS[form]! > end) return -1;
    if (wide === 1) id = 64 + bytes[start + 1]!;
    if (wide === 2) id = 64 + bytes[start + 1]! + 256 * bytes[start + 2]!;
    const stream = this.#stream(id);
    const { length, type, streamId } = stream;
    if (form < 3) {
      stream.extended = u24(bytes, at) === EXTENDED;
      if (form < 2) {
        stream.length = u24(bytes, at + 3);
        stream.type = bytes[at + 6]!;
      }
      if (form === 0) stream.streamId = bytes[at + 7]!;
    }
    at += HEADER_LENGTHS[form]! + (stream.extended ? 4 : 0);
    const missing = stream.length - stream.filled;
    const part = missing < this.#chunkSize ? missing : this.#chunkSize;
    if (at + part > end) {
      // Not all there: it is read again from its start, with the header as it was.
      if (form < 3) Object.assign(stream, { length, type, streamId });
      return -1;
    }
    this.#take(stream, bytes, at, part);
    return at + part;
  }

  #take(stream: ChunkStream, bytes: Uint8Array, at: number, part: number): void {
    if (stream.filled === 0 && part === stream.length) {
      return this.#emit(stream, bytes.subarray(at, at + part));
    }
    if (stream.body.length < stream.length) stream.body = new Uint8Array(stream.length);
    if (part > 0) stream.body.set(bytes.subarray(at, at + part), stream.filled);
    stream.filled += part;
    if (stream.filled < stream.length) return;
    stream.filled = 0;
    this.#emit(stream, stream.body.subarray(0, stream.length));
  }

  #emit(stream: ChunkStream, body: Uint8Array): void {
    if (stream.type === SET_CHUNK_SIZE) {
      this.#chunkSize = u24(body, 1);
      return;
    }
    this.#onMessage(stream.type, stream.streamId, body);
  }

  #stream(id: number): ChunkStream {
    return this.#streams[id] ??= {
      length: 0,
      type: 0,
      streamId: 0,
      extended: false,
      body: new Uint8Array(0),
      filled: 0,
    };
  }
}

function u24(bytes: Uint8Array, at: number): number {
  return bytes[at]! << 16 | bytes[at + 1]! << 8 | bytes[at + 2]!;
}
