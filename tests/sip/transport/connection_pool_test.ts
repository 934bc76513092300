// Answers to: lib/sip/transport/connection_pool.ts. Pipes for what is accepted, loopback for what is opened.

import assert from "node:assert/strict";
import { decodeUtf8, encodeUtf8 } from "../../../lib/base/bytes.ts";
import { Scope } from "../../../lib/base/scope.ts";
import { listenTcp } from "../../../lib/net/tcp.ts";
import { createResponse, encodeSipMessage } from "../../../lib/sip/message/message.ts";
import {
  ConnectionPool,
  type PoolLimits,
  SipConnection,
} from "../../../lib/sip/transport/connection_pool.ts";
import { FakeClock, settle } from "../../support/fake_clock.ts";
import { type PipeEnd, type PipeOptions, pipePair, readBytes } from "../../support/pipe.ts";
import { RecordLog } from "../../support/record_log.ts";
import { wireRequest } from "../../support/sip_wire_messages.ts";

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

Deno.test("connection_pool: found by its number, else by its peer, until it closes", async () => {
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

class ConnectionBench {
  readonly clock = new FakeClock();
  readonly seen: string[] = [];
  readonly far: PipeEnd;
  readonly connection: SipConnection;
  readonly ended: Promise<string>;

  constructor(options: PipeOptions = {}) {
    const [near, far] = pipePair(options);
    this.far = far;
    const outlets = {
      message: (m: { headers: { get(name: string): string | null } }) =>
        void this.seen.push(m.headers.get("Call-ID")!),
      malformed: (error: { problem: string }) => void this.seen.push(`bad: ${error.problem}`),
      keepAlive: () => void this.seen.push("ping"),
      pong: () => void this.seen.push("pong"),
    };
    this.connection = new SipConnection(near, 7, outlets, () => this.clock.now());
    this.ended = this.connection.run();
  }

  async farPuts(text: string | Uint8Array): Promise<void> {
    this.far.put(typeof text === "string" ? encodeUtf8(text) : text);
    await settle();
  }
}

const bytesOf = (callId: string) => encodeSipMessage(wireRequest({ callId, body: "body" }));

Deno.test("sip_connection: messages in and out, pings answered, a normal end", async () => {
  const bench = new ConnectionBench();
  await bench.farPuts(bytesOf("one"));
  await bench.farPuts("\r\n\r\n");
  await bench.farPuts(bytesOf("two"));
  assert.deepEqual(bench.seen, ["one", "ping", "two"]);
  assert.equal(decodeUtf8(await readBytes(bench.far, 2)), "\r\n");
  assert.equal(bench.connection.send(encodeUtf8("reply")), true);
  assert.equal(decodeUtf8(await readBytes(bench.far, 5)), "reply");
  bench.far.close();
  assert.equal(await bench.ended, "closed");
  assert.equal(bench.connection.isOpen, false);
  assert.equal(bench.connection.send(encodeUtf8("late")), false);
});

Deno.test("sip_connection: a CRLF answers our ping and is never answered itself; a peer's ping still is", async () => {
  const bench = new ConnectionBench();
  await bench.farPuts("\r\n");
  await bench.farPuts("\r\n");
  assert.deepEqual(bench.seen.splice(0), ["ping"], "a ping in two pieces");
  assert.equal(decodeUtf8(await readBytes(bench.far, 2)), "\r\n");
  for (let i = 0; i < 3; i++) {
    assert.equal(bench.connection.ping(), true);
    assert.equal(decodeUtf8(await readBytes(bench.far, 4)), "\r\n\r\n");
    await bench.farPuts("\r\n");
    assert.deepEqual(bench.seen.splice(0), ["pong"]);
  }
  bench.connection.ping();
  await bench.farPuts("\r\n\r\n");
  await bench.farPuts(bytesOf("one"));
  assert.deepEqual(bench.seen, ["ping", "one"]);
  assert.equal(
    decodeUtf8(await readBytes(bench.far, 6)),
    "\r\n\r\n\r\n",
    "our ping and our answer, nothing else",
  );
  bench.far.close();
  await bench.ended;
  assert.equal(bench.connection.ping(), false);
});

Deno.test("sip_connection: one byte at a time", async () => {
  const bench = new ConnectionBench({ maxRead: 1 });
  for (const byte of bytesOf("one")) await bench.farPuts(Uint8Array.of(byte));
  assert.deepEqual(bench.seen, ["one"]);
  bench.far.close();
  await bench.ended;
});

Deno.test("sip_connection: a bad message with a known length is reported and the next one read", async () => {
  const bench = new ConnectionBench();
  await bench.farPuts(decodeUtf8(bytesOf("one")).replace(/CSeq: \d+/, "CSeq: x"));
  await bench.farPuts(bytesOf("two"));
  assert.deepEqual(bench.seen, ["bad: Bad CSeq header", "two"]);
  bench.far.close();
  await bench.ended;
});

Deno.test("sip_connection: lost framing is reported and ends the connection, what was answered still leaves", async () => {
  const bench = new ConnectionBench();
  bench.connection.send(encodeUtf8("answer"));
  await bench.farPuts(decodeUtf8(bytesOf("one")).replace(/Content-Length: \d+/, "Content-Length: -1"));
  assert.match(await bench.ended, /Content-Length/);
  assert.deepEqual(bench.seen, ["bad: Bad Content-Length header"]);
  assert.equal(decodeUtf8(await readBytes(bench.far)), "answer");
});

Deno.test("sip_connection: a broken connection ends with its reason, never an exception", async () => {
  const [near, far] = pipePair();
  near.readsUntilFailure = 0;
  const outlets = { message: () => {}, malformed: () => {}, keepAlive: () => {}, pong: () => {} };
  const connection = new SipConnection(near, 1, outlets, () => 0);
  assert.notEqual(await connection.run(), "closed");
  assert.equal(connection.isOpen, false);
  far.close();
});

Deno.test("sip_connection: it knows when it was used and since when a message is incomplete", async () => {
  const bench = new ConnectionBench();
  bench.clock.advance(1000);
  const bytes = bytesOf("one");
  await bench.farPuts(bytes.subarray(0, 50));
  assert.equal(bench.connection.lastUsedMs, 1000);
  assert.equal(bench.connection.incompleteSinceMs, 1000);
  bench.clock.advance(1000);
  await bench.farPuts(bytes.subarray(50, 60));
  assert.equal(bench.connection.lastUsedMs, 2000);
  assert.equal(bench.connection.incompleteSinceMs, 1000);
  await bench.farPuts(bytes.subarray(60));
  assert.equal(bench.connection.incompleteSinceMs, null);
  bench.clock.advance(1000);
  bench.connection.send(bytes);
  assert.equal(bench.connection.lastUsedMs, 3000);
  bench.connection.close();
  assert.equal(await bench.ended, "closed");
});

Deno.test("sip_connection: a peer that does not read is closed by its queue, others are not kept waiting", async () => {
  const bench = new ConnectionBench({ softUnsent: 1000, hardUnsent: 10_000, window: 10 });
  const big = encodeSipMessage(createResponse(wireRequest({ body: "" }), 200));
  let sent = 0;
  while (bench.connection.send(big) && sent < 1000) {
    sent++;
    await settle();
  }
  assert.ok(sent > 10 && sent < 1000, `${sent} messages`);
  assert.notEqual(await bench.ended, "closed");
});
