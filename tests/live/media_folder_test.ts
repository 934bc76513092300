// Files are found and placed below the root only, whatever links there are.

import fc from "fast-check";
import assert from "node:assert/strict";
import { MediaFolder, parseStreamPath, recordingSegments } from "../../lib/live/media_folder.ts";
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

/** The file of a stream, as URLs name it. */
function fileOf(app: string, name: string): string | null {
  const path = parseStreamPath(app, name);
  return path === null ? null : recordingSegments(path)?.join("/") ?? null;
}

Deno.test("wherever a URL is cut, and whatever its file is called, it names one stream", () => {
  const table: [app: string, name: string, path: string | null][] = [
    ["live", "cam", "live/cam"],
    ["/live/", "/cam", "live/cam"],
    ["live/room 1", "cam 1", "live/room 1/cam 1"],
    ["live", "room/cam", "live/room/cam"],
    ["", "live/cam", "live/cam"],
    ["cam", "", "cam"],
    ["live", "rtmp://gateway/live/cam", "live/cam"],
    ["live", "cam.flv", "live/cam"],
    ["live", "flv:cam", "live/cam"],
    ["live", "mp4:cam.mp4", "live/cam.mp4"],
    ["live", "../up", "live/../up"],
    ["live", "C:x", "live/C:x"],
    ["live", "x\u2028y", "live/x\u2028y"],
    ["", "", null],
    ["/", "//", null],
    ["live\0x", "cam", null],
    ["live", "a\nb", null],
    ["live", "x".repeat(513), null],
    ["live", "/".repeat(1_000_000), null],
  ];
  for (const [app, name, path] of table) {
    assert.equal(parseStreamPath(app, name), path, JSON.stringify([app, name.slice(0, 40)]));
  }
});

Deno.test("streams of other applications are not reached by this one, whose rules they would not know", () => {
  const table: [app: string, name: string][] = [
    ["live", "rtmp://gateway/line/desk"],
    ["live", "rtmp://gateway/call/desk/100"],
    ["live", "rtmp://gateway//sip/alice@h/local"],
    ["", "line/desk"],
    ["", "call//desk/100"],
  ];
  for (const [app, name] of table) assert.equal(parseStreamPath(app, name), null, name);
});

Deno.test("a recording lies below the root, under the path without its first element", () => {
  const table: [app: string, name: string, file: string][] = [
    ["live", "film", "film.flv"],
    ["live", "film.flv", "film.flv"],
    ["live", "flv:film", "film.flv"],
    ["wirecast/room", "film", "room/film.flv"],
    ["live/a/b", "c/d", "a/b/c/d.flv"],
    ["live", ".hidden", ".hidden.flv"],
    ["live", "a..b", "a..b.flv"],
    ["live", "%2e%2e/x", "%2e%2e/x.flv"],
    ["..", "film", "film.flv"],
    ["film", "", "film.flv"],
    ["live", "//film", "film.flv"],
    ["live", "a//b", "a/b.flv"],
    ["live", "a/", "a.flv"],
    ["live", "/etc/passwd", "etc/passwd.flv"],
    ["live", "flv:/film", "film.flv"],
  ];
  for (const [app, name, file] of table) assert.equal(fileOf(app, name), file, name);
});

const HOSTILE = [
  "../film",
  "..",
  ".",
  "a/../../film",
  "a/./film",
  "..\\film",
  "a\\b",
  "C:film",
  "c:/film",
  "C:\\film",
  "film:stream",
  "flv:../film",
  "../film.flv",
  "..flv:",
  "film\0.flv",
  "film\n",
  "film.",
  "film ",
  "../.flv",
  "...",
  "nul*",
  "a?b",
  'a"b',
  "a|b",
  "<a>",
  "x".repeat(241),
  "ü".repeat(121),
  Array(18).fill("a").join("/"),
];

Deno.test("no name leads out of the root, nor means something special", () => {
  for (const name of ["flv:", ".flv", "..flv", "a/..flv", "flv:.flv"]) {
    assert.equal(fileOf("live", name), null, name); // only ".flv" or "." would be left
  }
  for (const name of HOSTILE) {
    assert.equal(fileOf("live", name), null, JSON.stringify(name));
    assert.equal(fileOf(`live/${name}`, "film"), null, `path ${JSON.stringify(name)}`);
  }
});

Deno.test("whatever the path and name, segments are plain names", () => {
  const text = fc.oneof(fc.string(), fc.stringMatching(/^[./\\:a\0]*$/));
  fc.assert(fc.property(text, text, (path, name) => {
    const segments = fileOf(path, name)?.split("/") ?? null;
    if (segments === null) return;
    for (const segment of segments) {
      // deno-lint-ignore no-control-regex -- control characters must not get here
      assert.doesNotMatch(segment, /^\.{1,2}$|[/\\:\x00-\x1f]/);
      assert.notEqual(segment, "");
    }
    assert.match(segments.at(-1)!, /.\.flv$/);
  }));
});
