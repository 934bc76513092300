// The lean parser of the load end beside the project's own writer.

import assert from "node:assert/strict";
import { ChunkParser } from "../../bench/load/chunk_parser.ts";
import { ChunkWriter } from "../../lib/rtmp/chunk_stream.ts";

interface Message {
  readonly type: number;
  readonly streamId: number;
  readonly body: number[];
}

const MESSAGES: readonly (Message & { chunkStream: number; timeMs: number })[] = [
  { chunkStream: 3, type: 20, streamId: 0, timeMs: 0, body: Array.from({ length: 300 }, (_, i) => i & 255) },
  { chunkStream: 8, type: 8, streamId: 1, timeMs: 20, body: [0xb2, 1, 2, 3] },
  { chunkStream: 8, type: 8, streamId: 1, timeMs: 40, body: [0xb2, 4, 5, 6] },
  { chunkStream: 8, type: 8, streamId: 1, timeMs: 60, body: [0xb2] },
  { chunkStream: 70, type: 9, streamId: 1, timeMs: 0x1000000, body: new Array(129).fill(7) },
  { chunkStream: 400, type: 9, streamId: 2, timeMs: 80, body: new Array(128).fill(9) },
  { chunkStream: 2, type: 4, streamId: 0, timeMs: 0, body: [0, 6, 0, 0, 0, 1] },
];

function wireBytes(): Uint8Array {
  const writer = new ChunkWriter();
  const parts = MESSAGES.map((
    { chunkStream, type, streamId, timeMs, body },
  ) => [...writer.encode(chunkStream, type, streamId, timeMs, Uint8Array.from(body))]);
  return Uint8Array.from(parts.flat());
}

/** Gives the bytes in pieces, keeping what was not consumed, as the client does. */
function parseInPieces(bytes: Uint8Array, size: number): Message[] {
  const messages: Message[] = [];
  const parser = new ChunkParser((type, streamId, body) =>
    messages.push({ type, streamId, body: [...body] })
  );
  const buffer = new Uint8Array(bytes.length);
  let end = 0;
  for (let at = 0; at < bytes.length; at += size) {
    const piece = bytes.subarray(at, at + size);
    buffer.set(piece, end);
    end += piece.length;
    const used = parser.push(buffer, end);
    buffer.copyWithin(0, used, end);
    end -= used;
  }
  assert.equal(end, 0, "everything was consumed");
  return messages;
}

Deno.test("what the writer wrote is read, in pieces of any size", () => {
  const bytes = wireBytes();
  const wanted = MESSAGES.map(({ type, streamId, body }) => ({ type, streamId, body }));
  for (const size of [1, 2, 3, 7, 64, 131, bytes.length]) {
    assert.deepEqual(parseInPieces(bytes, size), wanted);
  }
});

Deno.test("Set Chunk Size is obeyed and not handed on", () => {
  const writer = new ChunkWriter();
  const setSize = [...writer.encode(2, 1, 0, 0, Uint8Array.of(0, 0, 2, 0))];
  writer.chunkSize = 512;
  const long = new Array(400).fill(5);
  const bytes = Uint8Array.from([...setSize, ...writer.encode(5, 8, 1, 0, Uint8Array.from(long))]);
  assert.deepEqual(parseInPieces(bytes, 50), [{ type: 8, streamId: 1, body: long }]);
});

Deno.test("short headers can come first on a primed chunk stream: the relay sends no others", () => {
  const heard: number[][] = [];
  const parser = new ChunkParser((type, _stream, body) => heard.push([type, ...body]));
  parser.prime(8, 8, 3);
  assert.equal(parser.push(Uint8Array.of(0x88, 0, 0, 20, 1, 2, 3, 0x88), 8), 7);
  assert.deepEqual(heard, [[8, 1, 2, 3]]);
});
