import assert from "node:assert/strict";
import { fromHex } from "../../../lib/base/bytes.ts";
import { MarkerTrust, NalUnits } from "../../../lib/codecs/h264/nal_units.ts";
import { toHex } from "../../support/hex.ts";

/** What each payload became, and the NAL units of all. */
function unpack(payloads: readonly string[], maxOctets = 1000): { results: string[]; nals: string[] } {
  const nals: string[] = [];
  const units = new NalUnits((nal) => void nals.push(toHex(nal)), maxOctets);
  return { results: payloads.map((payload) => units.push(fromHex(payload))), nals };
}

const CASES: [name: string, payloads: string[], results: string[], nals: string[]][] = [
  ["a single one", ["41aabb"], ["taken"], ["41aabb"]],
  ["a STAP-A", ["780002674200026801"], ["taken"], ["6742", "6801"]],
  ["a STAP-A with an empty unit", ["78000000026801"], ["taken"], ["6801"]],
  ["a STAP-A cut off", ["780002674200096801"], ["broken"], ["6742"]],
  ["an FU-A", ["7c85aa", "7c05bb", "7c45cc"], ["taken", "taken", "taken"], ["65aabbcc"]],
  ["an FU-A without its start", ["7c05bb", "7c45cc"], ["broken", "broken"], []],
  ["an FU-A without its end", ["7c85aa", "41bb"], ["taken", "broken"], ["41bb"]],
  ["two starts", ["7c85aa", "7c85bb", "7c45cc"], ["taken", "broken", "taken"], ["65bbcc"]],
  ["an empty fragment", ["7c85aa", "7c45"], ["taken", "broken"], []],
  ["a STAP-A behind a fragment", ["7c85aa", "7800026801"], ["taken", "broken"], ["6801"]],
  ["MTAP, STAP-B, FU-B, nothing", ["7a0000", "790000", "7d85aa", "", "00"], Array(5).fill("unsupported"), []],
];

for (const [name, payloads, results, nals] of CASES) {
  Deno.test(`NAL units: ${name}`, () => assert.deepEqual(unpack(payloads), { results, nals }));
}

Deno.test("NAL units: fragments are put together up to a bound, and forgotten", () => {
  assert.deepEqual(unpack(["7c85" + "aa".repeat(5), "7c05" + "bb".repeat(9)], 12).results, [
    "taken",
    "broken",
  ]);
  const units = new NalUnits(() => assert.fail(), 100);
  units.push(fromHex("7c85aa"));
  assert.ok(units.incomplete);
  units.reset();
  assert.ok(!units.incomplete);
  assert.equal(units.push(fromHex("7c45aa")), "broken");
});

Deno.test("markers are believed after the first that was right", () => {
  const trust = new MarkerTrust();
  assert.equal(trust.endsAt(1), false);
  assert.ok(trust.likelyEndsAt(1));
  trust.right(1);
  assert.ok(trust.endsAt(1) && trust.endsAt(4));
});

Deno.test("a picture of fewer slices than the last ones all had waits", () => {
  const trust = new MarkerTrust();
  for (let i = 0; i < 3; i++) trust.right(4);
  assert.deepEqual([1, 3, 4, 5].map((slices) => trust.endsAt(slices)), [false, false, true, true]);
  assert.deepEqual([3, 4].map((slices) => trust.likelyEndsAt(slices)), [false, true]);
  trust.right(2);
  assert.equal(trust.endsAt(1), false, "too few were seen");
  trust.right(3);
  trust.right(2);
  assert.ok(trust.endsAt(1), "their number varies");
});

Deno.test("after a wrong marker a hundred pictures of several slices must end rightly", () => {
  const trust = new MarkerTrust();
  trust.right(1);
  trust.wrong();
  for (let i = 0; i < 500; i++) trust.right(1);
  assert.equal(trust.endsAt(4), false, "one slice with its marker proves nothing");
  assert.equal(trust.likelyEndsAt(0), false);
  for (let i = 0; i < 99; i++) trust.right(4);
  assert.equal(trust.endsAt(4), false);
  trust.right(4);
  assert.ok(trust.endsAt(4));
  trust.restart();
  assert.equal(trust.endsAt(4), false, "another source");
});
