// Ranges, repeatability by seed, and a rough look at the distribution.

import assert from "node:assert/strict";
import { type Random, seededRandom, systemRandom } from "../../lib/base/random.ts";

function checkRanges(random: Random): void {
  for (let i = 0; i < 500; i++) {
    const [u32, u16, float] = [random.u32(), random.u16(), random.float()];
    assert.ok(Number.isInteger(u32) && u32 >= 0 && u32 <= 0xffffffff);
    assert.ok(Number.isInteger(u16) && u16 >= 0 && u16 <= 0xffff);
    assert.ok(float >= 0 && float < 1);
  }
  for (const length of [0, 1, 10, 64]) {
    assert.match(random.token(length), new RegExp(`^[a-z0-9]{${length}}$`));
    assert.equal(random.bytes(length).length, length);
  }
}

Deno.test("values stay in their ranges", () => {
  checkRanges(systemRandom);
  checkRanges(seededRandom(0));
});

Deno.test("the same seed repeats, another does not", () => {
  const take = (seed: number) => {
    const random = seededRandom(seed);
    return [random.u32(), random.u16(), random.token(8), ...random.bytes(4)];
  };
  assert.deepEqual(take(7), take(7));
  assert.notDeepEqual(take(7), take(8));
  assert.notEqual(systemRandom.token(20), systemRandom.token(20));
});

Deno.test("every token character and every high bit occurs about equally often", () => {
  const random = seededRandom(42);
  const counts = new Map<string, number>();
  for (const char of random.token(36_000)) counts.set(char, (counts.get(char) ?? 0) + 1);
  assert.equal(counts.size, 36);
  for (const count of counts.values()) assert.ok(count > 800 && count < 1200, `${count}`);
  let high = 0;
  for (let i = 0; i < 10_000; i++) high += random.u32() >>> 31;
  assert.ok(high > 4700 && high < 5300, `${high}`);
});
