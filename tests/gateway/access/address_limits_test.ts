import fc from "fast-check";
import assert from "node:assert/strict";
import {
  addressKey,
  AddressLimits,
  type Admitted,
  SlidingWindow,
  sourceKey,
} from "../../../lib/gateway/access/address_limits.ts";
import { FakeClock } from "../../support/fake_clock.ts";

const ALL = { connections: 2, failedLogins: 3, calls: 2 };
const NONE = { connections: 0, failedLogins: 0, calls: 0 };

function admitted(limits: AddressLimits, address: string): Admitted {
  const place = limits.admit(address);
  assert.ok(place.type === "admitted");
  return place;
}

Deno.test("connections of one address at a time, others not touched", () => {
  const limits = new AddressLimits(ALL, new FakeClock());
  const places = [admitted(limits, "192.0.2.1"), admitted(limits, "192.0.2.1")];
  const refused = { type: "refused", reason: "2 connections are the limit of one address" };
  assert.deepEqual(limits.admit("192.0.2.1"), { ...refused, first: true });
  assert.deepEqual(limits.admit("192.0.2.1"), { ...refused, first: false }, "not worth a second line");
  using _other = admitted(limits, "192.0.2.2");
  places[0]![Symbol.dispose]();
  places[0]![Symbol.dispose]();
  places.push(admitted(limits, "192.0.2.1"));
  assert.deepEqual(limits.admit("192.0.2.1"), { ...refused, first: true }, "freed once only");
  for (const place of places) place[Symbol.dispose]();
  assert.equal(limits.addresses, 1);
});

Deno.test("failed logins of one address in ten minutes", () => {
  const clock = new FakeClock();
  const limits = new AddressLimits(ALL, clock);
  assert.deepEqual([0, 1, 2].map(() => limits.loginFailed("192.0.2.1")), [0, 1, 2]);
  assert.equal(limits.mayLogIn("192.0.2.1"), false);
  assert.equal(limits.mayLogIn("192.0.2.2"), true);
  clock.advance(15 * 60_000);
  assert.equal(limits.mayLogIn("192.0.2.1"), true);
  clock.advance(10 * 60_000);
  assert.equal(limits.loginFailed("192.0.2.1"), 0);
});

Deno.test("calls of one address in a minute; refused ones do not count", () => {
  const clock = new FakeClock();
  const limits = new AddressLimits(ALL, clock);
  const tries = (): boolean[] => [1, 2, 3, 4].map(() => limits.beginCall("2001:db8::1"));
  assert.deepEqual(tries(), [true, true, false, false]);
  clock.advance(120_000);
  assert.deepEqual(tries(), [true, true, false, false]);
});

Deno.test("no limits, and none for this machine itself", () => {
  for (const [options, address] of [[NONE, "192.0.2.1"], [ALL, "127.0.0.1"], [ALL, "::1"]] as const) {
    const limits = new AddressLimits(options, new FakeClock());
    for (let i = 0; i < 10; i++) {
      admitted(limits, address);
      limits.loginFailed(address);
      assert.equal(limits.mayLogIn(address), true);
      assert.equal(limits.beginCall(address), true);
    }
    assert.equal(limits.loginFailed(address), 10, "counted all the same: refusals get slower");
  }
});

Deno.test("what is told elsewhere counts there as if it had happened there", () => {
  const clock = new FakeClock();
  const there = new AddressLimits(ALL, clock);
  const told: string[] = [];
  const here = new AddressLimits(ALL, clock, (change) => {
    told.push(change.type);
    there.apply(change);
  });
  const places = [admitted(here, "192.0.2.1"), admitted(here, "192.0.2.1")];
  assert.equal(there.admit("192.0.2.1").type, "refused");
  places[0]![Symbol.dispose]();
  places[0]![Symbol.dispose]();
  admitted(there, "192.0.2.1")[Symbol.dispose]();
  for (let i = 0; i < 3; i++) here.loginFailed("192.0.2.1");
  assert.equal(there.mayLogIn("192.0.2.1"), false);
  assert.ok(here.beginCall("192.0.2.1"));
  assert.ok(there.beginCall("192.0.2.1"));
  assert.equal(there.beginCall("192.0.2.1"), false);
  here.admit("127.0.0.1");
  assert.deepEqual(told, ["came", "came", "left", "login failed", "login failed", "login failed", "called"]);
  places[1]![Symbol.dispose]();
  there.apply({ type: "left", key: "192.0.2.77" }); // nobody we know
  assert.equal(there.addresses, 0);
});

Deno.test("an IPv4 address is one, an IPv6 network is one, this machine is nobody", () => {
  const same: [string, string][] = [
    ["192.0.2.1", "::ffff:192.0.2.1"],
    ["2001:db8:0:1::1", "2001:0db8:0:1:ffff::2"],
  ];
  for (const [a, b] of same) assert.equal(addressKey(a), addressKey(b));
  const different: [string, string][] = [
    ["192.0.2.1", "192.0.2.2"],
    ["2001:db8:0:1::1", "2001:db8:0:2::1"],
  ];
  for (const [a, b] of different) assert.notEqual(addressKey(a), addressKey(b));
  for (const own of ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"]) {
    assert.equal(addressKey(own), null);
  }
});

Deno.test("as a source of datagrams this machine is somebody", () => {
  for (const own of ["127.0.0.1", "127.9.9.9"]) assert.equal(sourceKey(own), own);
  assert.equal(sourceKey("::ffff:192.0.2.1"), "192.0.2.1");
  assert.equal(sourceKey("2001:db8:0:1::1"), sourceKey("2001:db8:0:1::2"));
});

Deno.test("what happened fades out over the window after it, and is gone after two", () => {
  const clock = new FakeClock();
  const window = new SlidingWindow(1000, clock);
  for (let i = 0; i < 8; i++) window.add("a");
  assert.equal(window.count("a"), 8);
  assert.equal(window.count("b"), 0);
  const seen: number[] = [];
  for (let step = 0; step < 5; step++) {
    clock.advance(step === 0 ? 1000 : 250);
    seen.push(window.count("a"));
  }
  assert.deepEqual(seen, [8, 6, 4, 2, 0]);
  clock.advance(250);
  window.add("a");
  assert.equal(window.count("a"), 1);
});

Deno.test("present and previous add up", () => {
  const clock = new FakeClock();
  const window = new SlidingWindow(1000, clock);
  clock.advance(900);
  for (let i = 0; i < 10; i++) window.add("a");
  clock.advance(600);
  window.add("a");
  assert.equal(window.count("a"), 6);
  window.clear("a");
  assert.equal(window.count("a"), 0);
});

Deno.test("keys are bounded; the one counted longest ago is forgotten", () => {
  const window = new SlidingWindow(1000, new FakeClock(), 3);
  for (const key of ["a", "b", "c", "a", "d"]) window.add(key);
  assert.equal(window.size, 3);
  assert.deepEqual(["a", "b", "c", "d"].map((key) => window.count(key)), [2, 0, 1, 1]);
});

Deno.test("a count is never negative and never above what was added", () => {
  const steps = fc.array(fc.record({ wait: fc.nat(3000), key: fc.constantFrom("a", "b", "c") }));
  fc.assert(fc.property(steps, (script) => {
    const clock = new FakeClock();
    const window = new SlidingWindow(1000, clock, 2);
    const added = new Map<string, number>();
    for (const { wait, key } of script) {
      clock.advance(wait);
      window.add(key);
      added.set(key, (added.get(key) ?? 0) + 1);
      for (const [name, count] of added) {
        assert.ok(window.count(name) >= 0 && window.count(name) <= count);
      }
      assert.ok(window.count(key) >= 1);
      assert.ok(window.size <= 2);
    }
  }));
});
