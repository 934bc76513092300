import assert from "node:assert/strict";
import fc from "fast-check";
import { parseStreamPath, recordingSegments } from "../../lib/live/stream_name.ts";

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
