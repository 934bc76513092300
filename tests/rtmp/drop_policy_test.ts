import assert from "node:assert/strict";
import { fromHex } from "../../lib/base/bytes.ts";
import {
  type Congestion,
  congestionOf,
  DropPolicy,
  isAudioConfig,
  isKeyFrame,
  isVideoConfig,
} from "../../lib/rtmp/drop_policy.ts";

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

Deno.test("key frames and headers are known by their first bytes", () => {
  const bytes = (text: string): Uint8Array => fromHex(text);
  for (const key of ["17", "12", "1c", "91", "90"]) assert.equal(isKeyFrame(bytes(key)), true, key);
  for (const inter of ["27", "", "a1", "37"]) assert.equal(isKeyFrame(bytes(inter)), false, inter);
  for (const config of ["1700", "1702", "1c00", "90", "92", "d0", "57"]) {
    assert.equal(isVideoConfig(bytes(config)), true, config);
  }
  for (const picture of ["1701", "2701", "22", "12", "91", "a1", "a3", ""]) {
    assert.equal(isVideoConfig(bytes(picture)), false, picture);
  }
  for (const config of ["af00", "90"]) assert.equal(isAudioConfig(bytes(config)), true, config);
  for (const sound of ["af01", "b2", "82", "91", ""]) assert.equal(isAudioConfig(bytes(sound)), false, sound);
});
