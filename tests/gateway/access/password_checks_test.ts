// Answers to: lib/gateway/access/password_checks.ts. The order in which passwords are checked, by whose verdict comes first.

import assert from "node:assert/strict";
import { hashPassword } from "../../../lib/gateway/access/password.ts";
import { PasswordChecks, type PasswordVerdict } from "../../../lib/gateway/access/password_checks.ts";
import { seededRandom } from "../../../lib/base/random.ts";

const ROUNDS = 20_000;
const expected = await hashPassword("secret", seededRandom(1), ROUNDS);
const other = await hashPassword("secret", seededRandom(2), ROUNDS);

/** Notes the verdicts as they come: "user@address verdict". */
function bench() {
  const checks = new PasswordChecks();
  const came: string[] = [];
  const all: Promise<void>[] = [];
  let asked = 0;
  const ask = (user: string | null, address: string, password = `wrong${asked++}`, against = other) => {
    const attempt = { user, address, password, expected: against };
    all.push(
      checks.check(attempt).then((verdict: PasswordVerdict) =>
        void came.push(`${user}@${address} ${verdict}`)
      ),
    );
  };
  return { checks, came, ask, done: () => Promise.all(all) };
}

Deno.test("password checks: right and wrong", async () => {
  const { came, ask, done } = bench();
  ask("alice", "a", "secret");
  ask("alice", "a", "wrong");
  await done();
  assert.deepEqual(came.toSorted(), ["alice@a right", "alice@a wrong"]);
});

Deno.test("password checks: a hundred programs with the same password come in together", async () => {
  const { checks, came, ask, done } = bench();
  for (let n = 0; n < 100; n++) ask("alice", "h", "secret", expected);
  for (let n = 0; n < 100; n++) ask("alice", "h", "old", expected);
  assert.equal(checks.waiting, 0);
  await done();
  assert.equal(came.filter((line) => line === "alice@h right").length, 100);
  assert.equal(came.filter((line) => line === "alice@h wrong").length, 100);
});

/** Who floods before alice asks from the address h, and how many verdicts there are at most before hers. */
const FLOODS: [why: string, flood: (n: number) => [user: string | null, address: string]][] = [
  ["names that do not exist, one address", () => [null, "a"]],
  ["names that do not exist, many addresses", (n) => [null, `a${n}`]],
  ["one other user", () => ["bob", "a"]],
  ["one other user, from her own address", () => ["bob", "h"]],
  ["herself, from another address", () => ["alice", "a"]],
  ["one other user, many addresses", (n) => ["bob", `a${n}`]],
];

for (const [why, flood] of FLOODS) {
  Deno.test(`password checks: a flood of ${why} does not keep a right one waiting`, async () => {
    const { checks, came, ask, done } = bench();
    for (let n = 0; n < 200; n++) ask(...flood(n));
    ask("alice", "h", "secret", expected);
    assert.ok(checks.waiting <= 20);
    await done();
    const order = came.filter((line) => !line.endsWith("busy"));
    const place = order.findIndex((line) => line === "alice@h right");
    assert.ok(place >= 0 && place <= 5, `her turn was number ${place} of ${order.length}`);
    assert.equal(checks.waiting, 0);
  });
}

Deno.test("password checks: who was right once is right at once, also when her own name is flooded from her address", async () => {
  const { came, ask, done } = bench();
  ask("alice", "h", "secret", expected);
  await done();
  for (let n = 0; n < 100; n++) ask("alice", "h", `wrong${n}`, expected);
  ask("alice", "h", "secret", expected);
  while (!came.slice(1).includes("alice@h right")) await new Promise((resolve) => setTimeout(resolve, 1));
  assert.ok(
    came.filter((line) => line.endsWith("wrong")).length <= 2,
    "before two of the others were checked",
  );
  await done();
});

Deno.test("password checks: what waits is bounded; users who try much give way", async () => {
  const { checks, came, ask, done } = bench();
  for (let n = 0; n < 400; n++) ask(`user${n % 40}`, `a${n}`);
  assert.ok(checks.waiting <= 256);
  ask("late", "h", "secret", other);
  assert.ok(checks.waiting <= 256);
  await done();
  assert.ok(came.includes("late@h right"));
});
