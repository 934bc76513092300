import assert from "node:assert/strict";
import fc from "fast-check";
import { SendLag } from "../../lib/rtmp/send_lag.ts";

Deno.test("lag is the age of the oldest unsent byte", () => {
  const lag = new SendLag();
  for (const [put, timeMs] of [[0, 0], [100, 100], [200, 200]] as const) lag.note(put, put, timeMs);
  assert.equal(lag.lagMs(300, 300, 200), 200);
  assert.equal(lag.lagMs(300, 200, 250), 150); // the first 100 bytes are gone
  assert.equal(lag.lagMs(300, 150, 250), 150); // a part of the second counts like all of it
  assert.equal(lag.lagMs(300, 100, 250), 50);
  assert.equal(lag.lagMs(300, 0, 250), 0);
});

Deno.test("lag of a queue that never moves grows with time, however much is put", () => {
  const lag = new SendLag();
  for (let at = 0; at < 1000; at++) lag.note(at * 10, at * 10, at * 20);
  assert.equal(lag.lagMs(10_000, 10_000, 20_000), 20_000);
  assert.equal(lag.lagMs(10_000, 0, 20_000), 0);
  lag.note(10_000, 0, 20_001);
  assert.equal(lag.lagMs(10_010, 10, 20_101), 100);
});

Deno.test("lag is right to 50 ms as long as the queue is shorter than the marks", () => {
  const step = fc.record({ put: fc.integer({ min: 1, max: 500 }), waitMs: fc.nat(40), sent: fc.nat(600) });
  fc.assert(fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
    const lag = new SendLag();
    const queue: { bytes: number; timeMs: number }[] = [];
    let nowMs = 0;
    let total = 0;
    for (const { put, waitMs, sent } of steps) {
      nowMs += waitMs;
      lag.note(total, queue.reduce((sum, { bytes }) => sum + bytes, 0), nowMs);
      total += put;
      queue.push({ bytes: put, timeMs: nowMs });
      for (let left = sent; left > 0 && queue.length > 0;) {
        const first = queue[0]!;
        const taken = Math.min(left, first.bytes);
        left -= taken;
        first.bytes -= taken;
        if (first.bytes === 0) queue.shift();
      }
      const unsent = queue.reduce((sum, { bytes }) => sum + bytes, 0);
      const expected = queue.length === 0 ? 0 : nowMs - queue[0]!.timeMs;
      const got = lag.lagMs(total, unsent, nowMs);
      if (queue.length === 0) assert.equal(got, 0);
      assert.ok(got >= expected && got < expected + 50, `${got} for ${expected}`);
    }
  }));
});

Deno.test("a queue that empties before each put needs no look at it to stay right", () => {
  const lag = new SendLag();
  for (let at = 0; at < 1000; at++) lag.note(at * 10, 0, at * 1000);
  assert.equal(lag.lagMs(10_000, 10, 999_500), 500);
});
