// Recordings: metadata, index, append, crashes, failures.

import assert from "node:assert/strict";
import { encodeAmf0 } from "../../lib/amf/amf0.ts";
import { AmfEcmaArray } from "../../lib/amf/value.ts";
import { TransportError, WireError } from "../../lib/base/errors.ts";
import { type FlvSummary, parseMetaData } from "../../lib/flv/metadata.ts";
import { FlvTagReader } from "../../lib/flv/tag.ts";
import { FlvReader, FlvWriter } from "../../lib/flv/writer.ts";
import { fromHex, toHex } from "../support/hex.ts";
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

async function withFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function readTags(path: string): Promise<{ tags: [number, number, string][]; truncated: boolean }> {
  const reader = await FlvReader.open(path);
  const tags: [number, number, string][] = [];
  for await (const tag of reader.tags()) tags.push([tag.type, tag.timeMs, toHex(tag.body)]);
  return { tags, truncated: reader.truncated };
}

Deno.test("a recording is read back tag by tag, behind metadata with its duration", () =>
  withFolder(async (folder) => {
    const path = `${folder}/a.flv`;
    const writer = await FlvWriter.create(path);
    const wanted: [number, number, string][] = [];
    const body = new Uint8Array(900);
    for (let i = 0; i < 300; i++) {
      body.fill(i);
      const type = i % 3 === 0 ? 9 : 8;
      assert.ok(writer.put(type, 1000 + 20 * i, body.subarray(0, 3 * i)));
      wanted.push([type, 1000 + 20 * i, toHex(body.subarray(0, 3 * i))]);
    }
    await writer.close();
    await writer.close();
    const { tags: [meta, ...tags], truncated } = await readTags(path);
    assert.deepEqual(tags, wanted);
    assert.equal(truncated, false);
    const metadata = fromHex(meta![2]);
    assert.equal(new TextDecoder().decode(metadata.subarray(3, 13)), "onMetaData");
    assert.equal(new DataView(metadata.buffer).getFloat64(29), 299 * 0.02);
    const names: string[] = [];
    for await (const entry of Deno.readDir(folder)) names.push(entry.name);
    assert.deepEqual(names, ["a.flv"]);
  }));

Deno.test("until it is closed a recording has another name, and is whole up to its last tag", () =>
  withFolder(async (folder) => {
    const writer = await FlvWriter.create(`${folder}/b.flv`);
    writer.put(8, 0, fromHex("b201"));
    await assert.rejects(FlvReader.open(`${folder}/b.flv`), TransportError);
    await writer.close();
    assert.equal(writer.put(8, 20, fromHex("b202")), false);
    assert.equal(writer.dropped, 1);
    const bytes = await Deno.readFile(`${folder}/b.flv`);
    await Deno.writeFile(`${folder}/cut.flv`, bytes.subarray(0, bytes.length - 3));
    const { tags, truncated } = await readTags(`${folder}/cut.flv`);
    assert.equal(tags.length, 1);
    assert.equal(truncated, true);
  }));

Deno.test("an empty recording is a file with metadata only", () =>
  withFolder(async (folder) => {
    {
      await using _writer = await FlvWriter.create(`${folder}/c.flv`);
    }
    assert.deepEqual((await readTags(`${folder}/c.flv`)).tags.map(([type]) => type), [18]);
  }));

Deno.test("above the bound of its queue a recording drops and counts", () =>
  withFolder(async (folder) => {
    const writer = await FlvWriter.create(`${folder}/d.flv`);
    const body = new Uint8Array(1 << 20);
    let taken = 0;
    while (taken < 100 && writer.put(9, taken, body)) taken++;
    assert.ok(taken >= 7 && taken <= 17, `took ${taken}`);
    assert.equal(writer.dropped, 1);
    await writer.close();
    assert.equal((await readTags(`${folder}/d.flv`)).tags.length, taken + 1);
  }));

Deno.test("places that cannot be read or written are transport errors in plain words", () =>
  withFolder(async (folder) => {
    await assert.rejects(FlvReader.open(`${folder}/none.flv`), (error) => {
      assert.ok(error instanceof TransportError);
      assert.match(error.message, /^Cannot open .*none\.flv: /);
      return true;
    });
    await assert.rejects(FlvWriter.create(`${folder}/no/such/x.flv`), TransportError);
    const writer = await FlvWriter.create(`${folder}/e.flv`);
    await Deno.remove(`${folder}/e.flv.part`);
    await assert.rejects(writer.close(), /Cannot name .*e\.flv/);
  }));

Deno.test("files that are no FLV are wire errors, and a reader may stop early", () =>
  withFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/f.txt`, "hello");
    await assert.rejects(readTags(`${folder}/f.txt`), WireError);
    await Deno.writeTextFile(`${folder}/g.flv`, "");
    await assert.rejects(readTags(`${folder}/g.flv`), /ends before its first tag/);
    const writer = await FlvWriter.create(`${folder}/h.flv`);
    writer.put(8, 0, fromHex("b201"));
    await writer.close();
    const reader = await FlvReader.open(`${folder}/h.flv`);
    for await (const tag of reader.tags()) {
      assert.equal(tag.type, 18);
      break;
    }
    const unread = await FlvReader.open(`${folder}/h.flv`);
    unread.close();
    unread[Symbol.dispose]();
    assert.equal((await unread.tags().next().catch((error: unknown) => error)) instanceof WireError, true);
  }));

Deno.test("a full disk ends a recording with an error, not the process", async () => {
  // /dev/full accepts an open and refuses every write; the name is a link to it.
  await withFolder(async (folder) => {
    await Deno.symlink("/dev/full", `${folder}/i.flv.part`);
    const writer = await FlvWriter.create(`${folder}/i.flv`);
    writer.put(8, 0, new Uint8Array(10));
    await assert.rejects(writer.close(), TransportError);
  });
});
