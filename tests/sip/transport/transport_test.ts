// Answers to: lib/sip/transport/transport.ts, sender.ts. Real sockets on loopback; time is turned by hand.

import assert from "node:assert/strict";
import { decodeUtf8, encodeUtf8 } from "../../../lib/base/bytes.ts";
import { TransportError } from "../../../lib/base/errors.ts";
import { Mailbox } from "../../../lib/base/mailbox.ts";
import type { Endpoint } from "../../../lib/net/endpoint.ts";
import { connectTcp, listenTcp, type TcpConnection } from "../../../lib/net/tcp.ts";
import { UdpSocket } from "../../../lib/net/udp.ts";
import { parseVia } from "../../../lib/sip/message/header.ts";
import {
  createResponse,
  encodeSipMessage,
  type SipMessage,
  type SipRequest,
  type SipResponse,
} from "../../../lib/sip/message/message.ts";
import { decodeSipDatagram, SipStreamParser } from "../../../lib/sip/message/parser.ts";
import type { TransportName } from "../../../lib/sip/message/transports.ts";
import { type Flow, type SendOutcome, type Target, targetOf } from "../../../lib/sip/message/target.ts";
import {
  openSipSockets,
  type SipSockets,
  SipTransport,
  type SipTransportOptions,
} from "../../../lib/sip/transport/transport.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { RecordLog } from "../../support/record_log.ts";
import { wireRequest } from "../../support/sip_wire_messages.ts";
import { packetsOf } from "../../support/udp_packets.ts";

/** A transport whose messages wait in a mailbox. */
class Peer implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly log = new RecordLog("debug");
  readonly inbox = new Mailbox<{ message: SipMessage; flow: Flow }>(1000);
  readonly broken = new Mailbox<string>(100);
  readonly transport: SipTransport;

  constructor(options: Partial<SipTransportOptions> = {}) {
    const all = { bind: "127.0.0.1", port: 0, fallback: false, ...options };
    this.transport = SipTransport.open(all, { log: this.log, clock: this.clock });
    this.transport.onMessage = (message, flow) => void this.inbox.push({ message, flow });
    this.transport.onBroken = (_flow, reason) => void this.broken.push(reason);
  }

  get endpoint(): Endpoint {
    return this.transport.local;
  }

  target(transport: TransportName): Target {
    return { transport, endpoint: this.endpoint };
  }

  via(transport: string, branch = "z9hG4bKb1"): string {
    return `SIP/2.0/${transport} 127.0.0.1:${this.endpoint.port};rport;branch=${branch}`;
  }

  async next(): Promise<{ message: SipMessage; flow: Flow }> {
    const received = await this.inbox.next();
    assert.ok(received);
    return received;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.transport[Symbol.asyncDispose]();
    assert.equal(this.clock.pending, 0, "no timer left");
    assert.equal(this.transport.connections, 0);
    assert.deepEqual(this.log.at("error"), []);
  }
}

function sentBy(outcome: SendOutcome): TransportName {
  assert.equal(outcome.type, "sent", outcome.type === "failed" ? outcome.reason : "");
  return outcome.transport;
}

async function readMessage(stream: TcpConnection): Promise<SipMessage> {
  const parser = new SipStreamParser();
  const into = new Uint8Array(4096);
  const found: SipMessage[] = [];
  while (found.length === 0) {
    const count = await stream.read(into);
    assert.notEqual(count, null, "ended before a message");
    parser.push(into.subarray(0, count!), (message) => found.push(message));
  }
  return found[0]!;
}

for (const transport of ["udp", "tcp"] as const) {
  for (const bind of ["127.0.0.1", "::1"]) {
    Deno.test(`transport: a request and its response over ${transport} at ${bind}`, async () => {
      await using alice = new Peer({ bind });
      await using bob = new Peer({ bind });
      const host = bind.includes(":") ? `[${bind}]` : bind;
      const via = `SIP/2.0/${transport.toUpperCase()} ${host}:${alice.endpoint.port};rport;branch=z9hG4bKb1`;
      const outcome = await alice.transport.send(wireRequest({ via, body: "hello" }), bob.target(transport));
      assert.equal(sentBy(outcome), transport);
      const { message, flow } = await bob.next();
      assert.equal(decodeUtf8(message.body), "hello");
      assert.equal(flow.transport, transport);
      const reply = await bob.transport.send(
        createResponse(message as SipRequest, 200, undefined, "t"),
        targetOf(flow),
      );
      assert.equal(sentBy(reply), transport);
      const answer = await alice.next();
      assert.equal((answer.message as SipResponse).status, 200);
      assert.equal(answer.message.headers.get("Via"), message.headers.get("Via"));
      assert.equal(bob.transport.stats.received, 1);
      assert.equal(bob.transport.stats.sent, 1);
    });
  }
}

Deno.test("transport: bound to :: it serves IPv4 and IPv6", async () => {
  await using both = new Peer({ bind: "::" });
  const port = both.endpoint.port;
  for (const bind of ["127.0.0.1", "::1"]) {
    await using alice = new Peer({ bind });
    for (const transport of ["udp", "tcp"] as const) {
      await alice.transport.send(wireRequest(), { transport, endpoint: { hostname: bind, port } });
      const { message, flow } = await both.next();
      assert.equal(flow.remote.hostname, bind, "IPv4 is not seen as ::ffff:");
      await both.transport.send(createResponse(message as SipRequest, 200), targetOf(flow));
      assert.equal((await alice.next()).message.kind, "response");
    }
  }
});

Deno.test("transport: the fallback port is the next one free for both, and the log says so", async () => {
  await using first = new Peer();
  await using second = new Peer({ port: first.endpoint.port, fallback: true });
  assert.ok(second.transport.port > first.transport.port);
  assert.deepEqual(second.log.at("warn"), [
    `warn sip SIP port ${first.transport.port} is taken, using ${second.transport.port} instead`,
  ]);
  assert.throws(() => new Peer({ port: first.endpoint.port }), {
    name: "TransportError",
    code: "addr-in-use",
  });
});

Deno.test("transport: a large request goes by TCP, says so in its Via, and its response comes back there", async () => {
  await using alice = new Peer();
  await using bob = new Peer();
  const request = wireRequest({ via: alice.via("UDP"), body: "x".repeat(1300) });
  assert.equal(sentBy(await alice.transport.send(request, bob.target("udp"))), "tcp");
  assert.equal(parseVia(request.headers.get("Via")!).transport, "UDP", "the caller's message is left alone");
  assert.ok(alice.log.lines.some((line) => /^debug sip request of \d+ bytes sent to .* by TCP/.test(line)));
  const { message, flow } = await bob.next();
  assert.equal(flow.transport, "tcp");
  assert.equal(parseVia(message.headers.get("Via")!).transport, "TCP");
  await bob.transport.send(createResponse(message as SipRequest, 200), targetOf(flow));
  assert.equal((await alice.next()).flow.transport, "tcp");
});

Deno.test("transport: a request of exactly 1300 bytes stays on UDP", async () => {
  await using alice = new Peer();
  await using bob = new Peer();
  const empty = encodeSipMessage(wireRequest({ via: alice.via("UDP") })).length;
  const body = "x".repeat(1300 - empty - 3);
  const request = wireRequest({ via: alice.via("UDP"), body });
  assert.equal(encodeSipMessage(request).length, 1300);
  assert.equal(sentBy(await alice.transport.send(request, bob.target("udp"))), "udp");
  await bob.next();
});

Deno.test("transport: a large request falls back to UDP when TCP is refused, and that is remembered for a minute", async () => {
  await using alice = new Peer();
  using bob = UdpSocket.bind({ hostname: "127.0.0.1", port: 0 });
  const packets = packetsOf(bob);
  const target: Target = { transport: "udp", endpoint: bob.local };
  const request = wireRequest({ via: alice.via("UDP"), body: "x".repeat(5000) });
  for (let i = 0; i < 3; i++) {
    assert.equal(sentBy(await alice.transport.send(request, target)), "udp");
    const { message } = decodeSipDatagram((await packets.next()).value!.bytes);
    assert.equal(parseVia(message.headers.get("Via")!).transport, "UDP");
    assert.equal(message.body.length, 5000);
  }
  const tries = () => alice.log.lines.filter((line) => line.includes("by UDP: no TCP")).length;
  assert.equal(tries(), 1);
  alice.clock.advance(60_000);
  await alice.transport.send(request, target);
  await packets.next();
  assert.equal(tries(), 2);
});

Deno.test("transport: retransmissions of a large request share one connection attempt", async () => {
  await using alice = new Peer();
  await using bob = new Peer();
  const request = wireRequest({ via: alice.via("UDP"), body: "x".repeat(1300) });
  const outcomes = await Promise.all([1, 2, 3].map(() => alice.transport.send(request, bob.target("udp"))));
  assert.deepEqual(outcomes.map(sentBy), ["tcp", "tcp", "tcp"]);
  await bob.next();
  assert.equal(bob.transport.stats.received, 1);
});

Deno.test("transport: the message is read before send returns", async () => {
  await using alice = new Peer();
  await using bob = new Peer();
  const request = wireRequest({ callId: "before" });
  const sending = alice.transport.send(request, bob.target("tcp"));
  request.headers.set("Call-ID", "after");
  await sending;
  assert.equal((await bob.next()).message.headers.get("Call-ID"), "before");
});

Deno.test("transport: responses over UDP follow their Via, not the target", async () => {
  await using alice = new Peer();
  await using carol = new Peer();
  const request = wireRequest({ via: `SIP/2.0/UDP 127.0.0.1:${alice.transport.port};branch=z9hG4bK1` });
  await carol.transport.send(createResponse(request, 180), carol.target("udp"));
  assert.equal(((await alice.next()).message as SipResponse).status, 180);
});

Deno.test("transport: a response whose connection is gone goes to sent-by over a new one", async () => {
  await using alice = new Peer();
  await using bob = new Peer();
  using client = await connectTcp(bob.endpoint);
  client.put(encodeSipMessage(wireRequest({ via: alice.via("TCP") })));
  const { message, flow } = await bob.next();
  client.close();
  assert.equal(await bob.broken.next(), "closed");
  assert.equal(
    sentBy(await bob.transport.send(createResponse(message as SipRequest, 200), targetOf(flow))),
    "tcp",
  );
  assert.equal((await alice.next()).message.kind, "response");
});

Deno.test("transport: connections are reused, also those the peer opened", async () => {
  await using alice = new Peer();
  await using bob = new Peer();
  const flows = new Set<number>();
  for (let i = 0; i < 5; i++) {
    await alice.transport.send(wireRequest({ via: alice.via("TCP", `z9hG4bK${i}`) }), bob.target("tcp"));
    const { flow } = await bob.next();
    flows.add(flow.connectionId);
    await bob.transport.send(wireRequest({ via: bob.via("TCP", `z9hG4bK${i}`) }), targetOf(flow));
    await alice.next();
  }
  assert.equal(flows.size, 1);
  assert.equal(alice.transport.connections, 1);
  assert.equal(bob.transport.connections, 1);
});

Deno.test("transport: idle connections are closed and opened again when needed", async () => {
  await using alice = new Peer({ idleMs: 1000 });
  await using bob = new Peer();
  await alice.transport.send(wireRequest(), bob.target("tcp"));
  await bob.next();
  alice.clock.advance(2000);
  assert.equal(await bob.broken.next(), "closed");
  assert.equal(alice.transport.connections, 0);
  assert.equal(sentBy(await alice.transport.send(wireRequest(), bob.target("tcp"))), "tcp");
  await bob.next();
});

Deno.test("transport: CRLFCRLF gets CRLF, in the middle of traffic", async () => {
  await using bob = new Peer();
  using client = await connectTcp(bob.endpoint);
  client.put(encodeUtf8("\r\n\r\n"));
  const into = new Uint8Array(10);
  assert.equal(await client.read(into), 2);
  assert.equal(decodeUtf8(into.subarray(0, 2)), "\r\n");
  client.put(encodeSipMessage(wireRequest()));
  await bob.next();
  assert.equal(bob.transport.stats.keepAlives, 1);
});

Deno.test("transport: a malformed request gets 400 over UDP and TCP, and the next request passes", async () => {
  await using bob = new Peer();
  const bad = encodeUtf8(
    decodeUtf8(encodeSipMessage(wireRequest())).replace(/^[A-Z]+/, (method) => method.toLowerCase()),
  );
  using udp = UdpSocket.bind({ hostname: "127.0.0.1", port: 0 });
  const packets = packetsOf(udp);
  udp.send(bad, bob.endpoint);
  const { message } = decodeSipDatagram((await packets.next()).value!.bytes);
  assert.equal((message as SipResponse).status, 400);
  using tcp = await connectTcp(bob.endpoint);
  tcp.put(bad);
  assert.equal((await readMessage(tcp) as SipResponse).status, 400);
  tcp.put(encodeSipMessage(wireRequest()));
  udp.send(encodeSipMessage(wireRequest()), bob.endpoint);
  await bob.next();
  await bob.next();
  assert.equal(bob.transport.stats.refused, 2);
});

Deno.test("transport: lost framing is answered and closes that connection only", async () => {
  await using bob = new Peer();
  using bad = await connectTcp(bob.endpoint);
  using good = await connectTcp(bob.endpoint);
  bad.put(
    encodeUtf8(
      decodeUtf8(encodeSipMessage(wireRequest())).replace("Content-Length: 0", "Content-Length: -1"),
    ),
  );
  assert.equal((await readMessage(bad) as SipResponse).status, 400);
  assert.equal(await bad.read(new Uint8Array(10)), null);
  good.put(encodeSipMessage(wireRequest()));
  await bob.next();
  assert.equal(bob.transport.connections, 1);
});

Deno.test("transport: what cannot be sent is an outcome with a reason", async () => {
  await using alice = new Peer();
  const failures: [target: Target, reason: RegExp][] = [
    [{ transport: "udp", endpoint: { hostname: "name.example.net", port: 5060 } }, /not an IP address/],
    [{ transport: "udp", endpoint: { hostname: "::1", port: 5060 } }, /cannot be reached from 127\.0\.0\.1/],
    [{ transport: "tcp", endpoint: { hostname: "127.0.0.1", port: 1 } }, /refused/i],
  ];
  for (const [target, reason] of failures) {
    const outcome = await alice.transport.send(wireRequest(), target);
    assert.equal(outcome.type, "failed");
    assert.match(outcome.reason, reason);
  }
  const huge = await alice.transport.send(
    createResponse(wireRequest(), 200, "x".repeat(70_000)),
    alice.target("udp"),
  );
  assert.match(huge.type === "failed" ? huge.reason : "", /too many for UDP/);
});

Deno.test("transport: after its end it sends nothing and receives nothing", async () => {
  const alice = new Peer();
  const target = alice.target("udp");
  await alice[Symbol.asyncDispose]();
  assert.deepEqual(await alice.transport.send(wireRequest(), target), {
    type: "failed",
    reason: "the SIP transport is closed",
  });
  await alice[Symbol.asyncDispose]();
});

Deno.test("transport: what was sent over TCP just before the end arrives", async () => {
  await using bob = new Peer();
  const alice = new Peer();
  await alice.transport.send(wireRequest({ body: "x".repeat(100_000) }), bob.target("tcp"));
  await alice[Symbol.asyncDispose]();
  assert.equal((await bob.next()).message.body.length, 100_000);
});

Deno.test("transport: more connections than allowed cost the oldest, never the newest", async () => {
  await using bob = new Peer({ maxConnections: 5, maxPerHost: 3 });
  const clients: TcpConnection[] = [];
  for (let i = 0; i < 10; i++) {
    const client = await connectTcp(bob.endpoint);
    clients.push(client);
    client.put(encodeSipMessage(wireRequest()));
    await bob.next();
    bob.clock.advance(1);
  }
  assert.equal(bob.transport.connections, 3);
  assert.equal(await clients[0]!.read(new Uint8Array(1)), null);
  clients[9]!.put(encodeSipMessage(wireRequest()));
  await bob.next();
  for (const client of clients) client.close();
});

Deno.test("transport: a handler that throws is logged and does not stop the receiving", async () => {
  const alice = new Peer();
  let calls = 0;
  alice.transport.onMessage = (message, flow) => {
    if (++calls <= 2) throw new Error("our own bug");
    alice.inbox.push({ message, flow });
  };
  using udp = UdpSocket.bind({ hostname: "127.0.0.1", port: 0 });
  using tcp = await connectTcp(alice.endpoint);
  udp.send(encodeSipMessage(wireRequest()), alice.endpoint);
  tcp.put(encodeSipMessage(wireRequest()));
  for (const client of ["udp", "tcp"]) {
    if (client === "tcp") tcp.put(encodeSipMessage(wireRequest({ callId: client })));
    else udp.send(encodeSipMessage(wireRequest({ callId: client })), alice.endpoint);
  }
  const seen = [await alice.next(), await alice.next()];
  assert.equal(seen.length, 2);
  assert.equal(alice.log.at("error").length, 2);
  await alice.transport[Symbol.asyncDispose]();
});

Deno.test("transport: 500 datagrams of garbage, then a request", async () => {
  await using bob = new Peer();
  using udp = UdpSocket.bind({ hostname: "127.0.0.1", port: 0 });
  for (let i = 0; i < 500; i++) udp.send(crypto.getRandomValues(new Uint8Array(i + 1)), bob.endpoint);
  udp.send(encodeSipMessage(wireRequest({ callId: "after" })), bob.endpoint);
  assert.equal((await bob.next()).message.headers.get("Call-ID"), "after");
});

Deno.test("transport: messages are logged at debug", async () => {
  await using alice = new Peer();
  await alice.transport.send(wireRequest(), alice.target("udp"));
  await alice.next();
  const wire = alice.log.lines.filter((line) => line.startsWith("debug sip.wire "));
  assert.match(wire[0]!, /^debug sip\.wire sent to udp 127\.0\.0\.1:\d+: OPTIONS, Call-ID \S+\nOPTIONS /);
  assert.match(
    wire[1]!,
    /^debug sip\.wire received from udp 127\.0\.0\.1:\d+: OPTIONS, Call-ID \S+\nOPTIONS /,
  );
});

class Bench implements AsyncDisposable {
  readonly stop = new AbortController();
  readonly opened: SipSockets[] = [];

  open(port: number, fallback: boolean, bind = "127.0.0.1"): SipSockets {
    const onError = (error: TransportError) => assert.fail(error);
    const sockets = openSipSockets({ bind, port, fallback, signal: this.stop.signal, onError });
    this.opened.push(sockets);
    return sockets;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stop.abort();
    for (const { udp, accepted } of this.opened) {
      udp.close();
      for await (const stream of accepted) stream.close();
    }
  }
}

/** Holds a TCP port that the system chose. */
async function holdTcp(): Promise<{ port: number; release: () => Promise<void> }> {
  const stop = new AbortController();
  let port = 0;
  const onListening = (local: { port: number }) => port = local.port;
  const loop = listenTcp({ hostname: "127.0.0.1", port: 0 }, { signal: stop.signal, onListening });
  const pending = loop.next();
  await Promise.resolve();
  const release = async () => {
    stop.abort();
    await pending;
  };
  return { port, release };
}

Deno.test("transport_sockets: both protocols on one port", async () => {
  await using bench = new Bench();
  const { udp, accepted } = bench.open(0, false);
  using client = await connectTcp(udp.local);
  const { value: stream } = await accepted.next();
  assert.equal(stream!.local.port, udp.local.port);
  assert.equal(stream!.peer.port, client.local.port);
  stream!.close();
});

Deno.test("transport_sockets: IPv6", async () => {
  await using bench = new Bench();
  const { udp, accepted } = bench.open(0, false, "::1");
  using client = await connectTcp(udp.local);
  const { value: stream } = await accepted.next();
  assert.equal(stream!.peer.port, client.local.port);
  stream!.close();
});

Deno.test("transport_sockets: a taken UDP port is an error, or the next port with fallback", async () => {
  await using bench = new Bench();
  using taken = UdpSocket.bind({ hostname: "127.0.0.1", port: 0 });
  assert.throws(() => bench.open(taken.local.port, false), { code: "addr-in-use" });
  assert.ok(bench.open(taken.local.port, true).udp.local.port > taken.local.port);
});

Deno.test("transport_sockets: a taken TCP port is an error that leaves no UDP socket behind, or the next port", async () => {
  await using bench = new Bench();
  const taken = await holdTcp();
  assert.throws(() => bench.open(taken.port, false), { code: "addr-in-use" });
  UdpSocket.bind({ hostname: "127.0.0.1", port: taken.port }).close();
  assert.ok(bench.open(taken.port, true).udp.local.port > taken.port);
  await taken.release();
});

Deno.test("transport_sockets: other failures are not retried", async () => {
  await using bench = new Bench();
  assert.throws(() => bench.open(0, true, "not-an-address"), TransportError);
  assert.throws(() => bench.open(0, true, "192.0.2.1"), TransportError);
  assert.equal(bench.opened.length, 0);
});
