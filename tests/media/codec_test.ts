// The codec table of behaviour.md 1.6.
import assert from "node:assert/strict";
import {
  CODEC_ENTRIES,
  codecEntry,
  codecOfEncodingName,
  defaultCodecTokens,
  parseCodecToken,
} from "../../lib/media/codec.ts";

const TABLE = [
  ["wideband", "audio", "speex/16000", 96, "speex", false],
  ["narrowband", "audio", "speex/8000", 98, "speex", false],
  ["pcmu", "audio", "pcmu/8000", 0, "pcmu", false],
  ["pcma", "audio", "pcma/8000", 8, "pcma", false],
  ["ulaw", "audio", "pcmu/8000", 0, "speex", true],
  ["alaw", "audio", "pcma/8000", 8, "speex", true],
  ["opus", "audio", "opus/48000", 107, "opus", false],
  ["aac", "audio", "opus/48000", 107, "aac", true],
  ["dtmf", "audio", "telephone-event/8000", 101, null, false],
  ["h264", "video", "h264/90000", 99, "h264", false],
  ["flv", "video", "x-flv/90000", 97, "default", false],
] as const;

Deno.test("tokens mean what siprtmp says", () => {
  const rows = CODEC_ENTRIES.map((entry) => [
    entry.token,
    entry.kind,
    `${entry.encodingName}/${entry.clockRate}`,
    entry.payloadType,
    entry.reportedAs,
    entry.transcoded,
  ]);
  assert.deepEqual(rows, TABLE);
  assert.equal(codecEntry("h264").fmtp, "profile-level-id=42e01f;packetization-mode=1");
  assert.equal(codecEntry("dtmf").rtmpCodec, null);
});

for (
  const [text, token] of [
    ["wideband", "wideband"],
    ["PCMU", "pcmu"],
    [" alaw ", "alaw"],
    ["h264", "h264"],
    ["h264;profile-level-id=42e01e", "h264"],
    ["opus", "opus"],
    ["AAC", "aac"],
    ["g729", null],
    ["", null],
    ["__proto__", null],
  ] as const
) {
  Deno.test(`token ${JSON.stringify(text)} is ${token}`, () => assert.equal(parseCodecToken(text), token));
}

Deno.test("without a list the client gets siprtmp's default offer", () => {
  const offer = (rate: "wideband" | "narrowband", transcoding: boolean): number[] =>
    defaultCodecTokens(rate, transcoding).map((token) => codecEntry(token).payloadType);
  assert.deepEqual(offer("wideband", false), [96, 101, 97]);
  assert.deepEqual(offer("narrowband", false), [98, 101, 97]);
  assert.deepEqual(offer("wideband", true), [96, 98, 0, 8, 101, 97]);
});

Deno.test("encoding names of SDP are read in any case", () => {
  const names = ["SPEEX", "PCMU", "pcma", "G722", "opus", "H264", "X-FLV", "telephone-event"];
  const codecs = ["speex", "pcmu", "pcma", "g722", "opus", "h264", "x-flv", null];
  assert.deepEqual(names.map(codecOfEncodingName), codecs);
});
