import assert from "node:assert/strict";
import { HalfOpen, type HalfOpenLimits, halfOpenLimits } from "../../../lib/gateway/access/half_open.ts";

function scene(limits: HalfOpenLimits) {
  const dropped: string[] = [];
  const noted: string[] = [];
  const halfOpen = new HalfOpen(limits, {
    note: (address, offence) => void noted.push(`${address}: ${offence}`),
  });
  const add = (address: string, name = address) => halfOpen.add(address, () => void dropped.push(name));
  return { dropped, noted, halfOpen, add };
}

Deno.test("when all are taken the oldest makes room, and is noted", () => {
  const { dropped, noted, halfOpen, add } = scene({ total: 3, perAddress: 3 });
  for (const address of ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"]) add(address);
  assert.deepEqual(dropped, ["192.0.2.1"]);
  assert.deepEqual(noted, ["192.0.2.1: RTMP connections without a connect command"]);
  assert.equal(halfOpen.size, 3);
});

Deno.test("an address that has its share pushes out its own, not others", () => {
  const { dropped, add } = scene({ total: 100, perAddress: 2 });
  add("192.0.2.1", "honest");
  for (let i = 0; i < 50; i++) add("198.51.100.7", `attack ${i}`);
  assert.deepEqual(dropped, Array.from({ length: 48 }, (_, i) => `attack ${i}`));
});

Deno.test("a honest client that is through is never dropped, and counts no more", () => {
  const { dropped, halfOpen, add } = scene({ total: 4, perAddress: 4 });
  for (let i = 0; i < 100; i++) {
    using _honest = add("192.0.2.1", "honest");
    for (let k = 0; k < 3; k++) add(`198.51.100.${k}`, "attack");
  }
  assert.ok(!dropped.includes("honest"));
  assert.equal(dropped.length, 3 * 100 - 4 + 1);
  assert.ok(halfOpen.size <= 4);
});

Deno.test("this machine has no share of its own, but counts in all", () => {
  const { dropped, halfOpen, add } = scene({ total: 10, perAddress: 2 });
  for (let i = 0; i < 10; i++) add("127.0.0.1");
  assert.deepEqual([dropped.length, halfOpen.size], [0, 10]);
  add("::1");
  assert.deepEqual([dropped.length, halfOpen.size], [1, 10]);
});

Deno.test("disposing twice, or after being dropped, counts once", () => {
  const { halfOpen, add } = scene({ total: 2, perAddress: 2 });
  const [first, second] = [add("192.0.2.1"), add("192.0.2.1")];
  add("192.0.2.1");
  for (const place of [first, second, second]) place[Symbol.dispose]();
  assert.equal(halfOpen.size, 1);
});

Deno.test("one address has a quarter, but eight where there are so many", () => {
  assert.deepEqual([256, 16, 4].map(halfOpenLimits), [
    { total: 256, perAddress: 64 },
    { total: 16, perAddress: 8 },
    { total: 4, perAddress: 4 },
  ]);
});

Deno.test("room is made for somebody who is known, as long as there is anybody who is not", () => {
  const { dropped, halfOpen, add } = scene({ total: 10, perAddress: 10 });
  add("192.0.2.1");
  assert.deepEqual([halfOpen.makeRoom(), halfOpen.makeRoom(), dropped], [true, false, ["192.0.2.1"]]);
});
