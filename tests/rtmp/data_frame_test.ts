import assert from "node:assert/strict";
import { encodeAmf0 } from "../../lib/amf/amf0.ts";
import { withoutSetDataFrame } from "../../lib/rtmp/data_frame.ts";

Deno.test("@setDataFrame is taken off, as a view; other data stays as it is", () => {
  const whole = encodeAmf0(["@setDataFrame", "onMetaData", { width: 320 }]);
  const body = withoutSetDataFrame(whole);
  assert.deepEqual(body, encodeAmf0(["onMetaData", { width: 320 }]));
  assert.equal(body.buffer, whole.buffer);
  for (const other of [encodeAmf0(["onMetaData", {}]), new Uint8Array(0), whole.subarray(0, 10)]) {
    assert.equal(withoutSetDataFrame(other), other);
  }
});
