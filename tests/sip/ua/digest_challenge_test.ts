// Answers to: lib/sip/ua/digest_challenge.ts.

import assert from "node:assert/strict";
import { WireError } from "../../../lib/base/errors.ts";
import {
  formatChallenge,
  parseAlgorithm,
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
