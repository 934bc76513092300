import assert from "node:assert/strict";
import { MAX_QUEUED_KEYS, PacedKeys, Pacer, type PacerOptions } from "../../lib/base/pacer.ts";
import { Ticker } from "../../lib/base/ticker.ts";
import { FakeClock } from "../support/fake_clock.ts";

/** A ticker that is called when the test says, as one of a busy process. */
class LateTicker extends Ticker {
  run: (nowMs: number) => void = () => {};

  constructor() {
    super(new FakeClock(), 20);
  }

  override add(run: (nowMs: number) => void): Disposable {
    this.run = run;
    return { [Symbol.dispose]: () => {} };
  }
}

function paced(options: Partial<PacerOptions>) {
  const ticker = new LateTicker();
  const called: string[] = [];
  const pacer = new Pacer({
    ticker,
    periodMs: 20,
    earlyMs: 0.5,
    maxLateMs: 200,
    run: (index, resumed) => void called.push(`${index}${resumed ? " resumed" : ""}`),
    ...options,
  });
  return { pacer, tick: (nowMs: number) => (ticker.run(nowMs), called.splice(0)) };
}

Deno.test("pacer: a busy moment is made up for, a long one is left out but for the last deadline", () => {
  const { pacer, tick } = paced({ startMs: 1000 });
  assert.deepEqual(tick(1000), ["0 resumed"]);
  assert.deepEqual(tick(1065), ["1", "2", "3"]);
  assert.deepEqual(tick(2000), ["50 resumed"]);
  assert.deepEqual(tick(2019.4), []);
  assert.deepEqual(tick(2019.7), ["51"], "a tick that is early is not too early");
  assert.equal(pacer.startMs, 1000);
});

Deno.test("pacer: without a start it begins with the first tick", () => {
  const { pacer, tick } = paced({ earlyMs: 10 });
  assert.ok(Number.isNaN(pacer.startMs));
  assert.deepEqual([tick(777), pacer.startMs], [["0 resumed"], 777]);
  assert.deepEqual([tick(786), tick(787)], [[], ["1"]]);
});

Deno.test("pacer: it may be disposed by what it calls", () => {
  let calls = 0;
  const made: ReturnType<typeof paced> = paced({
    startMs: 0,
    run: () => {
      calls++;
      made.pacer[Symbol.dispose]();
    },
  });
  made.tick(100);
  assert.equal(calls, 1);
});

Deno.test("pacer: every 20 ms on a tick of 10 ms, until it is disposed", () => {
  const clock = new FakeClock(1000);
  using ticker = new Ticker(clock, 10);
  const called: number[] = [];
  const run = (index: number): void => void called.push(index);
  const pacer = new Pacer({ ticker, every: 2, periodMs: 20, startMs: 1000, earlyMs: 0, maxLateMs: 200, run });
  for (let i = 0; i < 50; i++) clock.advance(10);
  assert.ok(called.length >= 24 && called.length <= 26, `${called.length} calls in 500 ms`);
  assert.deepEqual(called.slice(0, 3), [0, 1, 2]);
  pacer[Symbol.dispose]();
  const count = called.length;
  for (let i = 0; i < 50; i++) clock.advance(10);
  assert.deepEqual([called.length, clock.pending], [count, 0]);
});

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
