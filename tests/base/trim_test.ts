// Both ends, one end, nothing left.

import assert from "node:assert/strict";
import { trimCharacters, trimEndCharacters } from "../../lib/base/trim.ts";

const TRIMMED: readonly [text: string, characters: string, both: string, end: string][] = [
  ["", "/", "", ""],
  ["/", "/", "", ""],
  ["///", "/", "", ""],
  ["a", "/", "a", "a"],
  ["/a/b/", "/", "a/b", "/a/b"],
  ["//a//b//", "/", "a//b", "//a//b"],
  ["\\/a\\/", "/\\", "a", "\\/a"],
  ["/a\n/\u2028/", "/", "a\n/\u2028", "/a\n/\u2028"],
  ["/ü/", "/", "ü", "/ü"],
  ["AAE=", "=", "AAE", "AAE"],
];

Deno.test("characters are taken off the ends and nowhere else", () => {
  for (const [text, characters, both, end] of TRIMMED) {
    assert.equal(trimCharacters(text, characters), both, JSON.stringify(text));
    assert.equal(trimEndCharacters(text, characters), end, JSON.stringify(text));
  }
});
