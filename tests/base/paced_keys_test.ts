import assert from "node:assert/strict";
import { MAX_QUEUED_KEYS, PacedKeys } from "../../lib/base/paced_keys.ts";
import { FakeClock } from "../support/fake_clock.ts";

/** Notes each key when it begins, and sends it in steps of 20 ms. */
class Noting extends PacedKeys {
  readonly noted: string[] = [];
  readonly #clock: FakeClock;
  #leftMs = 0;

  constructor(clock: FakeClock) {
    super(clock);
    this.#clock = clock;
  }

  protected override begin(nowMs: number): void {
    this.noted.push(`begins ${nowMs}`);
    this.step();
  }

  protected override step(): void {
    if (this.#leftMs <= 0) {
      const next = this.takeKey();
      if (next === undefined) return;
      this.#leftMs = next.durationMs;
      this.noted.push(`${next.key}/${next.durationMs} @${this.#clock.now()}`);
    }
    this.#leftMs -= 20;
    this.wait(20);
  }
}

Deno.test("paced keys: one after the other at absolute times, later ones begin at their own now", () => {
  const clock = new FakeClock(1000);
  const keys = new Noting(clock);
  assert.equal(keys.enqueue("1a", 40), true);
  assert.equal(keys.pending, 1);
  clock.advance(1000);
  assert.equal(keys.enqueue("#"), true);
  clock.advance(1000);
  assert.deepEqual(keys.noted, ["begins 1000", "1/40 @1000", "A/40 @1040", "begins 2000", "#/160 @2000"]);
  assert.deepEqual([clock.pending, keys.pending], [0, 0]);
});

Deno.test("paced keys: lengths are kept within bounds", () => {
  for (const [durationMs, kept] of [[1, 40], [1e9, 10_000], [NaN, 160], [Infinity, 160]] as const) {
    const keys = new Noting(new FakeClock(0));
    keys.enqueue("5", durationMs);
    assert.equal(keys.noted[1], `5/${kept} @0`);
  }
});

Deno.test("paced keys: what cannot be sent is refused whole, and so is everything after the end", () => {
  const clock = new FakeClock();
  const keys = new Noting(clock);
  for (const digits of ["", "12x", "1 2", "ä", "1".repeat(MAX_QUEUED_KEYS + 1)]) {
    assert.equal(keys.enqueue(digits), false);
  }
  assert.deepEqual([keys.pending, keys.noted], [0, []]);
  assert.equal(keys.enqueue("1".repeat(MAX_QUEUED_KEYS)), true);
  assert.equal(keys.enqueue("12"), false);
  keys[Symbol.dispose]();
  assert.deepEqual([keys.enqueue("1"), keys.pending, clock.pending], [false, 0, 0]);
});
