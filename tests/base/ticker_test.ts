// Many members on one timer, under a fake clock.

import assert from "node:assert/strict";
import { Ticker } from "../../lib/base/ticker.ts";
import { FakeClock } from "../support/fake_clock.ts";

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

Deno.test("members that need it less often are called on each n-th tick, and not all on the same one", () => {
  const clock = new FakeClock();
  using ticker = new Ticker(clock, 10);
  const seen: string[] = [];
  const often = ticker.add((nowMs) => seen.push(`${nowMs} often`));
  const members = ["a", "b", "c", "d"].map((name) => ticker.add((nowMs) => seen.push(`${nowMs} ${name}`), 3));
  clock.advance(60);
  const seldom = seen.filter((line) => !line.endsWith("often"));
  assert.equal(seen.length - seldom.length, 6);
  assert.equal(seldom.length, 8, "four members twice each");
  for (const name of ["a", "b", "c", "d"]) {
    const times = seldom.filter((line) => line.endsWith(name)).map((line) => Number(line.split(" ")[0]));
    assert.equal(times[1]! - times[0]!, 30, name);
  }
  assert.equal(
    Math.max(...[10, 20, 30].map((at) => seldom.filter((line) => line.startsWith(`${at} `)).length)),
    2,
  );
  for (const member of members) member[Symbol.dispose]();
  assert.equal(ticker.size, 1);
  often[Symbol.dispose]();
  assert.equal(clock.pending, 0);
});

Deno.test("a seldom member that throws is removed alone", () => {
  const clock = new FakeClock();
  const errors: unknown[] = [];
  using ticker = new Ticker(clock, 10, (error) => errors.push(error));
  ticker.add(() => {
    throw new Error("member");
  }, 2);
  let calls = 0;
  ticker.add(() => calls++, 2);
  clock.advance(80);
  assert.deepEqual([errors.length, calls, ticker.size], [1, 4, 1]);
});
