import assert from "node:assert/strict";
import { WireError } from "../../lib/base/errors.ts";
import { FlvCursor } from "../../lib/flv/cursor.ts";
import { DiskFile } from "../../lib/flv/disk.ts";
import { film, flvFile, inFolder, picture } from "../support/live_flv.ts";

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
