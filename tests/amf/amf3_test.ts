import fc from "fast-check";
import assert from "node:assert/strict";
import { Amf3Encoder, decodeAmf3, encodeAmf3, readAmf3, writeAmf3 } from "../../lib/amf/amf3.ts";
import {
  AmfDictionary,
  AmfEcmaArray,
  AmfTypedObject,
  type AmfValue,
  AmfVector,
  AmfXml,
} from "../../lib/amf/value.ts";
import { ByteReader, ByteWriter, fromHex, toHex } from "../../lib/base/bytes.ts";
import { WireError } from "../../lib/base/errors.ts";
import { amfValue, cyclicValue } from "../support/amf_values.ts";

const COLLECTION = "flex.messaging.io.ArrayCollection";

const BOTH_WAYS: { name: string; value: AmfValue; bytes: string }[] = [
  { name: "undefined", value: undefined, bytes: "00" },
  { name: "null", value: null, bytes: "01" },
  { name: "false", value: false, bytes: "02" },
  { name: "true", value: true, bytes: "03" },
  { name: "integer 0", value: 0, bytes: "04 00" },
  { name: "integer of 1 byte", value: 127, bytes: "04 7f" },
  { name: "integer of 2 bytes", value: 128, bytes: "04 8100" },
  { name: "integer of 3 bytes", value: 16384, bytes: "04 818000" },
  { name: "integer of 4 bytes", value: 2097152, bytes: "04 80c08000" },
  { name: "largest integer", value: 268435455, bytes: "04 bfffffff" },
  { name: "minus one", value: -1, bytes: "04 ffffffff" },
  { name: "smallest integer", value: -268435456, bytes: "04 c0808000" },
  { name: "integer beyond 28 bits", value: 268435456, bytes: "05 41b0000000000000" },
  { name: "negative zero", value: -0, bytes: "05 8000000000000000" },
  { name: "double", value: 1.5, bytes: "05 3ff8000000000000" },
  { name: "string", value: "hi", bytes: "06 05 6869" },
  { name: "empty string", value: "", bytes: "06 01" },
  { name: "repeated string", value: ["hi", "hi", "", ""], bytes: "09 09 01 0605 6869 0600 0601 0601" },
  { name: "XML document", value: new AmfXml("<a/>"), bytes: "07 09 3c612f3e" },
  { name: "E4X", value: new AmfXml("<a/>", "e4x"), bytes: "0b 09 3c612f3e" },
  { name: "date", value: new Date(1000), bytes: "08 01 408f400000000000" },
  { name: "dense array", value: [1, null], bytes: "09 05 01 0401 01" },
  { name: "associative array", value: new AmfEcmaArray({ a: 1 }, [2]), bytes: "09 03 03 61 0401 01 0402" },
  { name: "anonymous object", value: { a: 1 }, bytes: "0a 0b 01 03 61 0401 01" },
  { name: "member without a name", value: { "": 1 }, bytes: "0a 13 01 01 0401" },
  { name: "typed object", value: new AmfTypedObject("Pt", { x: 1 }), bytes: "0a 13 05 5074 03 78 0401" },
  {
    name: "repeated traits",
    value: [new AmfTypedObject("P", { x: 1 }), new AmfTypedObject("P", { x: 2 })],
    bytes: "09 05 01 0a13 0350 0378 0401 0a01 0402",
  },
  { name: "byte array", value: fromHex("010203"), bytes: "0c 07 010203" },
  { name: "int vector", value: new AmfVector("int", [1, -1], true), bytes: "0d 05 01 00000001 ffffffff" },
  { name: "uint vector", value: new AmfVector("uint", [4294967295]), bytes: "0e 03 00 ffffffff" },
  { name: "double vector", value: new AmfVector("double", [1]), bytes: "0f 03 00 3ff0000000000000" },
  { name: "object vector", value: new AmfVector("object", [null], false, "*"), bytes: "10 03 00 032a 01" },
  { name: "dictionary", value: new AmfDictionary([["a", 1]], true), bytes: "11 03 01 060361 0401" },
  {
    name: "collection",
    value: new AmfTypedObject(COLLECTION, { source: [1] }),
    bytes: `0a 07 43 ${toHex(new TextEncoder().encode(COLLECTION))} 09 03 01 0401`,
  },
];

for (const { name, value, bytes } of BOTH_WAYS) {
  Deno.test(`AMF3 ${name}, both ways`, () => {
    assert.deepEqual(decodeAmf3(fromHex(bytes)), [value]);
    assert.equal(toHex(encodeAmf3([value])), bytes.replaceAll(" ", ""));
  });
}

Deno.test("AMF3 tables last for a body, or for one switched value", () => {
  const body = encodeAmf3(["same", "same"]);
  assert.equal(toHex(body), "060973616d650600");
  assert.deepEqual(decodeAmf3(body), ["same", "same"]);
  const reader = new ByteReader(body, "test");
  assert.equal(readAmf3(reader), "same");
  assert.throws(() => readAmf3(reader), WireError);
  const writer = new ByteWriter();
  writeAmf3(writer, "same");
  writeAmf3(writer, "same");
  assert.equal(toHex(writer.take()), "060973616d65060973616d65");
});

Deno.test("AMF3 cyclic value survives", () => {
  const value = cyclicValue();
  assert.deepEqual(decodeAmf3(encodeAmf3([value])), [value]);
});

Deno.test("AMF3 any value survives both ways", () => {
  fc.assert(fc.property(fc.array(amfValue(), { maxLength: 4 }), (values) => {
    assert.deepEqual(decodeAmf3(encodeAmf3(values)), values);
  }));
});

Deno.test("AMF3 any bytes: a WireError, or values that survive re-encoding", () => {
  const soup = fc.array(fc.oneof(fc.nat(0x11), fc.nat(255)), { maxLength: 60 })
    .map((bytes) => new Uint8Array(bytes));
  fc.assert(fc.property(soup, checkTotal), { numRuns: 3000 });
});

Deno.test("AMF3 mutated bodies: a WireError, or values that survive re-encoding", () => {
  const mutated = fc.tuple(amfValue(), fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 })).map(
    ([value, changes]) => {
      const bytes = encodeAmf3([value]);
      for (const [at, byte] of changes) bytes[at % bytes.length] = byte;
      return bytes;
    },
  );
  fc.assert(fc.property(mutated, checkTotal), { numRuns: 2000 });
});

function checkTotal(bytes: Uint8Array): void {
  let values: AmfValue[];
  try {
    values = decodeAmf3(bytes);
  } catch (error) {
    assert.ok(error instanceof WireError, String(error));
    return;
  }
  assert.deepEqual(decodeAmf3(encodeAmf3(values)), values);
}

function encode(...values: AmfValue[]): string {
  const writer = new ByteWriter();
  const encoder = new Amf3Encoder(writer);
  for (const value of values) encoder.value(value, 0);
  return toHex(writer.take());
}

Deno.test("the second use of a string, an object and a class is a reference", () => {
  const object = new AmfTypedObject("A", { x: "A" });
  assert.equal(encode(object, object), "0a1303410378" + "0600" + "0a00");
  assert.equal(encode({ a: 1 }, { a: 2 }), "0a0b0103610401" + "01" + "0a010004" + "0201");
});

Deno.test("the same class with other members has other traits", () => {
  const one = new AmfTypedObject("A", { x: 1 });
  const other = new AmfTypedObject("A", { y: 1 });
  assert.equal(encode(one, other), "0a13034103780401" + "0a1300" + "0379" + "0401");
});

Deno.test("what AMF3 cannot express is refused", () => {
  assert.throws(() => encode(new AmfEcmaArray({ "": 1 })), WireError);
  let deep: AmfValue = null;
  for (let level = 0; level < 100; level++) deep = { deep };
  assert.throws(() => encode(deep), /nesting/);
});

Deno.test("shared parts do not multiply", () => {
  let value: AmfValue = { leaf: true };
  for (let level = 0; level < 60; level++) value = [value, value];
  assert.ok(encode(value).length < 2000);
});
