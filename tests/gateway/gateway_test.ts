// The gateway whole, over loopback: real RTMP clients on one side, SIP on the other.

import assert from "node:assert/strict";
import { systemClock } from "../../lib/base/clock.ts";
import { TransportError } from "../../lib/base/errors.ts";
import { silentLog } from "../../lib/base/log.ts";
import { systemRandom } from "../../lib/base/random.ts";
import { Gateway } from "../../lib/gateway/gateway.ts";
import { buildConfig } from "../../lib/config/config.ts";
import { connectTcp } from "../../lib/net/tcp.ts";
import { UdpSocket } from "../../lib/net/udp.ts";
import { RtmpClient, RtmpRefused } from "../../lib/rtmp/client.ts";
import { getProperty } from "../../lib/amf/value.ts";
import { PASSWORD, Registrar } from "../support/gateway_registrar.ts";
import { g711Frames, hexOf, tag } from "../support/gateway_media.ts";
import { RtmpPhone } from "../support/rtmp_phone.ts";
import { startGateway, type TestGateway } from "../support/test_gateway.ts";
import { packetsOf } from "../support/udp_packets.ts";

const NOTHING = { connections: 0, clients: 0, calls: 0, rtpPorts: 0 };

/** Waits for something that must come about; its callers have no other event to wait for. */
async function until(holds: () => boolean, what: string): Promise<void> {
  for (let tries = 0; tries < 1000; tries++) {
    if (holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert.fail(`never came about: ${what}`);
}

async function emptied({ gateway, lines }: TestGateway): Promise<void> {
  const left = () => JSON.stringify(gateway.usage);
  await until(() => left() === JSON.stringify(NOTHING), `everything given back; ${left()}\n${lines()}`);
}

/** A user of a gateway without a registrar: reached as bob@127.0.0.1:PORT. */
function direct(gateway: TestGateway, user: string, suffix = ""): string {
  return gateway.url(`${user}@127.0.0.1:${gateway.gateway.sipPort}${suffix}`);
}

function open(url: string, ...args: string[]): Promise<RtmpClient> {
  return RtmpClient.open(url, { clock: systemClock, log: silentLog, random: systemRandom, args });
}

async function refusal(opening: Promise<RtmpClient>): Promise<string> {
  try {
    await using _client = await opening;
  } catch (error) {
    if (!(error instanceof RtmpRefused)) throw error;
    return `${error.code}: ${error.description}`;
  }
  return "accepted";
}

for (const where of ["one gateway", "two gateways"]) {
  Deno.test(`two users of ${where} call, hold, write, press keys, hang up, and nothing is left`, async () => {
    await using first = await startGateway();
    await using second = where === "one gateway" ? null : await startGateway();
    const other = second ?? first;
    await using alice = await RtmpPhone.connect({ url: direct(first, "alice") });
    await using bob = await RtmpPhone.connect({ url: direct(other, "bob"), answers: ["pcmu", "dtmf"] });
    alice.client.send("invite", `sip:bob@127.0.0.1:${other.gateway.sipPort}`, "pcmu", "dtmf");
    assert.match(String((await bob.expect("invited"))[0]), /<sip:alice@127\.0\.0\.1:\d+>/);
    assert.deepEqual(await alice.expect("ringing"), ["180 Ringing"]);
    assert.deepEqual(await alice.expect("accepted"), ["pcmu", null]);
    assert.deepEqual(await bob.expect("accepted"), ["pcmu", null]);
    const frames = g711Frames(20);
    for (const [i, frame] of frames.entries()) {
      const heard = [alice, bob].map((phone) => phone.audio.length + 1);
      alice.speaking.send(8, 20 * i, tag(0x82, frame));
      bob.speaking.send(8, 20 * i, tag(0x82, frame));
      await until(
        () => alice.audio.length >= heard[0]! && bob.audio.length >= heard[1]!,
        `frame ${i} both ways`,
      );
    }
    assert.deepEqual(hexOf(bob.audio), hexOf(frames.map((frame) => tag(0x82, frame))));
    assert.deepEqual(hexOf(alice.audio), hexOf(frames.map((frame) => tag(0x82, frame))));
    alice.client.send("hold", true);
    assert.deepEqual(await bob.expect("holded"), [true]);
    alice.client.send("hold", false);
    assert.deepEqual(await bob.expect("holded"), [false]);
    assert.deepEqual(await alice.client.call("sendMessage", "grüß dich"), [true]);
    assert.deepEqual(await bob.expect("receivedMessage"), ["grüß dich"]);
    assert.deepEqual(await bob.client.call("sendDTMF", "5", 60), []);
    assert.deepEqual(await alice.expect("receivedDTMF"), ["5", 60]);
    bob.client.send("bye");
    await alice.expect("byed");
    await alice.client.close();
    await bob.client.close();
    await Promise.all([emptied(first), emptied(other)]);
  });
}

Deno.test("two users without a codec list hear each other", async () => {
  await using running = await startGateway();
  await using alice = await RtmpPhone.connect({ url: direct(running, "alice") });
  await using bob = await RtmpPhone.connect({ url: direct(running, "bob"), answers: [] });
  alice.client.send("invite", `bob@127.0.0.1:${running.gateway.sipPort}`);
  assert.deepEqual(await alice.expect("accepted"), []);
  assert.deepEqual(await bob.expect("accepted"), []);
  // A Speex frame of submode 0, which is silence, and its terminator.
  const silence = tag(0xb2, new Uint8Array([0x07]));
  for (let i = 0; bob.audio.length < 5; i++) {
    assert.ok(i < 500, running.lines());
    alice.speaking.send(8, 20 * i, silence);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert.deepEqual(bob.audio[0], silence);
});

Deno.test("a newer client on the same path replaces the older one, which is told and closed (1.11 #24)", async () => {
  await using running = await startGateway();
  const { gateway } = running;
  await using older = await RtmpPhone.connect({ url: direct(running, "alice") });
  await using newer = await RtmpPhone.connect({ url: direct(running, "alice") });
  const [status] = await older.expect("onStatus");
  assert.equal(getProperty(status as never, "code"), "NetConnection.Connect.Closed");
  await older.client.closed;
  await until(() => gateway.usage.connections === 1, "one connection");
  assert.equal(gateway.usage.clients, 1);
  await using bob = await RtmpPhone.connect({ url: direct(running, "bob") });
  bob.client.send("invite", `alice@127.0.0.1:${gateway.sipPort}`);
  await newer.expect("invited");
});

Deno.test("with a /suffix both live, and the newest is called", async () => {
  await using running = await startGateway();
  const { gateway } = running;
  await using one = await RtmpPhone.connect({ url: direct(running, "alice", "/1") });
  await using two = await RtmpPhone.connect({ url: direct(running, "alice", "/2") });
  assert.equal(gateway.usage.clients, 2);
  await using bob = await RtmpPhone.connect({ url: direct(running, "bob") });
  bob.client.send("invite", `alice@127.0.0.1:${gateway.sipPort}`);
  await two.expect("invited");
  assert.deepEqual(await one.client.call("bye"), []);
});

Deno.test("the right password registers, and a replacement registers before the older one unregisters", async () => {
  await using registrar = new Registrar();
  await using running = await startGateway();
  const url = running.url(registrar.address("alice"));
  {
    await using older = await open(url, "alice", PASSWORD);
    assert.deepEqual(registrar.log, ["?", "+1"]);
    await using _newer = await open(url, "alice", PASSWORD);
    await older.closed;
    await until(() => registrar.log.includes("-1"), "the older one unregistered");
    assert.deepEqual(registrar.log.filter((entry) => entry !== "?"), ["+1", "+2", "-1"]);
  }
  await emptied(running);
  assert.equal(registrar.log.at(-1), "-2");
});

Deno.test("a wrong password: one _error in the registrar's words, closed, and nothing is left (1.11 #23)", async () => {
  await using registrar = new Registrar();
  await using running = await startGateway();
  const url = running.url(registrar.address("alice"));
  assert.equal(
    await refusal(open(url, "alice", "wrong")),
    "NetConnection.Connect.Rejected: 401 Unauthorized",
  );
  assert.deepEqual(registrar.log, ["?", "?"]);
  assert.equal(running.lines().match(/-> _error/g)?.length ?? 0, 1, running.lines());
  assert.ok(!running.lines().includes("wrong"), "the password is in the log");
  assert.match(
    running.lines(),
    /alice@\S+: client rejected: sip:\S+ refuses the user name or password \(401 Unauthorized\)/,
  );
  await emptied(running);
});

Deno.test("a newcomer with a wrong password does not disturb the one who is there", async () => {
  await using registrar = new Registrar();
  await using running = await startGateway();
  const url = running.url(registrar.address("alice"));
  await using there = await open(url, "alice", PASSWORD);
  assert.match(await refusal(open(url, "alice", "wrong")), /401 Unauthorized/);
  assert.equal(running.gateway.usage.clients, 1);
  assert.deepEqual(await there.call("bye"), []);
});

Deno.test("who connected first and registered last has been replaced", async () => {
  await using registrar = new Registrar();
  await using running = await startGateway();
  const url = running.url(registrar.address("alice"));
  const { promise, resolve } = Promise.withResolvers<void>();
  registrar.hold = { username: "slow", until: promise };
  const slow = refusal(open(url, "slow", PASSWORD));
  await until(() => registrar.hold === null, "the first one waits");
  await using quick = await open(url, "quick", PASSWORD);
  resolve();
  assert.equal(
    await slow,
    "NetConnection.Connect.Rejected: a newer client connected to the same address",
  );
  assert.deepEqual(await quick.call("bye"), []);
  await until(() => registrar.log.some((entry) => entry.startsWith("-")), "the slow one unregistered");
  assert.equal(running.gateway.usage.clients, 1);
});

Deno.test("who leaves while registering is unregistered", async () => {
  await using registrar = new Registrar();
  await using running = await startGateway();
  const { promise, resolve } = Promise.withResolvers<void>();
  registrar.hold = { username: "alice", until: promise };
  const gone = new AbortController();
  const opening = RtmpClient.open(running.url(registrar.address("alice")), {
    clock: systemClock,
    log: silentLog,
    random: systemRandom,
    args: ["alice", PASSWORD],
    signal: gone.signal,
  });
  await until(() => registrar.hold === null, "the registrar waits");
  gone.abort();
  await assert.rejects(opening);
  resolve();
  await emptied(running);
  assert.deepEqual(registrar.log.filter((entry) => entry !== "?"), ["+1", "-1"]);
});

const REJECTED: [app: string, reason: RegExp][] = [
  ["sip", /the SIP address is missing/],
  ["sip/nobody", /is not a SIP address/],
];

for (const [app, reason] of REJECTED) {
  Deno.test(`connect to "${app}" is rejected in plain words, and the next client connects (1.11 #20)`, async () => {
    await using running = await startGateway();
    const tcUrl = `rtmp://127.0.0.1/${app}`;
    const opening = connectTcp(running.gateway.rtmp).then((stream) =>
      RtmpClient.over(stream, { app, tcUrl }, { clock: systemClock, log: silentLog, random: systemRandom })
    );
    assert.match(await refusal(opening), reason);
    await using _next = await open(direct(running, "alice"));
    assert.equal(running.gateway.usage.clients, 1);
  });
}

// Sockets: the leak sanitizer sees each; a count of the process has those of tests that run beside this one.
Deno.test("200 connections in turn leave no socket, port or client (1.11 #21)", async () => {
  await using running = await startGateway();
  await (await open(direct(running, "alice"))).close();
  await emptied(running);
  for (let n = 0; n < 200; n++) {
    await using client = await open(direct(running, n % 2 === 0 ? "alice" : "bob"));
    client.send("invite", n % 3 === 0 ? "sip:nobody@127.0.0.1:1" : "mailto:nobody");
  }
  await emptied(running);
});

Deno.test("more connections than allowed are closed at once", async () => {
  await using running = await startGateway({ "max-connections": "1" });
  await using there = await open(direct(running, "alice"));
  await assert.rejects(open(direct(running, "bob")));
  assert.deepEqual(await there.call("bye"), []);
  await until(() => running.gateway.usage.connections === 1, "the second one is gone");
});

Deno.test("more calls than allowed are rejected before anybody is alerted, and clients too", async () => {
  await using running = await startGateway({ "max-calls": "1" });
  await using alice = await RtmpPhone.connect({ url: direct(running, "alice") });
  await using bob = await RtmpPhone.connect({ url: direct(running, "bob") });
  alice.client.send("invite", `bob@127.0.0.1:${running.gateway.sipPort}`, "pcmu"); // its other half is the second
  assert.deepEqual(await alice.expect("rejected"), ["503 Service Unavailable"]);
  await until(() => running.gateway.usage.calls === 0, "alice's half is over");
  assert.equal(bob.callbacks.size, 0, "bob was not alerted");
  await using other = await startGateway();
  await using _carol = await RtmpPhone.connect({ url: direct(other, "carol"), answers: ["pcmu"] });
  const call = () => alice.client.send("invite", `carol@127.0.0.1:${other.gateway.sipPort}`, "pcmu");
  call();
  await alice.expect("accepted");
  bob.client.send("invite", `carol@127.0.0.1:${other.gateway.sipPort}`, "pcmu");
  assert.deepEqual(await bob.expect("rejected"), ["503 Service Unavailable"]);
  const refused = await refusal(open(direct(running, "dave")));
  assert.match(
    refused,
    /^NetConnection\.Connect\.Rejected: overloaded, there are 1 calls, 1 are allowed: try again in \d+ s$/,
  );
  alice.client.send("bye");
  await until(() => running.gateway.usage.calls === 0, "the call is over");
  assert.equal(await refusal(open(direct(running, "dave"))), "accepted");
});

Deno.test("a gateway that stops tells its clients, hangs up, unregisters and is gone", async () => {
  await using registrar = new Registrar();
  const running = await startGateway();
  await using other = await startGateway();
  await using alice = await RtmpPhone.connect({
    url: running.url(registrar.address("alice")),
    login: "alice",
    password: PASSWORD,
  });
  await using bob = await RtmpPhone.connect({ url: direct(other, "bob"), answers: ["pcmu"] });
  alice.client.send("invite", `bob@127.0.0.1:${other.gateway.sipPort}`, "pcmu");
  await Promise.all([alice.expect("accepted"), bob.expect("accepted")]);
  await running[Symbol.asyncDispose]();
  const [status] = await alice.expect("onStatus");
  assert.equal(getProperty(status as never, "code"), "NetConnection.Connect.AppShutdown");
  await alice.client.closed;
  await bob.expect("byed");
  assert.deepEqual(registrar.log, ["?", "+1", "-1"]);
  assert.deepEqual(running.gateway.usage, NOTHING);
});

Deno.test("a program that dials by URL: its first audio calls, the end of the call ends its connection", async () => {
  await using running = await startGateway();
  await using bob = await RtmpPhone.connect({ url: direct(running, "bob"), answers: ["pcmu"] });
  const destination = encodeURIComponent(`bob@127.0.0.1:${running.gateway.sipPort}`);
  await using program = await open(`${direct(running, "studio")}?dial=${destination}`);
  const stream = await program.createStream();
  await stream.publish("anything");
  const [frame] = g711Frames(1) as [Uint8Array];
  stream.send(8, 0, tag(0x82, frame));
  await bob.expect("accepted");
  for (let i = 1; bob.audio.length === 0; i++) {
    stream.send(8, 20 * i, tag(0x82, frame));
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  bob.client.send("bye");
  await program.closed;
});

Deno.test("the address of -e is told in SIP and SDP, whatever -l is (1.11 #1)", async () => {
  await using running = await startGateway({ "ext-ip": "192.0.2.50" });
  using phone = UdpSocket.bind({ hostname: "127.0.0.1", port: 0 });
  await using alice = await open(running.url("alice@127.0.0.1"));
  alice.send("invite", `bob@127.0.0.1:${phone.local.port}`, "pcmu");
  for await (const { bytes } of packetsOf(phone)) {
    const text = new TextDecoder().decode(bytes);
    assert.match(text, /^Via: SIP\/2\.0\/UDP 192\.0\.2\.50:/m);
    assert.match(text, /^Contact: <sip:alice@192\.0\.2\.50:/m);
    assert.match(text, /^c=IN IP4 192\.0\.2\.50\r$/m);
    assert.ok(!text.includes("127.0.0.1:" + running.gateway.sipPort));
    break;
  }
});

Deno.test("a busy RTMP port is a TransportError, and the SIP port is given back", async () => {
  await using running = await startGateway();
  const { environment, gateway } = running;
  const sipPort = await freeSipPort();
  const flags = {
    host: "127.0.0.1",
    port: String(gateway.rtmp.port),
    "int-ip": "127.0.0.1",
    "sip-port": sipPort,
  };
  await assert.rejects(Gateway.start(buildConfig({ flags }), environment), TransportError);
  await using again = await startGateway({ "sip-port": sipPort });
  assert.equal(String(again.gateway.sipPort), sipPort);
});

async function freeSipPort(): Promise<string> {
  await using probe = await startGateway();
  return String(probe.gateway.sipPort);
}

Deno.test("what nobody may have the gateway send to is rejected in words that name the option, and opens with it", async () => {
  await using running = await startGateway({ "allowed-targets": "169.254.77.0/24, fe80::/10" });
  await using alice = await RtmpPhone.connect({ url: direct(running, "alice") });
  const TARGETS: readonly (readonly [target: string, reason: RegExp])[] = [
    [
      "x@169.254.169.254",
      /^403 nothing is sent to 169\.254\.169\.254, the metadata service of a cloud: --allowed-targets/,
    ],
    ["sip:x@169.254.7.7:80;transport=tcp", /^403 .*a link-local address: --allowed-targets/],
    ["sip:x@[::ffff:a9fe:a9fe]", /^403 .*the metadata service/],
    ["x@0.0.0.0", /^403 .*no address of anybody/],
    ["x@224.0.1.75", /^403 .*a multicast address/],
    ["x@255.255.255.255", /^403 .*a broadcast address/],
    ["sip:x@example.com;maddr=169.254.169.254", /^403 .*the metadata service/],
    ["x@127.0.0.1:1;transport=tcp", /^503 Cannot connect to 127\.0\.0\.1:1/], // the client is here itself
    ["sip:x@169.254.77.1;transport=tcp", /^(?!403)/],
  ];
  for (const [target, reason] of TARGETS) {
    alice.client.send("invite", target.startsWith("sip:") ? target : `sip:${target}`, "pcmu");
    const [told] = await alice.expect("rejected");
    assert.match(String(told), reason, target);
  }
  assert.match(
    running.lines(),
    /rate limiting 127\.0\.0\.1: requests to forbidden targets/,
  );
});
