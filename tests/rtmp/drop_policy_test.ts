import fc from "fast-check";
import assert from "node:assert/strict";
import { fromHex } from "../../lib/base/bytes.ts";
import { type Congestion, congestionOf, DropPolicy, SendLag } from "../../lib/rtmp/drop_policy.ts";
import { TAG_TABLE } from "../support/tag_table.ts";

const KEY = "1701";
const INTER = "2701";
const HEADER = "1700";
const SPEEX = "b2aa";
const AAC_HEADER = "af00";

Deno.test("congestion by bytes and by time", () => {
  const limits = { softUnsent: 100, hardUnsent: 300, maxLagMs: 1000 };
  const table: [number, number, Congestion][] = [
    [0, 0, 0],
    [99, 999, 0],
    [100, 0, 1],
    [0, 1000, 1],
    [199, 1999, 1],
    [200, 0, 2],
    [0, 2000, 2],
  ];
  for (const [unsent, lagMs, expected] of table) assert.equal(congestionOf(limits, unsent, lagMs), expected);
});

/** Steps "type body congestion" and whether each is sent. */
function run(policy: DropPolicy, steps: [8 | 9 | 18, string, Congestion, boolean][]): void {
  for (const [index, [type, body, congestion, sent]] of steps.entries()) {
    assert.equal(policy.admit(type, fromHex(body), congestion), sent, `step ${index}`);
  }
}

Deno.test("video is dropped first, up to the next key frame; audio goes on", () => {
  const policy = new DropPolicy();
  run(policy, [
    [9, HEADER, 0, true],
    [9, KEY, 0, true],
    [9, INTER, 1, false],
    [8, SPEEX, 1, true],
    [9, KEY, 1, false],
    [9, INTER, 0, false],
    [8, SPEEX, 0, true],
    [9, KEY, 0, true],
    [9, INTER, 0, true],
  ]);
  assert.deepEqual([policy.droppedVideo, policy.droppedAudio], [3, 0]);
});

Deno.test("then audio is dropped; headers and data never are", () => {
  const policy = new DropPolicy();
  run(policy, [
    [9, KEY, 0, true],
    [8, SPEEX, 2, false],
    [8, AAC_HEADER, 2, true],
    [9, HEADER, 2, true],
    [18, "02", 2, true],
    [8, SPEEX, 1, true],
  ]);
  assert.deepEqual([policy.droppedVideo, policy.droppedAudio], [0, 1]);
});

Deno.test("without video, audio is dropped at the first mark", () => {
  const policy = new DropPolicy();
  run(policy, [[8, SPEEX, 0, true], [8, SPEEX, 1, false], [8, SPEEX, 0, true]]);
  assert.equal(policy.droppedAudio, 1);
});

Deno.test("after a pause video waits for a key frame, unless there was none before", () => {
  const policy = new DropPolicy();
  policy.awaitKeyFrame();
  run(policy, [[9, INTER, 0, true]]);
  policy.awaitKeyFrame();
  run(policy, [[9, INTER, 0, false], [9, KEY, 0, true]]);
});

Deno.test("of every tag only sound and pictures are ever lost", () => {
  for (const { what, type, body, content } of TAG_TABLE) {
    const policy = new DropPolicy();
    const lost = type !== 18 && (content === "frame" || content === "key" || content === "other");
    assert.equal(policy.admit(type, fromHex(body), 2), !lost, what);
    assert.equal(policy.droppedAudio + policy.droppedVideo, lost ? 1 : 0, what);
  }
});

Deno.test("after a loss pictures go on at a key frame of the first track", () => {
  for (const { what, type, body, content, track = 0 } of TAG_TABLE) {
    if (type !== 9) continue;
    const policy = new DropPolicy();
    run(policy, [[9, "1701000000aa", 0, true], [9, INTER, 1, false]]);
    policy.admit(9, fromHex(body), 0);
    assert.equal(policy.admit(9, fromHex(INTER), 0), content === "key" && track === 0, what);
  }
});

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
