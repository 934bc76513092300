import assert from "node:assert/strict";
import fc from "fast-check";
import { isStreamName, parseStreamPath, recordingSegments } from "../../lib/live/stream_name.ts";

Deno.test("the path is what stands between the slashes around it", () => {
  const table: [string, string | null][] = [
    ["live", "live"],
    ["/live/", "live"],
    ["live/room 1", "live/room 1"],
    ["", null],
    ["//", null],
    ["live\0x", null],
    ["x".repeat(513), null],
  ];
  for (const [app, path] of table) assert.equal(parseStreamPath(app), path, JSON.stringify(app));
});

Deno.test("names are short and printable", () => {
  for (const name of ["a", "cam 1", "../up", "Ünï/ç", "C:x"]) assert.ok(isStreamName(name), name);
  for (const name of ["", "a\nb", "a\0", "x".repeat(257)]) {
    assert.ok(!isStreamName(name), JSON.stringify(name));
  }
});

Deno.test("a recording lies below the root, under the path without its first element", () => {
  const table: [path: string, name: string, file: string][] = [
    ["live", "film", "film.flv"],
    ["live", "film.flv", "film.flv"],
    ["live", "flv:film", "film.flv"],
    ["wirecast/room", "film", "room/film.flv"],
    ["live/a/b", "c/d", "a/b/c/d.flv"],
    ["live", ".hidden", ".hidden.flv"],
    ["live", "a..b", "a..b.flv"],
    ["live", "%2e%2e/x", "%2e%2e/x.flv"],
    ["..", "film", "film.flv"],
  ];
  for (const [path, name, file] of table) assert.equal(recordingSegments(path, name)?.join("/"), file, name);
});

const HOSTILE = [
  "../film",
  "..",
  ".",
  "a/../../film",
  "a/./film",
  "/etc/passwd",
  "//film",
  "a//b",
  "a/",
  "..\\film",
  "a\\b",
  "C:film",
  "c:/film",
  "C:\\film",
  "film:stream",
  "flv:../film",
  "flv:/film",
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
    assert.equal(recordingSegments("live", name), null, name); // only ".flv" or "." would be left
  }
  for (const name of HOSTILE) {
    assert.equal(recordingSegments("live", name), null, JSON.stringify(name));
    assert.equal(recordingSegments(`live/${name}`, "film"), null, `path ${JSON.stringify(name)}`);
  }
});

Deno.test("whatever the path and name, segments are plain names", () => {
  const text = fc.oneof(fc.string(), fc.stringMatching(/^[./\\:a\0]*$/));
  fc.assert(fc.property(text, text, (path, name) => {
    const segments = recordingSegments(path, name);
    if (segments === null) return;
    for (const segment of segments) {
      // deno-lint-ignore no-control-regex -- control characters must not get here
      assert.doesNotMatch(segment, /^\.{1,2}$|[/\\:\x00-\x1f]/);
      assert.notEqual(segment, "");
    }
    assert.match(segments.at(-1)!, /.\.flv$/);
  }));
});
