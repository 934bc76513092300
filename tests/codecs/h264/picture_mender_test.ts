import assert from "node:assert/strict";
import { concatBytes, fromHex, toHex } from "../../../lib/base/bytes.ts";
import { PictureMender } from "../../../lib/codecs/h264/picture_mender.ts";
import { createTag, readTag } from "../../../lib/media/tag.ts";
import { H264_FORMS } from "../../support/h264_forms.ts";
import { avc, CONFIG, PPS, slice, SPS } from "../../support/media_h264.ts";
import { TAG_TABLE } from "../../support/tag_table.ts";

const KEY = [slice("I", 40)];
const INTER = [slice("P", 40)];

/** What becomes of the first octet; the rest stays. */
function mended(first: string, nals: Uint8Array, mender = new PictureMender()): string {
  const body = concatBytes([fromHex(first), nals]);
  const tag = readTag(9, body, createTag());
  const result = mender.mended(tag, body);
  assert.equal(toHex(result.subarray(1)), toHex(body.subarray(1)));
  const again = readTag(9, result, createTag());
  assert.deepEqual([tag.content, tag.flaggedKey, tag.end], [again.content, again.flaggedKey, again.end]);
  return toHex(result.subarray(0, 1));
}

const TABLE: readonly (readonly [what: string, header: string, nals: Uint8Array, first: string])[] = [
  ["a key picture", "1701000000", avc(KEY), "17"],
  ["an inter picture", "2701000000", avc(INTER), "27"],
  ["a key picture flagged inter", "2701000000", avc(KEY), "17"],
  ["flagged disposable", "3701000000", avc(KEY), "17"],
  ["an inter picture flagged key", "1701000000", avc(INTER), "27"],
  ["Enhanced RTMP", "a161766331000000", avc(KEY), "91"],
  ["Enhanced RTMP without composition time", "a361766331", avc(KEY), "93"],
  ["behind ModEx", "a7020000010161766331000000", avc(KEY), "97"],
  ["the default track of multitrack", "a6016176633100000000", avc(KEY), "96"],
  ["another track", "a6016176633101000000", avc(KEY), "a6"],
  ["HEVC, an inter picture", "a168766331000000", avc([fromHex("0201aabb")]), "a1"],
  [
    "HEVC, an IDR picture flagged inter",
    "a168766331000000",
    avc([fromHex("4001aa"), fromHex("2601aabb")]),
    "91",
  ],
  ["HEVC, a clean random access picture flagged inter", "2c01000000", avc([fromHex("2a01aabb")]), "1c"],
  ["HEVC, flagged as a key picture", "9168766331000000", avc([fromHex("0201aabb")]), "91"],
  ["Sorenson", "22", avc(KEY), "22"],
  ["a command", "57", fromHex("00"), "57"],
];

for (const [what, header, nals, first] of TABLE) {
  Deno.test(`frame type: ${what}`, () => assert.equal(mended(header, nals), first));
}

Deno.test("lengths are of the size that the configuration says", () => {
  const flag = new PictureMender();
  const record = CONFIG.slice();
  record[4] = 0xfd;
  assert.equal(mended("1700000000", record, flag), "17");
  assert.equal(mended("2701000000", avc(KEY, 2), flag), "17");
});

Deno.test("no other tag is touched", () => {
  const flag = new PictureMender();
  for (const { what, type, body } of TAG_TABLE) {
    const bytes = fromHex(body);
    if (type === 9) assert.equal(flag.mended(readTag(9, bytes, createTag()), bytes), bytes, what);
  }
});

/** Everything that leaves for these tags, configurations included. */
function relayed(tags: readonly string[]): string[] {
  const mender = new PictureMender();
  return tags.flatMap((hex) => {
    const body = fromHex(hex);
    const tag = readTag(9, body, createTag());
    const result = toHex(mender.mended(tag, body));
    return mender.config === null ? [result] : [toHex(mender.config), result];
  });
}

const CONFIG_TAG = `1700000000${toHex(CONFIG)}`;
const picture = (first: string, data: Uint8Array): string => `${first}01000000${toHex(data)}`;

for (const { what, lengthSize, of } of H264_FORMS) {
  if (lengthSize !== undefined) continue;
  Deno.test(`players get lengths, whatever was sent: ${what}`, () => {
    const [sei, key, inter] = [fromHex("0605ff80"), KEY[0]!, INTER[0]!];
    const plain = (first: string, nals: Uint8Array[]): string => picture(first, avc(nals));
    const sent = [CONFIG_TAG, picture("27", of([sei, key])), picture("27", of([inter]))];
    const got = relayed(sent);
    const expected = [CONFIG_TAG, plain("17", [sei, key]), plain("27", [inter])];
    if (what.includes("of nothing")) assert.equal(got.length, 3); // empty units are lengths as well
    else assert.deepEqual(got, expected);
  });

  Deno.test(`parameter sets in band make a configuration: ${what}`, () => {
    const changed = Uint8Array.of(...SPS.subarray(0, 3), 0x1f, ...SPS.subarray(4));
    const key = picture("17", of([SPS, PPS, KEY[0]!]));
    const got = relayed([key, key, picture("17", of([changed, PPS, KEY[0]!]))]);
    assert.equal(got.length, 5, "one at first, another when they change");
    assert.equal(got[0], CONFIG_TAG);
    assert.match(got[3]!, new RegExp(`^1700000000.*${toHex(changed)}`));
  });
}

Deno.test("who sends a configuration gets no other, and what is cut or unreadable stays as it is", () => {
  const key = picture("17", avc([SPS, PPS, KEY[0]!]));
  assert.deepEqual(relayed([CONFIG_TAG, key]), [CONFIG_TAG, key]);
  for (const hex of ["17", "1701", "1701000000ffeedd", "27010000000000000541"]) {
    assert.deepEqual(relayed([hex]), [hex]);
  }
});
