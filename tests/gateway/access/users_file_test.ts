import fc from "fast-check";
import assert from "node:assert/strict";
import { pbkdf2Sync } from "node:crypto";
import { ConfigError } from "../../../lib/base/errors.ts";
import { seededRandom } from "../../../lib/base/random.ts";
import {
  equalSecrets,
  formatUser,
  hashPassword,
  isUserName,
  parseUsers,
  type PasswordHash,
  verifyPassword,
} from "../../../lib/gateway/access/users_file.ts";

const HASH: PasswordHash = {
  iterations: 10_000,
  salt: Uint8Array.from({ length: 16 }, (_, i) => i),
  hash: Uint8Array.from({ length: 32 }, (_, i) => 255 - i),
};
const ALICE =
  "alice:pbkdf2-sha256:10000:AAECAwQFBgcICQoLDA0ODw==://79/Pv6+fj39vX08/Lx8O/u7ezr6uno5+bl5OPi4eA=";

const file = (text: string) => ({ name: "users", text });

Deno.test("a line says a user and the hash", () => {
  assert.equal(formatUser("alice", HASH), ALICE);
  const users = parseUsers(
    file(`\uFEFF# comment\n\n  ${ALICE}  \r\n${ALICE.replace("alice", "bob@x.example")}`),
  );
  assert.deepEqual([...users], [["alice", HASH], ["bob@x.example", HASH]]);
  assert.equal(parseUsers(file("")).size, 0);
});

Deno.test("a wrong line is named, and no hash is shown", () => {
  const table: [string, RegExp][] = [
    ["alice", /^users, line 2: the hash of alice cannot be used: it is not pbkdf2-sha256:/],
    [":x", /^users, line 2: a line is NAME:HASH/],
    ["al ice:x", /a line is NAME:HASH/],
    ["alice:secret", /it is not pbkdf2-sha256/],
    [ALICE.replace("10000", "1"), /rounds must be 10000 to 10000000/],
    [ALICE.replace("10000", "99999999"), /rounds must be/],
    [ALICE.replace("AAECAw", "AAEC*w"), /16 to 64 bytes in base64/],
    [ALICE.replace("AAECAwQFBgcICQoLDA0ODw==", "AAEC"), /16 to 64 bytes/],
    [`${ALICE}:more`, /it is not pbkdf2/],
    [`${ALICE}\n${ALICE}`, /^users, line 3: the user alice is there twice$/],
  ];
  for (const [line, message] of table) {
    assert.throws(() => parseUsers(file(`\n${line}`)), (error) => {
      assert.ok(error instanceof ConfigError);
      assert.match(error.message, message);
      assert.doesNotMatch(error.message, /secret|BgcICQ/);
      return true;
    });
  }
});

Deno.test("any text is users or a ConfigError; what is written is read again", () => {
  const line = fc.oneof(fc.string(), fc.string().map((rest) => `alice:pbkdf2-sha256:${rest}`));
  fc.assert(fc.property(fc.array(line), (all) => {
    try {
      parseUsers(file(all.join("\n")));
    } catch (error) {
      assert.ok(error instanceof ConfigError);
    }
  }));
  const bytes = fc.uint8Array({ minLength: 16, maxLength: 64 }).map((some) => new Uint8Array(some));
  const iterations = fc.integer({ min: 10_000, max: 10_000_000 });
  const hash = fc.record({ iterations, salt: bytes, hash: bytes }, { noNullPrototype: true });
  fc.assert(fc.property(fc.string().filter(isUserName), hash, (name, value) => {
    assert.deepEqual([...parseUsers(file(formatUser(name, value)))], [[name, value]]);
  }));
});

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
