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
      offenders.note("192.0.2.1", "SIP requests for nobody here");
      clock.advance(REPORT_MS / 600);
    }
  }
  const counts = "60000 malformed SIP messages, 600 SIP requests for nobody here";
  assert.deepEqual(log.lines, [
    "warn net 192.0.2.1 is limited, as long as it goes on: too many malformed SIP messages",
    ...Array(3).fill(`warn net 192.0.2.1 was limited in the last minute: ${counts}`),
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
      offenders.note(`10.0.${i >> 8}.${i & 255}`, "pauses for sending too much");
    }
  }
  assert.equal(offenders.size, 256);
  assert.deepEqual(
    log.lines,
    [0, 1, 2].map((i) => `warn net 10.0.0.${i} is limited, as long as it goes on: it sends too much`),
  );
  clock.advance(REPORT_MS);
  assert.deepEqual(log.lines.slice(3), [
    "warn net 10.0.0.99 was limited in the last minute: 100 pauses for sending too much",
    "warn net 10.0.0.42 was limited in the last minute: 43 pauses for sending too much",
    "warn net 10.0.0.7 was limited in the last minute: 8 pauses for sending too much",
    "warn net 253 and more others were limited: 997 times",
  ]);
  offenders.note("10.0.0.99", "pauses for sending too much");
  assert.equal(log.lines.length, 7, "who was named goes on: no news");
  offenders.note("10.0.0.1", "pauses for sending too much");
  assert.equal(log.lines.length, 8);
  offenders[Symbol.dispose]();
});

Deno.test("what was not told is told at the end, and no timer stays", () => {
  const { clock, log, offenders } = scene();
  offenders.note("192.0.2.1", "pauses for sending too much");
  offenders[Symbol.dispose]();
  assert.equal(clock.pending, 0);
  assert.match(log.lines[1] ?? "", /192\.0\.2\.1 was limited in the last minute: 1 pauses/);
});
