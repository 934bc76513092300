// The FLV container: both ways, any split, damage.
import assert from "node:assert/strict";
import fc from "fast-check";
import { ByteWriter } from "../../lib/base/bytes.ts";
import { WireError } from "../../lib/base/errors.ts";
import { encodeFlvHeader, encodeFlvTag, type FlvTag, FlvTagReader } from "../../lib/flv/tag.ts";
import { fromHex, toHex } from "../support/hex.ts";
import { mutate } from "../support/mutate.ts";

const HEADER = "464c5601050000000900000000";
const TAGS: readonly (readonly [tag: FlvTag, bytes: string])[] = [
  [{ type: 8, timeMs: 20, body: fromHex("b26162") }, "08000003 000014 00 000000 b26162 0000000e"],
  [{ type: 9, timeMs: 0x01020304, body: fromHex("17") }, "09000001 020304 01 000000 17 0000000c"],
  [{ type: 18, timeMs: 0xffffffff, body: fromHex("") }, "12000000 ffffff ff 000000 0000000b"],
];
const FILE = fromHex(HEADER + TAGS.map(([, bytes]) => bytes).join(""));

interface OwnTag {
  readonly type: number;
  readonly timeMs: number;
  readonly body: string;
}

function readAll(pieces: readonly Uint8Array[]): { tags: OwnTag[]; reader: FlvTagReader } {
  const reader = new FlvTagReader();
  const tags: OwnTag[] = [];
  const buffer = new Uint8Array(70000);
  for (const piece of pieces) {
    buffer.fill(0xee); // pieces come in one reused buffer, as from a file
    buffer.set(piece);
    reader.feed(buffer.subarray(0, piece.length));
    for (let tag = reader.next(); tag !== null; tag = reader.next()) {
      tags.push({ type: tag.type, timeMs: tag.timeMs, body: toHex(tag.body) });
    }
  }
  return { tags, reader };
}

const WANTED: OwnTag[] = TAGS.map(([tag]) => ({ ...tag, body: toHex(tag.body) }));

Deno.test("tags encode as the format says", () => {
  const writer = new ByteWriter();
  encodeFlvHeader(writer, { audio: true, video: true });
  for (const [tag] of TAGS) encodeFlvTag(writer, tag.type, tag.timeMs, tag.body);
  assert.deepEqual(writer.view(), FILE);
});

Deno.test("tags decode from a file in one piece, at every split and one byte at a time", () => {
  assert.deepEqual(readAll([FILE]).tags, WANTED);
  for (let at = 0; at <= FILE.length; at++) {
    assert.deepEqual(readAll([FILE.subarray(0, at), FILE.subarray(at)]).tags, WANTED, `split at ${at}`);
  }
  const single = readAll(Array.from(FILE, (byte) => Uint8Array.of(byte)));
  assert.deepEqual(single.tags, WANTED);
  assert.equal(single.reader.unfinished, 0);
});

Deno.test("any tags in any pieces come out as they went in", () => {
  const tag = fc.record({
    type: fc.constantFrom<8 | 9 | 18>(8, 9, 18),
    timeMs: fc.nat(0xffffffff),
    body: fc.uint8Array({ maxLength: 9000 }),
  });
  fc.assert(
    fc.property(fc.array(tag, { maxLength: 8 }), fc.integer({ min: 1, max: 20000 }), (tags, pieceLength) => {
      const writer = new ByteWriter();
      encodeFlvHeader(writer, { audio: false, video: true });
      for (const { type, timeMs, body } of tags) encodeFlvTag(writer, type, timeMs, body);
      const file = writer.take();
      const pieces: Uint8Array[] = [];
      for (let at = 0; at < file.length; at += pieceLength) pieces.push(file.subarray(at, at + pieceLength));
      assert.deepEqual(readAll(pieces).tags, tags.map((each) => ({ ...each, body: toHex(each.body) })));
    }),
    { numRuns: 60 },
  );
});

Deno.test("a longer header is passed over; unknown and encrypted tags are skipped and counted", () => {
  const odd = "0f000002000000000000001111" + "0000000d";
  const file = fromHex("464c5601010000000b" + "aabb" + "00000000" + odd + TAGS[0]![1]);
  const { tags, reader } = readAll([file]);
  assert.deepEqual(tags, [WANTED[0]]);
  assert.equal(reader.skipped, 1);
});

Deno.test("a file cut off inside a tag says so", () => {
  const { tags, reader } = readAll([FILE.subarray(0, FILE.length - 2)]);
  assert.equal(tags.length, 2);
  assert.ok(reader.unfinished > 0);
});

for (
  const [name, bytes] of [
    ["another magic", "464c57"],
    ["text", "3c68746d6c3e"],
    ["a header of 4 octets", "464c5601050000000400000000"],
    ["a header of a gigabyte", "464c5601054000000000000000"],
    ["a tag type of 200", HEADER + "c8000000000000000000000000000b00"],
  ] as const
) {
  Deno.test(`${name} is a wire error`, () => assert.throws(() => readAll([fromHex(bytes)]), WireError));
}

Deno.test("a body that does not fit a tag is refused", () => {
  assert.throws(() => encodeFlvTag(new ByteWriter(), 9, 0, new Uint8Array(0x1000000)), RangeError);
});

Deno.test("damaged files give tags or a wire error", () => {
  let whole = 0;
  for (let seed = 0; seed < 500; seed++) {
    try {
      whole += readAll([mutate(FILE, seed)]).tags.length;
    } catch (error) {
      assert.ok(error instanceof WireError);
    }
  }
  assert.ok(whole > 100);
});
