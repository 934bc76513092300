import assert from "node:assert/strict";
import { OffenderLog, REPORT_MS } from "../../../lib/gateway/access/offender_log.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { RecordLog } from "../../support/record_log.ts";

function scene() {
  const clock = new FakeClock();
  const log = new RecordLog("info");
  return { clock, log, offenders: new OffenderLog({ clock, log }) };
}

Deno.test("an offender is named at once, and once a minute with counts while it goes on", () => {
  const { clock, log, offenders } = scene();
  for (let minute = 0; minute < 3; minute++) {
    for (let i = 0; i < 600; i++) {
      for (let k = 0; k < 100; k++) offenders.note("192.0.2.1", "malformed SIP messages");
      offenders.note("192.0.2.1", "SIP requests for unknown users");
      clock.advance(REPORT_MS / 600);
    }
  }
  const counts = "60000 malformed SIP messages, 600 SIP requests for unknown users";
  assert.deepEqual(log.lines, [
    "warn net rate limiting 192.0.2.1: malformed SIP messages",
    ...Array(3).fill(`warn net rate limited 192.0.2.1 in the last minute: ${counts}`),
  ]);
  assert.equal(clock.pending, 1);
  clock.advance(REPORT_MS);
  assert.equal(clock.pending, 0, "nobody offends: no timer");
  assert.equal(log.lines.length, 4);
});

Deno.test("many offenders: three at once, the three worst of the minute, the rest as a sum", () => {
  const { clock, log, offenders } = scene();
  for (let i = 0; i < 1000; i++) {
    for (let k = 0; k <= (i === 7 || i === 42 || i === 99 ? i : 0); k++) {
      offenders.note(`10.0.${i >> 8}.${i & 255}`, "reads paused (sending too fast)");
    }
  }
  assert.equal(offenders.size, 256);
  assert.deepEqual(
    log.lines,
    [0, 1, 2].map((i) => `warn net rate limiting 10.0.0.${i}: reads paused (sending too fast)`),
  );
  clock.advance(REPORT_MS);
  assert.deepEqual(log.lines.slice(3), [
    "warn net rate limited 10.0.0.99 in the last minute: 100 reads paused (sending too fast)",
    "warn net rate limited 10.0.0.42 in the last minute: 43 reads paused (sending too fast)",
    "warn net rate limited 10.0.0.7 in the last minute: 8 reads paused (sending too fast)",
    "warn net rate limited 253 or more other addresses in the last minute: 997 times",
  ]);
  offenders.note("10.0.0.99", "reads paused (sending too fast)");
  assert.equal(log.lines.length, 7, "who was named goes on: no news");
  offenders.note("10.0.0.1", "reads paused (sending too fast)");
  assert.equal(log.lines.length, 8);
  offenders[Symbol.dispose]();
});

Deno.test("what was not told is told at the end, and no timer stays", () => {
  const { clock, log, offenders } = scene();
  offenders.note("192.0.2.1", "reads paused (sending too fast)");
  offenders[Symbol.dispose]();
  assert.equal(clock.pending, 0);
  assert.match(log.lines[1] ?? "", /rate limited 192\.0\.2\.1 in the last minute: 1 reads paused/);
});
