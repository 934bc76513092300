import assert from "node:assert/strict";
import fc from "fast-check";
import { KeyFrameIndex } from "../../lib/flv/key_frame_index.ts";

Deno.test("the place at or before a time is found", () => {
  const index = new KeyFrameIndex();
  assert.equal(index.before(0), null);
  for (const [timeMs, position] of [[1000, 100], [2000, 300], [2000, 350], [5000, 900]] as const) {
    index.add(timeMs, position);
  }
  const table: [number, number | null][] = [[999, null], [1000, 100], [1999, 100], [2000, 350], [4999, 350], [
    9e9,
    900,
  ]];
  for (const [timeMs, position] of table) {
    assert.equal(index.before(timeMs)?.position ?? null, position, `${timeMs}`);
  }
  index.clear();
  assert.deepEqual([index.size, index.before(9e9)], [0, null]);
});

Deno.test("places out of order are not believed", () => {
  const index = new KeyFrameIndex();
  index.add(1000, 100);
  index.add(900, 200);
  index.add(1100, 100);
  index.add(1200, 50);
  index.add(Number.NaN, 500);
  index.add(2000, 300);
  assert.deepEqual(index.entries(), [{ timeMs: 1000, position: 100 }, { timeMs: 2000, position: 300 }]);
});

Deno.test("a full index becomes coarser, evenly, and keeps its first place", () => {
  const index = new KeyFrameIndex(8);
  for (let i = 0; i < 1000; i++) index.add(i * 1000, 13 + i * 10);
  const times = index.entries().map(({ timeMs }) => timeMs / 1000);
  assert.ok(times.length >= 4 && times.length <= 8, `${times}`);
  assert.equal(times[0], 0);
  const steps = new Set(times.slice(1).map((time, at) => time - times[at]!));
  assert.ok(Math.max(...steps) <= 2 * Math.min(...steps), `${times}`);
  assert.ok(times.at(-1)! >= 744, `${times}`);
});

Deno.test("whatever is added, the answer is the last kept place not behind the time", () => {
  const places = fc.array(fc.tuple(fc.nat(50), fc.nat(50)), { maxLength: 60 });
  fc.assert(fc.property(places, fc.nat(3000), (steps, timeMs) => {
    const index = new KeyFrameIndex(10);
    let time = 0;
    let position = 0;
    for (const [later, further] of steps) index.add(time += later, position += further);
    const kept = index.entries();
    assert.ok(kept.length <= 10);
    assert.deepEqual(index.before(timeMs), kept.filter((place) => place.timeMs <= timeMs).at(-1) ?? null);
  }));
});
