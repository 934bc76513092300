import assert from "node:assert/strict";
import { AMF3, AMF3_INTEGER_LIMIT, isExternalizable } from "../../lib/amf/amf3_marker.ts";

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
