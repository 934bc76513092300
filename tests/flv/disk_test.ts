import assert from "node:assert/strict";
import { TransportError } from "../../lib/base/errors.ts";
import {
  DiskFile,
  isLink,
  kindOf,
  makeFolder,
  realPath,
  removeFile,
  renameFile,
} from "../../lib/flv/disk.ts";
import { inFolder } from "../support/live_flv.ts";

Deno.test("bytes are read and written where they belong, in any order", () =>
  inFolder(async (folder) => {
    const path = `${folder}/a`;
    using file = await DiskFile.open(path, "create");
    await file.writeAt(0, Uint8Array.of(1, 2, 3, 4, 5, 6));
    await file.writeAt(2, Uint8Array.of(9));
    await file.writeAt(6, Uint8Array.of(7));
    const into = new Uint8Array(4);
    assert.equal(await file.readAt(1, into), 4);
    assert.deepEqual([...into], [2, 9, 4, 5]);
    assert.equal(await file.readAt(5, into), 2);
    assert.equal(await file.readAt(7, into), 0);
    assert.equal(await file.size(), 7);
    await file.truncate(3);
    await file.sync();
    assert.deepEqual([...await Deno.readFile(path)], [1, 2, 9]);
    file.close();
    assert.equal(await file.readAt(0, into), 0);
    using again = await DiskFile.open(path, "update");
    await again.writeAt(0, Uint8Array.of(8));
    using reader = await DiskFile.open(path, "read");
    assert.equal(await reader.readAt(0, into), 3);
    await assert.rejects(reader.writeAt(0, into), TransportError);
  }));

Deno.test("failures name the path and what was tried", () =>
  inFolder(async (folder) => {
    const none = `${folder}/none/x`;
    await assert.rejects(
      DiskFile.open(none, "read"),
      /^TransportError: Cannot open .*none\/x: No such file or directory$/,
    );
    await assert.rejects(DiskFile.open(none, "update"), TransportError);
    await assert.rejects(DiskFile.open(none, "create"), /^TransportError: Cannot create .*none\/x: /);
    await assert.rejects(renameFile(none, `${folder}/y`), /^TransportError: Cannot name .*y: /);
    await assert.rejects(removeFile(none), /^TransportError: Cannot remove .*none\/x: /);
    await Deno.writeTextFile(`${folder}/file`, "");
    await assert.rejects(makeFolder(`${folder}/file/below`), /^TransportError: Cannot make the folder /);
    using full = await DiskFile.open("/dev/full", "update");
    await assert.rejects(full.writeAt(0, Uint8Array.of(1)), /^TransportError: Cannot write \/dev\/full: /);
  }));

Deno.test("what has a name, where it leads, whether it is a link", () =>
  inFolder(async (folder) => {
    await makeFolder(`${folder}/a/b`);
    await makeFolder(`${folder}/a/b`);
    await Deno.writeTextFile(`${folder}/a/file`, "");
    await Deno.symlink(`${folder}/a`, `${folder}/link`);
    await Deno.symlink(`${folder}/nowhere`, `${folder}/dangling`);
    const real = await Deno.realPath(folder);
    const table = [
      ["a", "folder", `${real}/a`, false],
      ["a/file", "file", `${real}/a/file`, false],
      ["a/file/x", "missing", null, false],
      ["link", "folder", `${real}/a`, true],
      ["link/file", "file", `${real}/a/file`, false],
      ["dangling", "missing", null, true],
      ["none", "missing", null, false],
    ] as const;
    for (const [name, kind, leadsTo, link] of table) {
      const path = `${folder}/${name}`;
      assert.deepEqual(
        [await kindOf(path), await realPath(path), await isLink(path)],
        [kind, leadsTo, link],
        name,
      );
    }
    assert.equal(await kindOf("/dev/null"), "other");
    await renameFile(`${folder}/a/file`, `${folder}/moved`);
    assert.equal(await kindOf(`${folder}/moved`), "file");
    await removeFile(`${folder}/moved`);
    assert.equal(await kindOf(`${folder}/moved`), "missing");
  }));
