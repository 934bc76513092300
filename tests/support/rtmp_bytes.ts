// Helpers of the RTMP wire tests: messages kept beyond the outlet, and bytes fed in pieces.

import { concatBytes, toHex } from "../../lib/base/bytes.ts";
import { ChunkReader, ChunkWriter, DEFAULT_CHUNK_LIMITS } from "../../lib/rtmp/chunk_stream.ts";
import type { RtmpMessage } from "../../lib/rtmp/message.ts";

/** A message with its own body, as hex. */
export interface KeptMessage {
  type: number;
  streamId: number;
  timestamp: number;
  body: string;
}

/** Copies what an outlet only borrows. */
export function keep(message: RtmpMessage): KeptMessage {
  const { type, streamId, timestamp, body } = message;
  return { type, streamId, timestamp, body: toHex(body) };
}

/** All messages in `pieces`, fed one after the other. */
export function readChunks(pieces: Iterable<Uint8Array>, chunkSize = 128): KeptMessage[] {
  const kept: KeptMessage[] = [];
  const reader = new ChunkReader(DEFAULT_CHUNK_LIMITS, { receive: (message) => kept.push(keep(message)) });
  reader.setChunkSize(chunkSize);
  for (const piece of pieces) {
    // A copy that is spoilt afterwards shows views that were kept too long.
    const borrowed = piece.slice();
    reader.push(borrowed);
    borrowed.fill(0xee);
  }
  return kept;
}

/** Single bytes. */
export function byByte(bytes: Uint8Array): Uint8Array[] {
  return Array.from(bytes, (_, at) => bytes.subarray(at, at + 1));
}

/** Every way to cut in two. */
export function* everySplit(bytes: Uint8Array): Generator<Uint8Array[]> {
  for (let at = 1; at < bytes.length; at++) yield [bytes.subarray(0, at), bytes.subarray(at)];
}

/** Messages as chunks, each on the given chunk stream. */
export function writeChunks(
  messages: readonly (RtmpMessage & { id: number })[],
  chunkSize = 128,
): Uint8Array {
  const writer = new ChunkWriter();
  writer.chunkSize = chunkSize;
  const parts = messages.map((m) => writer.encode(m.id, m.type, m.streamId, m.timestamp, m.body).slice());
  return concatBytes(parts);
}
