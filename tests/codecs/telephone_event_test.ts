import assert from "node:assert/strict";
import { flashCapability, NO_TRANSCODING, planCodecs, plannedFormats } from "../../lib/call/codec_tokens.ts";

const plain = flashCapability("wideband", NO_TRANSCODING);

Deno.test("DTMF come with their redundancy, which names them and the two keys before", () => {
  const audio = plannedFormats(planCodecs(["wideband", "dtmf"], plain), "audio");
  const red = audio.find((format) => format.name === "red");
  assert.equal(red?.fmtp, "101/101/101");
  assert.ok(!plannedFormats(planCodecs(["wideband"], plain), "audio").some(({ name }) => name === "red"));
});
