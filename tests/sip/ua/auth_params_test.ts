// Answers to: lib/sip/ua/auth_params.ts; defect 6 of the original.

import assert from "node:assert/strict";
import fc from "fast-check";
import { WireError } from "../../../lib/base/errors.ts";
import { formatAuthValue, parseAuthValue } from "../../../lib/sip/ua/auth_params.ts";

const CASES: [name: string, text: string, params: Record<string, string>][] = [
  ["plain", 'Digest realm="r", nonce="n"', { realm: "r", nonce: "n" }],
  ["commas and = in quotes", 'Digest realm="a, b=c", nonce="x==", qop="auth,auth-int"', {
    realm: "a, b=c",
    nonce: "x==",
    qop: "auth,auth-int",
  }],
  ["= at the end of an unquoted value", "Digest nonce=abc==, realm=r", { nonce: "abc==", realm: "r" }],
  ["blanks everywhere", '  digest   realm = "r" ,nonce="n"  ,stale = true ', {
    realm: "r",
    nonce: "n",
    stale: "true",
  }],
  ["no blanks", 'Digest realm="r",nonce="n",algorithm=MD5', { realm: "r", nonce: "n", algorithm: "MD5" }],
  ["escapes stay as they came", 'Digest realm="a\\"b\\\\", nonce="n"', { realm: 'a\\"b\\\\', nonce: "n" }],
  ["empty values", 'Digest opaque="", nonce=n', { opaque: "", nonce: "n" }],
  ["final comma", 'Digest realm="r",', { realm: "r" }],
  ["first of repeated names", "Digest a=1, A=2", { a: "1" }],
  ["nothing", "Digest", {}],
];

for (const [name, text, params] of CASES) {
  Deno.test(`auth_params: ${name}`, () => {
    const value = parseAuthValue(text);
    assert.equal(value.scheme, "digest");
    assert.deepEqual(Object.fromEntries(value.params), params);
  });
}

Deno.test("auth_params: other schemes are recognised and not looked into", () => {
  assert.deepEqual(parseAuthValue("Basic dXNlcjpwYXNz=="), { scheme: "basic", params: new Map() });
  assert.deepEqual(parseAuthValue('NoOneKnows opaque-data="here').scheme, "nooneknows");
});

Deno.test("auth_params: refused", () => {
  for (
    const text of [
      "",
      ",",
      "@",
      'Digest realm="r',
      'Digest realm="r" x',
      "Digest realm",
      "Digest =x",
      "Digest a b=c",
    ]
  ) {
    assert.throws(() => parseAuthValue(text), WireError, text);
  }
});

Deno.test("auth_params: what is formatted is parsed again", () => {
  const value = fc.string({ unit: "grapheme" }).map((text) => text.replace(/["\\]/g, "\\$&"));
  fc.assert(fc.property(value, value, (realm, nonce) => {
    const text = formatAuthValue(
      [["realm", realm], ["algorithm", "MD5"], ["nonce", nonce]],
      new Set(["realm", "nonce"]),
    );
    assert.deepEqual(Object.fromEntries(parseAuthValue(text).params), { realm, algorithm: "MD5", nonce });
  }));
});

Deno.test("auth_params: arbitrary text is parsed or refused", () => {
  const piece = fc.constantFrom('"', "\\", ",", "=", " ", "a", "realm", "é", "\t");
  fc.assert(fc.property(fc.array(piece, { maxLength: 20 }), (pieces) => {
    try {
      parseAuthValue(`Digest ${pieces.join("")}`);
    } catch (error) {
      assert.ok(error instanceof WireError, String(error));
    }
  }));
});
