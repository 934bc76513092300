import assert from "node:assert/strict";
import {
  AmfDictionary,
  AmfEcmaArray,
  type AmfObject,
  AmfTypedObject,
  type AmfValue,
  AmfVector,
  AmfXml,
  assertEncodable,
  booleanOf,
  formatAmf,
  getProperty,
  isAmfObject,
  MAX_AMF_BYTES,
  MAX_AMF_DEPTH,
  numberOf,
  propertiesOf,
  setProperty,
  textOf,
} from "../../lib/amf/value.ts";
import { cyclicValue } from "../support/amf_values.ts";

Deno.test("only anonymous objects are AmfObjects", () => {
  assert.equal(isAmfObject({}), true);
  const others: AmfValue[] = [null, undefined, [], new Date(0), new Uint8Array(1), new AmfXml(""), "x", 1];
  for (const other of others) assert.equal(isAmfObject(other), false);
  assert.equal(isAmfObject(new AmfTypedObject("A")), false);
});

Deno.test("a member called __proto__ changes no prototype", () => {
  const object: AmfObject = {};
  setProperty(object, "__proto__", { admin: true });
  assert.equal(isAmfObject(object), true);
  assert.equal(getProperty(object, "admin"), undefined);
  assert.deepEqual(Object.keys(object), ["__proto__"]);
  assert.deepEqual(getProperty(object, "__proto__"), { admin: true });
});

Deno.test("getProperty sees own members only", () => {
  assert.equal(getProperty({}, "constructor"), undefined);
  assert.equal(getProperty({ a: 1 }, "a"), 1);
});

Deno.test("named members are found in every value that has some", () => {
  const members = { a: 1 };
  for (const value of [members, new AmfTypedObject("A", members), new AmfEcmaArray(members)]) {
    assert.equal(propertiesOf(value), members);
  }
  assert.deepEqual(propertiesOf([1]), {});
  assert.deepEqual(propertiesOf(null), {});
});

Deno.test("text, number and boolean are read leniently, with a fallback", () => {
  assert.deepEqual([textOf("a"), textOf(5), textOf(true), textOf(null, "-")], ["a", "5", "true", "-"]);
  const numbers: [AmfValue, number][] = [[3, 3], ["4.5", 4.5], ["", 9], ["x", 9], [NaN, 9], [true, 1], [
    null,
    9,
  ]];
  for (const [value, expected] of numbers) assert.equal(numberOf(value, 9), expected);
  assert.deepEqual([booleanOf(1), booleanOf(0), booleanOf("true"), booleanOf(undefined, true)], [
    true,
    false,
    false,
    true,
  ]);
});

Deno.test("formatAmf prints one short line for anything", () => {
  const table: [AmfValue, string][] = [
    [null, "null"],
    ["a\n", '"a\\n"'],
    [{ a: 1, b: [true, undefined] }, "{a: 1, b: [true, undefined]}"],
    [new AmfTypedObject("A", { x: 1 }), "A{x: 1}"],
    [new AmfEcmaArray({ x: 1 }), "{x: 1}"],
    [new Uint8Array(3), "<3 bytes>"],
    [new AmfXml("<a/>"), "<xml 4 characters>"],
    [new Date(0), "1970-01-01T00:00:00.000Z"],
    [new Date(NaN), "invalid date"],
    [new AmfVector("int", [1, 2]), "[1, 2]"],
    [new AmfDictionary([[1, 2]]), "<dictionary of 1>"],
  ];
  for (const [value, text] of table) assert.equal(formatAmf(value), text);
  assert.match(formatAmf(cyclicValue()), /\.\.\./);
  assert.equal(formatAmf("x".repeat(10_000), 50).length, 50);
  assert.equal(formatAmf(Array(100_000).fill({ name: "value" }), 50).length, 50);
});

Deno.test("what is nested too deep or too long for a message is refused, with the name of the format", () => {
  assertEncodable("AMF0", MAX_AMF_DEPTH, MAX_AMF_BYTES);
  assert.throws(() => assertEncodable("AMF0", MAX_AMF_DEPTH + 1, 0), /AMF0.*nesting deeper than 64/);
  assert.throws(() => assertEncodable("AMF3", 0, MAX_AMF_BYTES + 1), /AMF3.*body longer than 16777215 bytes/);
});
