import assert from "node:assert/strict";
import { pbkdf2Sync } from "node:crypto";
import { equalSecrets, hashPassword, verifyPassword } from "../../../lib/gateway/access/password.ts";
import { seededRandom } from "../../../lib/base/random.ts";

const FEW = 10_000;

Deno.test("the right password and no other", async () => {
  const hash = await hashPassword("correct horse", seededRandom(1), FEW);
  assert.equal(await verifyPassword("correct horse", hash), true);
  for (const wrong of ["correct hors", "Correct horse", "", "correct horse "]) {
    assert.equal(await verifyPassword(wrong, hash), false, wrong);
  }
});

Deno.test("equal passwords have different hashes; letters count, not how they are composed", async () => {
  const random = seededRandom(2);
  const [one, other] = [
    await hashPassword("B\u00fcro", random, FEW),
    await hashPassword("B\u00fcro", random, FEW),
  ];
  assert.notDeepEqual(one.salt, other.salt);
  assert.notDeepEqual(one.hash, other.hash);
  assert.equal(await verifyPassword("Bu\u0308ro", one), true);
});

Deno.test("it is PBKDF2 with HMAC-SHA-256 as others compute it", async () => {
  const { salt, iterations, hash } = await hashPassword("secret", seededRandom(3), FEW);
  assert.deepEqual([...hash], [...pbkdf2Sync("secret", salt, iterations, 32, "sha256")]);
});

Deno.test("secrets are equal only when all bytes are", () => {
  const of = (...bytes: number[]): Uint8Array => Uint8Array.from(bytes);
  assert.equal(equalSecrets(of(1, 2), of(1, 2)), true);
  assert.equal(equalSecrets(of(), of()), true);
  for (const other of [of(1, 3), of(2, 2), of(1), of(1, 2, 0), of()]) {
    assert.equal(equalSecrets(of(1, 2), other), false);
  }
});
