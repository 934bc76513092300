// Answers to: lib/sip/message/uri_escape.ts.

import assert from "node:assert/strict";
import fc from "fast-check";
import { characterSet } from "../../../lib/sip/message/grammar.ts";
import {
  escapeUri,
  PARAM_SAFE,
  PASSWORD_SAFE,
  unescapeUri,
  USER_SAFE,
} from "../../../lib/sip/message/uri_escape.ts";

const CASES: [text: string, escaped: string][] = [
  ["alice", "alice"],
  ["a b@c", "a%20b%40c"],
  ["ü€😀", "%C3%BC%E2%82%AC%F0%9F%98%80"],
  ["\0%", "%00%25"],
  ["\udcff\udc80", "%FF%80"],
  ["ü\udcc3", "%C3%BC%C3"],
  ["\ufffd", "%EF%BF%BD"],
  ["\ufffd\udcff", "%EF%BF%BD%FF"],
];

Deno.test("uri_escape: both ways, bytes that are no UTF-8 included", () => {
  for (const [text, escaped] of CASES) {
    assert.equal(escapeUri(text, USER_SAFE), escaped);
    assert.equal(unescapeUri(escaped), text);
  }
});

Deno.test("uri_escape: what is safe depends on the place", () => {
  assert.equal(escapeUri("a;b?c:[/", USER_SAFE), "a;b?c%3A%5B/");
  assert.equal(escapeUri("a;b?c:[/", PASSWORD_SAFE), "a%3Bb%3Fc%3A%5B%2F");
  assert.equal(escapeUri("a;b?c:[/", PARAM_SAFE), "a%3Bb%3Fc:[/");
});

Deno.test("uri_escape: a % that starts no escape is a %", () => {
  const cases: [text: string, unescaped: string][] = [
    ["%", "%"],
    ["%4", "%4"],
    ["a%zz", "a%zz"],
    ["%%41", "%A"],
    ["%4%41b", "%4Ab"],
    ["%41%", "A%"],
  ];
  for (const [text, unescaped] of cases) assert.equal(unescapeUri(text), unescaped);
});

Deno.test("uri_escape: any bytes survive", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 30 }), (bytes) => {
    const escaped = [...bytes].map((byte) => `%${byte.toString(16).padStart(2, "0").toUpperCase()}`).join("");
    assert.equal(escapeUri(unescapeUri(escaped), characterSet("")), escaped);
  }));
});
