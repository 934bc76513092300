import assert from "node:assert/strict";
import { MAX_HEADERS } from "../../lib/flv/metadata.ts";
import { FlvSurvey } from "../../lib/flv/survey.ts";
import { createTag, readTag, type Tag } from "../../lib/media/tag.ts";
import { fromHex } from "../support/hex.ts";
import { TAG_TABLE } from "../support/tag_table.ts";

const tag = (type: 8 | 9 | 18, body: string): Tag => readTag(type, fromHex(body), createTag());
const AAC_CONFIG = tag(8, "af001210");
const SOUND = tag(8, "af0121");
const AVC_CONFIG = tag(9, "170000000001");
const KEY = tag(9, "1701000000aa");
const PICTURE = tag(9, "2701000000aa");
const DATA = tag(18, "02000161");

Deno.test("with pictures playing starts at key frames", () => {
  const survey = new FlvSurvey();
  survey.note(AAC_CONFIG, 0, 13);
  survey.note(SOUND, 0, 30);
  survey.note(SOUND, 20, 50);
  assert.equal(survey.index.size, 1);
  survey.note(AVC_CONFIG, 40, 70);
  assert.equal(survey.index.size, 0);
  survey.note(KEY, 40, 100);
  survey.note(SOUND, 2000, 200);
  survey.note(PICTURE, 2010, 300);
  survey.note(KEY, 2050, 400);
  survey.note(DATA, 99_999, 500);
  survey.note(SOUND, 2040, 600);
  assert.deepEqual(survey.index.entries(), [{ timeMs: 40, position: 100 }, { timeMs: 2050, position: 400 }]);
  assert.deepEqual([survey.hasVideo, survey.lastTimeMs, survey.headers], [true, 2050, [13, 70]]);
});

Deno.test("without pictures it starts anywhere, and one place a second is remembered", () => {
  const survey = new FlvSurvey();
  for (let timeMs = 0; timeMs <= 3000; timeMs += 20) survey.note(SOUND, timeMs, 13 + timeMs);
  assert.deepEqual(survey.index.entries().map(({ timeMs }) => timeMs), [0, 1000, 2000, 3000]);
  assert.equal(survey.hasVideo, false);
});

Deno.test("of many configurations the first and the latest are remembered", () => {
  const survey = new FlvSurvey();
  for (let position = 1; position <= 100; position++) survey.note(AVC_CONFIG, position, position);
  const headers = survey.headers;
  assert.equal(headers.length, MAX_HEADERS);
  assert.deepEqual([headers[0], headers[1], headers[2], headers.at(-1)], [1, 2, 71, 100]);
});

Deno.test("what a file says about itself is gone on from", () => {
  const survey = new FlvSurvey();
  const keyFrames = [{ timeMs: 0, position: 100 }, { timeMs: 1000, position: 200 }];
  survey.adopt({ durationMs: 1960, fileBytes: 999, keyFrames, headers: [50], properties: {} }, true);
  survey.note(KEY, 2000, 999);
  assert.deepEqual(survey.index.entries(), [...keyFrames, { timeMs: 2000, position: 999 }]);
  assert.deepEqual([survey.headers, survey.lastTimeMs, survey.hasVideo], [[50], 2000, true]);
});

Deno.test("of every tag a file remembers what is needed later: places to start at, and configurations", () => {
  for (const { what, type, body, content } of TAG_TABLE) {
    const survey = new FlvSurvey();
    survey.note(tag(type, body), 40, 100);
    const isSound = type === 8 && (content === "frame" || content === "other");
    assert.equal(survey.index.size, content === "key" || isSound ? 1 : 0, what);
    assert.deepEqual(survey.headers, content === "config" || content === "info" ? [100] : [], what);
    assert.deepEqual([survey.hasMedia, survey.hasVideo], [type !== 18, type === 9], what);
  }
});

Deno.test("a key frame of another track is no place to start at", () => {
  const survey = new FlvSurvey();
  survey.note(KEY, 0, 10);
  survey.note(tag(9, "96016176633101000000aa"), 0, 20);
  survey.note(KEY, 1000, 30);
  assert.deepEqual(survey.index.entries().map(({ position }) => position), [10, 30]);
});
