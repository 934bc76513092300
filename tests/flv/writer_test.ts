// Recordings: metadata, index, append, crashes, failures. The basics are in file_test.ts.
import assert from "node:assert/strict";
import { encodeAmf0 } from "../../lib/amf/amf0.ts";
import { AmfEcmaArray } from "../../lib/amf/value.ts";
import { TransportError, WireError } from "../../lib/base/errors.ts";
import { FlvWriter } from "../../lib/flv/file.ts";
import { type FlvSummary, parseMetaData } from "../../lib/flv/metadata.ts";
import { FlvTagReader } from "../../lib/flv/tag.ts";
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

async function readBack(
  path: string,
): Promise<{ summary: FlvSummary | null; tags: TestTag[]; bytes: Uint8Array }> {
  const bytes = await Deno.readFile(path);
  const reader = new FlvTagReader();
  reader.feed(bytes);
  const all: TestTag[] = [];
  for (let tag = reader.next(); tag !== null; tag = reader.next()) {
    all.push({ ...tag, body: tag.body.slice() });
  }
  assert.equal(reader.unfinished, 0);
  const summary = all[0]?.type === 18 ? parseMetaData(all[0].body) : null;
  return { summary, tags: summary === null ? all : all.slice(1), bytes };
}

function putAll(writer: FlvWriter, tags: readonly TestTag[], shiftMs = 0): void {
  for (const { type, timeMs, body } of tags) assert.ok(writer.put(type, timeMs + shiftMs, body));
}

/** Every place and header of the summary is the first byte of such a tag. */
function checkPlaces({ summary, bytes }: { summary: FlvSummary | null; bytes: Uint8Array }): void {
  for (const { position } of summary!.keyFrames) {
    assert.deepEqual([...bytes.subarray(position, position + 1)], [9]);
    assert.deepEqual([...bytes.subarray(position + 11, position + 13)], [0x17, 1]);
  }
  for (const position of summary!.headers) assert.equal(bytes[position + 12], 0);
}

Deno.test("a recording says how long it is, where its key frames are and what the publisher said", () =>
  inFolder(async (folder) => {
    const writer = await FlvWriter.create(`${folder}/a.flv`);
    assert.equal(writer.lastTimeMs, null);
    writer.describe({ width: 320, height: 1 });
    putAll(writer, film(3000));
    assert.equal(writer.lastTimeMs, 3000);
    writer.describe({ height: 240 });
    await writer.close();
    const found = await readBack(`${folder}/a.flv`);
    assert.deepEqual(found.tags, film(3000));
    const { durationMs, fileBytes, properties, keyFrames, headers } = found.summary!;
    assert.deepEqual([durationMs, fileBytes, properties], [3000, found.bytes.length, {
      width: 320,
      height: 240,
    }]);
    assert.deepEqual(keyFrames.map(({ timeMs }) => timeMs), [0, 1000, 2000, 3000]);
    assert.equal(headers.length, 2);
    checkPlaces(found);
  }));

Deno.test("an append goes on behind the last tag, and the index is of the whole file", () =>
  inFolder(async (folder) => {
    const path = `${folder}/b.flv`;
    const first = await FlvWriter.append(path); // nothing there: as a new one
    putAll(first, film(2000));
    await first.close();
    const second = await FlvWriter.append(path);
    assert.equal(second.lastTimeMs, 2000);
    second.describe({ width: 5 });
    putAll(second, film(1000), 2020);
    await second.close();
    const found = await readBack(path);
    assert.deepEqual(found.tags, [
      ...film(2000),
      ...film(1000).map((tag) => ({ ...tag, timeMs: tag.timeMs + 2020 })),
    ]);
    assert.deepEqual(found.summary!.keyFrames.map(({ timeMs }) => timeMs), [0, 1000, 2000, 2020, 3020]);
    assert.deepEqual([found.summary!.durationMs, found.summary!.fileBytes], [3020, found.bytes.length]);
    assert.deepEqual([found.summary!.headers.length, found.summary!.properties], [4, { width: 5 }]);
    checkPlaces(found);
  }));

Deno.test("after a crash an append finds the last whole tag, under either name", () =>
  inFolder(async (folder) => {
    const path = `${folder}/c.flv`;
    const writer = await FlvWriter.create(path);
    putAll(writer, film(2000));
    await writer.close();
    const whole = await Deno.readFile(path);
    const cutTag = film(2000).at(-1)!.body.length + 15;
    for (const leftAs of [path, `${path}.part`]) {
      await Deno.remove(path);
      await Deno.writeFile(leftAs, whole.subarray(0, whole.length - 4));
      const again = await FlvWriter.append(path);
      assert.equal(again.lastTimeMs, 2000); // the picture at 2000 is whole, the sound after it is cut
      putAll(again, film(500), 2020);
      await again.close();
      const found = await readBack(path);
      assert.equal(found.tags.length, film(2000).length - 1 + film(500).length);
      assert.equal(found.bytes.length, whole.length - cutTag + flvFile(film(500)).length - 13);
      assert.deepEqual(found.summary!.keyFrames.map(({ timeMs }) => timeMs), [0, 1000, 2000, 2020]);
      checkPlaces(found);
    }
  }));

Deno.test("another program's file keeps its shape: only its duration is corrected", () =>
  inFolder(async (folder) => {
    const path = `${folder}/d.flv`;
    const body = encodeAmf0(["onMetaData", new AmfEcmaArray({ duration: 1, videocodecid: 2 })]);
    await Deno.writeFile(path, flvFile([{ type: 18, timeMs: 0, body }, ...film(1000)]));
    const writer = await FlvWriter.append(path);
    putAll(writer, film(400), 1020);
    await writer.close();
    const found = await readBack(path);
    assert.deepEqual([found.summary!.durationMs, found.summary!.properties], [1420, { videocodecid: 2 }]);
    assert.equal(found.tags.length, film(1000).length + film(400).length);
    await Deno.writeFile(path, flvFile(film(1000)));
    const bare = await FlvWriter.append(path);
    putAll(bare, film(400), 1020);
    await bare.close();
    assert.equal((await readBack(path)).tags.length, film(1000).length + film(400).length);
  }));

Deno.test("what is no FLV file is not appended to, and stays as it is", () =>
  inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/e.flv`, "precious text");
    await assert.rejects(FlvWriter.append(`${folder}/e.flv`), WireError);
    assert.equal(await Deno.readTextFile(`${folder}/e.flv`), "precious text");
    await assert.rejects(FlvWriter.append(`${folder}/no/such.flv`), TransportError);
  }));

Deno.test("a recording that is given up leaves the earlier file as it was", () =>
  inFolder(async (folder) => {
    const path = `${folder}/x.flv`;
    await Deno.writeFile(path, flvFile(film(100)));
    const writer = await FlvWriter.create(path);
    await writer.discard();
    await writer.discard();
    assert.equal(writer.put(8, 0, speech()), false);
    const appended = await FlvWriter.append(path);
    await appended.discard();
    assert.deepEqual(await Deno.readFile(path), flvFile(film(100)));
    assert.deepEqual((await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name), ["x.flv"]);
  }));

Deno.test("a failed disk is known at once, and tags are counted", () =>
  inFolder(async (folder) => {
    await Deno.symlink("/dev/full", `${folder}/f.flv.part`);
    const writer = await FlvWriter.create(`${folder}/f.flv`);
    assert.deepEqual([writer.failure, writer.dropped], [null, 0]);
    writer.put(8, 0, speech());
    await assert.rejects(writer.close(), TransportError);
    assert.ok(writer.failure instanceof TransportError);
    assert.equal(writer.put(8, 20, speech()), false);
    assert.equal(writer.dropped, 1);
  }));

Deno.test("a recording without pictures has places too", () =>
  inFolder(async (folder) => {
    await using writer = await FlvWriter.create(`${folder}/g.flv`);
    for (let timeMs = 0; timeMs < 2500; timeMs += 20) writer.put(8, timeMs, speech(timeMs & 255));
    assert.ok(writer.waiting > 0);
    await writer.close();
    const { summary } = await readBack(`${folder}/g.flv`);
    assert.deepEqual(summary!.keyFrames.map(({ timeMs }) => timeMs), [0, 1000, 2000]);
    assert.deepEqual([summary!.durationMs, summary!.headers], [2480, []]);
  }));

Deno.test("configuration that changes is remembered in both versions", () =>
  inFolder(async (folder) => {
    await using writer = await FlvWriter.create(`${folder}/h.flv`);
    for (const version of [1, 2]) {
      writer.put(9, version, avcHeader(version));
      writer.put(8, version, aacHeader());
      writer.put(9, version, picture(true));
    }
    await writer.close();
    assert.equal((await readBack(`${folder}/h.flv`)).summary!.headers.length, 4);
  }));

Deno.test("a publisher that says ever more about its stream is not written down for ever", () =>
  inFolder(async (folder) => {
    const writer = await FlvWriter.create(`${folder}/a.flv`);
    for (let i = 0; i < 1000; i++) writer.describe({ [`name${i}`]: i });
    writer.describe({ name0: "changed" });
    putAll(writer, film(100));
    await writer.close();
    const { properties } = (await readBack(`${folder}/a.flv`)).summary!;
    assert.equal(Object.keys(properties).length, 64);
    assert.equal(properties.name0, "changed");
  }));
