import fc from "fast-check";
import assert from "node:assert/strict";
import { concatBytes, fromHex, toHex } from "../../lib/base/bytes.ts";
import { WireError } from "../../lib/base/errors.ts";
import { ChunkReader, ChunkWriter, DEFAULT_CHUNK_LIMITS } from "../../lib/rtmp/chunk_stream.ts";
import {
  byByte,
  everySplit,
  keep,
  type KeptMessage,
  readChunks,
  writeChunks,
} from "../support/rtmp_bytes.ts";

const LONG = "ab".repeat(128);
const REST = "cd".repeat(10);

const STREAMS: { name: string; bytes: string; messages: KeptMessage[]; chunkSize?: number }[] = [
  {
    name: "form 0, then 1, 2 and 3",
    bytes: "04 0003e8 000002 08 01000000 aabb" + "44 000014 000001 09 cc" + "84 000014 dd" + "c4 ee",
    messages: [
      { type: 8, streamId: 1, timestamp: 1000, body: "aabb" },
      { type: 9, streamId: 1, timestamp: 1020, body: "cc" },
      { type: 9, streamId: 1, timestamp: 1040, body: "dd" },
      { type: 9, streamId: 1, timestamp: 1060, body: "ee" },
    ],
  },
  {
    name: "form 3 after form 0 takes its time as the delta",
    bytes: "04 000014 000001 08 01000000 aa" + "c4 bb",
    messages: [
      { type: 8, streamId: 1, timestamp: 20, body: "aa" },
      { type: 8, streamId: 1, timestamp: 40, body: "bb" },
    ],
  },
  {
    name: "ids of two and three bytes",
    bytes: "00 00 000001 000001 08 01000000 aa" + "01 0000 000002 000001 08 01000000 bb" +
      "01 ffff 000003 000001 08 01000000 cc" + "c0 00 dd",
    messages: [
      { type: 8, streamId: 1, timestamp: 1, body: "aa" },
      // 64 written with three bytes is the same chunk stream as 64 written with two
      { type: 8, streamId: 1, timestamp: 2, body: "bb" },
      { type: 8, streamId: 1, timestamp: 3, body: "cc" },
      { type: 8, streamId: 1, timestamp: 4, body: "dd" },
    ],
  },
  {
    name: "a message in two chunks",
    bytes: `04 000000 00008a 09 01000000 ${LONG} c4 ${REST}`,
    messages: [{ type: 9, streamId: 1, timestamp: 0, body: LONG + REST }],
  },
  {
    name: "two messages mixed",
    bytes: `04 000000 00008a 09 01000000 ${LONG}` + "05 000007 000001 08 01000000 aa" + `c4 ${REST}`,
    messages: [
      { type: 8, streamId: 1, timestamp: 7, body: "aa" },
      { type: 9, streamId: 1, timestamp: 0, body: LONG + REST },
    ],
  },
  {
    name: "extended time repeated on type 3 chunks",
    bytes: `04 ffffff 00008a 09 01000000 01000000 ${LONG} c4 01000000 ${REST}`,
    messages: [{ type: 9, streamId: 1, timestamp: 0x01000000, body: LONG + REST }],
  },
  {
    name: "extended time left out of type 3 chunks",
    bytes: `04 ffffff 00008a 09 01000000 01000000 ${LONG} c4 ${REST}` + "44 000001 000001 08 aa",
    messages: [
      { type: 9, streamId: 1, timestamp: 0x01000000, body: LONG + REST },
      { type: 8, streamId: 1, timestamp: 0x01000001, body: "aa" },
    ],
  },
  {
    name: "extended time left out before the last two bytes of a message",
    bytes: `04 ffffff 000082 09 01000000 01000000 ${LONG} c4 cdcd` + "44 000001 000001 08 aa",
    messages: [
      { type: 9, streamId: 1, timestamp: 0x01000000, body: LONG + "cdcd" },
      { type: 8, streamId: 1, timestamp: 0x01000001, body: "aa" },
    ],
  },
  {
    name: "extended delta, repeated by the type 3 chunk that starts the next message",
    bytes: "04 000001 000001 08 01000000 aa" + "84 ffffff 01000000 bb" + "c4 01000000 cc",
    messages: [
      { type: 8, streamId: 1, timestamp: 1, body: "aa" },
      { type: 8, streamId: 1, timestamp: 0x01000001, body: "bb" },
      { type: 8, streamId: 1, timestamp: 0x02000001, body: "cc" },
    ],
  },
  {
    name: "time that wraps at 32 bits",
    bytes: "04 ffffff 000001 08 01000000 fffffff6 aa" + "84 000014 bb",
    messages: [
      { type: 8, streamId: 1, timestamp: 0xfffffff6, body: "aa" },
      { type: 8, streamId: 1, timestamp: 10, body: "bb" },
    ],
  },
  {
    name: "messages without a body",
    bytes: "04 000001 000000 08 01000000" + "84 000001" + "c4" + "c4",
    messages: [1, 2, 3, 4].map((timestamp) => ({ type: 8, streamId: 1, timestamp, body: "" })),
  },
  {
    name: "form 1 as the first header",
    bytes: "42 000000 000006 04 000600000001",
    messages: [{ type: 4, streamId: 0, timestamp: 0, body: "000600000001" }],
  },
  {
    name: "a new message instead of the rest of one",
    bytes: `04 000000 00008a 09 01000000 ${LONG}` + "44 000000 000001 08 aa" + "c4 bb",
    messages: [
      { type: 8, streamId: 1, timestamp: 0, body: "aa" },
      { type: 8, streamId: 1, timestamp: 0, body: "bb" },
    ],
  },
  {
    name: "chunks of one byte",
    bytes: "04 000000 000003 08 01000000 aa c4 bb c4 cc",
    messages: [{ type: 8, streamId: 1, timestamp: 0, body: "aabbcc" }],
    chunkSize: 1,
  },
];

for (const { name, bytes, messages, chunkSize } of STREAMS) {
  Deno.test(`chunks: ${name}; at once, byte by byte and at every split`, () => {
    const input = fromHex(bytes);
    assert.deepEqual(readChunks([input], chunkSize), messages);
    assert.deepEqual(readChunks(byByte(input), chunkSize), messages);
    for (const pieces of everySplit(input)) assert.deepEqual(readChunks(pieces, chunkSize), messages);
  });
}

const REFUSED = {
  "type 2 as first header": "84 000000 aa",
  "type 3 as first header": "c4 aa",
  "message longer than the limit": "04 000000 ffffff 09 01000000 aa",
};

for (const [name, bytes] of Object.entries(REFUSED)) {
  Deno.test(`chunks: refuses ${name}`, () => assert.throws(() => readChunks([fromHex(bytes)]), WireError));
}

Deno.test("chunks: chunk sizes 1 to 31 bits, from the next chunk on", () => {
  const reader = new ChunkReader(DEFAULT_CHUNK_LIMITS, { receive: () => {} });
  for (const size of [0, 0x80000000]) assert.throws(() => reader.setChunkSize(size), WireError);
  reader.setChunkSize(0x7fffffff);
});

Deno.test("chunks: a size set by the outlet holds for the chunks behind it", () => {
  const bodies: string[] = [];
  const reader = new ChunkReader(DEFAULT_CHUNK_LIMITS, {
    receive: (message) => {
      if (message.type === 1) reader.setChunkSize(4096);
      else bodies.push(toHex(message.body));
    },
  });
  reader.push(fromHex(`02 000000 000004 01 00000000 00001000 04 000000 00008a 09 01000000 ${LONG}${REST}`));
  assert.deepEqual(bodies, [LONG + REST]);
});

Deno.test("chunks: abort gives up the unfinished message only", () => {
  const kept: KeptMessage[] = [];
  const reader = new ChunkReader(DEFAULT_CHUNK_LIMITS, { receive: (message) => kept.push(keep(message)) });
  reader.push(fromHex(`04 000000 00008a 09 01000000 ${LONG}`));
  reader.abort(9);
  reader.abort(4);
  reader.push(fromHex(`44 000005 000001 08 aa`));
  assert.deepEqual(kept, [{ type: 8, streamId: 1, timestamp: 5, body: "aa" }]);
});

Deno.test("chunks: stop() leaves the rest to the next push", () => {
  const input = writeChunks([1, 2, 3].map((timestamp) => ({
    id: 4,
    type: 8,
    streamId: 1,
    timestamp,
    body: new Uint8Array(200).fill(timestamp),
  })));
  for (let chunk = 1; chunk <= input.length; chunk++) {
    const times: number[] = [];
    const reader = new ChunkReader(DEFAULT_CHUNK_LIMITS, {
      receive: (message) => {
        times.push(message.timestamp);
        reader.stop();
      },
    });
    let calls = 0;
    for (let at = 0; at < input.length;) {
      at += reader.push(input.subarray(at, at + chunk));
      assert.ok(times.length <= ++calls);
    }
    assert.deepEqual(times, [1, 2, 3]);
  }
});

Deno.test("chunks: a whole message is handed out as a view, without a copy", () => {
  const input = writeChunks([{ id: 4, type: 8, streamId: 1, timestamp: 0, body: fromHex("0102") }]);
  let buffer: ArrayBufferLike | null = null;
  const reader = new ChunkReader(DEFAULT_CHUNK_LIMITS, {
    receive: (message) => buffer = message.body.buffer,
  });
  reader.push(input);
  assert.equal(buffer, input.buffer);
  assert.equal(reader.bufferedBytes, 0);
});

Deno.test("chunks: memory follows the bytes received, not the length announced", () => {
  const reader = new ChunkReader(DEFAULT_CHUNK_LIMITS, { receive: () => {} });
  reader.push(fromHex(`04 000000 3fffff 09 01000000 ${LONG}`));
  assert.ok(reader.bufferedBytes < 2000);
});

Deno.test("chunks: unfinished messages together are limited", () => {
  const limits = { maxMessageBytes: 100_000, maxBufferedBytes: 150_000, maxChunkStreams: 10 };
  const reader = new ChunkReader(limits, { receive: () => {} });
  const begin = (id: number): void => {
    reader.push(fromHex(`0${id} 000000 0186a0 09 01000000`));
    for (let sent = 0; sent < 99_968; sent += 128) {
      reader.push(new Uint8Array(128));
      reader.push(fromHex(`c${id}`));
    }
  };
  begin(4);
  assert.throws(() => begin(5), WireError);
  assert.ok(reader.bufferedBytes <= 150_000);
});

Deno.test("chunks: the number of chunk streams is limited", () => {
  const limits = { ...DEFAULT_CHUNK_LIMITS, maxChunkStreams: 3 };
  const reader = new ChunkReader(limits, { receive: () => {} });
  for (const id of ["04", "05", "06"]) reader.push(fromHex(`${id} 000000 000000 08 01000000`));
  assert.throws(() => reader.push(fromHex("07 000000 000000 08 01000000")), WireError);
});

Deno.test("chunks: large buffers are given back", () => {
  const body = new Uint8Array(100_000);
  const input = writeChunks([{ id: 4, type: 9, streamId: 1, timestamp: 0, body }]);
  let length = 0;
  const reader = new ChunkReader(DEFAULT_CHUNK_LIMITS, {
    receive: (message) => length = message.body.length,
  });
  reader.push(input);
  assert.equal(length, 100_000);
  assert.equal(reader.bufferedBytes, 0);
});

const message = fc.record({
  id: fc.constantFrom(2, 3, 63, 64, 319, 320, 65599),
  type: fc.constantFrom(8, 9, 18, 20),
  streamId: fc.constantFrom(0, 1, 0xffffffff),
  timestamp: fc.oneof(fc.nat(50_000), fc.integer({ min: 0xfffff0, max: 0x1000010 }), fc.nat(0xffffffff)),
  body: fc.nat(700).map((length) => new Uint8Array(length).map((_, at) => at)),
});

Deno.test("chunks: what is written is read, in any pieces", () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 8 });
  const chunkSize = fc.integer({ min: 1, max: 400 });
  fc.assert(
    fc.property(fc.array(message, { maxLength: 6 }), sizes, chunkSize, (messages, pieceSizes, size) => {
      const input = writeChunks(messages, size);
      const pieces: Uint8Array[] = [];
      for (let at = 0; at < input.length;) {
        const length = pieceSizes[pieces.length % pieceSizes.length]!;
        pieces.push(input.subarray(at, at + length));
        at += length;
      }
      assert.deepEqual(readChunks(pieces, size), messages.map(keep));
    }),
  );
});

Deno.test("chunks: any bytes give messages or a WireError, in bounded memory", () => {
  const limits = { maxMessageBytes: 5000, maxBufferedBytes: 8000, maxChunkStreams: 8 };
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 20 }), (pieces) => {
      const reader = new ChunkReader(limits, {
        receive: (message) => assert.ok(message.body.length <= 5000),
      });
      const started = writeChunks([{
        id: 4,
        type: 9,
        streamId: 1,
        timestamp: 0xffffff,
        body: new Uint8Array(9),
      }]);
      try {
        for (const piece of [started, ...pieces]) assert.equal(reader.push(piece), piece.length);
      } catch (error) {
        if (!(error instanceof WireError)) throw error;
      }
      assert.ok(reader.bufferedBytes <= 8000);
    }),
    { numRuns: 500 },
  );
});

Deno.test("chunks: damaged streams give the same messages whole and byte by byte", () => {
  const damaged = fc.tuple(fc.array(message, { minLength: 1, maxLength: 3 }), fc.nat(), fc.nat(255)).map(
    ([messages, at, byte]) => {
      const input = writeChunks(messages);
      if (input.length > 0) input[at % input.length] = byte;
      return input;
    },
  );
  const outcome = (pieces: Uint8Array[]): unknown => {
    try {
      return readChunks(pieces);
    } catch (error) {
      assert.ok(error instanceof WireError);
      return error.message;
    }
  };
  fc.assert(fc.property(damaged, (input) => {
    assert.deepEqual(outcome(byByte(input)), outcome([concatBytes([input])]));
  }));
});

Deno.test("a part of a buffer is read, and nothing beside it", () => {
  for (const { bytes, messages, chunkSize } of STREAMS) {
    const wire = fromHex(bytes);
    for (let split = 0; split <= wire.length; split++) {
      const kept: KeptMessage[] = [];
      const reader = new ChunkReader(DEFAULT_CHUNK_LIMITS, {
        receive: (message) => kept.push(keep(message)),
      });
      if (chunkSize !== undefined) reader.setChunkSize(chunkSize);
      for (const part of [wire.subarray(0, split), wire.subarray(split)]) {
        const buffer = concatBytes([fromHex("ffffff"), part, fromHex("c4c4c4c4")]);
        assert.equal(reader.push(buffer, 3, 3 + part.length), part.length);
      }
      assert.deepEqual(kept, messages);
    }
  }
});

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
