import assert from "node:assert/strict";
import fc from "fast-check";
import { decodeAmf0, encodeAmf0, writeAmf0 } from "../../lib/amf/amf0.ts";
import {
  AmfDictionary,
  AmfEcmaArray,
  AmfTypedObject,
  type AmfValue,
  AmfVector,
  AmfXml,
} from "../../lib/amf/value.ts";
import { ByteWriter, concatBytes, encodeUtf8, fromHex, toHex } from "../../lib/base/bytes.ts";
import { WireError } from "../../lib/base/errors.ts";
import { amfValue, cyclicValue } from "../support/amf_values.ts";

const BOTH_WAYS: { name: string; value: AmfValue; bytes: string }[] = [
  { name: "number", value: 1, bytes: "00 3ff0000000000000" },
  { name: "negative zero", value: -0, bytes: "00 8000000000000000" },
  { name: "true", value: true, bytes: "01 01" },
  { name: "false", value: false, bytes: "01 00" },
  { name: "string", value: "connect", bytes: "02 0007 636f6e6e656374" },
  { name: "empty string", value: "", bytes: "02 0000" },
  { name: "text outside ASCII", value: "é€", bytes: "02 0005 c3a9e282ac" },
  { name: "object", value: { app: "sip" }, bytes: "03 0003 617070 02 0003 736970 000009" },
  { name: "member without a name", value: { "": null }, bytes: "03 0000 05 000009" },
  { name: "null", value: null, bytes: "05" },
  { name: "undefined", value: undefined, bytes: "06" },
  {
    name: "associative array",
    value: new AmfEcmaArray({ a: true }),
    bytes: "08 00000001 0001 61 01 01 000009",
  },
  { name: "strict array", value: [null, 2], bytes: "0a 00000002 05 00 4000000000000000" },
  { name: "date", value: new Date(1000), bytes: "0b 408f400000000000 0000" },
  { name: "XML document", value: new AmfXml("<a/>"), bytes: "0f 00000004 3c612f3e" },
  {
    name: "typed object",
    value: new AmfTypedObject("Pt", { x: false }),
    bytes: "10 0002 5074 0001 78 01 00 000009",
  },
  { name: "byte array by AMF3", value: fromHex("0102"), bytes: "11 0c 05 0102" },
  { name: "vector by AMF3", value: new AmfVector("int", [-1]), bytes: "11 0d 03 00 ffffffff" },
  { name: "dictionary by AMF3", value: new AmfDictionary([[1, true]]), bytes: "11 11 03 00 0401 03" },
];

for (const { name, value, bytes } of BOTH_WAYS) {
  Deno.test(`AMF0 ${name}, both ways`, () => {
    assert.deepEqual(decodeAmf0(fromHex(bytes)), [value]);
    assert.equal(toHex(encodeAmf0([value])), bytes.replaceAll(" ", ""));
  });
}

const DECODED_ONLY: { name: string; value: AmfValue; bytes: string }[] = [
  { name: "any non-zero boolean", value: true, bytes: "01 05" },
  { name: "long string that is short", value: "a", bytes: "0c 00000001 61" },
  { name: "unsupported", value: undefined, bytes: "0d" },
  {
    name: "associative array with count 0",
    value: new AmfEcmaArray({ a: null }),
    bytes: "08 00000000 0001 61 05 000009",
  },
  {
    name: "associative array without end",
    value: new AmfEcmaArray({ a: null }),
    bytes: "08 00000001 0001 61 05",
  },
  { name: "typed object without a class", value: { a: null }, bytes: "10 0000 0001 61 05 000009" },
  { name: "time zone of a date is not used", value: new Date(1000), bytes: "0b 408f400000000000 ff10" },
];

for (const { name, value, bytes } of DECODED_ONLY) {
  Deno.test(`AMF0 decodes ${name}`, () => assert.deepEqual(decodeAmf0(fromHex(bytes)), [value]));
}

const REFUSED = {
  "movie clip": "04",
  "record set": "0e",
  "unknown marker": "12",
  "cut number": "00 3ff0",
  "cut string": "02 0005 61",
  "string longer than the body": "0c ffffffff 61",
  "object without end": "03 0001 61 05",
  "array longer than the body": "0a ffffffff 05",
  "reference to nothing": "07 0000",
  "associative array cut in a name": "08 00000002 0001 61 05 0009 61",
};

for (const [name, bytes] of Object.entries(REFUSED)) {
  Deno.test(`AMF0 refuses ${name}`, () => {
    assert.throws(
      () => decodeAmf0(fromHex(bytes)),
      (error) => error instanceof WireError && error.protocol === "AMF0",
    );
  });
}

Deno.test("AMF0 reference gives the very object", () => {
  const [list] = decodeAmf0(fromHex("0a 00000002 03 000009 07 0001"));
  assert.ok(Array.isArray(list));
  assert.equal(list[0], list[1]);
});

Deno.test("AMF0 cyclic value survives", () => {
  const value = cyclicValue();
  const [again] = decodeAmf0(encodeAmf0([value]));
  assert.deepEqual(again, value);
});

Deno.test("AMF0 shared parts do not multiply", () => {
  let value: AmfValue = { leaf: true };
  for (let level = 0; level < 60; level++) value = [value, value];
  assert.ok(encodeAmf0([value]).length < 1000);
});

Deno.test("AMF0 string of 65536 bytes is a long string", () => {
  const long = "x".repeat(65_536);
  const bytes = encodeAmf0([long, "x".repeat(65_535)]);
  assert.equal(toHex(bytes.subarray(0, 6)), "0c0001000078");
  assert.equal(toHex(bytes.subarray(65_541, 65_545)), "02ffff78");
  assert.deepEqual(decodeAmf0(bytes)[0], long);
});

Deno.test("AMF0 nesting is limited both ways", () => {
  const deep = concatBytes([fromHex("0a00000001".repeat(100)), fromHex("05")]);
  assert.throws(() => decodeAmf0(deep), WireError);
  let value: AmfValue = null;
  for (let level = 0; level < 100; level++) value = [value];
  assert.throws(() => encodeAmf0([value]), WireError);
});

Deno.test("AMF0 value count and property names are limited", () => {
  assert.throws(() => decodeAmf0(new Uint8Array(300_000).fill(5)), WireError);
  assert.throws(() => encodeAmf0([{ ["x".repeat(70_000)]: 1 }]), WireError);
});

Deno.test("AMF0 broken UTF-8 becomes U+FFFD", () => {
  assert.deepEqual(decodeAmf0(fromHex("02 0002 ff61")), ["\ufffda"]);
});

Deno.test("AMF0 writes behind what a writer already holds", () => {
  const writer = new ByteWriter();
  writer.u8(0);
  writeAmf0(writer, ["a", 1]);
  assert.equal(toHex(writer.take()), "00" + toHex(encodeAmf0(["a", 1])));
});

Deno.test("AMF0 decoded bytes and strings are own copies", () => {
  const body = encodeAmf0([fromHex("0102")]);
  const [copy] = decodeAmf0(body);
  body.fill(0xff);
  assert.deepEqual(copy, fromHex("0102"));
});

Deno.test("AMF0 any value survives both ways", () => {
  fc.assert(fc.property(fc.array(amfValue(), { maxLength: 4 }), (values) => {
    assert.deepEqual(decodeAmf0(encodeAmf0(values)), values);
  }));
});

Deno.test("AMF0 any bytes: a WireError, or values that survive re-encoding", () => {
  const marker = fc.constantFrom(0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 15, 16, 17);
  const soup = fc.array(fc.oneof(marker, fc.nat(255)), { maxLength: 60 }).map((bytes) =>
    new Uint8Array(bytes)
  );
  fc.assert(fc.property(soup, checkTotal), { numRuns: 3000 });
});

Deno.test("AMF0 mutated bodies: a WireError, or values that survive re-encoding", () => {
  const mutated = fc.tuple(amfValue(), fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 })).map(
    ([value, changes]) => {
      const bytes = encodeAmf0([value]);
      for (const [at, byte] of changes) bytes[at % bytes.length] = byte;
      return bytes;
    },
  );
  fc.assert(fc.property(mutated, checkTotal), { numRuns: 2000 });
});

function checkTotal(bytes: Uint8Array): void {
  let values: AmfValue[];
  try {
    values = decodeAmf0(bytes);
  } catch (error) {
    assert.ok(error instanceof WireError, String(error));
    return;
  }
  assert.deepEqual(decodeAmf0(encodeAmf0(values)), values);
}

Deno.test("AMF0 every prefix of a connect command is refused or shorter", () => {
  const whole = encodeAmf0(["connect", 1, { app: "sip", objectEncoding: 0 }]);
  assert.deepEqual(decodeAmf0(whole), ["connect", 1, { app: "sip", objectEncoding: 0 }]);
  for (let length = 0; length < whole.length; length++) {
    const prefix = whole.subarray(0, length);
    let values: AmfValue[] | null = null;
    try {
      values = decodeAmf0(prefix);
    } catch (error) {
      assert.ok(error instanceof WireError);
    }
    if (values !== null) assert.ok(values.length < 3);
  }
  assert.equal(encodeUtf8("connect").length, 7);
});
