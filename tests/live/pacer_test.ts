import assert from "node:assert/strict";
import { Pacer } from "../../lib/live/pacer.ts";
import { FakeClock } from "../support/fake_clock.ts";

Deno.test("tags are due at their times from the start on, less what may be ahead", () => {
  const clock = new FakeClock(777);
  const pacer = new Pacer(() => clock.now());
  assert.equal(pacer.dueInMs(4000, 0), 0);
  assert.equal(pacer.dueInMs(4500, 0), 500);
  assert.equal(pacer.dueInMs(4500, 2000), -1500);
  clock.advance(300);
  assert.equal(pacer.dueInMs(4500, 0), 200);
  assert.equal(pacer.dueInMs(4480, 0), 180); // a little out of order
});

Deno.test("after a restart, or when times jump back, the next tag is due at once", () => {
  const clock = new FakeClock();
  const pacer = new Pacer(() => clock.now());
  pacer.dueInMs(0, 0);
  clock.advance(10);
  pacer.restart();
  assert.equal(pacer.dueInMs(90_000, 0), 0);
  assert.equal(pacer.dueInMs(90_100, 0), 100);
  assert.equal(pacer.dueInMs(20, 0), 0);
  assert.equal(pacer.dueInMs(120, 0), 100);
});
