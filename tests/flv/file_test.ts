// FLV files on disk: what is recorded is read back, failures leave nothing open.
import assert from "node:assert/strict";
import { TransportError, WireError } from "../../lib/base/errors.ts";
import { FlvReader, FlvWriter } from "../../lib/flv/file.ts";
import { fromHex, toHex } from "../support/hex.ts";

async function inFolder(run: (folder: string) => Promise<void>): Promise<void> {
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
  inFolder(async (folder) => {
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
  inFolder(async (folder) => {
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
  inFolder(async (folder) => {
    {
      await using _writer = await FlvWriter.create(`${folder}/c.flv`);
    }
    assert.deepEqual((await readTags(`${folder}/c.flv`)).tags.map(([type]) => type), [18]);
  }));

Deno.test("above the bound of its queue a recording drops and counts", () =>
  inFolder(async (folder) => {
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
  inFolder(async (folder) => {
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
  inFolder(async (folder) => {
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
  await inFolder(async (folder) => {
    await Deno.symlink("/dev/full", `${folder}/i.flv.part`);
    const writer = await FlvWriter.create(`${folder}/i.flv`);
    writer.put(8, 0, new Uint8Array(10));
    await assert.rejects(writer.close(), TransportError);
  });
});
