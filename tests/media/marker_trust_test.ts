import assert from "node:assert/strict";
import { MarkerTrust } from "../../lib/media/marker_trust.ts";

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
