// Answers to: lib/net/stun_query.ts.

import assert from "node:assert/strict";
import { decodeStun, type StunMessage } from "../../lib/net/stun.ts";
import { type StunOutcome, StunQuery } from "../../lib/net/stun_query.ts";
import { FakeClock } from "../support/fake_clock.ts";

const ID = "000102030405060708090a0b";
const MAPPED = { hostname: "203.0.113.7", port: 40000 };

class Bench {
  readonly clock = new FakeClock();
  readonly sentMs: number[] = [];
  readonly outcomes: StunOutcome[] = [];
  readonly query: StunQuery;

  constructor(requests?: number) {
    this.query = new StunQuery({
      clock: this.clock,
      id: ID,
      send: (bytes) => {
        assert.deepEqual(decodeStun(bytes), { type: "request", id: ID, unknown: [] });
        this.sentMs.push(this.clock.now());
      },
      onOutcome: (outcome) => void this.outcomes.push(outcome),
      ...requests === undefined ? {} : { requests },
    });
    this.query.start();
  }
}

Deno.test("stun query: repetitions and end are those of RFC 8489 6.2.1", () => {
  const bench = new Bench();
  bench.clock.advance(39_499);
  assert.deepEqual(bench.sentMs, [0, 500, 1500, 3500, 7500, 15500, 31500]);
  assert.deepEqual(bench.outcomes, []);
  bench.clock.advance(1);
  assert.deepEqual(bench.outcomes, [{ type: "silent" }]);
  assert.equal(bench.clock.pending, 0);
});

Deno.test("stun query: fewer requests end sooner", () => {
  const bench = new Bench(2);
  bench.clock.advance(8_500);
  assert.deepEqual([bench.sentMs, bench.outcomes], [[0, 500], [{ type: "silent" }]]);
});

const ANSWERS: [name: string, message: StunMessage, taken: boolean, outcomes: StunOutcome[]][] = [
  ["an answer", { type: "success", id: ID, mapped: MAPPED }, true, [{ type: "mapped", mapped: MAPPED }]],
  ["a refusal", { type: "error", id: ID, code: 500, reason: "busy", unknown: [] }, true, [
    { type: "refused", code: 500, reason: "busy" },
  ]],
  ["an answer to somebody else", { type: "success", id: "0".repeat(24), mapped: MAPPED }, false, []],
  ["our own request, come back", { type: "request", id: ID, unknown: [] }, false, []],
  ["an indication", { type: "indication", id: ID }, false, []],
];

for (const [name, message, taken, outcomes] of ANSWERS) {
  Deno.test(`stun query: ${name}`, () => {
    const bench = new Bench();
    bench.clock.advance(600);
    assert.equal(bench.query.receive(message), taken);
    assert.deepEqual(bench.outcomes, outcomes);
    assert.equal(bench.clock.pending, taken ? 0 : 1);
    bench.query[Symbol.dispose]();
    assert.equal(bench.clock.pending, 0);
  });
}

Deno.test("stun query: told once, whatever comes twice; nothing after it was given up", () => {
  const bench = new Bench();
  const answer: StunMessage = { type: "success", id: ID, mapped: MAPPED };
  assert.equal(bench.query.receive(answer), true);
  assert.equal(bench.query.receive(answer), false);
  assert.equal(bench.outcomes.length, 1);
  const other = new Bench();
  other.query[Symbol.dispose]();
  assert.equal(other.query.receive(answer), false);
  other.clock.advance(60_000);
  assert.deepEqual([other.outcomes, other.sentMs], [[], [0]]);
});
