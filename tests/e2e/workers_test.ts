// Two workers in one process, as clients and phones meet them: spread, called, replaced, broken down, stopped.

import assert from "node:assert/strict";
import { systemClock } from "../../lib/base/clock.ts";
import { silentLog } from "../../lib/base/log.ts";
import { systemRandom } from "../../lib/base/random.ts";
import { systemDns } from "../../lib/net/dns.ts";
import { RtmpClient } from "../../lib/rtmp/client.ts";
import { SipServer } from "../../lib/tools/sipd/sip_server.ts";
import { header, openRawPhone, rawAnswer, rawInDialog, rawInvite } from "../support/raw_phone.ts";
import { startProgram } from "../support/program.ts";
import { RtmpPhone, speak } from "../support/rtmp_phone.ts";
import { TextConnection } from "../support/workers_text.ts";
import { connectAt, startWorkers, until, type WorkersHouse } from "../support/workers_house.ts";
import { testEachKind } from "../support/both_sockets.ts";

const ENVIRONMENT = { clock: systemClock, log: silentLog, random: systemRandom, dns: systemDns };

function startServer(): Promise<SipServer> {
  return SipServer.start({ listen: { hostname: "127.0.0.1", port: 0 }, portFallback: false }, ENVIRONMENT);
}

function phoneOf(house: WorkersHouse, address: string, answers?: string[]): Promise<RtmpPhone> {
  const url = house.url(`sip/${address}`);
  return RtmpPhone.connect({ url, password: "any", ...(answers !== undefined && { answers }) });
}

Deno.test("20 clients are spread over two workers and call each other, whoever is where", async () => {
  await using sipd = await startServer();
  await using house = await startWorkers();
  const { supervisor } = house;
  await using clients = new AsyncDisposableStack();
  const phones = await Promise.all(Array.from({ length: 20 }, async (_, index) => {
    const address = `user${index}@127.0.0.1:${sipd.address.port}`;
    return clients.use(await phoneOf(house, address, index % 2 === 0 ? undefined : ["pcmu"]));
  }));
  const spread = [0, 1].map((worker) => supervisor.usageOf(worker).clients);
  assert.equal(spread[0]! + spread[1]!, 20);
  assert.ok(spread[0]! > 0 && spread[1]! > 0, `all clients are at one worker: ${spread}`);

  await Promise.all(phones.map(async (phone, index) => {
    if (index % 2 === 1) return await phone.expect("accepted");
    phone.client.send("invite", `user${index + 1}`, "pcmu");
    await phone.expect("accepted");
  }));
  assert.equal(supervisor.usage.calls, 20);
  for (let i = 0; i < 15; i++) {
    // The codec (G.711 u-law), who speaks, which block.
    for (const [index, { speaking }] of phones.entries()) {
      speaking.send(
        8,
        i * 20,
        new Uint8Array(161).fill(0x55).fill(0x82, 0, 1).fill(index, 1, 2).fill(i, 2, 3),
      );
    }
    await new Promise((go) => setTimeout(go, 20));
  }
  await until("everybody heard all", () => phones.every(({ audio }) => audio.length >= 15), house.lines);
  for (const [index, { audio }] of phones.entries()) {
    const other = index % 2 === 0 ? index + 1 : index - 1;
    const heard = audio.map((body) => `${body[1]} ${body[2]}`);
    assert.deepEqual(heard.slice(-15), Array.from({ length: 15 }, (_, i) => `${other} ${i}`));
  }
  phones.forEach((phone, index) => index % 2 === 0 && phone.client.send("bye"));
  await Promise.all(phones.map((phone, index) => index % 2 === 1 && phone.expect("byed")));
  await clients.disposeAsync();
  const idle = (): boolean => Object.values(supervisor.usage).every((count) => count === 0);
  await until("everything given back", idle, house.lines);
  assert.match(house.lines(), /^\S+ info +\w+ +worker 1: /m);
  assert.doesNotMatch(house.lines(), / error | defect /);
});

Deno.test("a call to the base port reaches a client of worker 1, and goes on at worker 1's port", async () => {
  await using house = await startWorkers();
  const [base, own] = house.supervisor.sipPorts;
  await using bob = await connectAt(
    house,
    1,
    () => RtmpPhone.connect({ url: house.url("sip/bob@127.0.0.1"), answers: ["pcmu"], echo: true }),
  );
  using desk = openRawPhone();
  desk.send(rawInvite(desk, { user: "bob", port: base! }, { callId: "to-bob" }), base!);
  const ok = await desk.receive(/^SIP\/2\.0 200/);
  assert.match(header(ok, "Contact"), new RegExp(`:${own}(;|>).*line=1\\.`));
  desk.send(rawInDialog(desk, "ACK", 1, ok, "z9hG4bKack"), own!);
  await bob.expect("accepted");
  assert.deepEqual(house.supervisor.usageOf(1).calls, 1);
  const rtpPort = Number(/m=audio (\d+)/.exec(ok)?.[1]);
  assert.ok(rtpPort >= 15000, `${rtpPort} is of the other worker's slice`);
  const packet = new Uint8Array(172).fill(0x55);
  packet.set([0x80, 0, 0, 1, 0, 0, 0, 0, 1, 2, 3, 4]);
  desk.sendRtp(packet, rtpPort);
  assert.deepEqual((await desk.receiveRtp()).subarray(12), packet.subarray(12));
  desk.send(rawInDialog(desk, "BYE", 2, ok, "z9hG4bKbye"), own!);
  await desk.receive(/^SIP\/2\.0 200/);
  await bob.expect("byed");

  // A call that is given up: its CANCEL finds its way too.
  await using carol = await connectAt(
    house,
    1,
    () => RtmpPhone.connect({ url: house.url("sip/carol@127.0.0.1") }),
  );
  const invite = rawInvite(desk, { user: "carol", port: base! }, { callId: "given-up" });
  desk.send(invite, base!);
  await carol.expect("invited");
  desk.send(
    invite.replaceAll("INVITE", "CANCEL").replace(/Content-[^$]*\$/g, "").replace(/\$\$.*/, "$$$$"),
    base!,
  );
  await desk.receive(/^SIP\/2\.0 487/);
  await carol.expect("cancelled");
});

Deno.test("over TCP too: the answers, and the BYE of worker 1, leave by the connection that came to worker 0", async () => {
  await using house = await startWorkers();
  await using bob = await connectAt(
    house,
    1,
    () => RtmpPhone.connect({ url: house.url("sip/bob@127.0.0.1"), answers: ["pcmu"] }),
  );
  using desk = openRawPhone();
  await using line = await TextConnection.open(house.supervisor.sipPorts[0]!);
  // A phone behind a NAT: nobody can connect to the port it names.
  const contact = "<sip:desk@127.0.0.1:9;transport=tcp>";
  const via = `SIP/2.0/TCP 127.0.0.1:9;branch=z9hG4bKnat;rport`;
  line.send(
    rawInvite(desk, { user: "bob", port: house.supervisor.sipPorts[0]! }, { callId: "nat", contact, via }),
  );
  const ok = await line.receive(/^SIP\/2\.0 200/);
  line.send(rawInDialog(desk, "ACK", 1, ok, "z9hG4bKack").replace("SIP/2.0/UDP", "SIP/2.0/TCP"));
  await bob.expect("accepted");
  bob.client.send("bye");
  const bye = await line.receive(/^BYE/);
  assert.match(header(bye, "Via"), new RegExp(`127\\.0\\.0\\.1:${house.supervisor.sipPorts[1]};`));
  line.send(
    `SIP/2.0 200 OK$Via: ${header(bye, "Via")}$From: ${header(bye, "From")}$To: ${header(bye, "To")}$` +
      `Call-ID: ${header(bye, "Call-ID")}$CSeq: ${header(bye, "CSeq")}$Content-Length: 0$$`,
  );
  await until(
    "the BYE was answered",
    () => /BYE of call nat answered with 200/.test(house.lines()),
    house.lines,
  );
});

Deno.test("all workers read their files again when told", async () => {
  const file = await Deno.makeTempFile();
  await using _file = { [Symbol.asyncDispose]: () => Deno.remove(file) };
  await Deno.writeTextFile(file, "# nobody yet\n");
  await using house = await startWorkers({ "rtmp-users": file });
  await house.supervisor.reload();
  for (const worker of [0, 1]) {
    await until(
      "read again",
      () => house.lines().includes(`worker ${worker}: users reloaded`),
      house.lines,
    );
  }
});

Deno.test("replace, reject and share count over workers", async () => {
  await using house = await startWorkers();
  const connect = (path: string) => () => RtmpPhone.connect({ url: house.url(path) });
  await using older = await connectAt(house, 0, connect("sip/alice@127.0.0.1"));
  const closed: boolean[] = [];
  const gone = older.client.closed.then(() => closed.push(true));
  await using newer = await connectAt(house, 1, connect("sip/alice@127.0.0.1"));
  await gone;
  assert.deepEqual([house.supervisor.usage.clients, closed.length], [1, 1]);
  assert.match(house.lines(), /worker 0: alice@127\.0\.0\.1: client \S+ replaced by a newer one/);
  assert.ok(newer);

  await using rejecting = await startWorkers({ "same-address": "reject" });
  const url = rejecting.url("sip/alice@127.0.0.1");
  await using first = await connectAt(rejecting, 0, () => RtmpPhone.connect({ url }));
  for (let tries = 0; tries < 8; tries++) {
    await assert.rejects(RtmpPhone.connect({ url }), /another client uses this address/);
  }
  assert.ok(first);
  assert.equal(rejecting.supervisor.usage.clients, 1);
});

Deno.test("streams have one home: published at one worker, played at the other", async () => {
  await using house = await startWorkers();
  const connect = () => RtmpClient.open(house.url("live/room"), ENVIRONMENT);
  for (const [publishAt, playAt] of [[1, 0], [0, 1], [1, 1]] as const) {
    await using publisher = await connectAt(house, publishAt, connect);
    await using player = await connectAt(house, playAt, connect);
    const [up, down] = [await publisher.createStream(), await player.createStream()];
    const heard: number[] = [];
    down.onMedia = ({ type, body }) => void (type === 8 && heard.push(body[1]!));
    await up.publish("x");
    await down.play("x");
    for (let i = 0; i < 5; i++) up.send(8, i * 20, Uint8Array.of(0xb2, i, 0));
    await until(`published at ${publishAt}, played at ${playAt}`, () => heard.length === 5, house.lines);
    assert.deepEqual(heard, [0, 1, 2, 3, 4]);
    const { connections } = house.supervisor.usage;
    assert.equal(connections, 2, "a client that is carried counts once");
  }
  // Somebody who is not a worker gets nothing from the private port.
  assert.doesNotMatch(house.lines(), /private port/);
});

Deno.test("a phone whose calls are published is served where the streams are", async () => {
  await using house = await startWorkers({ "publish-calls": true });
  await using bob = await connectAt(
    house,
    1,
    () => RtmpPhone.connect({ url: house.url("sip/bob@127.0.0.1"), answers: ["pcmu"] }),
  );
  assert.deepEqual([house.supervisor.usageOf(0).clients, house.supervisor.usageOf(1).clients], [1, 0]);
  const [base] = house.supervisor.sipPorts;
  using desk = openRawPhone();
  desk.send(rawInvite(desk, { user: "bob", port: base! }, { callId: "published" }), base!);
  const ok = await desk.receive(/^SIP\/2\.0 200/);
  desk.send(rawInDialog(desk, "ACK", 1, ok, "z9hG4bKack"), base!);
  await bob.expect("accepted");
  await using listener = await RtmpClient.open(house.url("calls/bob@127.0.0.1"), ENVIRONMENT);
  const far = await listener.createStream();
  const heard: Uint8Array[] = [];
  far.onMedia = ({ type, body }) => void (type === 8 && heard.push(body.slice()));
  await far.play("far");
  const packet = new Uint8Array(172).fill(0x55);
  packet.set([0x80, 0, 0, 1, 0, 0, 0, 0, 1, 2, 3, 4]);
  const rtpPort = Number(/m=audio (\d+)/.exec(ok)?.[1]);
  for (let i = 0; i < 50 && heard.length === 0; i++) {
    packet[3] = i + 1;
    desk.sendRtp(packet, rtpPort);
    await new Promise((go) => setTimeout(go, 20));
  }
  assert.ok(heard.length > 0, "the far side of the call is a stream");
  desk.send(rawInDialog(desk, "BYE", 2, ok, "z9hG4bKbye"), base!);
  await bob.expect("byed");
});

testEachKind(
  "one worker breaks down: its calls end with BYE, the other's go on, it is replaced",
  async (sockets) => {
    await using sipd = await startServer();
    await using house = await startWorkers({ sockets });
    const { supervisor } = house;
    const address = (user: string) => `${user}@127.0.0.1:${sipd.address.port}`;
    await using steady = await connectAt(house, 0, () => phoneOf(house, address("steady")));
    steady.client.send("invite", "echo", "pcmu");
    await steady.expect("accepted");
    await using victim = await connectAt(
      house,
      1,
      () => RtmpPhone.connect({ url: house.url("sip/victim@127.0.0.1") }),
    );
    using desk = openRawPhone();
    victim.client.send("invite", `sip:desk@127.0.0.1:${desk.port}`, "pcmu");
    const invite = await desk.receive(/^INVITE/);
    desk.send(rawAnswer(desk, invite, "0"), supervisor.sipPorts[1]!);
    await desk.receive(/^ACK/);
    await victim.expect("accepted");
    const before = supervisor.sipPorts;

    const speaking = speak(steady.speaking, { tag: 0x82, count: 100, size: 160 });
    const closed = victim.client.closed;
    house.crash(1, "throw");
    await closed;
    const bye = await desk.receive(/^BYE/);
    assert.equal(header(bye, "Call-ID"), header(invite, "Call-ID"));
    assert.match(header(bye, "Reason"), /cause=500/);
    desk.send(
      `SIP/2.0 200 OK$Via: ${header(bye, "Via")}$From: ${header(bye, "From")}$To: ${header(bye, "To")}$` +
        `Call-ID: ${header(bye, "Call-ID")}$CSeq: ${header(bye, "CSeq")}$Content-Length: 0$$`,
      supervisor.sipPorts[1]!,
    );
    await until("worker 1 is back", () => /worker 1 restarted/.test(house.lines()), house.lines);
    assert.deepEqual(supervisor.sipPorts, before, "at the same ports");
    assert.match(
      house.lines(),
      /error main +worker 1 crashed, 1 calls and 1 connections are lost: .*the test wants it/,
    );

    await using back = await connectAt(house, 1, () => phoneOf(house, address("victim")));
    back.client.send("invite", "echo", "pcmu");
    await back.expect("accepted");
    const sent = await speaking;
    await until("the steady call heard all", () => steady.audio.length >= sent.length, house.lines);
    const heard = new Set(steady.audio.map((body) => body.subarray(1).join()));
    assert.equal(
      sent.filter((body) => heard.has(body.subarray(1).join())).length,
      100,
      "nothing lost beside a crash",
    );
  },
);

testEachKind(
  "the worker with the base port and the streams ends without a word: all is there again",
  async (sockets) => {
    await using house = await startWorkers({ sockets });
    const connect = () => RtmpClient.open(house.url("live/room"), ENVIRONMENT);
    await using lost = await connectAt(house, 1, connect); // carried to worker 0
    house.crash(0, "close");
    await lost.closed;
    await until("worker 0 is back", () => /worker 0 restarted/.test(house.lines()), house.lines);
    await using carried = await connectAt(house, 1, connect);
    assert.ok(await carried.createStream());
    assert.equal(house.supervisor.usage.connections, 1);
  },
);

Deno.test("stopping two workers hangs up and unregisters as one gateway does", async () => {
  await using sipd = await startServer();
  await using far = await startWorkers();
  await using near = await startWorkers();
  const address = (user: string) => `${user}@127.0.0.1:${sipd.address.port}`;
  await using clients = new AsyncDisposableStack();
  const callees = [
    clients.use(await connectAt(far, 0, () => phoneOf(far, address("callee0"), ["pcmu"]))),
    clients.use(await connectAt(far, 1, () => phoneOf(far, address("callee1"), ["pcmu"]))),
  ];
  for (const worker of [0, 1]) {
    const caller = clients.use(
      await connectAt(near, worker, () => phoneOf(near, address(`caller${worker}`))),
    );
    caller.client.send("invite", `callee${worker}`, "pcmu");
    await callees[worker]!.expect("accepted");
  }
  assert.equal(sipd.usage.users, 4);
  await near.supervisor[Symbol.asyncDispose]();
  for (const callee of callees) await callee.expect("byed");
  assert.equal(sipd.usage.users, 2);
  assert.doesNotMatch(near.lines(), /did not end in time/);
});

Deno.test("the program with --workers 2: SIGTERM hangs up and unregisters everywhere, exit code 0", async () => {
  await using sipd = await startServer();
  await using program = await startProgram({ args: ["--workers", "2", "-d"] });
  const url = (user: string) =>
    `rtmp://127.0.0.1:${program.rtmpPort}/sip/${user}@127.0.0.1:${sipd.address.port}`;
  await using clients = new AsyncDisposableStack();
  const phones = await Promise.all(
    Array.from(
      { length: 6 },
      async (_, index) => clients.use(await RtmpPhone.connect({ url: url(`user${index}`), password: "any" })),
    ),
  );
  for (const phone of phones) phone.client.send("invite", "echo", "pcmu");
  await Promise.all(phones.map((phone) => phone.expect("accepted")));
  assert.deepEqual(sipd.usage, { users: 6, calls: 6 });
  assert.equal(await program.stop("SIGTERM"), 0);
  assert.deepEqual(sipd.usage, { users: 0, calls: 0 });
  const lines = program.output().trimEnd().split("\n");
  const torn = lines.filter((line) => !/^\d{4}-\d\d-\d\dT[\d:.]+Z (info|debug|warn|error) | {4}/.test(line));
  assert.deepEqual(torn, []);
});
