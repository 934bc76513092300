// What formats have in common: equality, clock rates, packet sizes.
import assert from "node:assert/strict";
import { type AudioFormat, packetSamples } from "../../lib/codecs/codec.ts";

const format = (codec: AudioFormat["codec"], sampleRate: number): AudioFormat => ({ codec, sampleRate });

Deno.test("a packet has 20 ms unless the format says otherwise", () => {
  assert.equal(packetSamples(format("pcmu", 8000), 8000), 160);
  assert.equal(packetSamples({ codec: "g722", sampleRate: 16000, packetMs: 40 }, 16000), 640);
});
