import assert from "node:assert/strict";
import {
  AUDIO_CODECS,
  AUDIO_FOURCCS,
  fourCcOf,
  fourCcText,
  VIDEO_CODECS,
  VIDEO_FOURCCS,
} from "../../lib/media/codec_ids.ts";

Deno.test("every number of four bits has a name, and every FourCC its codec", () => {
  assert.deepEqual([AUDIO_CODECS.length, VIDEO_CODECS.length], [16, 16]);
  assert.equal(fourCcOf("Opus"), 0x4f707573);
  for (const text of ["Opus", "hvc1", ".mp3", "\xff\xfe\xfd\xfc"]) {
    assert.equal(fourCcText(fourCcOf(text)), text);
  }
  const names = [AUDIO_FOURCCS.get(0x6d703461), VIDEO_FOURCCS.get(0x61766331), VIDEO_FOURCCS.get(0x76703038)];
  assert.deepEqual(names, ["aac", "h264", "vp8"]);
  assert.equal(VIDEO_FOURCCS.get(fourCcOf("Opus")), undefined);
});
