import assert from "node:assert/strict";
import { seededRandom } from "../../../lib/base/random.ts";
import { AddressLimits } from "../../../lib/gateway/access/address_limits.ts";
import { LateRefusals } from "../../../lib/gateway/access/key_guard.ts";
import {
  type Credentials,
  LoginGuard,
  type LoginOutcome,
  type LoginRules,
  PasswordChecks,
  type PasswordVerdict,
} from "../../../lib/gateway/access/login_guard.ts";
import { hashPassword } from "../../../lib/gateway/access/users_file.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { RecordLog } from "../../support/record_log.ts";

const TOKEN = "0123456789abcdef";
const users = new Map([["alice", await hashPassword("secret", seededRandom(1), 10_000)]]);
const NEVER = new AbortController().signal;

class Bench {
  readonly clock = new FakeClock();
  readonly refusals = new LateRefusals(this.clock);
  readonly log = new RecordLog();
  readonly guard: LoginGuard;

  constructor(rules: LoginRules, failedLogins = 3) {
    const limits = new AddressLimits({ connections: 0, failedLogins, calls: 0 }, this.clock);
    this.guard = new LoginGuard(rules, limits, this);
  }

  login(some: Partial<Credentials>, address = "192.0.2.1", signal = NEVER): Promise<LoginOutcome> {
    return this.guard.login(address, { user: null, password: null, token: null, ...some }, signal);
  }

  /** Waits for the real work, then for the refusal on the fake clock; says how long that one was. */
  async refused(login: Promise<LoginOutcome>): Promise<{ outcome: LoginOutcome; afterMs: number }> {
    let ended = false;
    void login.finally(() => ended = true);
    while (!ended && this.clock.pending === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    assert.equal(ended, false, "a refusal takes its time");
    const afterMs = this.clock.nextDueMs! - this.clock.now();
    this.clock.advance(afterMs);
    return { outcome: await login, afterMs };
  }
}

Deno.test("without rules everybody is welcome at once", async () => {
  const bench = new Bench({ users: null, token: null });
  assert.equal(bench.guard.open, true);
  assert.deepEqual(await bench.login({ user: "x", password: "y" }), {
    type: "accepted",
    user: "x",
    proof: null,
  });
  assert.deepEqual(await bench.login({}), { type: "accepted", user: null, proof: null });
});

Deno.test("a user with the password, or the token alone", async () => {
  const bench = new Bench({ users, token: TOKEN });
  const alice = { user: "alice", password: "secret" };
  assert.deepEqual(await bench.login(alice), { type: "accepted", user: "alice", proof: "user alice" });
  assert.deepEqual(await bench.login({ token: TOKEN }), { type: "accepted", user: null, proof: "token" });
  const usersOnly = new Bench({ users, token: null });
  assert.deepEqual(await usersOnly.login({ ...alice, token: "whatever" }), {
    type: "accepted",
    user: "alice",
    proof: "user alice",
  });
  assert.deepEqual(bench.log.lines, []);
});

Deno.test("everything else is refused alike, slowly, and logged without what was tried", async () => {
  const table: [LoginRules, Partial<Credentials>][] = [
    [{ users, token: null }, { user: "alice", password: "wrongsecret" }],
    [{ users, token: null }, { user: "nobody", password: "secret" }],
    [{ users, token: null }, { user: "alice", password: "" }],
    [{ users, token: null }, { token: TOKEN }],
    [{ users: null, token: TOKEN }, { token: `${TOKEN}x` }],
    [{ users: null, token: TOKEN }, { user: "alice", password: "secret" }],
    [{ users: new Map(), token: null }, { user: "alice", password: "secret" }],
  ];
  for (const [rules, credentials] of table) {
    const bench = new Bench(rules);
    const { outcome, afterMs } = await bench.refused(bench.login(credentials));
    assert.deepEqual(outcome, { type: "refused", reason: "wrong user name, password or token" });
    assert.equal(afterMs, 1000);
    const said = bench.log.lines.join("\n");
    assert.match(said, /^warn rtmp.* at 192\.0\.2\.1 was refused: /);
    assert.doesNotMatch(said, /secret|0123456789abcdef/);
    assert.equal(bench.clock.pending, 0);
  }
});

Deno.test("who shows nothing is told what is needed, as slowly, and it counts", async () => {
  for (const credentials of [{}, { user: "alice" }]) {
    const bench = new Bench({ users, token: TOKEN });
    for (const waitMs of [1000, 2000]) {
      const { outcome, afterMs } = await bench.refused(bench.login(credentials));
      assert.ok(outcome.type === "refused");
      assert.match(outcome.reason, /^a login is needed.*\?token=TOKEN or \?user=NAME&password=PASSWORD$/);
      assert.equal(afterMs, waitMs);
    }
    assert.match(bench.log.lines.join(), / at 192\.0\.2\.1 was refused: a login is needed/);
  }
});

Deno.test("each failure of an address is slower than the one before; others are not touched", async () => {
  const bench = new Bench({ users, token: null }, 0);
  const waits: number[] = [];
  for (let i = 0; i < 6; i++) {
    waits.push((await bench.refused(bench.login({ user: "alice", password: "x" }))).afterMs);
  }
  assert.deepEqual(waits, [1000, 2000, 4000, 8000, 8000, 8000]);
  const other = bench.login({ user: "alice", password: "x" }, "192.0.2.2");
  assert.equal((await bench.refused(other)).afterMs, 1000);
});

Deno.test("after too many failures even the right password waits for better times", async () => {
  const bench = new Bench({ users, token: null }, 3);
  const right = { user: "alice", password: "secret" };
  for (let i = 0; i < 3; i++) await bench.refused(bench.login({ user: "alice", password: "x" }));
  for (let i = 0; i < 5; i++) {
    const { outcome, afterMs } = await bench.refused(bench.login(right));
    assert.deepEqual(outcome, { type: "refused", reason: "too many failed logins, try again later" });
    assert.equal(afterMs, 8000);
  }
  assert.equal((await bench.login(right, "192.0.2.2")).type, "accepted");
  bench.clock.advance(11 * 60_000);
  assert.equal((await bench.login(right)).type, "accepted", "trying on did not make it longer");
});

Deno.test("a client that leaves does not keep its timer", async () => {
  const bench = new Bench({ users: null, token: TOKEN });
  const gone = new AbortController();
  const login = bench.login({}, "192.0.2.1", gone.signal);
  while (bench.clock.pending === 0) await Promise.resolve();
  gone.abort();
  assert.equal((await login).type, "refused");
  assert.equal(bench.clock.pending, 0);
});

Deno.test("refusals that wait are bounded, the oldest is told early; a right token waits for none of them", async () => {
  for (
    const address of [
      () => "127.0.0.1",
      (n: number) => `192.0.2.${n % 250}`,
      (n: number) => `2001:db8:${n}::1`,
    ]
  ) {
    const bench = new Bench({ users: null, token: TOKEN }, 0);
    const gone = new AbortController();
    const ended: number[] = [];
    for (let n = 0; n < 300; n++) {
      void bench.login({ token: `wrong${n}` }, address(n), gone.signal).then(() => ended.push(n));
    }
    while (bench.refusals.size < 256 || ended.length < 44) await Promise.resolve();
    assert.deepEqual(ended, Array.from({ length: 44 }, (_, n) => n));
    assert.equal(bench.clock.pending, 256);
    assert.equal((await bench.login({ token: TOKEN }, address(0))).type, "accepted");
    gone.abort();
    while (bench.clock.pending > 0) await Promise.resolve();
  }
});

Deno.test("a right password is checked in its turn, whoever floods with wrong ones", async () => {
  const slow = await hashPassword("secret", seededRandom(2), 300_000);
  const two = new Map([["alice", slow], ["bob", { ...slow }]]);
  for (const flood of [(n: number) => `nobody${n}`, () => "bob"]) {
    const bench = new Bench({ users: two, token: null }, 0);
    const gone = new AbortController();
    const wrong = Array.from(
      { length: 100 },
      (_, n) => bench.login({ user: flood(n), password: `x${n}` }, "127.0.0.1", gone.signal),
    );
    assert.equal((await bench.login({ user: "alice", password: "secret" }, "127.0.0.1")).type, "accepted");
    assert.ok(bench.refusals.size <= 6, "it waited for a few of them");
    gone.abort();
    const reasons = (await Promise.all(wrong)).map((one) => one.type === "refused" && one.reason);
    assert.equal(reasons.filter((reason) => reason === "too many logins at a time, try again").length, 90);
  }
});

Deno.test("many logins at a time are all decided, a few at a time", async () => {
  const bench = new Bench({ users, token: null });
  const logins = Array.from({ length: 20 }, () => bench.login({ user: "alice", password: "secret" }));
  for (const outcome of await Promise.all(logins)) assert.equal(outcome.type, "accepted");
});

Deno.test("new rules count from the next login on", async () => {
  const bench = new Bench({ users: null, token: TOKEN });
  bench.guard.replace({ users, token: null });
  assert.equal((await bench.login({ user: "alice", password: "secret" })).type, "accepted");
  await bench.refused(bench.login({ token: TOKEN }));
});

Deno.test("a user name cannot write lines of its own into the log", async () => {
  const bench = new Bench({ users, token: null });
  await bench.refused(bench.login({ user: `x\nerror main: faked${"y".repeat(1000)}`, password: "p" }));
  assert.equal(bench.log.lines.length, 1);
  assert.ok(bench.log.lines[0]!.length < 300);
  assert.doesNotMatch(bench.log.lines[0]!, /\n/);
});

/** So many that a check takes far longer than the digest that comes before it, on a busy machine too. */
const ROUNDS = 150_000;
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
