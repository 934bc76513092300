// Answers to: lib/sip/transport/sender.ts: which way a message goes. UDP is a list; the way through real TCP is in
// transport_test.ts.

import assert from "node:assert/strict";
import { Scope } from "../../../lib/base/scope.ts";
import { silentLog } from "../../../lib/base/log.ts";
import { type Endpoint, formatEndpoint } from "../../../lib/net/endpoint.ts";
import { ConnectionPool } from "../../../lib/sip/transport/connection_pool.ts";
import { createResponse } from "../../../lib/sip/message/message.ts";
import { decodeSipDatagram, SipStreamParser } from "../../../lib/sip/message/parser.ts";
import { Sender } from "../../../lib/sip/transport/sender.ts";
import type { SendOutcome, Target } from "../../../lib/sip/message/target.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { pipePair } from "../../support/pipe.ts";
import { wireRequest } from "../../support/sip_wire_messages.ts";

class Bench implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly scope = new Scope("test");
  readonly datagrams: { bytes: Uint8Array; to: string }[] = [];
  readonly pool: ConnectionPool;
  readonly sender: Sender;

  constructor(local: Endpoint = { hostname: "0.0.0.0", port: 5060 }) {
    const { clock, scope } = this;
    const outlets = { message: () => {}, malformed: () => {}, keepAlive: () => {}, pong: () => {} };
    const limits = { maxConnections: 9, maxPerHost: 9, idleMs: 1e6, messageMs: 1e6 };
    this.pool = new ConnectionPool(limits, { clock, scope, outlets, onBroken: () => {} });
    const send = (bytes: Uint8Array, to: Endpoint) =>
      void this.datagrams.push({ bytes: bytes.slice(), to: formatEndpoint(to) });
    const udp = { send, local };
    this.sender = new Sender({ udp, pool: this.pool, clock, log: silentLog, connectMs: 100, switchMs: 100 });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.pool.close();
    await this.scope.close();
  }
}

const udpTo = (hostname: string, port = 5060): Target => ({ transport: "udp", endpoint: { hostname, port } });
const reasonOf = (outcome: SendOutcome) => (outcome.type === "failed" ? outcome.reason : "sent");

Deno.test("sender: requests over UDP go to the target", async () => {
  await using bench = new Bench();
  const outcome = await bench.sender.send(wireRequest(), udpTo("192.0.2.1", 5070));
  assert.deepEqual(outcome, {
    type: "sent",
    transport: "udp",
    flow: {
      transport: "udp",
      remote: { hostname: "192.0.2.1", port: 5070 },
      local: { hostname: "0.0.0.0", port: 5060 },
      connectionId: 0,
    },
  });
  assert.equal(bench.datagrams[0]!.to, "192.0.2.1:5070");
  assert.equal(decodeSipDatagram(bench.datagrams[0]!.bytes).message.kind, "request");
});

Deno.test("sender: responses over UDP go where their Via says, to the target only when it says nothing", async () => {
  await using bench = new Bench();
  const vias: [via: string, to: string][] = [
    ["SIP/2.0/UDP h;received=192.0.2.8;rport=7000;branch=z9hG4bK1", "192.0.2.8:7000"],
    ["SIP/2.0/UDP h;received=192.0.2.8;branch=z9hG4bK1", "192.0.2.8:5060"],
    ["SIP/2.0/UDP 192.0.2.9:5080;branch=z9hG4bK1", "192.0.2.9:5080"],
    ["SIP/2.0/UDP h;branch=z9hG4bK1", "192.0.2.1:5099"],
  ];
  for (const [via] of vias) {
    await bench.sender.send(createResponse(wireRequest({ via }), 200), udpTo("192.0.2.1", 5099));
  }
  assert.deepEqual(bench.datagrams.map(({ to }) => to), vias.map(([, to]) => to));
});

Deno.test("sender: large responses stay on UDP", async () => {
  await using bench = new Bench();
  const response = createResponse(wireRequest(), 200);
  response.body = new Uint8Array(20_000);
  assert.equal(reasonOf(await bench.sender.send(response, udpTo("127.0.0.1"))), "sent");
  assert.ok(bench.datagrams[0]!.bytes.length > 20_000);
});

Deno.test("sender: addresses of a family the socket does not have", async () => {
  const cases: [local: string, to: string, reason: RegExp][] = [
    ["0.0.0.0", "::1", /^\[::1\]:5060 cannot be reached from 0\.0\.0\.0: bind :: to have IPv6 as well$/],
    ["127.0.0.1", "::1", /cannot be reached from 127\.0\.0\.1$/],
    ["::1", "127.0.0.1", /cannot be reached from ::1$/],
    ["::", "127.0.0.1", /^sent$/],
    ["::", "::1", /^sent$/],
    ["0.0.0.0", "no.address", /^no\.address is not an IP address$/],
  ];
  for (const [hostname, to, reason] of cases) {
    await using bench = new Bench({ hostname, port: 5060 });
    assert.match(reasonOf(await bench.sender.send(wireRequest(), udpTo(to))), reason);
  }
});

Deno.test("sender: over TCP the connection of the flow comes first, then one with that peer", async () => {
  await using bench = new Bench();
  const [near, far] = pipePair();
  const { flow } = bench.pool.add(near);
  const parser = new SipStreamParser();
  const into = new Uint8Array(4096);
  const elsewhere = { hostname: "192.0.2.77", port: 9 };
  const targets: Target[] = [
    { transport: "tcp", endpoint: elsewhere, flow },
    { transport: "tcp", endpoint: flow.remote },
    { transport: "tcp", endpoint: flow.remote, flow: { ...flow, connectionId: 99 } },
  ];
  for (const target of targets) {
    const outcome = await bench.sender.send(wireRequest(), target);
    assert.equal(outcome.type === "sent" ? outcome.flow : null, flow);
    let messages = 0;
    while (messages === 0) parser.push(into.subarray(0, (await far.read(into))!), () => messages++);
  }
  assert.equal(bench.datagrams.length, 0);
  far.close();
});
