// One table for both directions, bounds at every length, and round trips of random values.

import fc from "fast-check";
import assert from "node:assert/strict";
import {
  ByteReader,
  ByteWriter,
  concatBytes,
  decodeUtf8,
  encodeUtf8,
  equalBytes,
  fromHex,
  toHex,
  trimCharacters,
  trimEndCharacters,
  viewOf,
} from "../../lib/base/bytes.ts";
import { WireError } from "../../lib/base/errors.ts";
import { hex } from "../support/hex.ts";

type Field = "u8" | "u16" | "u24" | "u32" | "u32le" | "i16" | "f64";

const TABLE: { field: Field; value: number; bytes: string }[] = [
  { field: "u8", value: 0, bytes: "00" },
  { field: "u8", value: 255, bytes: "ff" },
  { field: "u16", value: 0x0102, bytes: "0102" },
  { field: "u16", value: 0xffff, bytes: "ffff" },
  { field: "u24", value: 0x010203, bytes: "010203" },
  { field: "u24", value: 0xffffff, bytes: "ffffff" },
  { field: "u32", value: 0x01020304, bytes: "01020304" },
  { field: "u32", value: 0xffffffff, bytes: "ffffffff" },
  { field: "u32", value: 0x80000000, bytes: "80000000" },
  { field: "u32le", value: 0x01020304, bytes: "04030201" },
  { field: "u32le", value: 0xfffffffe, bytes: "feffffff" },
  { field: "i16", value: -1, bytes: "ffff" },
  { field: "i16", value: -32768, bytes: "8000" },
  { field: "i16", value: 32767, bytes: "7fff" },
  { field: "f64", value: 1.5, bytes: "3ff8000000000000" },
  { field: "f64", value: -0, bytes: "8000000000000000" },
  { field: "f64", value: Infinity, bytes: "7ff0000000000000" },
];

for (const { field, value, bytes } of TABLE) {
  Deno.test(`${field} ${value} is ${bytes} both ways`, () => {
    const writer = new ByteWriter(0);
    writer[field](value);
    assert.equal(toHex(writer.view()), bytes);
    const reader = new ByteReader(fromHex(bytes), "test");
    assert.ok(Object.is(reader[field](), value));
    assert.equal(reader.remaining, 0);
  });

  Deno.test(`${field} past the end is a WireError that names format and place`, () => {
    const whole = fromHex(bytes);
    for (let length = 0; length < whole.length; length++) {
      const reader = new ByteReader(concatBytes([hex`aa`, whole.subarray(0, length)]), "test");
      reader.skip(1);
      assert.throws(() => reader[field](), (error) => {
        assert.ok(error instanceof WireError);
        assert.deepEqual([error.protocol, error.offset], ["test", 1]);
        return true;
      });
      assert.equal(reader.offset, 1, "a failed read does not move");
    }
  });
}

Deno.test("bytes, rest, skip and utf8 hand out views and stop at the end", () => {
  const source = hex`00 01 02 c3 a9 ff 05`;
  const reader = new ByteReader(source, "test");
  const view = reader.bytes(2);
  source[1] = 9;
  assert.deepEqual([...view], [0, 9], "a view, not a copy");
  reader.skip(1);
  assert.equal(reader.utf8(2), "é");
  assert.equal(reader.utf8(1), "\ufffd");
  assert.deepEqual([...reader.rest()], [5]);
  assert.deepEqual([...reader.rest()], []);
  for (const count of [1, -1, NaN, Infinity]) assert.throws(() => reader.bytes(count), WireError);
});

Deno.test("the writer grows, patches what is written, and can be reused", () => {
  const writer = new ByteWriter(1);
  assert.equal(writer.utf8("é€"), 5);
  writer.u32(0);
  writer.bytes(hex`01 02 03`);
  writer.setU8(5, 0x1aa);
  writer.setU16(6, 0xbbcc);
  writer.setU24(9, 0x112233);
  assert.equal(toHex(writer.view()), "c3a9e282ac" + "aabbcc00" + "112233");
  writer.setU32(0, 0xdeadbeef);
  const taken = writer.take();
  assert.equal(toHex(taken), "deadbeefacaabbcc00112233");
  assert.equal(writer.length, 0);
  writer.u8(1);
  assert.equal(taken[0], 0xde, "what was taken is not written again");
  writer.reset();
  assert.equal(writer.view().length, 0);
});

Deno.test("patching outside of what is written is our bug, not the peer's", () => {
  const writer = new ByteWriter(64);
  writer.u16(1);
  for (const at of [-1, 1, 2]) assert.throws(() => writer.setU16(at, 0), RangeError);
});

Deno.test("a random sequence of values is read as it was written", () => {
  const step = fc.oneof(
    fc.record({ field: fc.constant("u8" as const), value: fc.integer({ min: 0, max: 0xff }) }),
    fc.record({ field: fc.constant("u16" as const), value: fc.integer({ min: 0, max: 0xffff }) }),
    fc.record({ field: fc.constant("u24" as const), value: fc.integer({ min: 0, max: 0xffffff }) }),
    fc.record({ field: fc.constant("u32" as const), value: fc.integer({ min: 0, max: 0xffffffff }) }),
    fc.record({ field: fc.constant("u32le" as const), value: fc.integer({ min: 0, max: 0xffffffff }) }),
    fc.record({ field: fc.constant("i16" as const), value: fc.integer({ min: -0x8000, max: 0x7fff }) }),
    fc.record({ field: fc.constant("f64" as const), value: fc.double() }),
  );
  fc.assert(fc.property(fc.array(step, { maxLength: 50 }), (steps) => {
    const writer = new ByteWriter(4);
    for (const { field, value } of steps) writer[field](value);
    const reader = new ByteReader(writer.take(), "test");
    for (const { field, value } of steps) assert.ok(Object.is(reader[field](), value));
    assert.equal(reader.remaining, 0);
  }));
});

Deno.test("hexadecimal text both ways, white space ignored, nonsense refused", () => {
  assert.deepEqual([...fromHex(" 00 aB\n ff ")], [0, 0xab, 0xff]);
  assert.equal(toHex(Uint8Array.of(0, 0xab, 0xff)), "00abff");
  for (const bad of ["0", "0g", "0x00", "zz"]) assert.throws(() => fromHex(bad), WireError);
  fc.assert(fc.property(fc.uint8Array(), (bytes) => equalBytes(fromHex(toHex(bytes)), bytes)));
});

Deno.test("concatBytes and equalBytes", () => {
  assert.deepEqual([...concatBytes([hex`01`, hex``, hex`02 03`])], [1, 2, 3]);
  assert.equal(concatBytes([]).length, 0);
  assert.ok(equalBytes(hex`01 02`, hex`01 02`));
  assert.ok(!equalBytes(hex`01 02`, hex`01 03`));
  assert.ok(!equalBytes(hex`01 02`, hex`01`));
});

Deno.test("UTF-8 decoding never throws and keeps a byte order mark", () => {
  assert.equal(decodeUtf8(hex`ef bb bf 41`), "\ufeffA");
  assert.equal(decodeUtf8(hex`41 ff 42`), "A\ufffdB");
  fc.assert(fc.property(fc.uint8Array(), (bytes) => typeof decodeUtf8(bytes) === "string"));
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => {
    const clean = text.toWellFormed();
    assert.equal(decodeUtf8(encodeUtf8(clean)), clean);
  }));
});

Deno.test("viewOf gives what subarray gives, and the last view when it is the same", () => {
  const bytes = new Uint8Array(20).map((_, i) => i);
  const inner = bytes.subarray(5);
  let last = new Uint8Array(0) as Uint8Array;
  for (
    const [of, start, end] of [[bytes, 0, 8], [bytes, 0, 8], [inner, 0, 8], [bytes, 5, 13], [
      bytes,
      5,
      5,
    ]] as const
  ) {
    const view = viewOf(of, start, end, last);
    assert.deepEqual(view, of.subarray(start, end));
    assert.equal(view.buffer, bytes.buffer);
    last = view;
  }
  const again = viewOf(bytes, 2, 6, last);
  assert.equal(viewOf(bytes, 2, 6, again), again);
  assert.notEqual(viewOf(bytes.slice(), 2, 6, again), again);
});

Deno.test("a writer's view is right after growth, reset and other lengths", () => {
  const writer = new ByteWriter(4);
  const seen: number[][] = [];
  for (const text of ["ab", "cd", "efghij", "kl", "mn"]) {
    writer.reset();
    writer.utf8(text);
    seen.push([...writer.view()]);
  }
  const expected = ["ab", "cd", "efghij", "kl", "mn"].map((text) => [...encodeUtf8(text)]);
  assert.deepEqual(seen, expected);
});

const TRIMMED: readonly [text: string, characters: string, both: string, end: string][] = [
  ["", "/", "", ""],
  ["/", "/", "", ""],
  ["///", "/", "", ""],
  ["a", "/", "a", "a"],
  ["/a/b/", "/", "a/b", "/a/b"],
  ["//a//b//", "/", "a//b", "//a//b"],
  ["\\/a\\/", "/\\", "a", "\\/a"],
  ["/a\n/\u2028/", "/", "a\n/\u2028", "/a\n/\u2028"],
  ["/ü/", "/", "ü", "/ü"],
  ["AAE=", "=", "AAE", "AAE"],
];

Deno.test("characters are taken off the ends and nowhere else", () => {
  for (const [text, characters, both, end] of TRIMMED) {
    assert.equal(trimCharacters(text, characters), both, JSON.stringify(text));
    assert.equal(trimEndCharacters(text, characters), end, JSON.stringify(text));
  }
});
