// Two files of an administrator: what can be used, and the words for what cannot. The pairs are made here, the other
// forms of keys by node:crypto.

import assert from "node:assert/strict";
import { createPublicKey, generateKeyPairSync } from "node:crypto";
import { ConfigError } from "../../lib/base/errors.ts";
import { readTlsPem, validityProblem } from "../../lib/net/tls_pem.ts";
import { createSelfSigned } from "../../scripts/self_signed.ts";

const own = await createSelfSigned();
const other = await createSelfSigned();
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey
  .export({ type: "pkcs8", format: "pem" }).toString();
const publicKey = createPublicKey(own.privateKey).export({ type: "spki", format: "pem" }).toString();
const encrypted = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey
  .export({ type: "pkcs8", format: "pem" }).toString().replaceAll("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
const oldEncrypted =
  "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n" +
  "-----END RSA PRIVATE KEY-----\n";
const damaged = own.certificate.replace(/\n[^\n]{10}/, "\n!!!!!!!!!!");

const GOOD: [name: string, certificate: string, privateKey: string][] = [
  ["a pair", own.certificate, own.privateKey],
  [
    "CRLF, a mark and words around",
    `\uFEFFsubject=x\r\n${own.certificate.replaceAll("\n", "\r\n")}`,
    own.privateKey,
  ],
  ["one file for both", own.certificate + own.privateKey, own.certificate + own.privateKey],
  ["a chain", own.certificate + other.certificate, own.privateKey],
  [
    "parameters before the key",
    own.certificate,
    `-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n${own.privateKey}`,
  ],
];

for (const [name, certificate, privateKey] of GOOD) {
  Deno.test(`a certificate and its key: ${name}`, () => {
    const pem = readTlsPem({ certificate, privateKey });
    assert.match(pem.certificate, /^-----BEGIN CERTIFICATE-----/);
    assert.equal(pem.privateKey.trim(), own.privateKey.trim());
    assert.equal(validityProblem(pem, Date.now()), null);
  });
}

const BAD: [name: string, certificate: string, privateKey: string, problem: RegExp][] = [
  [
    "a key of another certificate",
    own.certificate,
    other.privateKey,
    /the key is not that of the certificate$/,
  ],
  ["RSA and EC", own.certificate, rsa, /not that of the certificate \(an rsa key, a certificate for ec\)$/],
  [
    "a chain from its end",
    other.certificate + own.certificate,
    own.privateKey,
    /certificate 2 of the file, which has to be the first/,
  ],
  ["empty files", "", "", /certificate file holds no certificate in PEM form/],
  ["an empty key", own.certificate, "", /key file holds no private key in PEM form/],
  ["DER", "\x30\x82\x01\x0a", own.privateKey, /no certificate in PEM form/],
  ["a word", "hello", "hello", /no certificate in PEM form/],
  ["cut off", own.certificate.slice(0, 200), own.privateKey, /no certificate in PEM form/],
  ["exchanged", own.privateKey, own.certificate, /certificate file holds a private key .*exchanged/],
  ["a certificate for a key", own.certificate, own.certificate, /key file holds a certificate .*exchanged/],
  ["a public key", own.certificate, publicKey, /a public key and no private one/],
  ["a pass phrase, PKCS 8", own.certificate, encrypted, /the key has a pass phrase/],
  ["a pass phrase, PKCS 1", own.certificate, oldEncrypted, /the key has a pass phrase/],
  ["two keys", own.certificate, own.privateKey + other.privateKey, /more than one private key/],
  ["a damaged certificate", damaged, own.privateKey, /certificate 1 of the file is damaged/],
  [
    "a damaged key",
    own.certificate,
    "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
    /key is damaged/,
  ],
  [
    "a request",
    own.certificate.replaceAll("CERTIFICATE", "CERTIFICATE REQUEST"),
    own.privateKey,
    /has to be signed/,
  ],
];

for (const [name, certificate, privateKey, problem] of BAD) {
  Deno.test(`no certificate with its key: ${name}`, () => {
    assert.throws(() => readTlsPem({ certificate, privateKey }), (error) => {
      assert.ok(error instanceof ConfigError);
      assert.match(error.message, problem);
      assert.doesNotMatch(error.message, /\n|MII|MIG/);
      return true;
    });
  });
}

Deno.test("a certificate out of its time is told", async () => {
  const day = 24 * 60 * 60 * 1000;
  assert.match(validityProblem(own, Date.now() + 100 * day) ?? "", /^has expired \(.*\)$/);
  const late = await createSelfSigned(["localhost"], Date.now() + 10 * day);
  assert.match(validityProblem(late, Date.now()) ?? "", /^is not valid yet \(from .*\)$/);
});
