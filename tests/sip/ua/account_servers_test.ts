// Answers to: lib/sip/ua/account_servers.ts. Which addresses are a user's own servers, however they are written.

import assert from "node:assert/strict";
import { AccountServers } from "../../../lib/sip/ua/account_servers.ts";
import type { Identity } from "../../../lib/sip/ua/identity.ts";
import type { SipRouter } from "../../../lib/sip/transport/routing.ts";
import type { Target, TransportName } from "../../../lib/sip/message/target.ts";
import { parseSipUri } from "../../../lib/sip/message/uri.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { identity } from "../../support/sip_network.ts";

const at = (hostname: string, port = 5060, transport: TransportName = "udp"): Target => ({
  transport,
  endpoint: { hostname, port },
});

interface Row {
  readonly why: string;
  readonly user?: Partial<Identity>;
  readonly proxy?: string;
  /** What a request was resolved from, and to. */
  readonly uri: string;
  readonly to: Target;
  readonly asked: Target;
  readonly own: boolean;
}

const PBX = at("192.0.2.10");

const ROWS: Row[] = [
  { why: "the domain", uri: "sip:bob@pbx.example", to: PBX, asked: PBX, own: true },
  { why: "in capitals", uri: "sip:bob@PBX.Example", to: PBX, asked: PBX, own: true },
  { why: "with the dot at its end", uri: "sip:bob@pbx.example.", to: PBX, asked: PBX, own: true },
  {
    why: "by the other transport",
    uri: "sip:bob@pbx.example;transport=tcp",
    to: at("192.0.2.10", 5060, "tcp"),
    asked: PBX,
    own: true,
  },
  {
    why: "another port of its host",
    uri: "sip:bob@pbx.example",
    to: PBX,
    asked: at("192.0.2.10", 5099),
    own: false,
  },
  {
    why: "the name with another port",
    uri: "sip:bob@pbx.example:5099",
    to: at("192.0.2.10", 5099),
    asked: at("192.0.2.10", 5099),
    own: false,
  },
  {
    why: "a stranger",
    uri: "sip:bob@evil.example",
    to: at("198.51.100.1"),
    asked: at("198.51.100.1"),
    own: false,
  },
  {
    why: "a name within",
    uri: "sip:b@pbx.example.evil",
    to: at("198.51.100.1"),
    asked: at("198.51.100.1"),
    own: false,
  },
  {
    why: "a name before",
    uri: "sip:b@evil-pbx.example",
    to: at("198.51.100.1"),
    asked: at("198.51.100.1"),
    own: false,
  },
  {
    why: "a name as user",
    uri: "sip:pbx.example@evil.example",
    to: at("198.51.100.1"),
    asked: at("198.51.100.1"),
    own: false,
  },
  {
    why: "maddr leads elsewhere",
    uri: "sip:bob@pbx.example;maddr=198.51.100.1",
    to: at("198.51.100.1"),
    asked: at("198.51.100.1"),
    own: false,
  },
  {
    why: "a registrar of its own",
    user: { registrar: parseSipUri("sip:reg.example:5080") },
    uri: "sip:reg.example:5080",
    to: at("192.0.2.20", 5080),
    asked: at("192.0.2.20", 5080),
    own: true,
  },
  {
    why: "a proxy",
    proxy: "sip:192.0.2.30;lr",
    uri: "sip:192.0.2.30;lr",
    to: at("192.0.2.30"),
    asked: at("192.0.2.30"),
    own: true,
  },
  {
    why: "IPv6, spelled differently",
    proxy: "sip:[2001:db8::1]:5062",
    uri: "sip:[2001:DB8:0:0:0:0:0:1]:5062",
    to: at("2001:db8:0:0::1", 5062),
    asked: at("2001:db8::1", 5062),
    own: true,
  },
  { why: "IPv4 in IPv6", uri: "sip:pbx.example", to: PBX, asked: at("::ffff:192.0.2.10"), own: true },
];

for (const { why, user, proxy, uri, to, asked, own } of ROWS) {
  Deno.test(`a user's servers: ${why}: ${own ? "yes" : "no"}`, () => {
    const servers = new AccountServers({
      identity: { ...identity("sip:alice@pbx.example", "secret"), ...user },
      proxy: proxy === undefined ? null : parseSipUri(proxy),
      router: { hopTo: () => assert.fail("nothing is resolved unasked") },
      clock: new FakeClock(),
    });
    assert.equal(servers.includes(asked), false);
    servers.note(parseSipUri(uri), [to]);
    assert.equal(servers.includes(asked), own);
  });
}

Deno.test("a user's servers: their names are resolved when asked, and not again within ten seconds", async () => {
  const clock = new FakeClock();
  const asked: string[] = [];
  const router: Pick<SipRouter, "hopTo"> = {
    hopTo: ({ host }) => {
      asked.push(host);
      const targets: [Target] = [at(host === "pbx.example" ? "192.0.2.10" : "192.0.2.30")];
      return Promise.resolve({ targets, localAddress: "192.0.2.1" });
    },
  };
  const proxy = parseSipUri("sip:proxy.example;lr");
  const user = identity("sip:alice@pbx.example", "secret");
  const servers = new AccountServers({ identity: user, proxy, router, clock });
  const first = servers.lookUp();
  assert.equal(servers.lookUp(), first, "one at a time");
  await first;
  assert.deepEqual([servers.includes(PBX), servers.includes(at("192.0.2.30"))], [true, true]);
  assert.deepEqual(asked, ["pbx.example", "pbx.example", "proxy.example"]);
  assert.equal(servers.lookUp(), null);
  clock.advance(10_000);
  assert.notEqual(servers.lookUp(), null);
});

Deno.test("a user's servers: the registrar may name another one as the way of all requests (RFC 3608)", () => {
  const user = identity("sip:alice@pbx.example", "secret");
  const router = { hopTo: () => assert.fail() };
  const servers = new AccountServers({ identity: user, proxy: null, router, clock: new FakeClock() });
  const edge = [at("192.0.2.77")];
  servers.note(parseSipUri("sip:edge.example;lr"), edge);
  assert.equal(servers.includes(edge[0]!), false);
  servers.note(parseSipUri("sip:edge.example;lr"), edge, true);
  assert.equal(servers.includes(edge[0]!), true);
});

Deno.test("a user's servers: addresses are bounded, the oldest goes", () => {
  const user = identity("sip:alice@pbx.example", "secret");
  const router = { hopTo: () => assert.fail() };
  const servers = new AccountServers({ identity: user, proxy: null, router, clock: new FakeClock() });
  for (let n = 0; n < 70; n++) servers.note(parseSipUri("sip:pbx.example"), [at(`192.0.2.${n}`)]);
  assert.deepEqual([servers.includes(at("192.0.2.0")), servers.includes(at("192.0.2.69"))], [false, true]);
});
