import assert from "node:assert/strict";
import fc from "fast-check";
import { encodeAmf0 } from "../../lib/amf/amf0.ts";
import { type TagKind, tagKindOf } from "../../lib/flv/tag_kind.ts";
import { fromHex } from "../support/hex.ts";

const TABLE: readonly (readonly [what: string, type: 8 | 9 | 18, body: string, kind: TagKind])[] = [
  ["AAC configuration", 8, "af001210", "audio header"],
  ["AAC", 8, "af01aa", "audio"],
  ["Speex", 8, "b2aa", "audio"],
  ["G.711", 8, "8200", "audio"],
  ["silence of Flash", 8, "", "audio"],
  ["Opus configuration, FourCC form", 8, "904f707573", "audio header"],
  ["Opus, FourCC form", 8, "914f707573aa", "audio"],
  ["AVC configuration", 9, "170000000001", "video header"],
  ["AVC key frame", 9, "1701000000aa", "key frame"],
  ["AVC other frame", 9, "2701000000aa", "video"],
  ["AVC end of sequence", 9, "1702000000", "video"],
  ["AVC cut off", 9, "17", "video"],
  ["HEVC configuration", 9, "1c0000000001", "video header"],
  ["HEVC key frame", 9, "1c01000000aa", "key frame"],
  ["Sorenson key frame", 9, "12aa", "key frame"],
  ["Sorenson other frame", 9, "22aa", "video"],
  ["command to the player", 9, "5700", "video"],
  ["FourCC sequence start", 9, "9068766331", "video header"],
  ["FourCC MPEG-2 TS sequence start", 9, "9568766331", "video header"],
  ["FourCC key frame", 9, "9168766331", "key frame"],
  ["FourCC key frame without composition time", 9, "9368766331", "key frame"],
  ["FourCC other frame", 9, "a168766331", "video"],
  ["FourCC end of sequence", 9, "9268766331", "video"],
  ["FourCC metadata", 9, "9468766331", "video"],
  ["nothing", 9, "", "video"],
  ["a cue point", 18, "02000a6f6e437565506f696e74", "data"],
  ["nothing", 18, "", "data"],
];

Deno.test("every kind of tag is told by its first bytes", () => {
  for (const [what, type, body, kind] of TABLE) assert.equal(tagKindOf(type, fromHex(body)), kind, what);
  assert.equal(tagKindOf(18, encodeAmf0(["onMetaData", {}])), "metadata");
  assert.equal(tagKindOf(18, encodeAmf0(["onMetaDat", {}])), "data");
});

Deno.test("any bytes are of some kind", () => {
  fc.assert(
    fc.property(fc.constantFrom<8 | 9 | 18>(8, 9, 18), fc.uint8Array({ maxLength: 20 }), (type, body) => {
      const kind = tagKindOf(type, body);
      const allowed = type === 8
        ? ["audio", "audio header"]
        : type === 9
        ? ["video", "video header", "key frame"]
        : ["data", "metadata"];
      assert.ok(allowed.includes(kind));
    }),
  );
});
