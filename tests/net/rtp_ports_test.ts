// Ports without sockets (a fake bind), then one round with real ones.

import assert from "node:assert/strict";
import { systemClock } from "../../lib/base/clock.ts";
import { ConfigError, TransportError } from "../../lib/base/errors.ts";
import type { Endpoint } from "../../lib/net/endpoint.ts";
import { type Random, seededRandom } from "../../lib/base/random.ts";
import { RtpPorts } from "../../lib/net/rtp_ports.ts";
import type { UdpSocket } from "../../lib/net/udp.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { FakeUdpNetwork } from "../support/fake_udp.ts";

const HOST = "127.0.0.1";

function inUse(error: unknown): boolean {
  return error instanceof TransportError && error.code === "addr-in-use";
}

/** Chooses the first port every time: what follows is in order. */
const FIRST: Random = { ...seededRandom(1), float: () => 0 };

function createPorts(min: number, max: number, coolDownMs = 2000, random = FIRST) {
  const clock = new FakeClock();
  const network = new FakeUdpNetwork();
  const ports = new RtpPorts({ min, max, coolDownMs }, clock, (at) => network.bind(at), random);
  const next = (): number => ports.bindPair(HOST).rtp.local.port;
  return { clock, network, ports, next };
}

Deno.test("pairs are an even port and the next one, inside the range, each given once", () => {
  const { ports, network } = createPorts(10001, 10007);
  const pairs = [ports.bindPair(HOST), ports.bindPair(HOST), ports.bindPair(HOST)];
  assert.deepEqual(pairs.map(({ rtp, rtcp }) => [rtp.local.port, rtcp.local.port]), [
    [10002, 10003],
    [10004, 10005],
    [10006, 10007],
  ]);
  assert.deepEqual([ports.inUse, network.size], [3, 6]);
  assert.throws(() => ports.bindPair(HOST), inUse);
});

Deno.test("a released pair rests, then comes again; others are used first", () => {
  const { ports, clock, network, next } = createPorts(10000, 10003);
  const first = ports.bindPair(HOST);
  first[Symbol.dispose]();
  assert.deepEqual([ports.inUse, network.size], [0, 0]);
  assert.equal(next(), 10002);
  assert.throws(next, inUse);
  clock.advance(1999);
  assert.throws(next, inUse);
  clock.advance(1);
  assert.equal(next(), 10000);
  first[Symbol.dispose]();
  assert.equal(ports.inUse, 2, "a second dispose does not touch the new owner");
});

Deno.test("ports of other programs are passed over, whichever of the two is taken, and leave nothing open", () => {
  const { network, next, ports } = createPorts(10000, 10007);
  network.bind({ hostname: HOST, port: 10000 });
  network.bind({ hostname: HOST, port: 10003 });
  assert.equal(next(), 10004);
  assert.equal(next(), 10006);
  assert.throws(next, inUse);
  assert.deepEqual([network.size, ports.inUse], [6, 2]);
});

Deno.test("an address that cannot be bound is told at once, after any number of binds, without leaks", () => {
  for (let failing = 1; failing <= 2; failing++) {
    const network = new FakeUdpNetwork();
    let binds = 0;
    const bind = (at: Endpoint): UdpSocket => {
      if (++binds === failing) throw new TransportError("no such address", "unreachable");
      return network.bind(at);
    };
    const ports = new RtpPorts({ min: 10000, max: 10100 }, new FakeClock(), bind);
    assert.throws(() => ports.bindPair(HOST), /no such address/);
    assert.deepEqual([binds, network.size, ports.inUse], [failing, 0, 0]);
    assert.ok(ports.bindPair(HOST));
  }
});

Deno.test("a range without a pair is a mistake of the configuration", () => {
  for (
    const [min, max] of [[10001, 10002], [10000, 10000], [10002, 10000], [65534, 65536], [-1, 5], [0, 5]]
  ) {
    assert.throws(
      () => new RtpPorts({ min: min!, max: max! }, new FakeClock()),
      ConfigError,
      `${min}-${max}`,
    );
  }
  const last = createPorts(65534, 65535);
  assert.equal(last.next(), 65534);
});

Deno.test("0-0 lets the system choose real pairs that work", async () => {
  const ports = new RtpPorts({ min: 0, max: 0 }, systemClock);
  using a = ports.bindPair(HOST);
  using b = ports.bindPair(HOST);
  for (const pair of [a, b]) {
    assert.equal(pair.rtp.local.port % 2, 0);
    assert.equal(pair.rtcp.local.port, pair.rtp.local.port + 1);
  }
  a.rtcp.send(new Uint8Array(8), b.rtcp.local);
  await b.rtcp.run((bytes, from) => {
    assert.deepEqual([bytes.length, from.port], [8, a.rtcp.local.port]);
    b.rtcp.close();
  });
  assert.equal(ports.inUse, 2);
});

Deno.test("a real port that is taken is passed over", () => {
  const any = new RtpPorts({ min: 0, max: 0 }, systemClock);
  using taken = any.bindPair(HOST);
  const min = taken.rtp.local.port;
  const ports = new RtpPorts({ min, max: min + 1 }, systemClock);
  assert.throws(() => ports.bindPair(HOST), inUse);
});

Deno.test("a video socket takes a long picture from its first packet on", async () => {
  const ports = new RtpPorts({ min: 0, max: 0 }, systemClock);
  using sender = ports.bindPair(HOST);
  using video = ports.bindPair(HOST, "video");
  sender.rtp.send(new Uint8Array(4037), video.rtp.local);
  const lengths: number[] = [];
  await video.rtp.run((bytes) => {
    lengths.push(bytes.length);
    video.rtp.close();
  });
  assert.deepEqual([lengths, video.rtp.receiveErrors], [[4037], 0]);
});

Deno.test("ports are chosen by chance: calls do not tell where the next one will be", () => {
  for (const seed of [1, 2, 3]) {
    const { next } = createPorts(10000, 19999, 0, seededRandom(seed));
    const given = Array.from({ length: 200 }, next);
    assert.equal(new Set(given).size, 200);
    assert.ok(given.every((port) => port % 2 === 0 && port >= 10000 && port < 20000));
    const inOrder = given.slice(1).filter((port, i) => port === given[i]! + 2).length;
    assert.ok(inOrder <= 5, `${inOrder} of 199 follow their neighbour`);
    const halves = given.filter((port) => port < 15000).length;
    assert.ok(halves > 60 && halves < 140, `${halves} of 200 in the first half`);
  }
});

Deno.test("chance finds the last free pair too", () => {
  const { ports, next } = createPorts(10000, 10019, 2000, seededRandom(4));
  const given = Array.from({ length: 10 }, next).sort();
  assert.deepEqual(given, Array.from({ length: 10 }, (_, i) => 10000 + 2 * i));
  assert.throws(() => ports.bindPair(HOST), inUse);
});

Deno.test("what one call heard on a pair is told to the next call on it, once", () => {
  const { ports, clock } = createPorts(10000, 10001, 0);
  const first = ports.bindPair(HOST);
  assert.equal(first.earlier, null);
  first.heard = { ssrc: 7, sequence: 9, atMs: clock.now() };
  first[Symbol.dispose]();
  const second = ports.bindPair(HOST);
  assert.deepEqual(second.earlier, { ssrc: 7, sequence: 9, atMs: 0 });
  second[Symbol.dispose]();
  assert.equal(ports.bindPair(HOST).earlier, null);
});
