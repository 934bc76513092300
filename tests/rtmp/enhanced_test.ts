import assert from "node:assert/strict";
import { decodeAmf0, encodeAmf0 } from "../../lib/amf/amf0.ts";
import { ENHANCED_RTMP, understandsReconnect } from "../../lib/rtmp/enhanced.ts";

Deno.test("what is said of Enhanced RTMP survives AMF, and names every codec once", () => {
  const [read] = decodeAmf0(encodeAmf0([ENHANCED_RTMP]));
  assert.deepEqual(read, ENHANCED_RTMP);
  const { fourCcList, videoFourCcInfoMap, audioFourCcInfoMap } = ENHANCED_RTMP;
  assert.deepEqual(fourCcList, [...Object.keys(videoFourCcInfoMap!), ...Object.keys(audioFourCcInfoMap!)]);
});

Deno.test("capsEx is a number of bits, of which the first is reconnecting", () => {
  assert.deepEqual([0, 1, 2, 3, 15].map((capsEx) => understandsReconnect({ capsEx })), [
    false,
    true,
    false,
    true,
    true,
  ]);
  for (const capsEx of ["1", null, undefined, true, NaN]) {
    assert.equal(understandsReconnect({ capsEx }), false);
  }
});
