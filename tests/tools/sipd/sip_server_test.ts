// The whole built-in server over loopback: registration, calls between users, echo, tone, messages, the end.

import assert from "node:assert/strict";
import { encodeUtf8 } from "../../../lib/base/bytes.ts";
import { systemClock } from "../../../lib/base/clock.ts";
import { TransportError } from "../../../lib/base/errors.ts";
import { openLog } from "../../../lib/base/log.ts";
import { seededRandom, systemRandom } from "../../../lib/base/random.ts";
import { systemDns } from "../../../lib/net/dns.ts";
import { formatEndpoint } from "../../../lib/net/endpoint.ts";
import { connectTcp } from "../../../lib/net/tcp.ts";
import { UdpSocket } from "../../../lib/net/udp.ts";
import { formatSdp, parseSdp } from "../../../lib/sdp/description.ts";
import { mediaFormat } from "../../../lib/sdp/media_format.ts";
import { createAnswer } from "../../../lib/sdp/offer_answer.ts";
import { bodyText, SDP_TYPE, textBody } from "../../../lib/sip/message/body.ts";
import { parseNameAddr } from "../../../lib/sip/message/name_addr.ts";
import { quietWire, SipServer } from "../../../lib/tools/sipd/sip_server.ts";
import { RecordLog } from "../../support/record_log.ts";
import { identity, SipNetwork } from "../../support/sip_network.ts";
import { memoryServices, memoryTransports, offerOf, understood } from "../../support/sipd_bench.ts";
import { createPhone, openPhones, PhoneLine, place } from "../../support/sipd_phone.ts";
import { packetsOf } from "../../support/udp_packets.ts";

function start(hostname = "127.0.0.1", port = 0, portFallback = false) {
  const log = new RecordLog("info");
  const environment = { clock: systemClock, log, random: systemRandom, dns: systemDns };
  return { log, started: SipServer.start({ listen: { hostname, port }, portFallback }, environment) };
}

const NEVER = new AbortController().signal;

Deno.test("it says what it is for, and warns when it is open to the network", async () => {
  const { log, started } = start();
  await using server = await started;
  assert.equal(server.address.hostname, "127.0.0.1");
  assert.equal(log.at("info").length, 1);
  assert.match(
    log.at("info")[0]!,
    /for tests only at 127\.0\.0\.1:\d+: no authentication, anybody may register.*echo, tone/,
  );
  assert.deepEqual(log.at("warn"), []);
  const open = start("0.0.0.0");
  await using everywhere = await open.started;
  assert.notEqual(everywhere.address.hostname, "0.0.0.0");
  assert.match(open.log.at("warn")[0]!, /open to everybody/);
});

Deno.test("a busy port is an error, or the next one when that will do", async () => {
  const { started } = start();
  await using first = await started;
  const { hostname, port } = first.address;
  await assert.rejects(start(hostname, port).started, TransportError);
  await using second = await start(hostname, port, true).started;
  assert.notEqual(second.address.port, port);
});

Deno.test("two users register, one calls the other, and hangs up", async () => {
  await using server = await start().started;
  await using phones = openPhones();
  const alice = createPhone(phones, "alice", server.address);
  const bob = createPhone(phones, "bob", server.address);
  const at = formatEndpoint(server.address);
  assert.equal((await place(alice, `sip:bob@${at}`, null)).status, 404);
  assert.equal((await bob.register(NEVER)).type, "registered");
  assert.equal((await alice.register(NEVER)).type, "registered");
  assert.equal(server.usage.users, 2);

  using line = new PhoneLine();
  const answering = (async () => {
    const { value: invitation } = await bob.invitations().next();
    assert.ok(invitation);
    assert.equal(invitation.from.uri.user, "alice");
    invitation.ring();
    const fields = { address: "127.0.0.1", sessionId: 2, sessionVersion: 1 };
    const media = [{ kind: "audio" as const, port: 9, formats: line.formats }];
    const outcome = createAnswer(parseSdp(invitation.offer!.bytes), { ...fields, media });
    assert.ok(outcome.type === "answer");
    const bytes = encodeUtf8(formatSdp(outcome.answer));
    const accepted = await invitation.accept({ type: SDP_TYPE, bytes });
    assert.ok(accepted.type === "confirmed");
    const events = [];
    for await (const event of accepted.call.events()) events.push(event.type);
    return events;
  })();
  const { call, statuses } = await place(alice, `sip:bob@${at}`, line.offer());
  assert.ok(call);
  assert.ok(statuses.includes(180));
  assert.equal(line.take(call.remoteBody).remote?.port, 9);
  await call.hangUp();
  assert.deepEqual(await answering, ["ended"]);
  await line.close();
});

Deno.test("with -d a call to a number shows each SIP message as the proxy got it and passed it on, not more", async () => {
  const log = new RecordLog("debug");
  const environment = { clock: systemClock, log, random: systemRandom, dns: systemDns };
  const listen = { hostname: "127.0.0.1", port: 0 };
  await using server = await SipServer.start({ listen, portFallback: false }, environment);
  await using phones = openPhones();
  using line = new PhoneLine();
  const alice = createPhone(phones, "alice", server.address);
  const { call } = await place(alice, `sip:echo@${formatEndpoint(server.address)}`, line.offer());
  assert.ok(call);
  const invites = log.at("debug").filter((text) => /sip\.wire sipd: .*\n *INVITE /.test(text));
  assert.deepEqual(invites.map((text) => /sipd: (received from|sent to)/.exec(text)?.[1]), [
    "received from",
    "sent to",
  ]);
  await call.hangUp();
  await line.close();
});

Deno.test("echo returns payload, timestamps and markers of two callers at once", async () => {
  await using server = await start().started;
  await using phones = openPhones();
  const callers = await Promise.all(["alice", "bob"].map(async (user) => {
    const line = new PhoneLine();
    const agent = createPhone(phones, user, server.address);
    const { call, statuses } = await place(agent, `sip:echo@${formatEndpoint(server.address)}`, line.offer());
    assert.ok(call);
    assert.ok(statuses.includes(180), "it rings before it answers");
    line.take(call.remoteBody);
    return { line, call, seed: user.charCodeAt(0) };
  }));
  assert.equal(server.usage.calls, 2);
  const sent = 50;
  for (let i = 0; i < sent; i++) {
    for (const { line, seed } of callers) {
      line.send(new Uint8Array(160).fill(seed + i), 0xffffff00 + 160 * i, i % 10 === 0);
    }
    if (i === 20) {
      for (const { line } of callers) line.send(Uint8Array.of(5, 10, 0, 160), 0xffffff00, true, 101);
    }
  }
  for (const { line, seed } of callers) {
    const packets = await line.receive(sent + 1);
    const voice = packets.filter((packet) => packet.payloadType === 0);
    const base = voice[0]!.timestamp;
    voice.forEach((packet, i) => {
      assert.deepEqual(packet.payload, new Uint8Array(160).fill(seed + i));
      assert.equal(packet.timestamp, (base + 160 * i) >>> 0);
      assert.equal(packet.marker, i % 10 === 0);
    });
    const digits = packets.filter((packet) => packet.payloadType === 101);
    assert.deepEqual(digits.map(({ payload }) => [...payload]), [[5, 10, 0, 160]]);
  }
  for (const { line, call } of callers) {
    await call.hangUp();
    await line.close();
  }
});

Deno.test("echo is on hold while the caller is, and takes H.264 and x-flv", async () => {
  await using server = await start().started;
  await using phones = openPhones();
  const agent = createPhone(phones, "alice", server.address);
  const echo = `sip:echo@${formatEndpoint(server.address)}`;
  const fmtp = "profile-level-id=640028;packetization-mode=1;sprop-parameter-sets=Z2QAKA==,aO48gA==";
  for (const format of [mediaFormat(120, "H264", 90000, { fmtp }), mediaFormat(97, "x-flv", 90000)]) {
    using line = new PhoneLine([format], "video");
    const { call } = await place(agent, echo, line.offer());
    assert.ok(call);
    line.take(call.remoteBody);
    line.send(Uint8Array.of(0x65, 1, 2, 3), 3000, true);
    const [picture] = await line.receive(1);
    assert.deepEqual([...picture!.payload], [0x65, 1, 2, 3]);
    assert.equal(picture!.payloadType, format.payloadType);

    const hold = line.offer("sendonly", 2);
    const held = await call.reoffer(hold);
    assert.ok(held.type === "accepted");
    assert.equal(line.take(held.body, hold).direction, "sendonly");
    line.send(Uint8Array.of(1), 6000);
    const resumed = await call.reoffer(line.offer("sendrecv", 3));
    assert.ok(resumed.type === "accepted");
    line.take(resumed.body);
    line.send(Uint8Array.of(2), 9000);
    const packets = await line.receive(2);
    assert.deepEqual([...packets[1]!.payload], [2], "nothing was returned during the hold");
    await call.hangUp();
    await line.close();
  }
});

Deno.test("a caller without offer gets one from echo", async () => {
  await using server = await start().started;
  await using phones = openPhones();
  const agent = createPhone(phones, "alice", server.address);
  const { call } = await place(agent, `sip:echo@${formatEndpoint(server.address)}`, null);
  assert.ok(call);
  using line = new PhoneLine([mediaFormat(111, "speex", 16000)]);
  for await (const event of call.events()) {
    assert.ok(event.type === "offer" && event.body);
    const offer = parseSdp(event.body.bytes);
    const fields = { address: "127.0.0.1", sessionId: 2, sessionVersion: 1 };
    const outcome = createAnswer(offer, {
      ...fields,
      media: [{ kind: "audio", port: line.port, formats: line.formats }],
    });
    assert.ok(outcome.type === "answer");
    line.agreed = outcome.agreed[0]!;
    void event.answer({ type: SDP_TYPE, bytes: encodeUtf8(formatSdp(outcome.answer)) });
    break;
  }
  line.send(Uint8Array.of(7, 8, 9), 320);
  const [packet] = await line.receive(1);
  assert.deepEqual([...packet!.payload], [7, 8, 9]);
  await call.hangUp();
  await line.close();
});

Deno.test("tone plays G.711 in packets of 20 ms, and says what Speex callers hear", async () => {
  const { log, started } = start();
  await using server = await started;
  await using phones = openPhones();
  const agent = createPhone(phones, "alice", server.address);
  const tone = `sip:tone@${formatEndpoint(server.address)}`;
  const rows = [
    { format: mediaFormat(8, "PCMA", 8000), ticks: 160, octets: 160 },
    { format: mediaFormat(96, "speex", 16000), ticks: 320, octets: 42 },
  ];
  for (const { format, ticks, octets } of rows) {
    using line = new PhoneLine([format]);
    const { call } = await place(agent, tone, line.offer());
    assert.ok(call);
    line.take(call.remoteBody);
    const packets = (await line.receive(4)).slice(0, 4);
    assert.deepEqual(packets.map(({ payload }) => payload.length), [octets, octets, octets, octets]);
    assert.deepEqual(packets.map(({ marker }) => marker), [true, false, false, false]);
    for (let i = 1; i < 4; i++) {
      assert.equal((packets[i]!.timestamp - packets[i - 1]!.timestamp) >>> 0, ticks);
    }
    await call.hangUp();
    await line.close();
  }
  assert.ok(log.lines.some((line) => /tone of 1004 Hz \(PCMA\/8000\)/.test(line)));
  assert.ok(log.lines.some((line) => /speech sample.*\(speex\/16000\)/.test(line)));
  using unknown = new PhoneLine([mediaFormat(9, "G722", 8000)]);
  assert.equal((await place(agent, tone, unknown.offer())).status, 488);
  await unknown.close();
});

Deno.test("a text to echo comes back to its sender, inside a call as well", async () => {
  await using server = await start().started;
  await using phones = openPhones();
  const alice = createPhone(phones, "alice", server.address);
  await alice.register(NEVER);
  const at = formatEndpoint(server.address);
  const messages = alice.messages();
  const sent = await alice.request("MESSAGE", parseNameAddr(`sip:echo@${at}`), textBody("hello"), NEVER);
  assert.equal(sent.status, 200);
  const { value: message } = await messages.next();
  assert.ok(message);
  assert.equal(message.from.uri.user, "echo");
  assert.equal(bodyText(message.body), "hello");

  using line = new PhoneLine();
  const { call } = await place(alice, `sip:echo@${at}`, line.offer());
  assert.ok(call);
  const events = call.events();
  assert.equal(await call.message(textBody("in here")), 200);
  const { value: event } = await events.next();
  assert.ok(event?.type === "message");
  assert.equal(bodyText(event.body), "in here");
  await call.hangUp();
  await line.close();
});

Deno.test("stopping while calls are up hangs them up and leaves nothing", async () => {
  const server = await start().started;
  await using phones = openPhones();
  const at = formatEndpoint(server.address);
  const lines = [new PhoneLine(), new PhoneLine(), new PhoneLine()];
  const numbers = ["echo", "tone", "tone"];
  const calls = await Promise.all(lines.map(async (line, i) => {
    const agent = createPhone(phones, `user${i}`, server.address);
    const { call } = await place(agent, `sip:${numbers[i]}@${at}`, line.offer());
    assert.ok(call);
    return call;
  }));
  assert.equal(server.usage.calls, 3);
  await server[Symbol.asyncDispose]();
  assert.equal(server.usage.calls, 0);
  for (const call of calls) {
    const ended = [];
    for await (const event of call.events()) ended.push(event.type === "ended" ? event.by : event.type);
    assert.deepEqual(ended, ["remote"]);
  }
  for (const line of lines) await line.close();
  await server[Symbol.asyncDispose]();
});

Deno.test("rubbish over UDP and TCP does not disturb anybody", async () => {
  await using server = await start().started;
  using socket = UdpSocket.bind({ hostname: "127.0.0.1", port: 0 });
  const rubbish = [
    "",
    "\r\n\r\n",
    "INVITE sip:echo@x SIP/2.0\r\n\r\n",
    "INVITE sip:echo@x SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:1;branch=z9hG4bK1\r\nFrom: <sip:a@x>;tag=1\r\n" +
    "To: <sip:echo@x>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\nMax-Forwards: 99999\r\nContent-Length: 0\r\n\r\n",
    "SIP/2.0 200 OK\r\nVia: x\r\n\r\n",
    "\u0000\u0001\u0002",
  ];
  for (const text of rubbish) socket.send(encodeUtf8(text), server.address);
  using stream = await connectTcp(server.address);
  stream.put(encodeUtf8("rubbish over TCP\r\n\r\n"));
  const into = new Uint8Array(1000);
  while (await stream.read(into) !== null); // the server closes what it cannot frame
  await using phones = openPhones();
  const agent = createPhone(phones, "alice", server.address);
  assert.equal((await agent.register(NEVER)).type, "registered");
});

Deno.test("over a network that loses a fifth, users register and reach echo all the same", async () => {
  const network = new SipNetwork({ loss: 0.2, duplication: 0.1, seed: 5 });
  const services = memoryServices(network.clock);
  const listen = { hostname: "10.0.0.1", port: 5060 };
  const server = await SipServer.start({ listen, portFallback: false }, {
    clock: network.clock,
    log: network.log,
    random: seededRandom(3),
    dns: network.dns,
    openTransport: memoryTransports(network),
    rtpPorts: services.ports,
  });
  assert.deepEqual(server.address, listen);
  const phones = network.endpoint("10.0.0.9");
  const agent = phones.createUserAgent(identity("sip:alice@10.0.0.1"));
  assert.equal((await network.settled(agent.register(NEVER))).type, "registered");
  for (let i = 0; i < 5; i++) {
    const { call } = await network.settled(place(agent, "sip:echo@10.0.0.1", offerOf()));
    assert.ok(call);
    assert.equal(understood(call.remoteBody!).remote?.hostname, "10.0.0.1");
    await network.settled(call.hangUp());
  }
  await network.until("echo has noticed", () => server.usage.calls === 0);
  network.options.loss = 0;
  await network.close(phones, server);
  assert.equal(services.rtp.size, 0);
  assert.equal(network.clock.pending, 0);
});

Deno.test("registered phones that are gone get 503 over TCP, and nothing breaks", async () => {
  await using server = await start().started;
  await using phones = openPhones();
  const alice = createPhone(phones, "alice", server.address);
  const at = formatEndpoint(server.address);
  using socket = UdpSocket.bind({ hostname: "127.0.0.1", port: 0 });
  const answers = packetsOf(socket);
  const own = formatEndpoint(socket.local);
  socket.send(
    encodeUtf8(
      `REGISTER sip:${at} SIP/2.0\r\nVia: SIP/2.0/UDP ${own};branch=z9hG4bKgone\r\nFrom: <sip:gone@x>;tag=1\r\n` +
        `To: <sip:gone@x>\r\nCall-ID: g\r\nCSeq: 1 REGISTER\r\nContact: <sip:gone@127.0.0.1:1;transport=tcp>\r\n` +
        "Content-Length: 0\r\n\r\n",
    ),
    server.address,
  );
  const { value: answer } = await answers.next();
  assert.match(new TextDecoder().decode(answer!.bytes), /^SIP\/2\.0 200 /);
  assert.equal((await place(alice, `sip:gone@${at}`, null)).status, 503);
});

for (
  const { verbosity, shown } of [{ verbosity: "debug", shown: false }, {
    verbosity: "trace",
    shown: true,
  }] as const
) {
  Deno.test(`at ${verbosity} SIP messages are ${shown ? "shown" : "left out"}, everything else is shown`, async () => {
    const lines: string[] = [];
    const { log, close } = openLog({ verbosity, write: (line) => lines.push(line.replace(/^\S+ /, "")) });
    const quiet = quietWire(log).child("sipd");
    quiet.category("sip.wire").debug("INVITE");
    quiet.category("sip").category("sip.wire").child("echo").debug("INVITE");
    for (const level of ["error", "warn", "info", "debug"] as const) {
      quiet.category("sip")[level]("told", "why");
    }
    assert.deepEqual(lines.filter((line) => line.includes("sip.wire")).length, shown ? 2 : 0);
    const others = lines.filter((line) => !line.includes("sip.wire"));
    assert.deepEqual(
      others,
      ["error", "warn ", "info ", "debug"].map((level) => `${level} sip       sipd: told: why`),
    );
    assert.equal(quiet.category("sip").enabled("trace"), verbosity === "trace");
    await close();
  });
}
