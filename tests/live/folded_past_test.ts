import assert from "node:assert/strict";
import fc from "fast-check";
import { fromHex, toHex } from "../../lib/base/bytes.ts";
import { FoldedPast } from "../../lib/live/folded_past.ts";
import { createTag, readTag } from "../../lib/media/tag.ts";

Deno.test("before it is begun, and behind its end, times stay", () => {
  const folded = new FoldedPast();
  assert.equal(folded.timeMs(500), 500);
  folded.begin(0, 10_000, 1000);
  assert.equal(folded.timeMs(0), 9000);
  folded.end();
  assert.equal(folded.timeMs(0), 0);
});

Deno.test("a long past is folded evenly, a short one not at all, what is outside neither", () => {
  const folded = new FoldedPast();
  folded.begin(1000, 11_000, 1000);
  assert.deepEqual([0, 1000, 6000, 10_990, 11_000, 12_000].map((timeMs) => folded.timeMs(timeMs)), [
    0, // before the group: of another time line
    10_000,
    10_500,
    10_999,
    11_000,
    12_000,
  ]);
  folded.begin(10_000, 11_000, 1000);
  assert.equal(folded.timeMs(10_400), 10_400);
  folded.begin(11_500, 11_000, 1000);
  assert.equal(folded.timeMs(11_200), 11_200);
});

const BODIES: readonly (readonly [what: string, body: string, folded: string])[] = [
  ["AVC", "2701000050aabb", "2701000008aabb"],
  ["AVC without", "2701000000aabb", "2701000000aabb"],
  ["enhanced", "a161766331000050aa", "a161766331000008aa"],
  ["HEVC", "a168766331000050aa", "a168766331000008aa"],
  ["behind ModEx", "a7020000010161766331000050aa", "a7020000010161766331000008aa"],
  ["without composition time", "a361766331aa", "a361766331aa"],
  ["AVC, to be shown before it is decoded", "2701ffffd8aabb", "2701fffffcaabb"],
  ["Sorenson", "22aabb", "22aabb"],
];

for (const [what, hex, expected] of BODIES) {
  Deno.test(`composition times are folded as well: ${what}`, () => {
    const folded = new FoldedPast();
    folded.begin(0, 10_000, 1000);
    const body = fromHex(hex);
    const tag = readTag(9, body, createTag());
    assert.equal(toHex(folded.body(tag, 2000, body)), expected);
    assert.equal(toHex(body), hex, "what is borrowed stays");
    assert.equal(folded.body(tag, 10_000, body), body);
    if (tag.compositionMs < 0) assert.equal(toHex(folded.body(tag, 0, body)), "2701000000aabb");
  });
}

Deno.test("order is kept, whatever is folded", () => {
  fc.assert(
    fc.property(
      fc.nat(1e5),
      fc.nat(1e5),
      fc.array(fc.nat(2e5), { maxLength: 30 }),
      (fromMs, lengthMs, times) => {
        const folded = new FoldedPast();
        folded.begin(fromMs, fromMs + lengthMs, 1000);
        const sorted = times.filter((timeMs) => timeMs >= fromMs).sort((a, b) => a - b);
        const shown = sorted.map((timeMs) => folded.timeMs(timeMs));
        assert.deepEqual(shown, shown.toSorted((a, b) => a - b));
        assert.ok(shown.every((timeMs, i) => timeMs >= sorted[i]!));
      },
    ),
  );
});
