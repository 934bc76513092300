import assert from "node:assert/strict";
import { flashCapability, NO_TRANSCODING, planCodecs, plannedFormats } from "../../lib/call/codec_tokens.ts";

const plain = flashCapability("wideband", NO_TRANSCODING);

Deno.test("the H.264 of an offer carries siprtmp's parameters", () => {
  const [h264] = plannedFormats(planCodecs(["h264"], plain), "video");
  assert.equal(h264?.fmtp, "profile-level-id=42e01f;packetization-mode=1;level-asymmetry-allowed=1");
  assert.deepEqual(h264?.rtcpFb, ["nack pli", "ccm fir"]);
});
