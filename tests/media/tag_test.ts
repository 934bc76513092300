// The one reader of tag bytes, by the table that the tests of its users share.
import assert from "node:assert/strict";
import fc from "fast-check";
import {
  createTag,
  FirstTrack,
  headerSlot,
  isFrame,
  isHeader,
  readTag,
  type Tag,
} from "../../lib/media/tag.ts";
import { fromHex, toHex } from "../support/hex.ts";
import { TAG_TABLE } from "../support/tag_table.ts";

Deno.test("every form of tag is told by its first bytes", () => {
  assert.ok(TAG_TABLE.length >= 40);
  const tag = createTag();
  for (const { what, type, body, data, ...expected } of TAG_TABLE) {
    const bytes = fromHex(body);
    readTag(type, bytes, tag);
    const { multitrack = "none", track = 0, cut = false, compositionMs = 0, nanoOffset = 0 } = expected;
    const { content, codec } = tag;
    assert.deepEqual({ content, codec }, { content: expected.content, codec: expected.codec }, what);
    assert.deepEqual([tag.multitrack, tag.track, tag.cut], [multitrack, track, cut], what);
    assert.deepEqual([tag.compositionMs, tag.nanoOffset], [compositionMs, nanoOffset], what);
    if (data !== undefined) assert.equal(toHex(bytes.subarray(tag.start, tag.end)), data, what);
    assert.equal(tag.kind, type === 8 ? "audio" : type === 9 ? "video" : "data", what);
  }
});

Deno.test("each tag, cut anywhere, is still read, and its data lies within it", () => {
  const tag = createTag();
  for (const { what, type, body } of TAG_TABLE) {
    const bytes = fromHex(body);
    for (let length = 0; length <= bytes.length; length++) {
      readTag(type, bytes.subarray(0, length), tag);
      assert.ok(tag.start <= tag.end && tag.end <= length, `${what}, ${length} octets`);
    }
  }
});

Deno.test("any bytes are some tag", () => {
  const tag = createTag();
  fc.assert(
    fc.property(fc.constantFrom<8 | 9 | 18>(8, 9, 18), fc.uint8Array({ maxLength: 40 }), (type, body) => {
      readTag(type, body, tag);
      assert.ok(tag.start >= 0 && tag.start <= tag.end && tag.end <= body.length);
      assert.ok(tag.track >= 0 && tag.track <= 255);
      assert.ok(!(isHeader(tag) && isFrame(tag)));
    }),
    { numRuns: 3000 },
  );
});

Deno.test("headers are told apart by kind, content and track, whatever their form", () => {
  const slot = (type: 8 | 9, hex: string): number => headerSlot(readTag(type, fromHex(hex), createTag()));
  const legacy = slot(9, "170000000001");
  assert.equal(slot(9, "906176633101"), legacy, "the default track has one, legacy or enhanced");
  const others = [
    slot(8, "af001210"),
    slot(9, "946176633102"),
    slot(9, "960061766331010142"),
    slot(9, "960061766331020142"),
    slot(9, "9610617663310100000142"),
    slot(8, "944f70757301"),
    slot(8, "95004f7075730101"),
  ];
  assert.equal(new Set([legacy, ...others]).size, others.length + 1);
});

Deno.test("pictures start at key frames of the first track, whatever is beside it", () => {
  const first = new FirstTrack();
  const tag = createTag();
  const read = (hex: string): Tag => readTag(9, fromHex(hex), tag);
  const other = "96016176633101000000aa";
  assert.equal(first.startsAt(read(other)), true, "the only one so far");
  assert.equal(first.startsAt(read("1700000000")), false);
  assert.equal(first.startsAt(read(other)), false, "there is a default track");
  assert.equal(first.startsAt(read("1701000000aa")), true);
  assert.equal(first.startsAt(read("2701000000aa")), false);
  assert.equal(first.startsAt(read("96016176633100000000aa")), true, "the default track in multitrack form");
  assert.equal(first.startsAt(readTag(8, fromHex("af0121"), tag)), false);
});
