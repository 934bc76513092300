// Answers to: lib/sip/ua/digest_challenge.ts.

import fc from "fast-check";
import assert from "node:assert/strict";
import { WireError } from "../../../lib/base/errors.ts";
import {
  formatAuthValue,
  formatChallenge,
  parseAlgorithm,
  parseAuthValue,
  parseChallenge,
  selectChallenge,
} from "../../../lib/sip/ua/digest_challenge.ts";

Deno.test("digest_challenge: both ways", () => {
  const texts = [
    'Digest realm="r", nonce="n"',
    'Digest realm="a, \\"b\\"", nonce="x=", opaque="o", stale=true, algorithm=SHA-256-sess, qop="auth,auth-int"',
    'Digest realm="", nonce="n", algorithm=md5',
  ];
  for (const text of texts) assert.equal(formatChallenge(parseChallenge(text)!), text);
});

Deno.test("digest_challenge: what the parameters mean", () => {
  const challenge = parseChallenge(
    'Digest nonce="n", realm="r", qop=" auth-int , AUTH, token ", stale="TRUE", algorithm="sha-512-256"',
  );
  assert.deepEqual(challenge, {
    realm: "r",
    nonce: "n",
    opaque: null,
    algorithm: "SHA-512-256",
    algorithmText: "sha-512-256",
    stale: true,
    qop: ["auth-int", "auth"],
  });
  assert.equal(parseChallenge('Digest nonce="n", stale=false')!.stale, false);
  assert.deepEqual(parseChallenge('Digest nonce="n", qop=""')!.qop, []);
});

Deno.test("digest_challenge: what cannot be answered is null, what is malformed a WireError", () => {
  const useless = [
    'Basic realm="r"',
    'Digest realm="r"',
    'Digest nonce="n", algorithm=AKAv1-MD5',
    'Digest nonce="n", qop="token"',
  ];
  for (const text of useless) assert.equal(parseChallenge(text), null, text);
  assert.throws(() => parseChallenge('Digest nonce="n'), WireError);
});

Deno.test("digest_challenge: the strongest wins, of equals the first", () => {
  const named = (algorithm: string, nonce: string) =>
    parseChallenge(`Digest nonce="${nonce}", algorithm=${algorithm}`)!;
  const choices: [offered: string[], chosen: number][] = [
    [["MD5"], 0],
    [["MD5", "SHA-256"], 1],
    [["SHA-256", "SHA-512-256", "MD5"], 1],
    [["MD5-sess", "MD5"], 0],
    [["MD5", "MD5-sess"], 0],
    [["SHA-256-sess", "SHA-256", "MD5"], 0],
  ];
  for (const [offered, chosen] of choices) {
    const list = offered.map((algorithm, i) => named(algorithm, `n${i}`));
    assert.equal(selectChallenge(list)!.nonce, `n${chosen}`, offered.join());
  }
  assert.equal(selectChallenge([]), null);
});

Deno.test("digest_challenge: algorithm names", () => {
  assert.equal(parseAlgorithm(null), "MD5");
  assert.equal(parseAlgorithm("Sha-256-SESS"), "SHA-256-sess");
  assert.equal(parseAlgorithm("SHA-1"), null);
});

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
