// FLV tag bodies: one table both ways, forms that are only read, damage.
import assert from "node:assert/strict";
import fc from "fast-check";
import { ByteWriter } from "../../lib/base/bytes.ts";
import { WireError } from "../../lib/base/errors.ts";
import { channelsOf, decodeTag, encodeTag } from "../../lib/media/flv_tag.ts";
import { createFrame, type Frame, type TagType } from "../../lib/media/frame.ts";
import { fromHex, toHex } from "../support/hex.ts";
import { mutate } from "../support/mutate.ts";
import { TAG_TABLE } from "../support/tag_table.ts";

interface Row {
  readonly name: string;
  readonly type: TagType;
  readonly body: string;
  readonly frame: Partial<Omit<Frame, "data">> & { readonly data: string };
}

const audio: Partial<Frame> = { kind: "audio", key: false, config: false, compositionMs: 0 };
const video: Partial<Frame> = { kind: "video", codec: "h264", key: false, config: false, compositionMs: 0 };

const BOTH_WAYS: Row[] = [
  { name: "Speex", type: 8, body: "b261626364", frame: { ...audio, codec: "speex", data: "61626364" } },
  { name: "PCMU", type: 8, body: "82ffff", frame: { ...audio, codec: "pcmu", data: "ffff" } },
  { name: "PCMU stereo", type: 8, body: "83ff7f", frame: { ...audio, codec: "pcmu", data: "ff7f" } },
  { name: "PCMA", type: 8, body: "72d5", frame: { ...audio, codec: "pcma", data: "d5" } },
  {
    name: "AAC config",
    type: 8,
    body: "af001190",
    frame: { ...audio, codec: "aac", config: true, data: "1190" },
  },
  { name: "AAC frame", type: 8, body: "af012110", frame: { ...audio, codec: "aac", data: "2110" } },
  { name: "MP3", type: 8, body: "2ffffb", frame: { ...audio, codec: "mp3", data: "fffb" } },
  { name: "Nellymoser", type: 8, body: "6211", frame: { ...audio, codec: "nellymoser", data: "11" } },
  { name: "linear", type: 8, body: "3e0102", frame: { ...audio, codec: "linear16", data: "0102" } },
  { name: "ADPCM", type: 8, body: "12aa", frame: { ...audio, codec: "adpcm", data: "aa" } },
  {
    name: "Opus head",
    type: 8,
    body: "904f7075731234",
    frame: { ...audio, codec: "opus", config: true, data: "1234" },
  },
  { name: "Opus packet", type: 8, body: "914f707573fc", frame: { ...audio, codec: "opus", data: "fc" } },
  { name: "Opus end", type: 8, body: "924f707573", frame: { ...audio, codec: "opus", data: "" } },
  { name: "empty audio", type: 8, body: "", frame: { ...audio, codec: "unknown", data: "" } },
  {
    name: "AVC config",
    type: 9,
    body: "1700000000014200",
    frame: { ...video, key: true, config: true, data: "014200" },
  },
  {
    name: "AVC key frame",
    type: 9,
    body: "1701000000000000",
    frame: { ...video, key: true, data: "000000" },
  },
  {
    name: "AVC frame, composition 80",
    type: 9,
    body: "2701000050aa",
    frame: { ...video, compositionMs: 80, data: "aa" },
  },
  {
    name: "AVC frame, composition -40",
    type: 9,
    body: "2701ffffd8aa",
    frame: { ...video, compositionMs: -40, data: "aa" },
  },
  { name: "AVC end", type: 9, body: "1702000000", frame: { ...video, key: true, data: "" } },
  { name: "H.263", type: 9, body: "220102", frame: { ...video, codec: "h263", data: "0102" } },
  {
    name: "player command",
    type: 9,
    body: "5700",
    frame: { ...video, codec: "unknown", media: false, data: "5700" },
  },
  { name: "VP6", type: 9, body: "1401", frame: { ...video, codec: "vp6", key: true, data: "1401" } },
  { name: "data", type: 18, body: "0200016d", frame: { kind: "data", codec: "unknown", data: "0200016d" } },
];

/** Forms that are understood and leave in another one. */
const READ_ONLY: Row[] = [
  {
    name: "FourCC AVC head",
    type: 9,
    body: "906176633101",
    frame: { ...video, key: true, config: true, data: "01" },
  },
  {
    name: "FourCC AVC frame",
    type: 9,
    body: "a161766331000005aa",
    frame: { ...video, compositionMs: 5, data: "aa" },
  },
  {
    name: "FourCC AVC, no composition",
    type: 9,
    body: "9361766331aa",
    frame: { ...video, key: true, data: "aa" },
  },
  {
    name: "FourCC HEVC",
    type: 9,
    body: "906876633101",
    frame: { ...video, codec: "hevc", key: true, config: true, data: "906876633101" },
  },
  { name: "FourCC AAC", type: 8, body: "916d703461aabb", frame: { ...audio, codec: "aac", data: "aabb" } },
  {
    name: "Speex, another rate nibble",
    type: 8,
    body: "b661",
    frame: { ...audio, codec: "speex", data: "61" },
  },
  { name: "disposable AVC frame", type: 9, body: "3701000000aa", frame: { ...video, data: "aa" } },
];

for (const row of [...BOTH_WAYS, ...READ_ONLY]) {
  Deno.test(`tag decodes: ${row.name}`, () => {
    const frame = createFrame();
    decodeTag(row.type, 1234, fromHex(row.body), frame);
    const { data, ...rest } = row.frame;
    assert.equal(toHex(frame.data), data);
    assert.equal(frame.timeMs, 1234);
    for (const [name, value] of Object.entries(rest)) assert.equal(frame[name as keyof Frame], value, name);
  });
}

for (const row of BOTH_WAYS) {
  Deno.test(`tag encodes: ${row.name}`, () => {
    const frame = createFrame();
    decodeTag(row.type, 0, fromHex(row.body), frame);
    const writer = new ByteWriter();
    encodeTag(frame, writer);
    assert.equal(toHex(writer.view()), row.body);
  });
}

Deno.test("of every tag a call gets the default track, and the rest is no media of it", () => {
  const frame = createFrame();
  for (const { what, type, body, content, codec, data, track = 0, cut = false } of TAG_TABLE) {
    if (!decodes(type, fromHex(body), frame)) {
      assert.equal(cut, true, what);
      continue;
    }
    const media = type === 18 || track === 0 && content !== "info" && content !== "command";
    assert.equal(frame.media, media, what);
    const known = media && content !== "other";
    assert.equal(frame.codec, known ? codec : "unknown", what);
    assert.equal(frame.config, media && content === "config", what);
    const taken = media && ["opus", "aac", "h264", "speex", "pcmu"].includes(codec);
    if (taken && data !== undefined) assert.equal(toHex(frame.data), data, what);
    if (!known) assert.equal(toHex(frame.data), body, what);
  }
});

Deno.test("frames made here get the tags siprtmp clients expect", () => {
  for (const [codec, tag] of [["speex", 0xb2], ["pcmu", 0x82], ["pcma", 0x72]] as const) {
    const writer = new ByteWriter();
    encodeTag({ ...createFrame(), codec, data: Uint8Array.of(5) }, writer);
    assert.deepEqual([...writer.view()], [tag, 5]);
  }
});

Deno.test("the stereo bit is read", () => {
  const frame = createFrame();
  assert.equal(channelsOf(frame), 1);
  decodeTag(8, 0, fromHex("83ff"), frame);
  assert.equal(channelsOf(frame), 2);
});

for (
  const [type, body] of [[8, "af"], [9, "17"], [9, "17010000"], [8, "914f70"], [9, "91617663"], [
    9,
    "9161766331",
  ]] as const
) {
  Deno.test(`cut off tag ${body} is a wire error`, () => {
    assert.throws(() => decodeTag(type, 0, fromHex(body), createFrame()), WireError);
  });
}

Deno.test("any body decodes or is a wire error, and what decodes encodes to what decodes the same", () => {
  const again = createFrame();
  const frame = createFrame();
  const writer = new ByteWriter();
  fc.assert(
    fc.property(fc.constantFrom<TagType>(8, 9, 18), fc.uint8Array({ maxLength: 40 }), (type, body) => {
      if (!decodes(type, body, frame)) return;
      writer.reset();
      encodeTag(frame, writer);
      decodeTag(type, frame.timeMs, writer.view(), again);
      assert.deepEqual({ ...again, tag: 0, data: [...again.data] }, {
        ...frame,
        tag: 0,
        data: [...frame.data],
      });
    }),
    { numRuns: 2000 },
  );
});

Deno.test("damaged tags decode or are wire errors", () => {
  const frame = createFrame();
  let decoded = 0;
  BOTH_WAYS.forEach((row, index) => {
    for (let seed = 0; seed < 50; seed++) {
      if (decodes(row.type, mutate(fromHex(row.body), seed * 100 + index), frame)) decoded++;
    }
  });
  assert.ok(decoded > 0);
});

function decodes(type: TagType, body: Uint8Array, into: Frame): boolean {
  try {
    decodeTag(type, 7, body, into);
    return true;
  } catch (error) {
    assert.ok(error instanceof WireError);
    return false;
  }
}
