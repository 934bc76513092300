import assert from "node:assert/strict";
import { encodeAmf0 } from "../../lib/amf/amf0.ts";
import { WireError } from "../../lib/base/errors.ts";
import { DiskFile } from "../../lib/flv/disk.ts";
import { FlvWriter } from "../../lib/flv/writer.ts";
import {
  FlvCursor,
  type FlvInspection,
  FlvSurvey,
  inspectFlv,
  readBeginning,
} from "../../lib/flv/inspect.ts";
import { MAX_HEADERS } from "../../lib/flv/metadata.ts";
import { createTag, readTag, type Tag } from "../../lib/media/tag.ts";
import { fromHex } from "../support/hex.ts";
import { film, flvFile, inFolder, picture, type TestTag } from "../support/live_flv.ts";
import { TAG_TABLE } from "../support/tag_table.ts";

async function inspect(path: string): Promise<FlvInspection> {
  using file = await DiskFile.open(path, "read");
  return await inspectFlv(file);
}

async function record(path: string, tags: readonly TestTag[]): Promise<void> {
  await using writer = await FlvWriter.create(path);
  for (const { type, timeMs, body } of tags) assert.ok(writer.put(type, timeMs, body));
}

Deno.test("reading through finds the same as the index says", () =>
  inFolder(async (folder) => {
    const path = `${folder}/a.flv`;
    await record(path, film(5000));
    const bytes = await Deno.readFile(path);
    const indexed = await inspect(path);
    await Deno.writeFile(path, bytes.subarray(0, bytes.length - 2)); // now the index is of another file
    const cut = await inspect(path);
    assert.deepEqual(indexed.survey.index.entries().map(({ timeMs }) => timeMs), [
      0,
      1000,
      2000,
      3000,
      4000,
      5000,
    ]);
    assert.deepEqual(cut.survey.index.entries(), indexed.survey.index.entries());
    assert.deepEqual(cut.survey.headers, indexed.survey.headers);
    assert.equal(indexed.end, bytes.length);
    assert.equal(cut.end, bytes.length - 15 - 3); // the last tag is sound
    for (const { survey } of [indexed, cut]) {
      assert.deepEqual([survey.lastTimeMs, survey.hasVideo], [5000, true]);
    }
  }));

Deno.test("the beginning of files with and without metadata", () =>
  inFolder(async (folder) => {
    const tags = film(1000);
    const metadata = { type: 18, timeMs: 0, body: encodeAmf0(["onMetaData", { duration: 7 }]) } as const;
    const table = [
      [flvFile(tags), 13, null, 1000],
      [flvFile([metadata, ...tags]), 28 + metadata.body.length, 7000, 1000],
      [flvFile([]), 13, null, null],
      [flvFile(tags).subarray(0, 200), 13, null, null],
    ] as const;
    for (const [bytes, mediaAt, durationMs, lastTimeMs] of table) {
      await Deno.writeFile(`${folder}/b.flv`, bytes);
      using file = await DiskFile.open(`${folder}/b.flv`, "read");
      const found = await readBeginning(file).catch((error: unknown) => error);
      if (bytes.length === 13) {
        assert.ok("mediaAt" in (found as object));
        assert.equal((found as { metadata: unknown }).metadata, null);
        continue;
      }
      const { metadata, ...rest } = found as Awaited<ReturnType<typeof readBeginning>>;
      assert.deepEqual([rest.mediaAt, metadata?.summary.durationMs ?? null], [mediaAt, durationMs]);
      assert.deepEqual([rest.lastTimeMs, rest.indexed, rest.size], [lastTimeMs, false, bytes.length]);
    }
  }));

Deno.test("what is no FLV file is a wire error", () =>
  inFolder(async (folder) => {
    for (const text of ["", "hello, this is a text"]) {
      await Deno.writeTextFile(`${folder}/c.flv`, text);
      await assert.rejects(inspect(`${folder}/c.flv`), WireError);
    }
  }));

Deno.test("positions are those of the tags, and any of them can be gone to", () =>
  inFolder(async (folder) => {
    const tags = [...film(2000), { type: 9, timeMs: 2040, body: picture(true, 200_000) } as const];
    const bytes = flvFile(tags);
    await Deno.writeFile(`${folder}/a.flv`, bytes);
    using file = await DiskFile.open(`${folder}/a.flv`, "read");
    const cursor = new FlvCursor(file);
    const positions: number[] = [];
    let at = 13;
    for (const tag of tags) {
      const read = await cursor.read();
      assert.deepEqual(read, tag);
      assert.equal(cursor.tagPosition, at);
      at += 15 + tag.body.length;
      assert.equal(cursor.position, at);
      positions.push(cursor.tagPosition);
    }
    assert.equal(await cursor.read(), null);
    assert.deepEqual([cursor.position, cursor.unfinished], [bytes.length, 0]);
    for (const n of [7, 0, tags.length - 1, 50]) {
      cursor.moveTo(positions[n]!);
      assert.deepEqual(await cursor.read(), tags[n]);
    }
    cursor.moveTo(0);
    assert.deepEqual(await cursor.read(), tags[0]);
  }));

Deno.test("a file that is cut off, and one that is none", () =>
  inFolder(async (folder) => {
    const bytes = flvFile(film(100));
    await Deno.writeFile(`${folder}/cut.flv`, bytes.subarray(0, bytes.length - 1));
    using cut = await DiskFile.open(`${folder}/cut.flv`, "read");
    const cursor = new FlvCursor(cut);
    let count = 0;
    while (await cursor.read() !== null) count++;
    assert.equal(count, film(100).length - 1);
    assert.ok(cursor.unfinished > 0);
    await Deno.writeTextFile(`${folder}/empty`, "");
    using empty = await DiskFile.open(`${folder}/empty`, "read");
    await assert.rejects(new FlvCursor(empty).read(), WireError);
  }));

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
