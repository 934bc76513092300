import assert from "node:assert/strict";
import fc from "fast-check";
import { decodeAmf0, encodeAmf0 } from "../../lib/amf/amf0.ts";
import { AmfEcmaArray, propertiesOf } from "../../lib/amf/value.ts";
import { TransportError, WireError } from "../../lib/base/errors.ts";
import { FlvSeekReader, FlvWriter } from "../../lib/flv/writer.ts";
import { encodeMetaData } from "../../lib/flv/metadata.ts";
import { mutate } from "../support/mutate.ts";
import {
  aacHeader,
  avcHeader,
  film,
  flvFile,
  inFolder,
  picture,
  speech,
  type TestTag,
} from "../support/live_flv.ts";

async function record(path: string, tags: readonly TestTag[]): Promise<void> {
  await using writer = await FlvWriter.create(path);
  for (const { type, timeMs, body } of tags) writer.put(type, timeMs, body);
}

async function nextTag(reader: FlvSeekReader): Promise<TestTag | null> {
  for (;;) {
    const tag = reader.next();
    if (tag !== null) return { ...tag, body: tag.body.slice() };
    if (!await reader.fill()) return null;
  }
}

async function restOf(reader: FlvSeekReader): Promise<TestTag[]> {
  const tags: TestTag[] = [];
  for (let tag = await nextTag(reader); tag !== null; tag = await nextTag(reader)) tags.push(tag);
  return tags;
}

/** The same film with our index, with another program's, with a wrong one, without metadata. */
const VARIANTS: readonly [name: string, make: (path: string, tags: readonly TestTag[]) => Promise<void>][] = [
  ["our index", record],
  ["no metadata", (path, tags) => Deno.writeFile(path, flvFile(tags))],
  ["another program's index, too coarse and without headers", async (path, tags) => {
    const summary = { durationMs: 5000, keyFrames: [], headers: [], properties: {} };
    const bare = flvFile([
      { type: 18, timeMs: 0, body: encodeMetaData({ ...summary, fileBytes: 0 }, 500)! },
      ...tags,
    ]);
    const position = bare.length - flvFile(tags.slice(2)).length + 13;
    const keyFrames = [{ timeMs: 0, position }];
    const body = encodeMetaData({ ...summary, keyFrames, fileBytes: bare.length }, 500)!;
    await Deno.writeFile(path, flvFile([{ type: 18, timeMs: 0, body }, ...tags]));
  }],
  ["an index that points into nowhere", async (path, tags) => {
    const keyFrames = [{ timeMs: 0, position: 700 }, { timeMs: 1500, position: 1301 }, {
      timeMs: 1501,
      position: 5e9,
    }];
    const summary = { durationMs: 5000, keyFrames, headers: [3, 77, 6e9], properties: {} };
    const make = (fileBytes: number): Uint8Array =>
      flvFile([{ type: 18, timeMs: 0, body: encodeMetaData({ ...summary, fileBytes }, 600)! }, ...tags]);
    await Deno.writeFile(path, make(make(0).length));
  }],
];

for (const [name, make] of VARIANTS) {
  Deno.test(`${name}: from the start every tag comes, and a seek finds the key frame before it`, () =>
    inFolder(async (folder) => {
      const tags = film(5000);
      await make(`${folder}/a.flv`, tags);
      using reader = await FlvSeekReader.open(`${folder}/a.flv`);
      assert.equal(reader.durationMs, 5000);
      assert.deepEqual(await restOf(reader), tags);
      for (
        const [timeMs, found] of [[3500, 3000], [0, 0], [999, 0], [1000, 1000], [5000, 5000], [
          20,
          0,
        ]] as const
      ) {
        const place = await reader.seek(timeMs);
        assert.equal(place?.timeMs, found, `${timeMs}`);
        assert.deepEqual(place.headers, [{ type: 9, body: avcHeader() }, { type: 8, body: aacHeader() }]);
        const next = await nextTag(reader);
        assert.deepEqual([next?.type, next?.timeMs, next?.body[0]], [9, found, 0x17]);
      }
      const before = (await nextTag(reader))?.timeMs;
      assert.equal(await reader.seek(5001), null);
      assert.ok((await nextTag(reader))!.timeMs >= before!);
    }));
}

Deno.test("metadata for players has the duration and the publisher's words", () =>
  inFolder(async (folder) => {
    const writer = await FlvWriter.create(`${folder}/b.flv`);
    writer.describe({ width: 320 });
    for (const { type, timeMs, body } of film(1000)) writer.put(type, timeMs, body);
    await writer.close();
    using reader = await FlvSeekReader.open(`${folder}/b.flv`);
    const [name, value] = decodeAmf0(reader.metadata);
    assert.deepEqual([name, { ...propertiesOf(value) }], ["onMetaData", { duration: 1, width: 320 }]);
  }));

Deno.test("sound alone is sought to the tag", () =>
  inFolder(async (folder) => {
    const tags: TestTag[] = [];
    for (let timeMs = 0; timeMs <= 4000; timeMs += 20) {
      tags.push({ type: 8, timeMs, body: speech(timeMs & 255) });
    }
    for (const path of [`${folder}/c.flv`, `${folder}/d.flv`]) {
      if (path.endsWith("c.flv")) {
        await record(path, tags);
      } else await Deno.writeFile(path, flvFile(tags));
      using reader = await FlvSeekReader.open(path);
      assert.deepEqual(await reader.seek(2531), { timeMs: 2520, headers: [] });
      assert.equal((await nextTag(reader))?.timeMs, 2520);
    }
  }));

Deno.test("configuration that changes in the middle is the right one after a seek", () =>
  inFolder(async (folder) => {
    const tags: TestTag[] = [];
    for (let version = 1; version <= 3; version++) {
      const startMs = (version - 1) * 1000;
      tags.push({ type: 9, timeMs: startMs, body: avcHeader(version) });
      for (let at = 0; at < 1000; at += 100) {
        tags.push({ type: 9, timeMs: startMs + at, body: picture(at % 500 === 0) });
      }
    }
    await record(`${folder}/e.flv`, tags);
    await Deno.writeFile(`${folder}/f.flv`, flvFile(tags));
    for (const name of ["e", "f"]) {
      using reader = await FlvSeekReader.open(`${folder}/${name}.flv`);
      for (const [timeMs, version] of [[2600, 3], [1600, 2], [600, 1], [1000, 2]] as const) {
        assert.deepEqual((await reader.seek(timeMs))?.headers, [{ type: 9, body: avcHeader(version) }]);
      }
    }
  }));

Deno.test("a file that is missing, none, or damaged anywhere is an error, never more", () =>
  inFolder(async (folder) => {
    await assert.rejects(FlvSeekReader.open(`${folder}/none.flv`), TransportError);
    await Deno.writeTextFile(`${folder}/g.flv`, "hello hello hello");
    await assert.rejects(FlvSeekReader.open(`${folder}/g.flv`), WireError);
    const metadata = encodeAmf0(["onMetaData", new AmfEcmaArray({ duration: 1 })]);
    const whole = flvFile([{ type: 18, timeMs: 0, body: metadata }, ...film(300, 3)]);
    const path = `${folder}/h.flv`;
    await fc.assert(
      fc.asyncProperty(fc.integer(), fc.nat(400), async (seed, timeMs) => {
        await Deno.writeFile(path, mutate(whole, seed));
        try {
          using reader = await FlvSeekReader.open(path);
          await reader.seek(timeMs);
          await restOf(reader);
        } catch (error) {
          assert.ok(error instanceof WireError, String(error));
        }
      }),
      { numRuns: 150 },
    );
  }));
