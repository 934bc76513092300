import assert from "node:assert/strict";
import fc from "fast-check";
import { EchoMeter } from "../../../lib/tools/trial/echo_meter.ts";

const frame = (n: number) => new Uint8Array([n & 255, n >> 8, 7]);

Deno.test("everything back: matched, with its round trip", () => {
  const meter = new EchoMeter();
  for (let i = 0; i < 100; i++) {
    meter.sent(frame(i), i * 20);
    meter.returned(frame(i), i * 20 + 5 + (i === 50 ? 10 : 0));
  }
  assert.ok(meter.complete);
  const report = meter.report();
  assert.deepEqual([report.sent, report.returned, report.matched], [100, 100, 100]);
  assert.deepEqual(report.roundTripMs, { min: 5, median: 5, max: 15 });
  assert.equal(report.longestGapMs, 30);
  assert.equal(report.sentBytes, 300);
});

Deno.test("a looped sample with losses is matched to the right turn of the loop", () => {
  const meter = new EchoMeter();
  for (let i = 0; i < 500; i++) {
    meter.sent(frame(i % 50), i * 20);
    if (i % 7 !== 3) meter.returned(frame(i % 50), i * 20 + 4);
  }
  const report = meter.report();
  assert.deepEqual(report.roundTripMs, { min: 4, median: 4, max: 4 });
  assert.equal(report.matched, report.returned);
  assert.equal(report.sent - report.matched, 71);
});

Deno.test("audio that was coded anew is counted as returned and not as matched", () => {
  const meter = new EchoMeter();
  meter.sent(frame(1), 0);
  meter.returned(frame(2), 9);
  const report = meter.report();
  assert.deepEqual([report.returned, report.matched, report.roundTripMs], [1, 0, null]);
});

Deno.test("whatever is lost, matched never exceeds sent or returned, and times are never negative", () => {
  fc.assert(fc.property(fc.array(fc.record({ n: fc.nat(3), back: fc.boolean() })), (steps) => {
    const meter = new EchoMeter();
    steps.forEach((step, i) => {
      meter.sent(frame(step.n), i);
      if (step.back) meter.returned(frame(step.n), i + 1);
    });
    const { sent, returned, matched, roundTripMs } = meter.report();
    assert.ok(matched <= sent && matched <= returned);
    assert.ok(roundTripMs === null || roundTripMs.min >= 0);
  }));
});
