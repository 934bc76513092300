import assert from "node:assert/strict";
import {
  createPayload,
  hasStamp,
  PAYLOADS,
  stampedCall,
  stampedSequence,
  stampedUs,
  writeStamp,
} from "../../bench/load/stamp.ts";
import { CONFIGURATION, createPicture } from "../../bench/load/video_leg.ts";
import { decodeAvcConfig } from "../../lib/codecs/h264/avc_config.ts";
import { SpeexWalker } from "../../lib/codecs/speex_bits.ts";

Deno.test("a stamp is read as it was written, at any place", () => {
  const bytes = new Uint8Array(40);
  writeStamp(bytes, 12, 65535, 4_000_000_000, 4_294_967_295);
  assert.deepEqual([stampedCall(bytes, 12), stampedSequence(bytes, 12), stampedUs(bytes, 12)], [
    65535,
    4_000_000_000,
    4_294_967_295,
  ]);
  assert.ok(hasStamp(11));
  assert.ok(!hasStamp(10));
});

Deno.test("Speex with any stamp is one wideband frame to the parser of the gateway", () => {
  const walker = new SpeexWalker();
  for (const [call, sequence, us] of [[0, 0, 0], [0xffff, 0xffffffff, 0xffffffff], [0x5555, 0xaaaaaaaa, 7]]) {
    const payload = createPayload("speex");
    writeStamp(payload, 0, call!, sequence!, us!);
    assert.equal(payload.length, PAYLOADS.speex.length);
    assert.equal(walker.count(payload), 1);
    assert.equal(walker.broken, false);
    walker.start(payload);
    walker.next();
    assert.deepEqual([walker.submode, walker.layers], [5, 1]);
  }
});

Deno.test("the configuration of the pictures is one, and a picture is one NAL unit", () => {
  const { sps, pps, lengthSize } = decodeAvcConfig(CONFIGURATION.subarray(5));
  assert.deepEqual([sps.length, pps.length, lengthSize], [1, 1, 4]);
  const picture = createPicture(5000);
  assert.equal(new DataView(picture.buffer).getUint32(5), 5000 - 9);
});
