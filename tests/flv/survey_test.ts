import assert from "node:assert/strict";
import { MAX_HEADERS } from "../../lib/flv/metadata.ts";
import { FlvSurvey } from "../../lib/flv/survey.ts";

Deno.test("with pictures playing starts at key frames", () => {
  const survey = new FlvSurvey();
  survey.note("audio header", 0, 13);
  survey.note("audio", 0, 30);
  survey.note("audio", 20, 50);
  assert.equal(survey.index.size, 1);
  survey.note("video header", 40, 70);
  assert.equal(survey.index.size, 0);
  survey.note("key frame", 40, 100);
  survey.note("audio", 2000, 200);
  survey.note("video", 2010, 300);
  survey.note("key frame", 2050, 400);
  survey.note("data", 99_999, 500);
  survey.note("audio", 2040, 600);
  assert.deepEqual(survey.index.entries(), [{ timeMs: 40, position: 100 }, { timeMs: 2050, position: 400 }]);
  assert.deepEqual([survey.hasVideo, survey.lastTimeMs, survey.headers], [true, 2050, [13, 70]]);
});

Deno.test("without pictures it starts anywhere, and one place a second is remembered", () => {
  const survey = new FlvSurvey();
  for (let timeMs = 0; timeMs <= 3000; timeMs += 20) survey.note("audio", timeMs, 13 + timeMs);
  assert.deepEqual(survey.index.entries().map(({ timeMs }) => timeMs), [0, 1000, 2000, 3000]);
  assert.equal(survey.hasVideo, false);
});

Deno.test("of many configurations the first and the latest are remembered", () => {
  const survey = new FlvSurvey();
  for (let position = 1; position <= 100; position++) survey.note("video header", position, position);
  const headers = survey.headers;
  assert.equal(headers.length, MAX_HEADERS);
  assert.deepEqual([headers[0], headers[1], headers[2], headers.at(-1)], [1, 2, 71, 100]);
});

Deno.test("what a file says about itself is gone on from", () => {
  const survey = new FlvSurvey();
  const keyFrames = [{ timeMs: 0, position: 100 }, { timeMs: 1000, position: 200 }];
  survey.adopt({ durationMs: 1960, fileBytes: 999, keyFrames, headers: [50], properties: {} }, true);
  survey.note("key frame", 2000, 999);
  assert.deepEqual(survey.index.entries(), [...keyFrames, { timeMs: 2000, position: 999 }]);
  assert.deepEqual([survey.headers, survey.lastTimeMs, survey.hasVideo], [[50], 2000, true]);
});
