// A gateway that is full says so on the wire, keeps what it has, and takes more as soon as there is room.

import assert from "node:assert/strict";
import { systemClock } from "../../lib/base/clock.ts";
import { silentLog } from "../../lib/base/log.ts";
import { systemRandom } from "../../lib/base/random.ts";
import { buildConfig } from "../../lib/config/config.ts";
import { Gateway } from "../../lib/gateway/gateway.ts";
import { systemDns } from "../../lib/net/dns.ts";
import { denoSockets } from "../../lib/net/sockets.ts";
import { RtmpClient, RtmpRefused } from "../../lib/rtmp/client.ts";
import { header, openRawPhone, rawInDialog, rawInvite, type RawPhone } from "../support/raw_phone.ts";
import { RecordLog } from "../support/record_log.ts";
import { RtmpPhone } from "../support/rtmp_phone.ts";
import { startGateway, type TestGateway } from "../support/test_gateway.ts";

const CLIENT = { clock: systemClock, log: silentLog, random: systemRandom };

function call(phone: RawPhone, user: string, callId: string, port: number): void {
  phone.send(rawInvite(phone, { user, port }, { callId }), port);
}

function acknowledge(phone: RawPhone, response: string, port: number): void {
  const branch = `z9hG4bKack${header(response, "Call-ID")}`;
  phone.send(rawInDialog(phone, "ACK", 1, response, branch), port);
}

function outside(phone: RawPhone, method: string, uri: string, body = ""): string {
  const id = `${method}${crypto.randomUUID()}`;
  const type = body === "" ? "" : "Content-Type: text/plain$";
  return `${method} ${uri} SIP/2.0$Via: SIP/2.0/UDP 127.0.0.1:${phone.port};branch=z9hG4bK${id};rport$` +
    `Max-Forwards: 70$From: <sip:desk@127.0.0.1>;tag=${id}$To: <${uri}>$Call-ID: ${id}$CSeq: 1 ${method}$` +
    `${type}Content-Length: ${body.length}$$${body}`;
}

/** Retry-After of a 503, which must be 5 to 15 s. */
function retryAfter(response: string): void {
  const seconds = Number(header(response, "Retry-After"));
  assert.ok(seconds >= 5 && seconds <= 15, response);
}

async function connectRefusal(url: string): Promise<string> {
  try {
    await using _client = await RtmpClient.open(url, CLIENT);
    return "accepted";
  } catch (error) {
    if (!(error instanceof RtmpRefused)) throw error;
    return `${error.code} ${error.description}`;
  }
}

async function until(holds: () => boolean, what: string): Promise<void> {
  for (let tries = 0; tries < 500 && !holds(); tries++) await new Promise((done) => setTimeout(done, 10));
  assert.ok(holds(), `never came about: ${what}`);
}

function overloadLines(running: TestGateway): string[] {
  return running.lines().split("\n").filter((line) => line.includes("overload ("));
}

Deno.test("the call beyond the limit hears 503 with Retry-After, the call there goes on, its end makes room", async () => {
  await using running = await startGateway({ "max-calls": "1" });
  const port = running.gateway.sipPort;
  await using alice = await RtmpPhone.connect({ url: running.url("alice@127.0.0.1"), answers: ["pcmu"] });
  await using bob = await RtmpPhone.connect({ url: running.url("bob@127.0.0.1"), answers: ["pcmu"] });
  using desk = openRawPhone();
  call(desk, "alice", "first", port);
  const first = await desk.receive(/^SIP\/2.0 200/);
  acknowledge(desk, first, port);
  await alice.expect("accepted");

  call(desk, "bob", "second", port);
  retryAfter(await desk.receive(/^SIP\/2.0 503 Service Unavailable/));
  desk.send(outside(desk, "OPTIONS", `sip:127.0.0.1:${port}`), port);
  retryAfter(await desk.receive(/^SIP\/2.0 503/));
  bob.client.send("invite", `desk@127.0.0.1:${desk.port}`, "pcmu");
  assert.deepEqual(await bob.expect("rejected"), ["503 Service Unavailable"]);
  const told = await connectRefusal(running.url("carol@127.0.0.1"));
  assert.match(
    told,
    /^NetConnection\.Connect\.Rejected overloaded, there are 1 calls, 1 are allowed: try again in \d+ s$/,
  );

  desk.send(outside(desk, "MESSAGE", `sip:bob@127.0.0.1:${port}`, "hello"), port);
  await desk.receive(/^SIP\/2.0 200/);
  desk.send(rawInDialog(desk, "OPTIONS", 2, first, "z9hG4bKinside"), port);
  await desk.receive(/^SIP\/2.0 200/);
  assert.equal(running.gateway.usage.calls, 1);

  desk.send(rawInDialog(desk, "BYE", 3, first, "z9hG4bKbye"), port);
  await desk.receive(/^SIP\/2.0 200/);
  await until(() => running.gateway.usage.calls === 0, "the call is over");
  desk.send(outside(desk, "OPTIONS", `sip:127.0.0.1:${port}`), port);
  await desk.receive(/^SIP\/2.0 200/);
  assert.equal(await connectRefusal(running.url("carol@127.0.0.1")), "accepted");
  call(desk, "bob", "third", port);
  acknowledge(desk, await desk.receive(/^SIP\/2.0 200/), port);
  await bob.expect("accepted");
  assert.equal(overloadLines(running).length, 1, "one line, whatever was refused");
});

Deno.test("too much memory refuses calls and clients, and lets them in again when some is free", async () => {
  const MIB = 1024 * 1024;
  const log = new RecordLog("info");
  const load = { bytes: 50 * MIB };
  const environment = {
    clock: systemClock,
    log,
    random: systemRandom,
    dns: systemDns,
    sockets: denoSockets,
    memoryBytes: () => load.bytes,
  };
  const flags = { host: "127.0.0.1", port: "0", "int-ip": "127.0.0.1", "sip-port": "0", "max-memory": "100" };
  await using gateway = await Gateway.start(buildConfig({ flags }), environment);
  const url = (user: string) => `rtmp://127.0.0.1:${gateway.rtmp.port}/sip/${user}@127.0.0.1`;
  await using alice = await RtmpPhone.connect({ url: url("alice"), answers: ["pcmu"] });
  using desk = openRawPhone();
  load.bytes = 101 * MIB;
  await until(() => log.lines.some((line) => line.includes("overload (101 MiB")), "memory is measured");
  call(desk, "alice", "first", gateway.sipPort);
  retryAfter(await desk.receive(/^SIP\/2.0 503/));
  assert.match(await connectRefusal(url("bob")), /overloaded, 101 MiB of memory are in use, 100 are allowed/);
  load.bytes = 80 * MIB;
  await until(
    () => log.lines.some((line) => line.includes("overload cleared")),
    "memory is measured again",
  );
  call(desk, "alice", "again", gateway.sipPort);
  acknowledge(desk, await desk.receive(/^SIP\/2.0 200/), gateway.sipPort);
  await alice.expect("accepted");
  assert.match(
    log.lines.find((line) => line.includes("overload cleared")) ?? "",
    /rejected: 1 calls, 1 clients, 0 pings\)$/,
  );
});
