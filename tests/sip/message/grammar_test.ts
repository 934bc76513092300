// Answers to: lib/sip/message/grammar.ts.

import assert from "node:assert/strict";
import fc from "fast-check";
import {
  clip,
  endOfQuoted,
  formatParams,
  isToken,
  ownText,
  parseDecimal,
  parseParams,
  quote,
  splitOutside,
  unquote,
} from "../../../lib/sip/message/grammar.ts";

Deno.test("grammar: tokens", () => {
  for (const text of ["INVITE", "a-b.c", "!%*_+`'~1"]) assert.equal(isToken(text), true, text);
  for (const text of ["", "a b", "a:b", "a@b", "é", "a/b", "(x)"]) assert.equal(isToken(text), false, text);
});

const SPLITS: [text: string, separator: "," | ";", angles: boolean, parts: string[]][] = [
  ["a, b ,c", ",", true, ["a", "b", "c"]],
  ["", ",", true, [""]],
  ['"a, b", c', ",", true, ['"a, b"', "c"]],
  ['"a \\" , b", c', ",", true, ['"a \\" , b"', "c"]],
  ["<sip:a?x=1,2>, b", ",", true, ["<sip:a?x=1,2>", "b"]],
  ["<sip:a?x=1,2>, b", ",", false, ["<sip:a?x=1", "2>", "b"]],
  ['<sip:a?x=">, b', ",", true, ['<sip:a?x=">', "b"]],
  ['a=1;b=";";c', ";", false, ["a=1", 'b=";"', "c"]],
  ['a, "b, c', ",", true, ["a", '"b', "c"]],
  ['"\\"\\", a', ",", true, ['"\\"\\"', "a"]],
  ["<sip:a, b", ",", true, ["<sip:a", "b"]],
  ['<sip:a;x="b,>c">, d', ",", true, ['<sip:a;x="b,>c">', "d"]],
  ["a\u2028, b\r, \u2029", ",", true, ["a\u2028", "b", "\u2029"]],
];

Deno.test("grammar: lists are cut outside quotes and angle brackets", () => {
  for (const [text, separator, angles, parts] of SPLITS) {
    assert.deepEqual(splitOutside(text, separator, angles), parts, text);
  }
});

Deno.test("grammar: quoting is undone by unquoting, control characters become a blank", () => {
  fc.assert(fc.property(fc.string({ unit: "grapheme" }), (text) => {
    const quoted = quote(text);
    assert.equal(endOfQuoted(quoted, 0), quoted.length - 1);
    assert.equal(unquote(quoted), text);
  }));
  assert.equal(quote("a\r\n\0b"), '"a b"');
  assert.equal(endOfQuoted('"ends with a backslash\\', 0), -1);
});

const PARAMS: [text: string, params: [string, string | null][], formatted?: string][] = [
  ["", []],
  [";a=1;b", [["a", "1"], ["b", null]]],
  [" ; A = 1 ; B ", [["a", "1"], ["b", null]], ";a=1;b"],
  [';a="x;y, \\"z\\""', [["a", 'x;y, "z"']]],
  [";a=", [["a", null]], ";a"],
  [";a=1;a=2", [["a", "1"]], ";a=1"],
  [";received=[2001:db8::1]", [["received", "[2001:db8::1]"]]],
  [";x=a=b", [["x", "a=b"]], ';x="a=b"'],
];

Deno.test("grammar: parameters both ways", () => {
  for (const [text, params, formatted] of PARAMS) {
    assert.deepEqual([...parseParams(text)], params, text);
    assert.equal(formatParams(new Map(params)), formatted ?? text);
    assert.deepEqual([...parseParams(formatParams(new Map(params)))], params, text);
  }
});

const ODD_PARAMS: [text: string, params: [string, string | null][]][] = [
  ["a=1", []],
  ["a;b=1", [["b", "1"]]],
  [";", []],
  [";; ; ;a;", [["a", null]]],
  [";=1;b", [["b", null]]],
  [";a b=1;c", [["c", null]]],
  [";a=b c;d", [["a", "b c"], ["d", null]]],
  [';a="x"y;b', [["a", "x"], ["b", null]]],
  [';a="x;b', [["a", "x"], ["b", null]]],
  [";a=<x>", [["a", "<x>"]]],
  [";\ta\t=\t1\t;b", [["a", "1"], ["b", null]]],
  [";a=\u2028", [["a", "\u2028"]]],
];

Deno.test("grammar: of odd parameters what has a meaning is read", () => {
  for (const [text, params] of ODD_PARAMS) {
    assert.deepEqual([...parseParams(text)], params, text);
    assert.deepEqual([...parseParams(formatParams(new Map(params)))], params, text);
  }
});

Deno.test("grammar: any text gives parameters that survive formatting", () => {
  const piece = fc.constantFrom('"', "\\", "<", ">", ";", ",", "=", " ", "a", "é", "\u2028", "\t");
  fc.assert(fc.property(fc.array(piece, { maxLength: 20 }), (pieces) => {
    const params = parseParams(`;${pieces.join("")}`);
    const plain = new Map([...params].map(([name, value]) => [name, value?.replaceAll("\t", " ") ?? null]));
    assert.deepEqual(parseParams(formatParams(params)), plain);
  }));
});

Deno.test("grammar: decimal numbers are bounded", () => {
  assert.equal(parseDecimal("0070", 255), 70);
  assert.equal(parseDecimal("255", 255), 255);
  for (const text of ["256", "-1", "+1", "1.0", "1e2", "", " 1", "9".repeat(30)]) {
    assert.equal(parseDecimal(text, 255), null, text);
  }
});

Deno.test("grammar: clipped texts fit on a line", () => {
  assert.equal(clip("a\r\nb"), "a b");
  assert.equal(clip("x".repeat(1000)).length, 63);
});

Deno.test("ownText: the same text", () => {
  for (const text of ["", "<sip:bob@example.net>;tag=1", "J\u00fcrgen \u{1f600}"]) {
    assert.equal(ownText(text), text);
  }
});
