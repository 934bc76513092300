// Files are found and placed below the root only, whatever links there are.
import assert from "node:assert/strict";
import { MediaFolder } from "../../lib/live/media_folder.ts";
import { inFolder } from "../support/live_flv.ts";

/** A root with links in it, and a neighbour that must not be reached. */
async function inHouse(
  run: (folder: MediaFolder, root: string, outside: string) => Promise<void>,
): Promise<void> {
  await inFolder(async (temporary) => {
    const base = await Deno.realPath(temporary);
    const [root, outside] = [`${base}/root`, `${base}/root-outside`];
    await Deno.mkdir(`${root}/sub`, { recursive: true });
    await Deno.mkdir(outside);
    for (const file of [`${root}/film.flv`, `${root}/sub/film.flv`, `${outside}/secret.flv`]) {
      await Deno.writeTextFile(file, file);
    }
    await Deno.symlink(`${root}/film.flv`, `${root}/link.flv`);
    await Deno.symlink(`${outside}/secret.flv`, `${root}/escape.flv`);
    await Deno.symlink("../root-outside/secret.flv", `${root}/relative.flv`);
    await Deno.symlink(`${outside}/new.flv`, `${root}/dangling.flv`);
    await Deno.symlink(outside, `${root}/out`);
    await Deno.symlink(`${root}/sub`, `${root}/in`);
    await Deno.symlink(`${outside}/nowhere`, `${root}/lost`);
    await Deno.symlink("/dev/null", `${root}/null.flv`);
    await Deno.mkdir(`${root}/folder.flv`);
    await Deno.symlink(`${outside}/x`, `${root}/parted.flv.part`);
    await run(new MediaFolder(root), root, outside);
  });
}

Deno.test("recordings are found by path and name, also through links that stay inside", () =>
  inHouse(async (folder, root) => {
    const table: [path: string, name: string, file: string][] = [
      ["live", "film", "film.flv"],
      ["live/sub", "film", "sub/film.flv"],
      ["wirecast", "sub/film", "sub/film.flv"],
      ["live", "link", "film.flv"],
      ["live/in", "film", "sub/film.flv"],
    ];
    for (const [path, name, file] of table) {
      assert.deepEqual(await folder.find(`${path}/${name}`), { type: "file", path: `${root}/${file}` });
    }
  }));

Deno.test("nothing outside is found, nor what is no file", () =>
  inHouse(async (folder) => {
    const names = [
      "none",
      "escape",
      "relative",
      "dangling",
      "out/secret",
      "lost/film",
      "null",
      "folder",
      "film/x",
    ];
    for (const name of names) {
      const found = await folder.find(`live/${name}`);
      assert.deepEqual(found, { type: "refused", reason: "there is no such recording" }, name);
    }
    for (const name of ["../root-outside/secret", "/etc/passwd", "sub/../film", "a\0b"]) {
      assert.equal((await folder.find(`live/${name}`)).type, "refused", name);
    }
    assert.equal((await folder.find("live/../film")).type, "refused");
    assert.equal((await new MediaFolder("/no/such/folder").find("live/film")).type, "refused");
  }));

Deno.test("places are made below the root", () =>
  inHouse(async (folder, root) => {
    const table: [path: string, name: string, file: string][] = [
      ["live", "new", "new.flv"],
      ["live", "film", "film.flv"],
      ["live/deep/er", "down/film", "deep/er/down/film.flv"],
      ["live", "in/new", "sub/new.flv"],
      ["live", "link", "film.flv"],
    ];
    for (const [path, name, file] of table) {
      assert.deepEqual(
        await folder.place(`${path}/${name}`),
        { type: "file", path: `${root}/${file}` },
        name,
      );
    }
    assert.ok((await Deno.stat(`${root}/deep/er/down`)).isDirectory);
  }));

Deno.test("no place is made outside, over a link that leads there, or over what is no file", () =>
  inHouse(async (folder, _root, outside) => {
    const names = [
      "escape",
      "relative",
      "dangling",
      "out/new",
      "out/a/b",
      "lost/a",
      "null",
      "folder",
      "film.flv/x",
    ];
    for (const name of [...names, "parted", "../x"]) {
      const placed = await folder.place(`live/${name}`);
      assert.deepEqual(placed, { type: "refused", reason: "this name cannot be that of a file" }, name);
    }
    assert.deepEqual((await Array.fromAsync(Deno.readDir(outside))).map(({ name }) => name), ["secret.flv"]);
  }));

Deno.test("a root that is not there yet, or is a link, is as good", () =>
  inFolder(async (temporary) => {
    const base = await Deno.realPath(temporary);
    const fresh = new MediaFolder(`${base}/a/b/`);
    assert.deepEqual(await fresh.place("live/x"), { type: "file", path: `${base}/a/b/x.flv` });
    await Deno.symlink(`${base}/a`, `${base}/link`);
    const linked = new MediaFolder(`${base}/link`);
    assert.deepEqual(await linked.place("live/b/x"), { type: "file", path: `${base}/a/b/x.flv` });
  }));
