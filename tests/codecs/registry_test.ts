// The codec table of behaviour.md 1.6.
import assert from "node:assert/strict";
import { builtInCodecs } from "../../lib/codecs/registry.ts";
import { flashCapability, NO_TRANSCODING, planCodecs } from "../../lib/call/codec_tokens.ts";
import { createTag, readTag } from "../../lib/media/tag.ts";
import { TAG_TABLE } from "../support/tag_table.ts";
import { FULL_TRANSCODING } from "../support/audio_formats.ts";

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
  const rows = TABLE.map(([name]) => {
    const { token, kind, client, remote, formats: [format] } = builtInCodecs.token(name)!;
    const reported = client === "x-flv" ? "default" : client;
    const { name: encoding, clockRate, payloadType } = format!;
    const transcoded = client !== null && client !== remote;
    return [token, kind, `${encoding}/${clockRate}`, payloadType, reported, transcoded];
  });
  assert.deepEqual(rows, TABLE);
  assert.equal(builtInCodecs.tokens.length, TABLE.length);
  assert.match(
    builtInCodecs.token("h264")!.formats[0]!.fmtp ?? "",
    /^profile-level-id=42e01f;packetization-mode=1/,
  );
  assert.equal(builtInCodecs.token("dtmf")!.client, null);
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
  Deno.test(`token ${JSON.stringify(text)} is ${token}`, () =>
    assert.equal(builtInCodecs.token(text)?.token ?? null, token));
}

Deno.test("without a list the client gets siprtmp's default offer", () => {
  const offer = (rate: "wideband" | "narrowband", transcoding: boolean): number[] => {
    const capability = flashCapability(rate, transcoding ? FULL_TRANSCODING : NO_TRANSCODING);
    return planCodecs([], capability).formats.map(({ format }) => format.payloadType);
  };
  assert.deepEqual(offer("wideband", false), [96, 101, 100, 97]);
  assert.deepEqual(offer("narrowband", false), [98, 101, 100, 97]);
  assert.deepEqual(offer("wideband", true), [96, 98, 107, 9, 0, 8, 101, 100, 97]);
});

Deno.test("encoding names of SDP are read in any case", () => {
  const names = ["SPEEX", "PCMU", "pcma", "G722", "opus", "H264", "X-FLV", "telephone-event"];
  const codecs = ["speex", "pcmu", "pcma", "g722", "opus", "h264", "x-flv", "telephone-event"];
  assert.deepEqual(names.map((name) => builtInCodecs.ofEncoding(name)?.name), codecs);
});

Deno.test("what a client may send is said by name, best sound first", () => {
  assert.equal(builtInCodecs.sendable(), "AAC, Opus, Speex or G.711");
  assert.equal(builtInCodecs.sendable(builtInCodecs.named("aac")), "Opus, Speex or G.711");
});

Deno.test("audio of RTMP is found by its number or its FourCC", () => {
  const ids = [11, 8, 7, 10, 0x6d703461, 0x4f707573, 2, 9, -1];
  const names = ["speex", "pcmu", "pcma", "aac", "aac", "opus", undefined, undefined, undefined];
  assert.deepEqual(ids.map((id) => builtInCodecs.ofFlvId(id)?.name), names);
});

Deno.test("of every tag with audio the registry and the reader of tags name the same codec", () => {
  const found = TAG_TABLE.filter(({ type, codec }) => type === 8 && codec !== "unknown").map((row) => {
    const { codecId } = readTag(8, Uint8Array.fromHex(row.body), createTag());
    const carried = builtInCodecs.ofFlvId(codecId)?.name ?? null;
    assert.equal(carried, builtInCodecs.named(row.codec)?.name ?? null, row.what);
    return carried;
  });
  assert.deepEqual([...new Set(found)].sort().filter((name) => name !== null), [
    "aac",
    "opus",
    "pcma",
    "pcmu",
    "speex",
  ]);
});
