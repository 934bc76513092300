// Answers to: lib/sip/transaction/repeated_response.ts (RFC 3261 13.3.1.4).

import assert from "node:assert/strict";
import { RepeatedResponse } from "../../../lib/sip/transaction/repeated_response.ts";
import { defaultTimers } from "../../../lib/sip/transaction/timers.ts";
import { FakeClock } from "../../support/fake_clock.ts";

function start(clock: FakeClock, capMs?: number): { machine: RepeatedResponse; log: (number | string)[] } {
  const log: (number | string)[] = [];
  const machine = new RepeatedResponse({
    timers: defaultTimers,
    clock,
    resend: () => log.push(clock.now()),
    timedOut: () => log.push(`gave up at ${clock.now()}`),
    ...(capMs === undefined ? {} : { capMs }),
  });
  return { machine, log };
}

Deno.test("repeated response: after T1, doubling up to T2, for 64*T1", () => {
  const clock = new FakeClock();
  const { machine, log } = start(clock);
  clock.advance(100000);
  const times = [500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500];
  assert.deepEqual(log, [...times, "gave up at 32000"]);
  assert.deepEqual([machine.running, clock.pending], [false, 0]);
});

Deno.test("repeated response: without a cap it doubles on (RFC 3262 3)", () => {
  const clock = new FakeClock();
  const { log } = start(clock, Infinity);
  clock.advance(100000);
  assert.deepEqual(log, [500, 1500, 3500, 7500, 15500, 31500, "gave up at 32000"]);
});

Deno.test("repeated response: the acknowledgement ends it, once", () => {
  const clock = new FakeClock();
  const { machine, log } = start(clock);
  clock.advance(600);
  assert.deepEqual([machine.running, machine.acknowledge(), machine.acknowledge()], [true, true, false]);
  clock.advance(100000);
  assert.deepEqual([log, machine.running, clock.pending], [[500], false, 0]);
});

Deno.test("repeated response: acknowledged from inside its own repetition", () => {
  const clock = new FakeClock();
  const resent: number[] = [];
  const machine: RepeatedResponse = new RepeatedResponse({
    timers: defaultTimers,
    clock,
    resend: () => {
      resent.push(clock.now());
      machine.acknowledge();
    },
    timedOut: () => assert.fail("gave up although acknowledged"),
  });
  clock.advance(100000);
  assert.deepEqual([resent, machine.running, clock.pending], [[500], false, 0]);
});
