// Tests of lib/sip/transport/routing.ts: targets, our own addresses, and the loud line about loopback.

import fc from "fast-check";
import assert from "node:assert/strict";
import { TransportError } from "../../../lib/base/errors.ts";
import { seededRandom } from "../../../lib/base/random.ts";
import type { DnsResolver, NaptrRecord, SrvRecord } from "../../../lib/net/dns.ts";
import type { Endpoint, TargetGuard } from "../../../lib/net/endpoint.ts";
import { formatTarget, type Target } from "../../../lib/sip/message/target.ts";
import { parseSipUri } from "../../../lib/sip/message/uri.ts";
import {
  AVOID_MS,
  FailedTargets,
  MAX_FAILED,
  orderSrv,
  type ResolveOptions,
  resolveTargets,
  SipRouter,
} from "../../../lib/sip/transport/routing.ts";
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

interface Zone {
  a?: Record<string, string[]>;
  aaaa?: Record<string, string[]>;
  srv?: Record<string, [priority: number, weight: number, port: number, target: string][]>;
  naptr?: Record<string, [order: number, preference: number, services: string, replacement: string][]>;
  broken?: string[];
}

/** A resolver that knows a zone and notes what it was asked. */
class FakeDns implements DnsResolver {
  readonly asked: string[] = [];
  readonly #zone: Zone;

  constructor(zone: Zone) {
    this.#zone = zone;
  }

  a(name: string): Promise<string[]> {
    return this.#answer("A", name, this.#zone.a?.[name]);
  }

  aaaa(name: string): Promise<string[]> {
    return this.#answer("AAAA", name, this.#zone.aaaa?.[name]);
  }

  srv(name: string): Promise<SrvRecord[]> {
    const found = this.#zone.srv?.[name]
      ?.map(([priority, weight, port, target]) => ({ priority, weight, port, target }));
    return this.#answer("SRV", name, found);
  }

  naptr(name: string): Promise<NaptrRecord[]> {
    const found = this.#zone.naptr?.[name]?.map(([order, preference, services, replacement]) => ({
      order,
      preference,
      flags: "s",
      services,
      regexp: "",
      replacement,
    }));
    return this.#answer("NAPTR", name, found);
  }

  #answer<T>(type: string, name: string, found: T[] | undefined): Promise<T[]> {
    this.asked.push(`${type} ${name}`);
    if (this.#zone.broken?.includes(type)) {
      return Promise.reject(new TransportError(`${type} ${name}: no answer`, "timeout"));
    }
    return Promise.resolve(found ?? []);
  }
}

async function resolved(uri: string, zone: Zone, options: ResolveOptions = {}): Promise<string[]> {
  const targets = await resolveTargets(parseSipUri(uri), new FakeDns(zone), {
    random: seededRandom(3),
    ...options,
  });
  return targets.map(formatTarget);
}

const SERVERS = { a: { "s1.x.net": ["192.0.2.1"], "s2.x.net": ["192.0.2.2"], "s3.x.net": ["192.0.2.3"] } };

const CASES: [name: string, uri: string, zone: Zone, targets: string[], options?: ResolveOptions][] = [
  ["address", "sip:a@192.0.2.9", {}, ["udp 192.0.2.9:5060"]],
  ["address and port", "sip:a@192.0.2.9:5070", {}, ["udp 192.0.2.9:5070"]],
  ["IPv6 address, transport", "sip:a@[2001:db8::1];transport=TCP", {}, ["tcp [2001:db8::1]:5060"]],
  ["option transport", "sip:a@192.0.2.9", {}, ["tcp 192.0.2.9:5060"], { transport: "tcp" }],
  ["the URI's transport before the option", "sip:a@192.0.2.9;transport=udp", {}, ["udp 192.0.2.9:5060"], {
    transport: "tcp",
  }],
  ["maddr", "sip:a@x.net;maddr=192.0.2.7", {}, ["udp 192.0.2.7:5060"]],
  ["maddr in brackets", "sip:a@x.net:5070;maddr=[::1]", {}, ["udp [::1]:5070"]],
  ["name and port: addresses only", "sip:s1.x.net:5070", SERVERS, ["udp 192.0.2.1:5070"]],
  ["no records but addresses", "sip:s1.x.net", SERVERS, ["udp 192.0.2.1:5060"]],
  [
    "IPv4 before IPv6",
    "sip:h.net",
    { a: { "h.net": ["192.0.2.1", "192.0.2.2"] }, aaaa: { "h.net": ["::5"] } },
    ["udp 192.0.2.1:5060", "udp 192.0.2.2:5060", "udp [::5]:5060"],
  ],
  [
    "SRV without NAPTR: udp before tcp",
    "sip:x.net",
    {
      ...SERVERS,
      srv: { "_sip._tcp.x.net": [[1, 1, 5062, "s2.x.net"]], "_sip._udp.x.net": [[1, 1, 5061, "s1.x.net"]] },
    },
    ["udp 192.0.2.1:5061", "tcp 192.0.2.2:5062"],
  ],
  [
    "SRV by priority",
    "sip:x.net;transport=udp",
    {
      ...SERVERS,
      srv: {
        "_sip._udp.x.net": [[20, 0, 5060, "s2.x.net"], [10, 0, 5060, "s1.x.net"], [30, 9, 5, "s3.x.net"]],
      },
    },
    ["udp 192.0.2.1:5060", "udp 192.0.2.2:5060", "udp 192.0.2.3:5"],
  ],
  [
    "SRV names an address",
    "sip:x.net;transport=tcp",
    { srv: { "_sip._tcp.x.net": [[1, 1, 5070, "192.0.2.44"]] } },
    ["tcp 192.0.2.44:5070"],
  ],
  [
    "a dot: no such service",
    "sip:x.net",
    {
      a: { "x.net": ["192.0.2.8"] },
      srv: { "_sip._udp.x.net": [[0, 0, 0, ""]], "_sip._tcp.x.net": [[0, 0, 5060, "x.net"]] },
    },
    ["tcp 192.0.2.8:5060"],
  ],
  [
    "NAPTR by order, then preference; TLS left out",
    "sip:x.net",
    {
      ...SERVERS,
      naptr: {
        "x.net": [
          [20, 1, "SIP+D2U", "_sip._udp.x.net"],
          [10, 2, "SIP+D2T", "tcp.pool.net"],
          [5, 1, "SIPS+D2T", "_sips._tcp.x.net"],
        ],
      },
      srv: { "tcp.pool.net": [[1, 1, 5062, "s2.x.net"]], "_sip._udp.x.net": [[1, 1, 5061, "s1.x.net"]] },
    },
    ["tcp 192.0.2.2:5062", "udp 192.0.2.1:5061"],
  ],
  [
    "NAPTR is not asked when the transport is known",
    "sip:x.net;transport=udp",
    {
      ...SERVERS,
      naptr: { "x.net": [[1, 1, "SIP+D2T", "_sip._tcp.x.net"]] },
      srv: { "_sip._udp.x.net": [[1, 1, 5061, "s1.x.net"]] },
    },
    ["udp 192.0.2.1:5061"],
  ],
  [
    "the same target twice counts once",
    "sip:x.net;transport=udp",
    { ...SERVERS, srv: { "_sip._udp.x.net": [[1, 0, 5060, "s1.x.net"], [2, 0, 5060, "s1.x.net"]] } },
    ["udp 192.0.2.1:5060"],
  ],
  ["a name server that fails NAPTR and SRV", "sip:s1.x.net", { ...SERVERS, broken: ["NAPTR", "SRV"] }, [
    "udp 192.0.2.1:5060",
  ]],
  ["nothing found", "sip:nobody.net", {}, []],
  ["sips is not there yet", "sips:192.0.2.1", {}, []],
  ["tls is not there yet", "sip:192.0.2.1;transport=tls", {}, []],
  ["tel has no host", "tel:+1201", {}, []],
];

for (const [name, uri, zone, targets, options] of CASES) {
  Deno.test(`resolve: ${name}`, async () => assert.deepEqual(await resolved(uri, zone, options), targets));
}

Deno.test("resolve: the fewest questions", async () => {
  const questions = async (uri: string) => {
    const dns = new FakeDns({});
    await resolveTargets(parseSipUri(uri), dns);
    return dns.asked;
  };
  assert.deepEqual(await questions("sip:192.0.2.1"), []);
  assert.deepEqual(await questions("sip:x.net:5060"), ["A x.net", "AAAA x.net"]);
  assert.deepEqual(await questions("sip:x.net;transport=tcp"), [
    "SRV _sip._tcp.x.net",
    "A x.net",
    "AAAA x.net",
  ]);
});

Deno.test("resolve: when DNS fails and nothing is found, that is the reason", async () => {
  await assert.rejects(resolved("sip:x.net", { broken: ["A"] }), {
    name: "TransportError",
    message: "A x.net: no answer",
  });
});

Deno.test("resolve: hundreds of records make a bounded list", async () => {
  const addresses = Array.from({ length: 200 }, (_, i) => `192.0.2.${i}`);
  const records = addresses.map((address): [number, number, number, string] => [1, 1, 5060, address]);
  assert.equal(
    (await resolved("sip:x.net;transport=udp", { srv: { "_sip._udp.x.net": records } })).length,
    16,
  );
  assert.equal((await resolved("sip:x.net:5060", { a: { "x.net": addresses } })).length, 16);
});

Deno.test("resolve: load follows the weights", async () => {
  const zone: Zone = {
    ...SERVERS,
    srv: { "_sip._udp.x.net": [[1, 90, 5060, "s1.x.net"], [1, 10, 5060, "s2.x.net"]] },
  };
  const random = seededRandom(5);
  let first = 0;
  for (let i = 0; i < 500; i++) {
    const [target] = await resolveTargets(parseSipUri("sip:x.net;transport=udp"), new FakeDns(zone), {
      random,
    });
    if (target!.endpoint.hostname === "192.0.2.1") first++;
  }
  assert.ok(first > 400 && first < 490, `${first} of 500`);
});

const record = fc.record({ priority: fc.nat(3), weight: fc.constantFrom(0, 0, 1, 10, 65535), id: fc.nat() });

Deno.test("srv_order: a permutation, sorted by priority", () => {
  fc.assert(fc.property(fc.array(record, { maxLength: 20 }), fc.nat(), (records, seed) => {
    const ordered = orderSrv(records, seededRandom(seed));
    assert.equal(ordered.length, records.length);
    assert.deepEqual(new Set(ordered), new Set(records));
    for (let i = 1; i < ordered.length; i++) assert.ok(ordered[i - 1]!.priority <= ordered[i]!.priority);
  }));
});

Deno.test("srv_order: weights 3 to 1 within a priority, weight 0 hardly ever first", () => {
  const random = seededRandom(11);
  const first = new Map<string, number>();
  const records = [
    { priority: 1, weight: 25, id: "one" },
    { priority: 1, weight: 75, id: "three" },
    { priority: 1, weight: 0, id: "spare" },
    { priority: 2, weight: 99, id: "later" },
  ];
  for (let i = 0; i < 4000; i++) {
    const ordered = orderSrv(records, random);
    first.set(ordered[0]!.id, (first.get(ordered[0]!.id) ?? 0) + 1);
    assert.equal(ordered[3]!.id, "later");
  }
  const ratio = first.get("three")! / first.get("one")!;
  assert.ok(ratio > 2.5 && ratio < 3.6, `ratio ${ratio}`);
  const spare = first.get("spare") ?? 0;
  assert.ok(spare > 0 && spare < 100, `${spare} of 4000`);
});
