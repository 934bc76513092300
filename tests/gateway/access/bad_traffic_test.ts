import assert from "node:assert/strict";
import {
  BadTraffic,
  type BadTrafficOptions,
  HalfOpen,
  type HalfOpenLimits,
  halfOpenLimits,
  OffenderLog,
  REPORT_MS,
} from "../../../lib/gateway/access/bad_traffic.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { RecordLog } from "../../support/record_log.ts";

const OFFENCE = "malformed SIP messages";

function scene(options: Partial<BadTrafficOptions> = {}) {
  const clock = new FakeClock();
  const noted = new Map<string, number>();
  const note = (address: string) => void noted.set(address, (noted.get(address) ?? 0) + 1);
  const traffic = new BadTraffic({ clock }, { note }, options);
  /** How many of `count` bad messages, spread over `ms`, are answered. */
  const scan = (address: string, count: number, ms = 0): number => {
    let answered = 0;
    for (let i = 0; i < count; i++) {
      if (traffic.bad(address, OFFENCE)) answered++;
      clock.advance(ms / count);
    }
    return answered;
  };
  return { clock, noted, traffic, scan };
}

Deno.test("a scan is answered for a moment, then hardly; every message that was dropped is counted", () => {
  const { noted, traffic, scan } = scene({ perSecond: 10, burst: 50 });
  assert.ok(!traffic.limited("192.0.2.1"));
  const answered = scan("192.0.2.1", 10_000, 1_000);
  assert.ok(answered >= 59 && answered <= 61, `${answered}`);
  assert.equal(noted.get("192.0.2.1"), 10_000 - answered);
  scan("192.0.2.1", 2);
  assert.ok(traffic.limited("192.0.2.1"));
});

Deno.test("a slow scan is answered, and a limited source is answered again later", () => {
  const { clock, traffic, scan } = scene({ perSecond: 10, burst: 50 });
  assert.equal(scan("192.0.2.1", 100, 20_000), 100);
  scan("192.0.2.1", 1_000);
  assert.ok(traffic.limited("192.0.2.1"));
  clock.advance(10_000);
  assert.ok(!traffic.limited("192.0.2.1"));
  assert.equal(scan("192.0.2.1", 100), 50);
});

Deno.test("others are not touched, loopback is no exception, a /64 is one source", () => {
  const { traffic, scan } = scene({ perSecond: 10, burst: 50 });
  assert.equal(scan("127.0.0.1", 100), 50);
  assert.equal(scan("2001:db8::1", 40), 40);
  assert.equal(scan("2001:db8::2", 40), 10);
  assert.deepEqual(["127.0.0.1", "127.0.0.2", "192.0.2.9"].map((address) => traffic.limited(address)), [
    true,
    false,
    false,
  ]);
});

Deno.test("a source that mostly sends good messages is told about each bad one, for ever", () => {
  const { noted, traffic, clock } = scene({ perSecond: 10, burst: 50 });
  for (let i = 0; i < 10_000; i++) {
    traffic.good("192.0.2.5");
    assert.ok(traffic.bad("192.0.2.5", OFFENCE));
    clock.advance(1);
  }
  assert.equal(noted.size, 0);
});

Deno.test("a proxy that forwards a scan: its bad messages are limited, its good ones earn credit all the time", () => {
  const { noted, traffic } = scene({ perSecond: 10, burst: 50 });
  let answered = 0;
  for (let i = 0; i < 10_000; i++) {
    if (i % 100 === 0) traffic.good("192.0.2.5");
    if (traffic.bad("192.0.2.5", OFFENCE)) answered++;
  }
  assert.equal(answered, 150);
  assert.equal(noted.get("192.0.2.5"), 9_850);
});

Deno.test("forged sources: all together have a bound, and who has credit is answered all the same", () => {
  const { clock, traffic, scan } = scene({ totalPerSecond: 100, totalBurst: 500, maxSources: 1000 });
  traffic.good("192.0.2.5");
  let answered = 0;
  for (let i = 0; i < 900; i++) answered += scan(`10.1.${i >> 8}.${i & 255}`, 10);
  assert.equal(answered, 500);
  assert.ok(traffic.limited("198.51.100.1"), "an unknown source is suspect meanwhile");
  assert.ok(!traffic.limited("192.0.2.5"));
  assert.ok(traffic.bad("192.0.2.5", OFFENCE));
  for (let i = 0; i < 10_000; i++) scan(`10.2.${i >> 8}.${i & 255}`, 1);
  assert.equal(traffic.size, 1000);
  clock.advance(1_000);
  assert.ok(!traffic.limited("198.51.100.1"));
});

Deno.test("pings are counted apart: a scan through a load balancer leaves its pings alone, and so the other way", () => {
  const { clock, noted, traffic, scan } = scene();
  scan("192.0.2.7", 10_000);
  assert.ok(traffic.limited("192.0.2.7"));
  for (let i = 0; i < 100; i++) {
    assert.ok(!traffic.pingsLimited("192.0.2.7"));
    assert.ok(traffic.ping("192.0.2.7"));
    clock.advance(1_000);
  }
  noted.clear();
  let answered = 0;
  for (let i = 0; i < 1_000; i++) answered += traffic.ping("192.0.2.8") ? 1 : 0;
  assert.deepEqual([answered, noted.get("192.0.2.8")], [10, 990]);
  assert.deepEqual([traffic.pingsLimited("192.0.2.8"), traffic.limited("192.0.2.8")], [true, false]);
});

function halfOpenScene(limits: HalfOpenLimits) {
  const dropped: string[] = [];
  const noted: string[] = [];
  const halfOpen = new HalfOpen(limits, {
    note: (address, offence) => void noted.push(`${address}: ${offence}`),
  });
  const add = (address: string, name = address) => halfOpen.add(address, () => void dropped.push(name));
  return { dropped, noted, halfOpen, add };
}

Deno.test("when all are taken the oldest makes room, and is noted", () => {
  const { dropped, noted, halfOpen, add } = halfOpenScene({ total: 3, perAddress: 3 });
  for (const address of ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"]) add(address);
  assert.deepEqual(dropped, ["192.0.2.1"]);
  assert.deepEqual(noted, ["192.0.2.1: RTMP connections without a connect command"]);
  assert.equal(halfOpen.size, 3);
});

Deno.test("an address that has its share pushes out its own, not others", () => {
  const { dropped, add } = halfOpenScene({ total: 100, perAddress: 2 });
  add("192.0.2.1", "honest");
  for (let i = 0; i < 50; i++) add("198.51.100.7", `attack ${i}`);
  assert.deepEqual(dropped, Array.from({ length: 48 }, (_, i) => `attack ${i}`));
});

Deno.test("a honest client that is through is never dropped, and counts no more", () => {
  const { dropped, halfOpen, add } = halfOpenScene({ total: 4, perAddress: 4 });
  for (let i = 0; i < 100; i++) {
    using _honest = add("192.0.2.1", "honest");
    for (let k = 0; k < 3; k++) add(`198.51.100.${k}`, "attack");
  }
  assert.ok(!dropped.includes("honest"));
  assert.equal(dropped.length, 3 * 100 - 4 + 1);
  assert.ok(halfOpen.size <= 4);
});

Deno.test("this machine has no share of its own, but counts in all", () => {
  const { dropped, halfOpen, add } = halfOpenScene({ total: 10, perAddress: 2 });
  for (let i = 0; i < 10; i++) add("127.0.0.1");
  assert.deepEqual([dropped.length, halfOpen.size], [0, 10]);
  add("::1");
  assert.deepEqual([dropped.length, halfOpen.size], [1, 10]);
});

Deno.test("disposing twice, or after being dropped, counts once", () => {
  const { halfOpen, add } = halfOpenScene({ total: 2, perAddress: 2 });
  const [first, second] = [add("192.0.2.1"), add("192.0.2.1")];
  add("192.0.2.1");
  for (const place of [first, second, second]) place[Symbol.dispose]();
  assert.equal(halfOpen.size, 1);
});

Deno.test("one address has a quarter, but eight where there are so many", () => {
  assert.deepEqual([256, 16, 4].map(halfOpenLimits), [
    { total: 256, perAddress: 64 },
    { total: 16, perAddress: 8 },
    { total: 4, perAddress: 4 },
  ]);
});

Deno.test("room is made for somebody who is known, as long as there is anybody who is not", () => {
  const { dropped, halfOpen, add } = halfOpenScene({ total: 10, perAddress: 10 });
  add("192.0.2.1");
  assert.deepEqual([halfOpen.makeRoom(), halfOpen.makeRoom(), dropped], [true, false, ["192.0.2.1"]]);
});

function offenderScene() {
  const clock = new FakeClock();
  const log = new RecordLog("info");
  return { clock, log, offenders: new OffenderLog({ clock, log }) };
}

Deno.test("an offender is named at once, and once a minute with counts while it goes on", () => {
  const { clock, log, offenders } = offenderScene();
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
  const { clock, log, offenders } = offenderScene();
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
  const { clock, log, offenders } = offenderScene();
  offenders.note("192.0.2.1", "reads paused (sending too fast)");
  offenders[Symbol.dispose]();
  assert.equal(clock.pending, 0);
  assert.match(log.lines[1] ?? "", /rate limited 192\.0\.2\.1 in the last minute: 1 reads paused/);
});
