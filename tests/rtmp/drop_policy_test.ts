import assert from "node:assert/strict";
import { fromHex } from "../../lib/base/bytes.ts";
import { type Congestion, congestionOf, DropPolicy } from "../../lib/rtmp/drop_policy.ts";
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
