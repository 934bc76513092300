// Answers to: lib/sip/transport/resolve.ts. A zone in memory stands for DNS.

import fc from "fast-check";
import assert from "node:assert/strict";
import { TransportError } from "../../../lib/base/errors.ts";
import { seededRandom } from "../../../lib/base/random.ts";
import type { DnsResolver, NaptrRecord, SrvRecord } from "../../../lib/net/dns.ts";
import { formatTarget } from "../../../lib/sip/message/target.ts";
import { parseSipUri } from "../../../lib/sip/message/uri.ts";
import { orderSrv, type ResolveOptions, resolveTargets } from "../../../lib/sip/transport/resolve.ts";

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
