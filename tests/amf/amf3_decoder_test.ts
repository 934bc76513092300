import assert from "node:assert/strict";
import { AMF3, AMF3_INTEGER_LIMIT, Amf3Decoder, isExternalizable } from "../../lib/amf/amf3_decoder.ts";
import { AmfEcmaArray, type AmfObject, AmfTypedObject, type AmfValue } from "../../lib/amf/value.ts";
import { ByteReader, fromHex } from "../../lib/base/bytes.ts";
import { WireError } from "../../lib/base/errors.ts";

function decode(hex: string): AmfValue {
  return new Amf3Decoder(new ByteReader(fromHex(hex), "AMF3")).value(0);
}

Deno.test("sealed and dynamic members of one object are joined", () => {
  // traits: 1 sealed, dynamic; class "A", sealed "x"; then dynamic "y"
  assert.deepEqual(decode("0a 1b 0341 0378 0401 0379 0402 01"), new AmfTypedObject("A", { x: 1, y: 2 }));
});

Deno.test("traits are known again by reference, with their sealed names", () => {
  const list = decode("09 05 01 0a13 0341 0378 0401 0a01 06 0379");
  assert.deepEqual(list, [new AmfTypedObject("A", { x: 1 }), new AmfTypedObject("A", { x: "y" })]);
});

Deno.test("an object reference gives the very object, even inside itself", () => {
  const object = decode("0a 0b 01 0573656c66 0a00 01".replace("0573656c66", "0973656c66")) as AmfObject;
  assert.equal(object["self"], object);
});

Deno.test("an associative array can contain itself", () => {
  const array = decode("09 01 0361 0900 01");
  assert.ok(array instanceof AmfEcmaArray);
  assert.equal(array.properties["a"], array);
});

Deno.test("a date by reference is the same date", () => {
  const list = decode("09 05 01 08 01 408f400000000000 08 02") as AmfValue[];
  assert.equal(list[0], list[1]);
});

const REFUSED = {
  "unknown marker": "12",
  "cut integer": "04 80",
  "string reference to nothing": "06 02",
  "object reference to nothing": "0a 02",
  "traits reference to nothing": "0a 05",
  "string longer than the body": "06 ffffffff",
  "array longer than the body": "09 ffffffff 01",
  "byte array longer than the body": "0c ffffffff",
  "more sealed members than bytes": "0a fffffffb 01",
  "int vector longer than the body": "0d ffffffff 00",
  "double vector longer than the body": "0f 0b 00 0000",
  "object vector longer than the body": "10 ffffffff 00 01",
  "dictionary longer than the body": "11 ffffffff 00",
  "externalizable class that is not known": "0a 07 0358 01",
};

for (const [name, hex] of Object.entries(REFUSED)) {
  Deno.test(`AMF3 refuses ${name}`, () => {
    assert.throws(() => decode(hex), (error) => error instanceof WireError && error.protocol === "AMF3");
  });
}

Deno.test("AMF3 nesting and value count are limited", () => {
  assert.throws(() => decode("090301".repeat(100) + "01"), /nesting/);
  const reader = new ByteReader(new Uint8Array(300_000).fill(1), "AMF3");
  const decoder = new Amf3Decoder(reader);
  assert.throws(() => {
    while (reader.remaining > 0) decoder.value(0);
  }, /values/);
});

Deno.test("the AMF3 markers number 0x00 to 0x11 without a gap", () => {
  assert.deepEqual(Object.values(AMF3), Array.from({ length: 0x12 }, (_, index) => index));
  assert.equal(AMF3_INTEGER_LIMIT, 2 ** 28);
});

Deno.test("only the Flex collections are readable externalizable classes", () => {
  assert.equal(isExternalizable("flex.messaging.io.ArrayCollection"), true);
  assert.equal(isExternalizable("flex.messaging.io.ObjectProxy"), true);
  assert.equal(isExternalizable("flex.messaging.messages.AcknowledgeMessageExt"), false);
  assert.equal(isExternalizable(""), false);
});
