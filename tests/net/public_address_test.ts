// Answers to: lib/net/public_address.ts.

import assert from "node:assert/strict";
import { seededRandom } from "../../lib/base/random.ts";
import type { DnsResolver } from "../../lib/net/dns.ts";
import type { Endpoint } from "../../lib/net/endpoint.ts";
import {
  FIRST_RETRY_MS,
  FIRST_WAIT_MS,
  PublicAddress,
  type PublicAddressOptions,
  REFRESH_MS,
} from "../../lib/net/public_address.ts";
import { TransportError } from "../../lib/base/errors.ts";
import { UdpSocket } from "../../lib/net/udp.ts";
import { answerStun, decodeStun, encodeStun } from "../../lib/net/stun.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { FakeUdpNetwork } from "../support/fake_udp.ts";
import { FakeStunServer } from "../support/net_stun_server.ts";
import { RecordLog } from "../support/record_log.ts";

const SERVER = { hostname: "192.0.2.1", port: 3478 };
const OTHER = { hostname: "192.0.2.2", port: 3478 };

class Bench implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly log = new RecordLog("info");
  readonly network = new FakeUdpNetwork();
  readonly addresses: string[] = [];
  readonly names = new Map<string, string[]>([
    ["stun.example", [SERVER.hostname, OTHER.hostname]],
    ["nowhere.example", []],
  ]);
  readonly watch: PublicAddress;
  settled = false;
  readonly #end = new AbortController();
  readonly #running: Promise<void>;

  constructor(options: Partial<PublicAddressOptions> = {}) {
    this.watch = new PublicAddress({
      server: { hostname: "stun.example", port: 3478 },
      bind: "10.0.0.5",
      clock: this.clock,
      random: seededRandom(7),
      log: this.log,
      dns: this.#dns(),
      onAddress: (address) => void this.addresses.push(address),
      bindSocket: (at) => this.network.bind(at),
      ...options,
    });
    this.watch.settled.then(() => this.settled = true);
    this.#running = this.watch.run(this.#end.signal);
  }

  #dns(): DnsResolver {
    const find = (name: string, ipv6: boolean) => {
      if (name === "broken.example") return Promise.reject(new TransportError("no name server", "failed"));
      const all = this.names.get(name) ?? [name];
      return Promise.resolve(all.filter((address) => address.includes(":") === ipv6));
    };
    const none = () => Promise.resolve([]);
    return { a: (name) => find(name, false), aaaa: (name) => find(name, true), srv: none, naptr: none };
  }

  server(at: Endpoint = SERVER): FakeStunServer {
    return new FakeStunServer(this.network, at);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort();
    await this.#running;
    assert.equal(this.clock.pending, 0);
  }
}

const publicly = (hostname: string) => ({ port }: Endpoint) => ({ hostname, port });

Deno.test("public address: told at once, asked again every 2 minutes, told again only when it changed", async () => {
  await using bench = new Bench();
  using server = bench.server();
  server.seenAs = publicly("203.0.113.7");
  await bench.clock.advanceAsync(0);
  assert.deepEqual([bench.addresses, bench.watch.address, bench.settled], [
    ["203.0.113.7"],
    "203.0.113.7",
    true,
  ]);
  await bench.clock.advanceAsync(REFRESH_MS);
  assert.deepEqual([server.requests, bench.addresses.length], [2, 1]);
  server.seenAs = publicly("203.0.113.8");
  await bench.clock.advanceAsync(REFRESH_MS);
  assert.deepEqual(bench.addresses, ["203.0.113.7", "203.0.113.8"]);
  assert.deepEqual(bench.log.lines, [
    "info sip public address 203.0.113.7 (STUN stun.example:3478)",
    "info sip public address changed from 203.0.113.7 to 203.0.113.8",
  ]);
});

Deno.test("public address: a server that answers late is waited for 3 s, and used when it comes", async () => {
  await using bench = new Bench();
  await bench.clock.advanceAsync(FIRST_WAIT_MS - 1);
  assert.equal(bench.settled, false);
  await bench.clock.advanceAsync(1);
  assert.deepEqual([bench.settled, bench.watch.address], [true, null]);
  assert.match(
    bench.log.lines.join(),
    /^warn sip STUN server stun\.example:3478 gives no address \(no answer yet\): peers/,
  );
  using server = bench.server();
  server.seenAs = publicly("203.0.113.7");
  await bench.clock.advanceAsync(1_000);
  assert.deepEqual(bench.addresses, ["203.0.113.7"]);
});

Deno.test("public address: without an answer the log says what peers are told, once; retries grow to the refresh", async () => {
  await using bench = new Bench({ server: SERVER });
  using server = bench.server();
  server.seenAs = () => null;
  await bench.clock.advanceAsync(12_000);
  assert.equal(server.requests, 4);
  assert.deepEqual(bench.log.lines, [
    "warn sip STUN server 192.0.2.1:3478 gives no address (no answer yet): " +
    "peers are told the address of our network interface until it does",
  ]);
  await bench.clock.advanceAsync(FIRST_RETRY_MS * 0.6);
  assert.equal(server.requests, 4);
  await bench.clock.advanceAsync(FIRST_RETRY_MS * 0.4);
  assert.ok(server.requests > 4);
  await bench.clock.advanceAsync(60 * 60_000);
  const perHour = server.requests;
  assert.ok(perHour > 4 * 25 && perHour < 4 * 45, `${perHour} requests in an hour`);
  assert.equal(bench.log.lines.length, 1);
  server.seenAs = publicly("203.0.113.7");
  await bench.clock.advanceAsync(REFRESH_MS + 12_000);
  assert.deepEqual(bench.addresses, ["203.0.113.7"]);
});

Deno.test("public address: once known it is kept while the server is away", async () => {
  await using bench = new Bench({ server: SERVER });
  using server = bench.server();
  server.seenAs = publicly("203.0.113.7");
  await bench.clock.advanceAsync(0);
  server.refusal = { code: 500, reason: "Server Error" };
  await bench.clock.advanceAsync(3 * REFRESH_MS);
  assert.deepEqual([bench.addresses.length, bench.watch.address], [1, "203.0.113.7"]);
  server.refusal = null;
  await bench.clock.advanceAsync(REFRESH_MS);
  assert.deepEqual(bench.log.lines.slice(1), [
    "warn sip STUN server 192.0.2.1:3478 gives no address (it answers 500 Server Error): peers are still told 203.0.113.7",
    "info sip STUN server 192.0.2.1:3478 answers again: 203.0.113.7",
  ]);
});

Deno.test("public address: the next address of the name is tried", async () => {
  await using bench = new Bench();
  using server = bench.server(OTHER);
  server.seenAs = publicly("203.0.113.7");
  await bench.clock.advanceAsync(12_000);
  assert.deepEqual(bench.addresses, ["203.0.113.7"]);
});

Deno.test("public address: a NAT that changes ports is told of, once", async () => {
  await using bench = new Bench({ server: SERVER });
  using server = bench.server();
  server.seenAs = () => ({ hostname: "203.0.113.7", port: 61000 });
  await bench.clock.advanceAsync(2 * REFRESH_MS);
  assert.equal(bench.log.at("warn").length, 1);
  assert.match(
    bench.log.at("warn")[0]!,
    /NAT maps ports \(\d+ to 61000\).*forward the SIP and RTP/,
  );
});

const FAILURES: [name: string, options: Partial<PublicAddressOptions>, why: RegExp][] = [
  ["a name nobody knows", { server: { hostname: "nowhere.example", port: 1 } }, /has no address of our kind/],
  ["a name server that is down", { server: { hostname: "broken.example", port: 1 } }, /no name server/],
  ["an IPv4 server for an IPv6 socket", { server: SERVER, bind: "2001:db8::5" }, /no address of our kind/],
  [
    "a socket that cannot be bound",
    {
      server: SERVER,
      bindSocket: () => {
        throw new TransportError("Cannot bind UDP", "failed");
      },
    },
    /Cannot bind UDP/,
  ],
];

for (const [name, options, why] of FAILURES) {
  Deno.test(`public address: ${name} is a reason, and tried again`, async () => {
    await using bench = new Bench(options);
    await settle();
    assert.match(bench.log.lines.join("\n"), why);
    assert.equal(bench.settled, true);
    assert.equal(bench.network.size, 0);
    await bench.clock.advanceAsync(REFRESH_MS);
    assert.equal(bench.log.lines.length, 1);
  });
}

Deno.test("public address: a socket bound to :: asks an IPv4 server from IPv4", async () => {
  const bound: string[] = [];
  const network = new FakeUdpNetwork();
  await using bench = new Bench({
    server: SERVER,
    bind: "::",
    bindSocket: (at) => {
      bound.push(at.hostname);
      return network.bind(at);
    },
  });
  await settle();
  assert.deepEqual(bound, ["0.0.0.0"]);
  assert.deepEqual(bench.addresses, []);
});

Deno.test("public address: nonsense in place of an answer changes nothing", async () => {
  await using bench = new Bench({ server: SERVER });
  const nonsense = bench.network.bind(SERVER);
  void nonsense.run((bytes, from) => {
    for (const bad of [bytes, bytes.slice(0, 9), new Uint8Array(0), new Uint8Array(40)]) {
      nonsense.send(bad, from);
    }
  });
  await bench.clock.advanceAsync(12_000);
  assert.deepEqual(bench.addresses, []);
  assert.match(bench.log.lines.join(), /no answer/);
  nonsense.close();
});

Deno.test("public address: over real sockets", async () => {
  using server = UdpSocket.bind({ hostname: "127.0.0.1", port: 0 });
  const serving = server.run((bytes, from) => {
    const answer = answerStun(decodeStun(bytes), from);
    if (answer !== null) server.send(encodeStun(answer), from);
  });
  const found = Promise.withResolvers<string>();
  const end = new AbortController();
  const watch = new PublicAddress({
    server: server.local,
    bind: "127.0.0.1",
    clock: new FakeClock(),
    random: seededRandom(1),
    log: new RecordLog(),
    dns: {
      a: (name) => Promise.resolve([name]),
      aaaa: () => Promise.resolve([]),
      srv: () => Promise.resolve([]),
      naptr: () => Promise.resolve([]),
    },
    onAddress: found.resolve,
  });
  const running = watch.run(end.signal);
  assert.equal(await found.promise, "127.0.0.1");
  end.abort();
  await running;
  server.close();
  await serving;
});
