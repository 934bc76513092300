// The delay that arrivals ask for: from steady to rough, and back.
import assert from "node:assert/strict";
import fc from "fast-check";
import { seededRandom } from "../../lib/base/random.ts";
import { JitterEstimate, MAX_TARGET_MS, MIN_TARGET_MS } from "../../lib/call/jitter_estimate.ts";

/** Packets of 20 ms, each late by what `lateness` says; gives the target after the last. */
function arrivals(
  estimate: JitterEstimate,
  count: number,
  lateness: (i: number) => number,
  from = 0,
): number {
  for (let i = from; i < from + count; i++) estimate.observe(5000 + i * 20 + lateness(i), i * 20);
  return estimate.targetMs;
}

Deno.test("before anything is known some jitter is assumed; a steady source needs the least", () => {
  const estimate = new JitterEstimate();
  assert.equal(estimate.targetMs, 40);
  assert.equal(arrivals(estimate, 100, () => 0), 40);
  assert.equal(arrivals(estimate, 150, () => 0, 100), MIN_TARGET_MS);
});

Deno.test("the spread between early and late packets counts, at once", () => {
  const estimate = new JitterEstimate();
  arrivals(estimate, 300, () => 0);
  assert.equal(arrivals(estimate, 1, () => 65, 300), 85);
  assert.equal(arrivals(estimate, 1, () => -10, 301), 95);
});

Deno.test("what is rare is remembered for four to eight seconds", () => {
  const estimate = new JitterEstimate();
  arrivals(estimate, 250, () => 0);
  assert.equal(arrivals(estimate, 1, () => 100, 250), 120);
  assert.equal(arrivals(estimate, 190, () => 0, 251), 120);
  assert.equal(arrivals(estimate, 250, () => 0, 441), MIN_TARGET_MS);
});

Deno.test("a clock that drifts is no jitter", () => {
  const estimate = new JitterEstimate();
  const target = arrivals(estimate, 3000, (i) => i * 20 * 100e-6);
  assert.ok(target < 21, `${target}`);
});

Deno.test("a jump of the source's time starts anew, what was learnt of the way stays for a while", () => {
  const estimate = new JitterEstimate();
  arrivals(estimate, 300, (i) => i % 10 === 3 ? 50 : 0);
  assert.equal(estimate.targetMs, 70);
  estimate.observe(12_000, 500_000);
  assert.equal(estimate.targetMs, 70);
  for (let i = 1; i < 250; i++) estimate.observe(12_000 + i * 20, 500_000 + i * 20);
  assert.equal(estimate.targetMs, MIN_TARGET_MS);
  for (let i = 250; i < 400; i++) estimate.observe(12_000 + i * 20, 500_000 + i * 20);
  estimate.restart();
  estimate.observe(20_500, 0);
  assert.equal(estimate.targetMs, MIN_TARGET_MS);
});

Deno.test("a stall is no jitter: neither what was late, nor all that came at once, raises the target", () => {
  const estimate = new JitterEstimate();
  arrivals(estimate, 300, () => 0);
  for (let i = 300; i < 350; i++) estimate.observe(5000 + 350 * 20, i * 20);
  assert.equal(arrivals(estimate, 300, () => 0, 350), MIN_TARGET_MS);
  const burst = new JitterEstimate();
  for (let i = 0; i < 150; i++) burst.observe(5000, i * 20);
  for (let i = 150; i < 200; i++) burst.observe(5000 + (i - 150) * 20, i * 20);
  assert.ok(burst.targetMs < 100, `${burst.targetMs}`);
});

Deno.test("whatever arrives, the target stays within its bounds", () => {
  fc.assert(fc.property(fc.array(fc.tuple(fc.nat(1e7), fc.nat(1e7)), { maxLength: 100 }), (packets) => {
    const estimate = new JitterEstimate();
    for (const [arrivalMs, mediaMs] of packets) {
      estimate.observe(arrivalMs, mediaMs);
      assert.ok(estimate.targetMs >= MIN_TARGET_MS && estimate.targetMs <= MAX_TARGET_MS);
    }
  }));
  const random = seededRandom(4);
  assert.equal(arrivals(new JitterEstimate(), 200, () => random.float() * 900), MAX_TARGET_MS);
});
