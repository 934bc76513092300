import assert from "node:assert/strict";
import { fromHex, toHex } from "../../lib/base/bytes.ts";
import { ChunkWriter } from "../../lib/rtmp/chunk_writer.ts";
import { readChunks } from "../support/rtmp_bytes.ts";

interface Sent {
  id: number;
  type: number;
  streamId: number;
  timestamp: number;
  body: string;
}

const AUDIO: Sent = { id: 4, type: 8, streamId: 1, timestamp: 1000, body: "aabb" };

const WRITTEN: { name: string; messages: Sent[]; bytes: string }[] = [
  { name: "form 0 first", messages: [AUDIO], bytes: "04 0003e8 000002 08 01000000 aabb" },
  {
    name: "form 1 when length or type change",
    messages: [AUDIO, { ...AUDIO, timestamp: 1020, body: "cc" }],
    bytes: "04 0003e8 000002 08 01000000 aabb 44 000014 000001 08 cc",
  },
  {
    name: "form 2 when only the time changes, never form 3",
    messages: [AUDIO, { ...AUDIO, timestamp: 1020 }, { ...AUDIO, timestamp: 1040 }],
    bytes: "04 0003e8 000002 08 01000000 aabb 84 000014 aabb 84 000014 aabb",
  },
  {
    name: "form 0 when time goes back",
    messages: [AUDIO, { ...AUDIO, timestamp: 900 }],
    bytes: "04 0003e8 000002 08 01000000 aabb 04 000384 000002 08 01000000 aabb",
  },
  {
    name: "form 0 on another stream",
    messages: [AUDIO, { ...AUDIO, streamId: 2 }],
    bytes: "04 0003e8 000002 08 01000000 aabb 04 0003e8 000002 08 02000000 aabb",
  },
  {
    name: "extended time from 0xffffff on",
    messages: [{ ...AUDIO, timestamp: 0xffffff, body: "aa" }],
    bytes: "04 ffffff 000001 08 01000000 00ffffff aa",
  },
  {
    name: "no extended time just below",
    messages: [{ ...AUDIO, timestamp: 0xfffffe, body: "aa" }],
    bytes: "04 fffffe 000001 08 01000000 aa",
  },
  {
    name: "small delta after an extended time is not extended",
    messages: [{ ...AUDIO, timestamp: 0x1000000, body: "aa" }, {
      ...AUDIO,
      timestamp: 0x1000001,
      body: "aa",
    }],
    bytes: "04 ffffff 000001 08 01000000 01000000 aa 84 000001 aa",
  },
  {
    name: "a large delta becomes an absolute time",
    messages: [{ ...AUDIO, timestamp: 0, body: "aa" }, { ...AUDIO, timestamp: 0x1000000, body: "aa" }],
    bytes: "04 000000 000001 08 01000000 aa 04 ffffff 000001 08 01000000 01000000 aa",
  },
  {
    name: "time beyond 32 bits wraps",
    messages: [{ ...AUDIO, timestamp: 0x100000005, body: "aa" }],
    bytes: "04 000005 000001 08 01000000 aa",
  },
  {
    name: "type 3 chunks repeat the extended time",
    messages: [{ ...AUDIO, timestamp: 0x1000000, body: "ab".repeat(129) }],
    bytes: `04 ffffff 000081 08 01000000 01000000 ${"ab".repeat(128)} c4 01000000 ab`,
  },
  {
    name: "id of two bytes",
    messages: [{ ...AUDIO, id: 64 }],
    bytes: "00 00 0003e8 000002 08 01000000 aabb",
  },
  {
    name: "largest id of two bytes",
    messages: [{ ...AUDIO, id: 319 }],
    bytes: "00 ff 0003e8 000002 08 01000000 aabb",
  },
  {
    name: "id of three bytes",
    messages: [{ ...AUDIO, id: 320 }],
    bytes: "01 0001 0003e8 000002 08 01000000 aabb",
  },
  {
    name: "largest id",
    messages: [{ ...AUDIO, id: 65599 }],
    bytes: "01 ffff 0003e8 000002 08 01000000 aabb",
  },
  { name: "no body", messages: [{ ...AUDIO, body: "" }], bytes: "04 0003e8 000000 08 01000000" },
  {
    name: "a body that fills its chunk has no empty chunk behind it",
    messages: [{ ...AUDIO, body: "ab".repeat(128) }],
    bytes: `04 0003e8 000080 08 01000000 ${"ab".repeat(128)}`,
  },
];

for (const { name, messages, bytes } of WRITTEN) {
  Deno.test(`chunk writer: ${name}`, () => {
    const writer = new ChunkWriter();
    let written = "";
    for (const m of messages) {
      written += toHex(writer.encode(m.id, m.type, m.streamId, m.timestamp, fromHex(m.body)));
    }
    assert.equal(written, bytes.replaceAll(" ", ""));
    assert.deepEqual(
      readChunks([fromHex(written)]),
      messages.map(({ type, streamId, timestamp, body }) => ({
        type,
        streamId,
        timestamp: timestamp >>> 0,
        body,
      })),
    );
  });
}

Deno.test("chunk writer: larger chunks, and a burst does not stay in memory", () => {
  const writer = new ChunkWriter();
  writer.chunkSize = 65_536;
  assert.equal(writer.encode(4, 9, 1, 0, new Uint8Array(200_000)).length, 12 + 200_000 + 3);
  assert.ok(writer.encode(4, 9, 1, 0, new Uint8Array(1)).buffer.byteLength < 65_536);
  assert.throws(() => writer.encode(4, 9, 1, 0, new Uint8Array(0x1000000)), RangeError);
});
