// A disk that is full or breaks while something is recorded: what has come to it can be played up to there, or is gone,
// and the next recording starts as if nothing had been.

import assert from "node:assert/strict";
import { TransportError } from "../../lib/base/errors.ts";
import { FlvSeekReader } from "../../lib/flv/seek_reader.ts";
import { FlvWriter } from "../../lib/flv/writer.ts";
import { DISK_FAULTS, type DiskFailure, failWrites, mountTmpfs } from "../support/full_disk.ts";
import { film, flvFile, inFolder } from "../support/live_flv.ts";

/** Records until the disk fails, so many tags to a write; how many were taken. */
async function recordUntilFull(writer: FlvWriter, most: number, atOnce = 1): Promise<number> {
  let taken = 0;
  for (const { type, timeMs, body } of film(most)) {
    if (!writer.put(type, timeMs, body)) break;
    taken++;
    if (taken % atOnce !== 0) continue;
    while (writer.failure === null && writer.waiting > 0) await new Promise((go) => setTimeout(go, 0));
  }
  return taken;
}

/** Times of everything that a player gets. */
async function playedTimes(path: string): Promise<number[]> {
  using reader = await FlvSeekReader.open(path);
  const times: number[] = [];
  while (await reader.fill()) {
    for (let tag = reader.next(); tag !== null; tag = reader.next()) times.push(tag.timeMs);
  }
  return times;
}

async function names(folder: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name).sort();
}

for (const [fault, message] of DISK_FAULTS) {
  for (const failure of ["writes", "everything"] satisfies DiskFailure[]) {
    for (const k of [0, 1, 7]) {
      Deno.test(`${fault} at write ${k} of a new recording, ${failure} fail: played up to there, or gone`, () =>
        inFolder(async (folder) => {
          const path = `${folder}/film.flv`;
          {
            using _broken = failWrites(k, message, failure);
            const writer = await FlvWriter.create(path);
            await recordUntilFull(writer, 2_000);
            await assert.rejects(writer.close(), (error) => {
              assert.ok(error instanceof TransportError);
              assert.match(error.message, /^Cannot write .*film\.flv\.part: [A-Z][^()]+$/);
              return true;
            });
            assert.deepEqual(await names(folder), writer.kept ? ["film.flv"] : []);
            assert.equal(writer.kept, k > 0, "the first write is the header and the first tag");
            if (writer.kept) {
              const times = await playedTimes(path);
              assert.ok(times.length >= k - 1, `${times.length} tags`);
              assert.ok(Math.abs(Math.max(...times) - writer.durationMs) <= 40);
            }
          }
          await using again = await FlvWriter.create(path); // once there is room again
          assert.ok(await recordUntilFull(again, 200) > 5);
          await again.close();
          assert.deepEqual(await names(folder), ["film.flv"]);
          assert.ok(Math.max(...await playedTimes(path)) >= 160);
        }));
    }
  }
}

for (const [fault, message] of DISK_FAULTS) {
  Deno.test(`${fault} while appending: what was there stays, with the whole tags that came`, () =>
    inFolder(async (folder) => {
      const path = `${folder}/film.flv`;
      await Deno.writeFile(path, flvFile(film(400)));
      const before = await playedTimes(path);
      {
        using _broken = failWrites(5, message);
        const writer = await FlvWriter.append(path);
        await recordUntilFull(writer, 2_000);
        await assert.rejects(writer.close(), TransportError);
        assert.ok(writer.kept);
      }
      const after = await playedTimes(path);
      assert.ok(after.length > before.length, `${before.length} and ${after.length}`);
      await using again = await FlvWriter.append(path);
      await recordUntilFull(again, 200);
    }));

  Deno.test(`${fault} when the index is written at the end: the recording has its name all the same`, () =>
    inFolder(async (folder) => {
      const path = `${folder}/film.flv`;
      const writer = await FlvWriter.create(path);
      const taken = await recordUntilFull(writer, 400);
      {
        using _broken = failWrites(0, message, "everything");
        await assert.rejects(writer.close(), TransportError);
      }
      assert.deepEqual(await names(folder), ["film.flv"]);
      assert.ok((await playedTimes(path)).length >= taken - 2);
    }));
}

const mayMount = await (async () => {
  const folder = await Deno.makeTempDir();
  const disk = await mountTmpfs(folder, 4);
  await disk?.[Symbol.asyncDispose]();
  await Deno.remove(folder, { recursive: true });
  return disk !== null;
})();

Deno.test({
  name: "a real file system of 256 KiB: played up to there, removed there is room for the next",
  ignore: !mayMount,
}, () =>
  inFolder(async (folder) => {
    await using disk = await mountTmpfs(folder, 256);
    assert.ok(disk !== null);
    const path = `${disk.path}/film.flv`;
    for (let round = 0; round < 2; round++) {
      const writer = await FlvWriter.create(path);
      await recordUntilFull(writer, 300_000, 20);
      await assert.rejects(writer.close(), /No space left on device/);
      assert.deepEqual(await names(disk.path), ["film.flv"]);
      const times = await playedTimes(path);
      assert.ok(Math.max(...times) >= writer.durationMs - 40 && times.length > 500, `${times.length} tags`);
      await Deno.remove(path);
    }
  }));
