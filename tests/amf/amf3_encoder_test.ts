import assert from "node:assert/strict";
import { Amf3Encoder } from "../../lib/amf/amf3_encoder.ts";
import { AmfEcmaArray, AmfTypedObject, type AmfValue } from "../../lib/amf/value.ts";
import { ByteWriter, toHex } from "../../lib/base/bytes.ts";
import { WireError } from "../../lib/base/errors.ts";

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
