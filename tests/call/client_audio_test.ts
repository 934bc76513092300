// What clients and peers send, as formats; and refusals in words.
import assert from "node:assert/strict";
import { formatOfFrame, refusalOf } from "../../lib/call/client_audio.ts";
import type { Codec } from "../../lib/codecs/codec.ts";
import { builtInCodecs } from "../../lib/codecs/registry.ts";
import { decodeTag } from "../../lib/media/flv_tag.ts";
import { type CodecName, createFrame } from "../../lib/media/frame.ts";
import { createTag, readTag } from "../../lib/media/tag.ts";
import { clientFormat, codecNamed, sipFormat } from "../support/audio_formats.ts";

const FRAMES: [body: string, format: string | null][] = [
  ["b201", "speex 16000"],
  ["b601", "speex 16000"],
  ["82ff", "pcmu 8000"],
  ["83ffff", "pcmu 8000 x2"],
  ["72ff", "pcma 8000"],
  ["73ffff", "pcma 8000 x2"],
  ["af0121", "aac 48000"],
  ["916d70346121", "aac 48000"],
  ["914f707573fc", "opus 48000"],
  ["00ff", null],
  ["2fff", null],
  ["52ff", null],
  ["95ff", null],
];

Deno.test("each audio tag says by itself what it is, and the same kind is the same object", () => {
  for (const [body, expected] of FRAMES) {
    const frame = createFrame();
    decodeTag(8, 0, Uint8Array.fromHex(body), frame);
    const codec = builtInCodecs.ofFlvId(readTag(8, Uint8Array.fromHex(body), createTag()).codecId);
    const format = codec === null ? null : formatOfFrame(codec, frame);
    const { sampleRate, channels } = format ?? {};
    const text = format === null ? null : `${format.codec} ${sampleRate}${channels === 2 ? " x2" : ""}`;
    assert.equal(text, expected, body);
    assert.equal(codec === null ? null : formatOfFrame(codec, frame), format);
  }
});

Deno.test("a client plays the format of its codec", () => {
  assert.deepEqual(clientFormat("speex"), { codec: "speex", sampleRate: 16000 });
  assert.deepEqual(clientFormat("aac"), { codec: "aac", sampleRate: 48000 });
  assert.equal(clientFormat("pcmu"), clientFormat("pcmu"));
});

Deno.test("SIP formats: sample rates of their own, packets of 20, 40 or 60 ms", () => {
  const rates = [sipFormat("g722", 8000), sipFormat("opus", 48000), sipFormat("speex", 8000)];
  assert.deepEqual(rates.map(({ sampleRate }) => sampleRate), [16000, 48000, 8000]);
  const table: [ptimeMs: number | null, packetMs: number][] = [
    [null, 20],
    [10, 20],
    [20, 20],
    [30, 20],
    [40, 40],
    [60, 60],
    [200, 60],
  ];
  for (const [ptimeMs, packetMs] of table) {
    assert.equal(sipFormat("pcmu", 8000, ptimeMs).packetMs, packetMs, `${ptimeMs}`);
  }
});

const refusal = (sent: Codec | CodecName, transcoding: boolean): string =>
  refusalOf({ sent, taken: codecNamed("pcmu"), registry: builtInCodecs, transcoding });

Deno.test("a refusal names the codec, and what can be sent instead", () => {
  const table: [codec: CodecName, words: RegExp][] = [
    ["linear16", /^linear PCM cannot be carried.*send AAC, Opus, Speex or G\.711$/],
    ["mp3", /^MP3 cannot be carried/],
    ["nellymoser", /^Nellymoser cannot be carried/],
    ["unknown", /^this audio codec cannot be carried/],
  ];
  for (const [codec, words] of table) assert.match(refusal(codec, true), words);
  assert.match(
    refusal(codecNamed("aac"), false),
    /^AAC is not what the remote party takes.*deno task codecs.*G\.711 \(mu-law\)$/,
  );
});
