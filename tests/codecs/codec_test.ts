// What formats have in common: equality, clock rates, packet sizes.
import assert from "node:assert/strict";
import { type AudioFormat, packetSamples, rtpClockRate, sameAudioFormat } from "../../lib/codecs/codec.ts";

const format = (codec: AudioFormat["codec"], sampleRate: number): AudioFormat => ({ codec, sampleRate });

Deno.test("formats are equal when packets of one are packets of the other", () => {
  const table: [AudioFormat, AudioFormat, boolean][] = [
    [format("pcmu", 8000), format("pcmu", 8000), true],
    [format("pcmu", 8000), format("pcma", 8000), false],
    [format("speex", 16000), format("speex", 16000), true],
    [format("speex", 16000), format("speex", 8000), false],
    [format("opus", 48000), format("opus", 16000), true],
    [
      { codec: "speex", sampleRate: 8000, quality: 3 },
      { codec: "speex", sampleRate: 8000, quality: 8 },
      true,
    ],
  ];
  for (const [a, b, equal] of table) assert.equal(sameAudioFormat(a, b), equal, `${a.codec} ${b.codec}`);
});

Deno.test("RTP counts G.722 at 8000 and Opus at 48000", () => {
  assert.equal(rtpClockRate(format("g722", 16000)), 8000);
  assert.equal(rtpClockRate(format("opus", 16000)), 48000);
  assert.equal(rtpClockRate(format("speex", 16000)), 16000);
  assert.equal(rtpClockRate(format("pcma", 8000)), 8000);
});

Deno.test("a packet has 20 ms unless the format says otherwise", () => {
  assert.equal(packetSamples(format("pcmu", 8000), 8000), 160);
  assert.equal(packetSamples({ codec: "g722", sampleRate: 16000, packetMs: 40 }, 16000), 640);
});
