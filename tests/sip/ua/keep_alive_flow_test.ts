// Answers to: lib/sip/transport/keep_alive.ts as registrations, endpoint and transport use it: real sockets, time turned by
// hand; and a scripted registrar for what sockets cannot show.

import assert from "node:assert/strict";
import { decodeUtf8 } from "../../../lib/base/bytes.ts";
import { Mailbox } from "../../../lib/base/mailbox.ts";
import { seededRandom } from "../../../lib/base/random.ts";
import { systemDns } from "../../../lib/net/dns.ts";
import { type Endpoint, formatEndpoint } from "../../../lib/net/endpoint.ts";
import { AddressPolicy } from "../../../lib/net/route.ts";
import { answerStun, decodeStun, encodeStun, isStun } from "../../../lib/net/stun.ts";
import { SipEndpoint } from "../../../lib/sip/ua/endpoint.ts";
import type { KeepAliveMethod } from "../../../lib/sip/transport/keep_alive.ts";
import {
  createResponse,
  encodeSipMessage,
  type SipMessage,
  type SipRequest,
} from "../../../lib/sip/message/message.ts";
import { decodeSipDatagram } from "../../../lib/sip/message/parser.ts";
import { type Flow, targetOf } from "../../../lib/sip/message/target.ts";
import { SipTransport } from "../../../lib/sip/transport/transport.ts";
import { UdpSocket } from "../../../lib/net/udp.ts";
import { FakeClock, settle } from "../../support/fake_clock.ts";
import { RecordLog } from "../../support/record_log.ts";
import { identity, SipNetwork } from "../../support/sip_network.ts";

const PERIOD_MS = 25_000;
const forever = (): AbortSignal => new AbortController().signal;

interface Setting {
  readonly clock: FakeClock;
  readonly log: RecordLog;
  readonly endpoint: SipEndpoint;
}

function openEndpoint(method: KeepAliveMethod): Setting {
  const [clock, log] = [new FakeClock(), new RecordLog("info")];
  const endpoint = SipEndpoint.open({
    bind: "127.0.0.1",
    port: 0,
    portFallback: false,
    addresses: new AddressPolicy({ bind: "127.0.0.1", advertise: null }),
    outboundProxy: null,
    userAgent: "siprtmp-test",
    expiresSeconds: 600,
    keepAlive: { method, periodMs: PERIOD_MS },
  }, { clock, log, random: seededRandom(1), dns: systemDns });
  return { clock, log, endpoint };
}

/** Time passes by itself, so that an end that waits does not wait for us. */
async function close(setting: Setting, ...others: AsyncDisposable[]): Promise<void> {
  let over = false;
  const closing = setting.endpoint[Symbol.asyncDispose]().finally(() => over = true);
  while (!over) {
    setting.clock.advance(100);
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  await closing;
  assert.equal(setting.clock.pending, 0);
  for (const other of others) await other[Symbol.asyncDispose]();
}

/** A registrar of one socket; what is no REGISTER waits in `odd`. */
class UdpRegistrar implements AsyncDisposable {
  readonly odd = new Mailbox<{ bytes: Uint8Array; from: Endpoint }>(100);
  readonly socket = UdpSocket.bind({ hostname: "127.0.0.1", port: 0 });
  registers = 0;
  readonly #running = this.socket.run((bytes, from) => {
    if (!decodeUtf8(bytes).startsWith("REGISTER")) return void this.odd.push({ bytes: bytes.slice(), from });
    this.registers += 1;
    const { message } = decodeSipDatagram(bytes);
    assert.ok(message.kind === "request");
    this.socket.send(encodeSipMessage(createResponse(message, 200, "OK", "t")), from);
  });

  async next(): Promise<{ bytes: Uint8Array; from: Endpoint }> {
    return await this.odd.next() ?? assert.fail("closed");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.close();
    await this.#running;
  }
}

Deno.test("keep-alives over UDP: CRLF goes the way the REGISTER went, until the user is gone", async () => {
  const setting = openEndpoint("crlf");
  const registrar = new UdpRegistrar();
  const alice = setting.endpoint.createUserAgent(
    identity(`sip:alice@${formatEndpoint(registrar.socket.local)}`, "secret"),
  );
  assert.equal((await alice.register(forever())).type, "registered");
  for (const _ of [1, 2]) {
    setting.clock.advance(PERIOD_MS);
    const { bytes, from } = await registrar.next();
    assert.equal(decodeUtf8(bytes), "\r\n\r\n");
    assert.equal(from.port, setting.endpoint.port);
  }
  registrar.socket.send(new Uint8Array([13, 10]), { hostname: "127.0.0.1", port: setting.endpoint.port });
  await close(setting, registrar);
  assert.equal(registrar.registers, 2);
  assert.deepEqual(setting.log.at("warn"), []);
});

Deno.test("keep-alives over UDP: STUN; when the NAT has changed its mind the user registers again", async () => {
  const setting = openEndpoint("stun");
  const registrar = new UdpRegistrar();
  const uri = `sip:alice@${formatEndpoint(registrar.socket.local)}`;
  const alice = setting.endpoint.createUserAgent(identity(uri, "secret"));
  await alice.register(forever());
  for (const port of [40000, 40000, 40001]) {
    setting.clock.advance(PERIOD_MS);
    do { // the request, and its repetitions of a time that ran ahead
      const { bytes, from } = await registrar.next();
      assert.ok(isStun(bytes));
      const answer = answerStun(decodeStun(bytes), { hostname: "203.0.113.7", port });
      registrar.socket.send(encodeStun(answer!), from);
      await new Promise((resolve) => setTimeout(resolve, 20)); // through the sockets
    } while (registrar.odd.size > 0);
  }
  assert.match(
    setting.log.at("warn").join(),
    /sees us at 203\.0\.113\.7:40001 now, not at 203\.0\.113\.7:40000/,
  );
  for (let passed = 0; registrar.registers < 2 && passed < 100; passed++) {
    setting.clock.advance(100);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  assert.equal(registrar.registers, 2);
  await close(setting, registrar);
});

/** A registrar on the same kind of transport as ours, which answers CRLF and STUN by itself. */
function openRegistrar(log: RecordLog): { transport: SipTransport; registers: Mailbox<Flow> } {
  const transport = SipTransport.open({ bind: "127.0.0.1", port: 0, fallback: false }, {
    log,
    clock: new FakeClock(),
  });
  const registers = new Mailbox<Flow>(100);
  transport.onMessage = (message: SipMessage, flow: Flow) => {
    if (message.kind !== "request") return;
    registers.push(flow);
    void transport.send(createResponse(message, 200, "OK", "t"), targetOf(flow));
  };
  return { transport, registers };
}

Deno.test("keep-alives over TCP: CRLF is answered; a connection that ceases to answer is replaced", async () => {
  const setting = openEndpoint("crlf");
  const { transport, registers } = openRegistrar(setting.log);
  const uri = `sip:alice@${formatEndpoint(transport.local)};transport=tcp`;
  const alice = setting.endpoint.createUserAgent(identity(uri, "secret"));
  await alice.register(forever());
  const first = await registers.next();
  for (let i = 1; i <= 3; i++) {
    setting.clock.advance(PERIOD_MS);
    while (transport.stats.keepAlives < i) await new Promise((resolve) => setTimeout(resolve, 1));
    await new Promise((resolve) => setTimeout(resolve, 20)); // the CRLF on its way back
  }
  assert.deepEqual(setting.log.at("warn"), []);
  // Time runs so fast that the next answer comes too late.
  setting.clock.advance(2 * PERIOD_MS);
  assert.match(setting.log.at("warn").join(), /flow to tcp 127\.0\.0\.1:\d+ lost/);
  for (let passed = 0; registers.size === 0 && passed < 200; passed++) {
    setting.clock.advance(100);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  const second = await registers.next();
  assert.notEqual(second!.remote.port, first!.remote.port, "a new connection");
  await close(setting, transport);
});

interface Scene {
  readonly network: SipNetwork;
  readonly endpoint: SipEndpoint;
  readonly registrar: ReturnType<SipNetwork["peer"]>;
}

async function registeredScene(): Promise<Scene> {
  const network = new SipNetwork();
  const endpoint = network.endpoint("10.0.0.1", { keepAlive: { method: "options", periodMs: PERIOD_MS } });
  const registrar = network.peer("10.0.0.9");
  const alice = endpoint.createUserAgent(identity("sip:alice@10.0.0.9", "secret"));
  const outcome = alice.register(forever());
  registrar.answer(await registrar.request("REGISTER"), 200);
  assert.equal((await network.settled(outcome)).type, "registered");
  return { network, endpoint, registrar };
}

async function finish({ network, endpoint, registrar }: Scene): Promise<void> {
  const closing = network.close(endpoint);
  registrar.answer(await registrar.request("REGISTER"), 200);
  await closing;
  await network.clock.advanceAsync(40_000);
  assert.equal(network.clock.pending, 0);
}

Deno.test("keep-alives by OPTIONS: in the user's name to the registrar; after silence the user registers again", async () => {
  const scene = await registeredScene();
  const { network, registrar } = scene;
  const options: SipRequest = await registrar.request("OPTIONS");
  assert.equal(options.uri.user, null);
  assert.match(options.headers.get("From") ?? "", /^<sip:alice@10\.0\.0\.9>;tag=/);
  assert.equal(options.headers.get("To"), "<sip:10.0.0.9>");
  assert.match(options.headers.get("Contact") ?? "", /^<sip:alice@10\.0\.0\.1:5060;line=/);
  registrar.answer(options, 405);
  const unanswered = await registrar.request("OPTIONS");
  assert.notEqual(unanswered.headers.get("Call-ID"), options.headers.get("Call-ID"));
  registrar.answer(await registrar.request("REGISTER"), 200);
  assert.match(network.log.at("warn").join(), /OPTIONS timeout\), re-registering/);
  await finish(scene);
});

Deno.test("an address that has changed is registered at once, by whoever is registered", async () => {
  const scene = await registeredScene();
  scene.endpoint.createUserAgent(identity("sip:bob@10.0.0.9"));
  scene.endpoint.refreshRegistrations();
  await settle();
  scene.registrar.answer(await scene.registrar.request("REGISTER", 2_100), 200);
  await scene.network.clock.advanceAsync(5_000);
  assert.equal(
    scene.registrar.drop((message) => message.kind === "request" && message.method === "REGISTER"),
    0,
  );
  await finish(scene);
});
