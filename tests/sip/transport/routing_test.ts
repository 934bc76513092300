// Tests of lib/sip/transport/routing.ts: targets, our own addresses, and the loud line about loopback.

import assert from "node:assert/strict";
import { TransportError } from "../../../lib/base/errors.ts";
import { seededRandom } from "../../../lib/base/random.ts";
import type { Endpoint, TargetGuard } from "../../../lib/net/endpoint.ts";
import { formatTarget, type Target } from "../../../lib/sip/message/target.ts";
import { parseSipUri } from "../../../lib/sip/message/uri.ts";
import { AVOID_MS, FailedTargets, MAX_FAILED, SipRouter } from "../../../lib/sip/transport/routing.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { RecordLog } from "../../support/record_log.ts";
import { targetAt } from "../../support/sip_messages.ts";

const OPERATOR = { askedBy: null };

function router(
  addressFor: (destination: Endpoint) => string,
  guard: TargetGuard = { refusal: () => null },
): { router: SipRouter; log: RecordLog; failed: FailedTargets } {
  const log = new RecordLog();
  const failed = new FailedTargets(new FakeClock());
  const dns = {
    a: (name: string) => Promise.resolve(name === "two.example" ? ["192.0.2.1", "192.0.2.2"] : []),
    aaaa: () => Promise.resolve([]),
    srv: () => Promise.resolve([]),
    naptr: () => Promise.resolve([]),
  };
  const options = { addresses: { addressFor }, guard, dns, random: seededRandom(1), failed, port: 5066, log };
  return { router: new SipRouter(options), log, failed };
}

Deno.test("a hop has all targets that can be reached, and our address towards the first", async () => {
  const { router: some } = router((to) => {
    if (to.hostname === "192.0.2.1") throw new TransportError("no route", "unreachable");
    return "198.51.100.7";
  });
  const hop = await some.hopTo(parseSipUri("sip:x@two.example"), OPERATOR);
  assert.ok(!("type" in hop));
  assert.deepEqual(hop.targets.map((target) => target.endpoint.hostname), ["192.0.2.2"]);
  assert.equal(hop.localAddress, "198.51.100.7");
});

Deno.test("a transport asked for counts unless the URI names one", async () => {
  const { router: some } = router(() => "198.51.100.7");
  const transportTo = async (uri: string) => {
    const hop = await some.hopTo(parseSipUri(uri), { ...OPERATOR, transport: "tcp" });
    return "type" in hop ? hop.reason : hop.targets[0].transport;
  };
  assert.equal(await transportTo("sip:x@two.example"), "tcp");
  assert.equal(await transportTo("sip:x@two.example;transport=udp"), "udp");
});

Deno.test("a server that failed lately is asked last, and our address is the one towards the first", async () => {
  const { router: some, failed } = router((to) => to.hostname.replace("192.0.2", "198.51.100"));
  const uri = parseSipUri("sip:x@two.example");
  const firstOf = async (): Promise<string[]> => {
    const hop = await some.hopTo(uri, OPERATOR);
    assert.ok(!("type" in hop));
    return [...hop.targets.map((target) => target.endpoint.hostname), hop.localAddress];
  };
  assert.deepEqual(await firstOf(), ["192.0.2.1", "192.0.2.2", "198.51.100.1"]);
  failed.note(targetAt("udp", 1), false);
  assert.deepEqual(await firstOf(), ["192.0.2.2", "192.0.2.1", "198.51.100.2"]);
});

Deno.test("names without address, secure schemes and networks without route are unreachable", async () => {
  const { router: any } = router(() => "198.51.100.7");
  for (const uri of ["sip:x:secret@none.example", "sips:x@192.0.2.1"]) {
    const hop = await any.hopTo(parseSipUri(uri), OPERATOR);
    assert.ok("type" in hop && hop.type === "unreachable");
    assert.doesNotMatch(hop.reason, /secret/);
  }
  const { router: none } = router(() => {
    throw new TransportError("no route", "unreachable");
  });
  assert.ok("type" in await none.hopTo(parseSipUri("sip:x@192.0.2.1"), OPERATOR));
});

Deno.test("loopback told to somebody elsewhere is one loud line", () => {
  const { router: loop, log } = router(() => "127.0.0.1");
  loop.addressTowards({ hostname: "127.0.0.1", port: 5060 });
  assert.equal(log.at("warn").length, 0);
  loop.addressTowards({ hostname: "192.0.2.1", port: 5060 });
  loop.addressTowards({ hostname: "192.0.2.2", port: 5060 });
  assert.equal(log.at("warn").length, 1);
  assert.match(log.at("warn")[0] ?? "", /LOOPBACK/);
});

Deno.test("our Via says address and port, even when the network just went away", () => {
  const { router: fine } = router(() => "198.51.100.7");
  assert.deepEqual(fine.sentBy(targetAt()), { host: "198.51.100.7", port: 5066 });
  const { router: gone, log } = router(() => {
    throw new TransportError("no route", "unreachable");
  });
  assert.deepEqual(gone.sentBy(targetAt()), { host: "0.0.0.0", port: 5066 });
  assert.equal(log.at("warn").length, 1);
});

Deno.test("addresses that may not be sent to are left out; when none is left the reason is that", async () => {
  const asked: (string | null)[] = [];
  const guard: TargetGuard = {
    refusal: ({ hostname }, askedBy) => {
      asked.push(askedBy);
      return hostname === "192.0.2.1" || hostname === "127.0.0.1" ? `not to ${hostname}` : null;
    },
  };
  const { router: some } = router(() => "198.51.100.7", guard);
  const hop = await some.hopTo(parseSipUri("sip:x@two.example"), { askedBy: "203.0.113.9" });
  assert.ok(!("type" in hop));
  assert.deepEqual(hop.targets.map(({ endpoint }) => endpoint.hostname), ["192.0.2.2"]);
  for (const uri of ["sip:x@127.0.0.1:22;transport=tcp", "sip:x@two.example;maddr=127.0.0.1"]) {
    const denied = await some.hopTo(parseSipUri(uri), { askedBy: "203.0.113.9" });
    assert.deepEqual(denied, { type: "unreachable", status: 403, reason: "not to 127.0.0.1" });
  }
  assert.deepEqual([...new Set(asked)], ["203.0.113.9"]);
  const nobody = await some.hopTo(parseSipUri("sip:x@none.example"), { askedBy: null });
  assert.ok("type" in nobody && nobody.status === undefined);
});

/** Addresses that want what is not spoken, and what is said of each. */
const UNSPOKEN: [uri: string, words: RegExp][] = [
  ["sip:x@192.0.2.1;transport=tls", /asks for TLS, which is not spoken here/],
  ["sip:x@192.0.2.1;transport=TLS", /asks for TLS, /],
  ["sip:x@192.0.2.1;transport=ws", /asks for WS, /],
  ["sip:x@192.0.2.1;transport=wss", /asks for WSS, /],
  ["sip:x@192.0.2.1;transport=sctp", /asks for SCTP, /],
  ["sip:x@192.0.2.1;transport=tls-sctp", /asks for TLS-SCTP, /],
  ["sip:x@192.0.2.1;transport=%0d", /asks for that transport, /],
  ["sips:x@192.0.2.1", /need TLS, which is not spoken here/],
];

for (const [uri, words] of UNSPOKEN) {
  Deno.test(`no way to ${uri}, and why`, async () => {
    const hop = await router(() => "198.51.100.7").router.hopTo(parseSipUri(uri), { askedBy: null });
    assert.ok("type" in hop);
    assert.match(hop.reason, words);
    assert.match(hop.reason, /spoken are UDP and TCP$/);
  });
}

const [one, two, three] = [targetAt("udp", 1), targetAt("udp", 2), targetAt("udp", 3)];
const names = (targets: readonly Target[]) => targets.map(formatTarget).join(", ");

Deno.test("failed servers go behind the others until they answer, or for five minutes", () => {
  const clock = new FakeClock();
  const failed = new FailedTargets(clock);
  const expect = (...wanted: Target[]) => assert.equal(names(failed.order([one, two, three])), names(wanted));
  expect(one, two, three);
  failed.note(one, false);
  expect(two, three, one);
  failed.note(two, false);
  expect(three, one, two);
  failed.note(one, true);
  expect(one, three, two);
  clock.advance(AVOID_MS - 1);
  expect(one, three, two);
  clock.advance(1);
  expect(one, two, three);
});

Deno.test("when all have failed the order is the usual one, and the transport counts", () => {
  const failed = new FailedTargets(new FakeClock());
  const overTcp = targetAt("tcp", 1);
  for (const target of [three, two, one]) failed.note(target, false);
  assert.equal(names(failed.order([one, two, three])), names([one, two, three]));
  assert.equal(names(failed.order([one, overTcp])), names([overTcp, one]));
});

Deno.test("memory is bounded: the longest failed is forgotten", () => {
  const failed = new FailedTargets(new FakeClock());
  for (let host = 1; host <= MAX_FAILED + 1; host++) {
    failed.note({ transport: "udp", endpoint: { hostname: "192.0.2.1", port: host } }, false);
  }
  const [first, second] = [1, 2].map((port): Target => ({
    transport: "udp",
    endpoint: { hostname: "192.0.2.1", port },
  })) as [Target, Target];
  assert.equal(names(failed.order([second, first])), names([first, second]));
});
