import assert from "node:assert/strict";
import { concatBytes, fromHex, toHex } from "../../lib/base/bytes.ts";
import { KeyFlag } from "../../lib/media/key_flag.ts";
import { createTag, readTag } from "../../lib/media/tag.ts";
import { annexB } from "../support/h264_forms.ts";
import { avc, CONFIG, slice } from "../support/media_h264.ts";
import { TAG_TABLE } from "../support/tag_table.ts";

const KEY = [slice("I", 40)];
const INTER = [slice("P", 40)];

/** What becomes of the first octet. */
function mended(first: string, nals: Uint8Array, flag = new KeyFlag()): string {
  const body = concatBytes([fromHex(first), nals]);
  const tag = readTag(9, body, createTag());
  const result = flag.mended(tag, body);
  assert.equal(toHex(result.subarray(1)), toHex(body.subarray(1)));
  const again = readTag(9, result, createTag());
  assert.deepEqual([tag.content, tag.flaggedKey], [again.content, again.flaggedKey]);
  return toHex(result.subarray(0, 1));
}

const TABLE: readonly (readonly [what: string, header: string, nals: Uint8Array, first: string])[] = [
  ["a key picture", "1701000000", avc(KEY), "17"],
  ["an inter picture", "2701000000", avc(INTER), "27"],
  ["a key picture flagged inter", "2701000000", avc(KEY), "17"],
  ["with start codes", "2701000000", annexB(KEY), "17"],
  ["flagged disposable", "3701000000", avc(KEY), "17"],
  ["an inter picture flagged key", "1701000000", avc(INTER), "27"],
  ["Enhanced RTMP", "a161766331000000", avc(KEY), "91"],
  ["Enhanced RTMP without composition time", "a361766331", avc(KEY), "93"],
  ["behind ModEx", "a7020000010161766331000000", avc(KEY), "97"],
  ["the default track of multitrack", "a6016176633100000000", avc(KEY), "96"],
  ["another track", "a6016176633101000000", avc(KEY), "a6"],
  ["HEVC", "a168766331000000", avc(KEY), "a1"],
  ["Sorenson", "22", avc(KEY), "22"],
  ["a command", "57", fromHex("00"), "57"],
];

for (const [what, header, nals, first] of TABLE) {
  Deno.test(`frame type: ${what}`, () => assert.equal(mended(header, nals), first));
}

Deno.test("lengths are of the size that the configuration says", () => {
  const flag = new KeyFlag();
  const record = CONFIG.slice();
  record[4] = 0xfd;
  assert.equal(mended("1700000000", record, flag), "17");
  assert.equal(mended("2701000000", avc(KEY, 2), flag), "17");
});

Deno.test("no other tag is touched", () => {
  const flag = new KeyFlag();
  for (const { what, type, body } of TAG_TABLE) {
    const bytes = fromHex(body);
    if (type === 9) assert.equal(flag.mended(readTag(9, bytes, createTag()), bytes), bytes, what);
  }
});
