import assert from "node:assert/strict";
import { encodeAmf0 } from "../../lib/amf/amf0.ts";
import { WireError } from "../../lib/base/errors.ts";
import { DiskFile } from "../../lib/flv/disk.ts";
import { FlvWriter } from "../../lib/flv/file.ts";
import { type FlvInspection, inspectFlv, readBeginning } from "../../lib/flv/inspect.ts";
import { film, flvFile, inFolder, type TestTag } from "../support/live_flv.ts";

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
