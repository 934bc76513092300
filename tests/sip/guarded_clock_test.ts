// Tests of lib/sip/guarded_clock.ts: a failing timer is logged, the others go on.

import assert from "node:assert/strict";
import { guardedClock } from "../../lib/sip/guarded_clock.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { RecordLog } from "../support/record_log.ts";

Deno.test("what a timer throws is logged, and the next timer runs", () => {
  const clock = new FakeClock(5);
  const log = new RecordLog();
  const guarded = guardedClock(clock, log);
  const ran: number[] = [];
  guarded.after(10, () => {
    throw new Error("our bug");
  });
  guarded.after(20, () => ran.push(guarded.now()));
  const stopped = guarded.after(30, () => ran.push(0));
  stopped[Symbol.dispose]();
  clock.advance(100);
  assert.deepEqual(ran, [25]);
  assert.equal(guarded.wallMs(), clock.wallMs());
  assert.equal(log.at("error").length, 1);
  assert.match(log.at("error")[0] ?? "", /our bug/);
});
