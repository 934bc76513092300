// Answers to: lib/sip/transport/connection_pool.ts. Pipes for what is accepted, loopback for what is opened.

import assert from "node:assert/strict";
import { encodeUtf8 } from "../../../lib/base/bytes.ts";
import { Scope } from "../../../lib/base/scope.ts";
import { listenTcp } from "../../../lib/net/tcp.ts";
import { ConnectionPool, type PoolLimits } from "../../../lib/sip/transport/connection_pool.ts";
import type { SipConnection } from "../../../lib/sip/transport/sip_connection.ts";
import { FakeClock, settle } from "../../support/fake_clock.ts";
import { type PipeEnd, pipePair } from "../../support/pipe.ts";
import { RecordLog } from "../../support/record_log.ts";

const LIMITS: PoolLimits = { maxConnections: 4, maxPerHost: 2, idleMs: 60_000, messageMs: 8_000 };

class Bench implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly log = new RecordLog("warn");
  readonly scope = new Scope("test", { log: this.log });
  readonly broken: string[] = [];
  readonly pool: ConnectionPool;

  constructor(limits: Partial<PoolLimits> = {}) {
    this.pool = new ConnectionPool({ ...LIMITS, ...limits }, {
      clock: this.clock,
      scope: this.scope,
      outlets: { message: () => {}, malformed: () => {}, keepAlive: () => {}, pong: () => {} },
      onBroken: (flow, reason) => void this.broken.push(`${flow.connectionId} ${reason}`),
    });
  }

  /** An accepted connection from that address. */
  accept(hostname: string, port: number): { connection: SipConnection; far: PipeEnd } {
    const [near, far] = pipePair();
    const peer = { hostname, port };
    const stream = new Proxy(near, {
      get: (target, name) => {
        if (name === "peer") return peer;
        const value = Reflect.get(target, name, target);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    return { connection: this.pool.add(stream), far };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.pool.close();
    await this.scope.close();
    assert.equal(this.clock.pending, 0, "no timer left");
    assert.deepEqual(this.log.lines, []);
  }
}

Deno.test("connection_pool: found by its number, else by its far end, until it closes", async () => {
  await using bench = new Bench();
  const one = bench.accept("192.0.2.1", 5001);
  const two = bench.accept("192.0.2.2", 5002);
  assert.equal(bench.pool.size, 2);
  assert.equal(bench.pool.find(two.connection.flow.remote, one.connection.flow), one.connection);
  assert.equal(bench.pool.find(two.connection.flow.remote, undefined), two.connection);
  assert.equal(bench.pool.find({ hostname: "192.0.2.3", port: 5 }, undefined), null);
  one.far.close();
  await settle();
  assert.deepEqual(bench.broken, ["1 closed"]);
  assert.equal(bench.pool.find(one.connection.flow.remote, one.connection.flow), null);
  assert.equal(bench.pool.size, 1);
});

Deno.test("connection_pool: the idle are closed, the busy stay", async () => {
  await using bench = new Bench();
  const idle = bench.accept("192.0.2.1", 1);
  const busy = bench.accept("192.0.2.2", 2);
  for (let i = 0; i < 8; i++) {
    await bench.clock.advanceAsync(10_000);
    busy.far.put(encodeUtf8("\r\n\r\n"));
    await settle();
  }
  assert.equal(idle.connection.isOpen, false);
  assert.equal(busy.connection.isOpen, true);
  assert.deepEqual(bench.broken, [], "closed by us is not broken");
});

Deno.test("connection_pool: a message that never ends is not waited for", async () => {
  await using bench = new Bench();
  const slow = bench.accept("192.0.2.1", 1);
  for (let i = 0; i < 12; i++) {
    slow.far.put(encodeUtf8("X"));
    await bench.clock.advanceAsync(1000);
  }
  assert.equal(slow.connection.isOpen, false);
});

Deno.test("connection_pool: the bound holds, the longest silent goes, own host first", async () => {
  await using bench = new Bench();
  const all = [];
  for (const [host, port] of [["a", 1], ["b", 2], ["a", 3], ["c", 4], ["a", 5], ["d", 6]] as const) {
    bench.clock.advance(1);
    all.push(bench.accept(host, port).connection);
  }
  assert.deepEqual(all.map((one) => one.isOpen), [false, false, true, true, true, true]);
  assert.equal(bench.pool.size, 4);
});

Deno.test("connection_pool: one connection is opened for all who wait for it", async () => {
  await using bench = new Bench();
  const stop = new AbortController();
  const listening = Promise.withResolvers<{ hostname: string; port: number }>();
  const loop = listenTcp({ hostname: "127.0.0.1", port: 0 }, {
    signal: stop.signal,
    onListening: listening.resolve,
  });
  const accepted = loop.next();
  const place = await listening.promise;
  const [one, two] = await Promise.all([bench.pool.connect(place, 1000), bench.pool.connect(place, 1000)]);
  assert.equal(one, two);
  assert.equal(bench.pool.size, 1);
  assert.equal(bench.pool.find(place, undefined), one);
  (await accepted).value!.close();
  stop.abort();
  await loop.return();
});

Deno.test("connection_pool: a refused connection is a TransportError and may be tried again", async () => {
  await using bench = new Bench();
  const nobody = { hostname: "127.0.0.1", port: 1 };
  await assert.rejects(bench.pool.connect(nobody, 1000), { name: "TransportError", code: "refused" });
  await assert.rejects(bench.pool.connect(nobody, 1000), { code: "refused" });
});

Deno.test("connection_pool: a place that does not answer is given up in time", async () => {
  await using bench = new Bench();
  // 192.0.2.0/24 is never routed; where the network says so at once the reason differs, the type does not.
  const opening = assert.rejects(bench.pool.connect({ hostname: "192.0.2.1", port: 9 }, 1000), {
    name: "TransportError",
  });
  await bench.clock.advanceAsync(1000);
  await opening;
});

Deno.test("connection_pool: closing ends what is being opened, and all connections", async () => {
  const bench = new Bench();
  bench.accept("192.0.2.1", 1);
  const opening = assert.rejects(bench.pool.connect({ hostname: "192.0.2.1", port: 9 }, 1000), {
    name: "TransportError",
  });
  const disposing = bench[Symbol.asyncDispose]();
  await opening;
  await disposing;
  assert.equal(bench.pool.size, 0);
  assert.deepEqual(bench.broken, []);
});

Deno.test("connection_pool: not more are being opened at a time than may be open", async () => {
  const bench = new Bench({ maxConnections: 2 });
  const openings = [1, 2, 3].map((port) => bench.pool.connect({ hostname: "192.0.2.1", port }, 1000));
  const outcomes = Promise.allSettled(openings);
  await bench[Symbol.asyncDispose]();
  const reasons = (await outcomes).map((
    one,
  ) => (one.status === "rejected" ? String(one.reason.message) : "connected"));
  assert.equal(reasons[2], "too many SIP connections are being opened");
  assert.notEqual(reasons[1], reasons[2]);
});
