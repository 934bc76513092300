import assert from "node:assert/strict";
import { BadTraffic, type BadTrafficOptions } from "../../../lib/gateway/access/bad_traffic.ts";
import { FakeClock } from "../../support/fake_clock.ts";

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
