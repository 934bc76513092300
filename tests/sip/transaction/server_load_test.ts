// Answers to: lib/sip/transaction/server_load.ts. Who is refused when there is too much, and who is not.

import assert from "node:assert/strict";
import { type Overload, ServerLoad, type Taken } from "../../../lib/sip/transaction/server_load.ts";
import { FakeClock } from "../../support/fake_clock.ts";

const LIMIT = 400;

class Bench {
  readonly clock = new FakeClock();
  readonly load = new ServerLoad(this.clock, LIMIT);
  readonly open: Taken[] = [];

  /** "taken", or why not. */
  invite(user: string | null, address = "192.0.2.1"): Overload | "taken" {
    const taken = this.load.take({ address, user, isInvite: true });
    if (typeof taken === "string") return taken;
    this.open.push(taken);
    return "taken";
  }

  settle(refused: boolean): void {
    for (const taken of this.open.splice(0)) {
      taken.settled(refused);
      taken.settled(!refused);
    }
  }
}

interface Flood {
  readonly why: string;
  readonly user: (n: number) => string;
  readonly address: (n: number) => string;
  /** Whether all of it is refused at once by the user, or left ringing. */
  readonly refused: boolean;
  /** Who still gets through: user and address of an honest call. */
  readonly honest: [user: string, address: string];
}

const one = () => "192.0.2.1";
const forged = (n: number) => `10.${n >> 16 & 255}.${n >> 8 & 255}.${n & 255}`;

const FLOODS: Flood[] = [
  {
    why: "one source rings one user",
    user: () => "target",
    address: one,
    refused: false,
    honest: ["bob", "192.0.2.2"],
  },
  {
    why: "the same, and bob from there",
    user: () => "target",
    address: one,
    refused: false,
    honest: ["bob", "192.0.2.1"],
  },
  {
    why: "forged sources ring one user",
    user: () => "target",
    address: forged,
    refused: false,
    honest: ["bob", "192.0.2.2"],
  },
  {
    why: "one source rings all users",
    user: (n) => `u${n % 500}`,
    address: one,
    refused: false,
    honest: ["bob", "192.0.2.2"],
  },
  {
    why: "forged sources ring twenty users",
    user: (n) => `u${n % 20}`,
    address: forged,
    refused: false,
    honest: ["bob", "192.0.2.2"],
  },
  {
    why: "one source, a busy user",
    user: () => "target",
    address: one,
    refused: true,
    honest: ["bob", "192.0.2.2"],
  },
  {
    why: "forged sources, a busy user",
    user: () => "target",
    address: forged,
    refused: true,
    honest: ["bob", "192.0.2.2"],
  },
  {
    why: "forged sources, twenty busy users",
    user: (n) => `u${n % 20}`,
    address: forged,
    refused: true,
    honest: ["bob", "192.0.2.2"],
  },
  {
    why: "IPv6 sources of one network",
    user: (n) => `u${n % 500}`,
    address: (n) => `2001:db8::${(n % 9000).toString(16)}`,
    refused: true,
    honest: ["bob", "2001:db8:1::1"],
  },
];

for (const { why, user, address, refused, honest } of FLOODS) {
  Deno.test(`server load: 100,000 INVITEs: ${why}: others are called as ever`, () => {
    const bench = new Bench();
    let taken = 0;
    for (let n = 0; n < 100_000; n++) {
      if (bench.invite(user(n), address(n)) === "taken") taken += 1;
      if (refused) bench.settle(true);
    }
    assert.ok(taken <= 1000, `${taken} of them were looked at`);
    for (let call = 0; call < 4; call++) assert.equal(bench.invite(...honest), "taken", `call ${call}`);
  });
}

Deno.test("server load: a trunk with a hundred answered calls a second is never refused, nor one with many refused ones", () => {
  const bench = new Bench();
  for (let n = 0; n < 60_000; n++) {
    assert.equal(bench.invite(`u${n % 3}`), "taken");
    bench.settle(false);
    assert.equal(bench.invite(`v${n % 500}`), "taken");
    bench.settle(n % 2 === 0);
    bench.clock.advance(10);
  }
  assert.equal(bench.load.unanswered, 0);
});

Deno.test("server load: one user may have 32 unanswered, four when half of all places are taken", () => {
  const bench = new Bench();
  assert.equal(Array.from({ length: 40 }, () => bench.invite("a")).indexOf("user"), 32);
  for (let n = 0; n < 200; n++) bench.invite(`u${n}`);
  assert.deepEqual(Array.from({ length: 5 }, () => bench.invite("b")), [
    "taken",
    "taken",
    "taken",
    "taken",
    "user",
  ]);
  bench.settle(false);
  assert.equal(bench.load.unanswered, 0);
  assert.equal(bench.invite("a"), "taken");
});

Deno.test("server load: three quarters for one source, and an end to all", () => {
  const bench = new Bench();
  for (let n = 0; n < 300; n++) assert.equal(bench.invite(null), "taken");
  assert.equal(bench.invite(null), "source");
  for (let n = 0; n < 100; n++) assert.equal(bench.invite(null, forged(n)), "taken");
  assert.equal(bench.invite(null, "192.0.2.2"), "all");
});

Deno.test("server load: a user who refuses hears five more calls a second, and all again after a while", () => {
  const bench = new Bench();
  for (let n = 0; n < 8; n++) {
    assert.equal(bench.invite("busy"), "taken");
    bench.settle(true);
  }
  assert.equal(bench.invite("busy"), "user");
  const message = bench.load.take({ address: "192.0.2.1", user: "busy", isInvite: false });
  assert.ok(typeof message === "object", "a MESSAGE is no call");
  bench.clock.advance(200);
  assert.equal(bench.invite("busy"), "taken");
  bench.settle(true);
  assert.equal(bench.invite("busy"), "user");
  bench.clock.advance(4000);
  for (let n = 0; n < 8; n++) {
    assert.equal(bench.invite("busy"), "taken");
    bench.settle(true);
  }
});
