// delay() and Ticker under a fake clock; the system clock only for what a fake cannot show.

import assert from "node:assert/strict";
import { delay, systemClock, Ticker } from "../../lib/base/clock.ts";
import { FakeClock } from "../support/fake_clock.ts";

Deno.test("delay ends true with time and false with the signal, and leaves no timer", async () => {
  const clock = new FakeClock();
  const stop = new AbortController();
  const passed = delay(clock, 100, stop.signal);
  clock.advance(99);
  assert.equal(clock.pending, 1);
  clock.advance(1);
  assert.equal(await passed, true);

  const ended = delay(clock, 100, stop.signal);
  stop.abort();
  assert.equal(await ended, false);
  assert.equal(clock.pending, 0);
  assert.equal(await delay(clock, 100, stop.signal), false, "already aborted");
  assert.equal(clock.pending, 0);
});

Deno.test("a ticker calls every member on absolute deadlines and stops with the last", () => {
  const clock = new FakeClock(1000);
  const ticker = new Ticker(clock, 10);
  const seen: number[] = [];
  const first = ticker.add((nowMs) => seen.push(nowMs));
  clock.advance(5);
  const second = ticker.add((nowMs) => seen.push(-nowMs));
  assert.equal(clock.pending, 1, "one timer for all");
  clock.advance(15);
  assert.deepEqual(seen, [1010, -1010, 1020, -1020]);
  first[Symbol.dispose]();
  clock.advance(10);
  assert.deepEqual(seen.slice(4), [-1030]);
  second[Symbol.dispose]();
  second[Symbol.dispose]();
  assert.deepEqual([clock.pending, ticker.size], [0, 0]);
  ticker.add((nowMs) => seen.push(nowMs));
  clock.advance(10);
  assert.equal(seen.at(-1), 1040);
  ticker[Symbol.dispose]();
  assert.equal(clock.pending, 0);
});

Deno.test("ticks missed by a busy process are skipped, the rhythm is kept", () => {
  const clock = new FakeClock();
  const ticker = new Ticker(clock, 10);
  const seen: number[] = [];
  const busyMs = [0, 27, 0, 0];
  const member = ticker.add((nowMs) => {
    seen.push(nowMs);
    clock.advance(busyMs[seen.length - 1] ?? 0);
  });
  clock.advance(10);
  clock.advance(10);
  clock.advance(33);
  assert.deepEqual(seen, [10, 20, 50, 60, 70, 80]);
  member[Symbol.dispose]();
});

Deno.test("a member that throws is reported and removed, the others go on", () => {
  const clock = new FakeClock();
  const errors: unknown[] = [];
  const ticker = new Ticker(clock, 10, (error) => errors.push(error));
  let ticks = 0;
  ticker.add(() => {
    throw new Error("member");
  });
  const other = ticker.add(() => ticks++);
  clock.advance(30);
  assert.deepEqual([errors.length, ticks, ticker.size], [1, 3, 1]);
  other[Symbol.dispose]();
});

Deno.test("members may leave and come during a tick", () => {
  const clock = new FakeClock();
  const ticker = new Ticker(clock, 10);
  const seen: string[] = [];
  const first = ticker.add(() => {
    seen.push("first");
    first[Symbol.dispose]();
    second[Symbol.dispose]();
    ticker.add(() => seen.push("third"));
  });
  const second = ticker.add(() => seen.push("second"));
  clock.advance(20);
  assert.deepEqual(seen.filter((name) => name !== "third"), ["first"]);
  assert.ok(seen.includes("third"));
  assert.equal(ticker.size, 1);
  ticker[Symbol.dispose]();
  assert.equal(clock.pending, 0);
});

Deno.test("the last member may end the ticker from inside its tick", () => {
  const clock = new FakeClock();
  const ticker = new Ticker(clock, 10);
  const member = ticker.add(() => member[Symbol.dispose]());
  clock.advance(100);
  assert.equal(clock.pending, 0);
});

Deno.test("the system clock fires, can be disposed, and holds delays longer than a timer can", async () => {
  const fired = Promise.withResolvers<void>();
  let wrong = 0;
  systemClock.after(1, () => wrong++)[Symbol.dispose]();
  const long = systemClock.after(2 ** 40, () => wrong++);
  systemClock.after(2, fired.resolve);
  await fired.promise;
  long[Symbol.dispose]();
  assert.equal(wrong, 0);
  const before = systemClock.now();
  assert.ok(systemClock.now() >= before);
  assert.ok(systemClock.wallMs() > Date.UTC(2020, 0, 1));
});

Deno.test("the system clock stands still within one turn and goes on in the next", async () => {
  const before = systemClock.now();
  for (const endMs = performance.now() + 3; performance.now() < endMs;);
  assert.equal(systemClock.now(), before);
  await Promise.resolve();
  assert.ok(systemClock.now() >= before + 3);
});
