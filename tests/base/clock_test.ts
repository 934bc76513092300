// delay() under a fake clock; the system clock only for what a fake cannot show.

import assert from "node:assert/strict";
import { delay, systemClock } from "../../lib/base/clock.ts";
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

Deno.test("the system clock stands still while it is held, and goes on when it is released", () => {
  const before = systemClock.now();
  const spin = (): void => {
    for (const endMs = performance.now() + 3; performance.now() < endMs;);
  };
  systemClock.hold();
  const held = systemClock.now();
  spin();
  const later = systemClock.now();
  systemClock.release();
  assert.equal(later, held);
  assert.ok(held >= before);
  assert.ok(systemClock.now() >= held + 3);
  spin();
  assert.ok(systemClock.now() >= held + 6, "nobody holds it now");
});
