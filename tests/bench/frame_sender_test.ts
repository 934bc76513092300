import assert from "node:assert/strict";
import { FrameSender } from "../../bench/load/frame_sender.ts";
import { ChunkParser } from "../../bench/load/chunk_parser.ts";

/** A connection that keeps what is written and settles when told. */
function fakeConnection() {
  const written: number[] = [];
  const settle: (() => void)[] = [];
  const write = (bytes: Uint8Array): Promise<number> => {
    written.push(...bytes);
    return new Promise((resolve) => settle.push(() => resolve(bytes.length)));
  };
  return { written, settle, conn: { write } };
}

const SHAPE = { chunkStreamId: 8, type: 8, streamId: 1, announce: true } as const;

Deno.test("frames are chunks: a full header first, short ones behind it, bodies in turn", () => {
  const { conn, written } = fakeConnection();
  const sender = new FrameSender(conn, { ...SHAPE, bodies: [Uint8Array.of(1, 2), Uint8Array.of(3, 4)] });
  for (let i = 0; i < 3; i++) {
    assert.notEqual(sender.next(), null);
    sender.send(20);
  }
  const heard: number[][] = [];
  new ChunkParser((type, stream, body) => heard.push([type, stream, ...body])).push(
    Uint8Array.from(written),
    written.length,
  );
  assert.deepEqual(heard, [[8, 1, 1, 2], [8, 1, 3, 4], [8, 1, 1, 2]]);
  assert.equal(written.length, 14 + 6 + 6);
});

Deno.test("no buffer is used again before its write has settled", async () => {
  const { conn, settle } = fakeConnection();
  const sender = new FrameSender(conn, { ...SHAPE, bodies: [Uint8Array.of(1)] });
  let sent = 0;
  while (sender.next() !== null) {
    sender.send(20);
    sent++;
  }
  assert.equal(sender.blocked, 1);
  assert.ok(sent < 8);
  settle[0]!();
  await Promise.resolve();
  await Promise.resolve();
  assert.notEqual(sender.next(), null);
});
