// The machine of overload, on a clock turned by hand: a late event loop is a clock that jumps.

import assert from "node:assert/strict";
import { seededRandom } from "../../lib/base/random.ts";
import { LOAD_TICK_MS, LoadGuard, type LoadLimits, type Newcomer } from "../../lib/gateway/load_guard.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { RecordLog } from "../support/record_log.ts";

const MIB = 1024 * 1024;
const WIDE: LoadLimits = { calls: 1000, lagMs: 0, memoryBytes: 0 };

/** A clock whose timers fire `lateMs` late, as those of a busy event loop. */
class LateClock extends FakeClock {
  lateMs = 0;

  override after(ms: number, run: () => void): Disposable {
    return super.after(ms + this.lateMs, run);
  }
}

function guarded(limits: Partial<LoadLimits>) {
  const clock = new LateClock();
  const log = new RecordLog("info");
  const load = { calls: 0, memoryMiB: 100 };
  const probes = { calls: () => load.calls, memoryBytes: () => load.memoryMiB * MIB };
  const guard = new LoadGuard({ ...WIDE, ...limits }, probes, { clock, log, random: seededRandom(7) });
  const ask = (newcomer: Newcomer = "call") => guard.admit(newcomer).type;
  return { clock, log, load, guard, ask };
}

Deno.test("the call beyond the limit is refused, and taken as soon as one has ended", () => {
  const { clock, log, load, guard, ask } = guarded({ calls: 2 });
  using _guard = guard;
  load.calls = 1;
  assert.equal(ask(), "admitted");
  load.calls = 2;
  const refusal = guard.admit("call");
  assert.ok(refusal.type === "refused");
  assert.equal(refusal.reason, "there are 2 calls, 2 are allowed");
  assert.deepEqual([ask("client"), ask("ping")], ["refused", "refused"]);
  load.calls = 1;
  assert.deepEqual([ask(), ask("client"), ask("ping")], ["admitted", "admitted", "admitted"]);
  clock.advance(6_000);
  assert.deepEqual(log.lines, [
    "warn main overload (there are 2 calls, 2 are allowed): rejecting new calls and clients, 2 active calls continue",
    "warn main overload cleared after 5 s, accepting again (1 calls, 0 ms late; rejected: 1 calls, 1 clients, 1 pings)",
  ]);
});

Deno.test("calls that come and go at the limit are one overload in the log, not one each", () => {
  const { clock, log, load, guard, ask } = guarded({ calls: 3 });
  using _guard = guard;
  for (let i = 0; i < 60; i++) {
    load.calls = 3;
    assert.equal(ask(), "refused");
    load.calls = 2;
    assert.equal(ask(), "admitted");
    clock.advance(1_000);
  }
  assert.equal(log.lines.length, 1);
  clock.advance(10_000);
  assert.match(log.lines[1] ?? "", /overload cleared after 6\d s.*rejected: 60 calls/);
  assert.equal(log.lines.length, 2);
});

Deno.test("nobody at the limit is no overload, until somebody more comes", () => {
  const { clock, log, load, guard } = guarded({ calls: 3 });
  using _guard = guard;
  load.calls = 3;
  clock.advance(60_000);
  assert.deepEqual(log.lines, []);
});

Deno.test("one stall is no overload; lasting lag is, and ends at half of the limit", () => {
  const { clock, log, guard, ask } = guarded({ lagMs: 100 });
  using _guard = guard;
  clock.advance(1_000);
  clock.lateMs = 5_000; // one tick
  clock.advance(LOAD_TICK_MS);
  clock.lateMs = 0;
  clock.advance(6_000);
  assert.equal(ask(), "admitted");
  clock.lateMs = 150;
  clock.advance(3_000);
  assert.equal(ask(), "admitted", "3 s of it are not enough");
  clock.advance(20_000);
  assert.ok(guard.overloaded);
  assert.equal(ask(), "refused");
  clock.lateMs = 75; // below the limit, above its half
  clock.advance(20_000);
  assert.equal(ask(), "refused");
  clock.lateMs = 5;
  clock.advance(10_000);
  assert.equal(ask(), "admitted");
  assert.equal(log.lines.length, 2, log.lines.join("\n"));
  assert.match(log.lines[0]!, /overload \(the program runs 10\d ms late, 100 are allowed/);
  assert.match(log.lines[1]!, /overload cleared .* rejected: 2 calls, 0 clients, 0 pings/);
});

Deno.test("memory above its limit refuses, until a tenth of it is free", () => {
  const { clock, log, load, guard, ask } = guarded({ memoryBytes: 1000 * MIB });
  using _guard = guard;
  load.memoryMiB = 1001;
  assert.equal(ask(), "admitted", "not yet measured");
  clock.advance(1_100);
  assert.equal(ask(), "refused");
  load.memoryMiB = 950;
  clock.advance(5_000);
  assert.equal(ask(), "refused");
  load.memoryMiB = 899;
  clock.advance(1_100);
  assert.equal(ask(), "admitted");
  assert.match(log.lines[0]!, /overload \(1001 MiB of memory are in use, 1000 are allowed/);
  assert.match(log.lines[1]!, /0 calls, 0 ms late, 899 MiB of memory/);
});

Deno.test("without limits nothing is measured, and nothing refused", () => {
  const { clock, load, guard, ask } = guarded({});
  using _guard = guard;
  load.memoryMiB = 1e9;
  clock.lateMs = 10_000;
  clock.advance(100_000);
  assert.equal(ask(), "admitted");
  assert.equal(guard.lagMs, 0);
});

Deno.test("those refused are sent away for different times, 5 to 15 s", () => {
  const { guard } = guarded({});
  using _guard = guard;
  const times = new Set(Array.from({ length: 300 }, () => guard.retryAfterSeconds()));
  assert.deepEqual([...times].sort((a, b) => a - b), [5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
});

Deno.test("a guard that is disposed leaves no timer", () => {
  const { clock, guard } = guarded({ lagMs: 100 });
  assert.equal(clock.pending, 1);
  guard[Symbol.dispose]();
  assert.equal(clock.pending, 0);
});
