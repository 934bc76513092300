// The twenty questions of siprtmp's FAQ, each made unnecessary by what a test here shows. The table of
// docs/from-siprtmp.md names them; the last test holds the two together.

import assert from "node:assert/strict";
import { systemClock } from "../../lib/base/clock.ts";
import { silentLog } from "../../lib/base/log.ts";
import { systemRandom } from "../../lib/base/random.ts";
import { SampleSource } from "../../lib/codecs/sample.ts";
import { RtmpClient } from "../../lib/rtmp/client.ts";
import { systemDns } from "../../lib/net/dns.ts";
import { SipServer } from "../../lib/tools/sipd/sip_server.ts";
import { formatTrialReport } from "../../lib/app/program.ts";
import { runTrialCall } from "../../lib/tools/trial/trial_call.ts";
import {
  header,
  openRawPhone,
  rawAnswer,
  rawInDialog,
  rawInvite,
  type RawPhone,
} from "../support/raw_phone.ts";
import { RtmpPhone, speak } from "../support/rtmp_phone.ts";
import { startGateway, type TestGateway } from "../support/test_gateway.ts";

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Started before the gateway and so ended after it: it still hears the good-byes. */
function startServer(): Promise<SipServer> {
  const environment = { clock: systemClock, log: silentLog, random: systemRandom, dns: systemDns };
  return SipServer.start({ listen: { hostname: "127.0.0.1", port: 0 }, portFallback: false }, environment);
}

function registered(
  running: TestGateway,
  sipd: SipServer,
  name: string,
  more: Partial<{ answers: string[]; suffix: string }> = {},
) {
  const { suffix = "", ...rest } = more;
  return RtmpPhone.connect({
    url: running.url(`${name}@127.0.0.1:${sipd.address.port}${suffix}`),
    password: "any",
    ...rest,
  });
}

function trial(running: TestGateway, sipd: SipServer, changes: { password?: string; destination?: string }) {
  return runTrialCall(
    {
      url: running.url(`me@127.0.0.1:${sipd.address.port}`),
      destination: "echo",
      login: null,
      password: "any",
      displayName: null,
      source: { kind: "sample", codec: "speex", durationSeconds: 0.4 },
      record: null,
      ...changes,
    },
    running.environment,
    new AbortController().signal,
  );
}

/** A raw phone calls bob at the gateway and confirms the call. */
async function rawCall(
  phone: RawPhone,
  running: TestGateway,
  changes: Parameters<typeof rawInvite>[2],
  ackBranch: string,
) {
  const port = running.gateway.sipPort;
  phone.send(rawInvite(phone, { user: "bob", port }, changes), port);
  const ok = await phone.receive(/ 200 /);
  phone.send(rawInDialog(phone, "ACK", 1, ok, ackBranch), port);
  return ok;
}

async function rawHangUp(phone: RawPhone, running: TestGateway, ok: string): Promise<void> {
  phone.send(rawInDialog(phone, "BYE", 2, ok, `z9hG4bKbye${header(ok, "Call-ID")}`), running.gateway.sipPort);
  await phone.receive(/ 200 /);
}

Deno.test("FAQ 1 (it does not work): the reason is said in plain words, with a ladder and without secrets", async () => {
  await using sipd = await startServer();
  await using running = await startGateway();
  const report = await trial(running, sipd, { destination: "nobody", password: "top-secret-42" });
  const text = formatTrialReport(report);
  assert.match(text, /404 Not Found/);
  assert.match(text, /knows nobody of that name/);
  assert.match(text, /gateway/);
  assert.doesNotMatch(text + running.lines(), /top-secret-42/);
});

Deno.test("FAQ 3 (straight to a SIP server): a program that only publishes RTMP becomes a caller by its URL", async () => {
  await using running = await startGateway();
  await using bob = await RtmpPhone.connect({ url: running.url("bob@127.0.0.1"), answers: ["pcmu"] });
  const destination = encodeURIComponent(`sip:bob@127.0.0.1:${running.gateway.sipPort}`);
  await using plain = await RtmpClient.open(`${running.url("cam@127.0.0.1")}?dial=${destination}`, {
    clock: systemClock,
    log: silentLog,
    random: systemRandom,
  });
  const stream = await plain.createStream();
  await stream.publish("local");
  const speaking = speak(stream, { tag: 0x82, count: 40, size: 160 });
  assert.deepEqual(await bob.expect("accepted"), ["pcmu", null]);
  await speaking;
  await pause(100);
  assert.ok(bob.audio.length >= 25, `${bob.audio.length} blocks`);
});

Deno.test("FAQ 4 (how to test): a built-in server, an echo and one call say that it works", async () => {
  await using sipd = await startServer();
  await using running = await startGateway();
  const { outcome } = await trial(running, sipd, {});
  assert.ok(outcome.type === "completed" && outcome.echo.matched === 20, JSON.stringify(outcome));
});

Deno.test("FAQ 5 (EC2): the public address of -e is told in SDP and Contact although -l is specific", async () => {
  await using running = await startGateway({ "ext-ip": "198.51.100.7" });
  await using phone = await RtmpPhone.connect({ url: running.url("me@127.0.0.1") });
  using desk = openRawPhone();
  phone.client.send("invite", `sip:desk@127.0.0.1:${desk.port}`, "pcmu");
  const invite = await desk.receive(/^INVITE /);
  assert.match(invite, /^c=IN IP4 198\.51\.100\.7\r$/m);
  assert.match(header(invite, "Contact"), /@198\.51\.100\.7:/);
  phone.client.send("bye");
});

Deno.test("FAQ 6 (why 127.0.0.1): the address told is the one that faces the peer", async () => {
  await using running = await startGateway({ "int-ip": "0.0.0.0" });
  await using phone = await RtmpPhone.connect({ url: running.url("me@127.0.0.1") });
  using desk = openRawPhone();
  phone.client.send("invite", `sip:desk@127.0.0.1:${desk.port}`, "pcmu");
  const invite = await desk.receive(/^INVITE /);
  assert.match(invite, /^c=IN IP4 127\.0\.0\.1\r$/m, "loopback towards loopback, and only there");
  phone.client.send("bye");
});

Deno.test("FAQ 8 (my own application): a program of a few lines with the documented calls gets a call answered", async () => {
  await using sipd = await startServer();
  await using running = await startGateway();
  const accepted = Promise.withResolvers<string>();
  await using client = await RtmpClient.open(running.url(`app@127.0.0.1:${sipd.address.port}`), {
    clock: systemClock,
    log: silentLog,
    random: systemRandom,
    args: ["app", "any", "My Application", "wideband"],
    onCall: (name, args) => name === "accepted" && accepted.resolve(args.join()),
  });
  client.send("invite", "echo", "wideband", "dtmf");
  assert.equal(await accepted.promise, "speex,");
});

for (const number of ["7140", "tel:+49-30-1234", "sip:7140"]) {
  Deno.test(`FAQ 9 (number or address): ${number} is dialled in the account's domain`, async () => {
    await using running = await startGateway();
    using desk = openRawPhone();
    await using phone = await RtmpPhone.connect({ url: running.url(`me@127.0.0.1:${desk.port}`) });
    phone.client.send("invite", number, "pcmu");
    const invite = await desk.receive(/^INVITE /);
    const user = number.replace(/^\w+:/, "").replaceAll("-", "");
    assert.ok(invite.startsWith(`INVITE sip:${user}@127.0.0.1:${desk.port}`), invite.split("\r\n")[0]);
    phone.client.send("bye");
  });
}

Deno.test("FAQ 10 (X-Lite says 488): a call that cannot work is refused with both lists before anybody is alerted", async () => {
  await using running = await startGateway();
  await using bob = await RtmpPhone.connect({ url: running.url("bob@127.0.0.1"), answers: [] });
  using desk = openRawPhone();
  const sdpLines = "a=rtpmap:18 G729/8000$a=rtpmap:101 telephone-event/8000$";
  const port = running.gateway.sipPort;
  desk.send(rawInvite(desk, { user: "bob", port }, { callId: "f10", formats: "18 101", sdpLines }), port);
  const refusal = await desk.receive(/ 488 /);
  assert.match(header(refusal, "Warning"), /^305 .*G729.*speex/i);
  assert.equal(bob.callbacks.size, 0);
});

Deno.test("FAQ 11 (Speex to G.711): a Speex program and a G.711-only phone hear each other", async () => {
  await using running = await startGateway();
  await using alice = await RtmpPhone.connect({ url: running.url("alice@127.0.0.1") });
  using desk = openRawPhone();
  alice.client.send("invite", `sip:desk@127.0.0.1:${desk.port}`);
  const invite = await desk.receive(/^INVITE /);
  assert.match(invite, /^m=audio \d+ RTP\/AVP .*\b0\b/m, "G.711 is offered beside Speex");
  const mediaPort = Number(/m=audio (\d+)/.exec(invite)?.[1]);
  desk.send(rawAnswer(desk, invite, "0"), running.gateway.sipPort);
  await alice.expect("accepted");
  const source = new SampleSource("speex");
  for (let i = 0; i < 50; i++) {
    alice.speaking.send(8, i * 20, new Uint8Array([0xb2, ...source.next()]));
    const rtp = new Uint8Array(172).fill(0x33);
    rtp.set([0x80, 0, i >> 8, i & 255, 0, 0, i * 160 >> 8 & 255, i * 160 & 255, 1, 2, 3, 4]);
    desk.sendRtp(rtp, mediaPort);
    await pause(20);
  }
  const first = await desk.receiveRtp();
  assert.deepEqual([first.length, first[1]! & 0x7f], [172, 0], "20 ms of PCMU");
  await pause(200);
  const heard = alice.audio.filter((body) => (body[0]! & 0xf0) === 0xb0);
  assert.ok(heard.length >= 20, `${heard.length} Speex tags of ${alice.audio.length}`);
});

Deno.test("FAQ 12 (Ekiga): padded RTP is taken, and none is sent", async () => {
  await using running = await startGateway();
  await using bob = await RtmpPhone.connect({ url: running.url("bob@127.0.0.1"), answers: ["pcmu"] });
  using desk = openRawPhone();
  const ok = await rawCall(desk, running, { callId: "f12" }, "z9hG4bKack12");
  const mediaPort = Number(/m=audio (\d+)/.exec(ok)?.[1]);
  await bob.expect("accepted");
  const padded = new Uint8Array(12 + 160 + 4);
  padded.set([0xa0, 0, 0, 1, 0, 0, 0, 160, 1, 2, 3, 4]); // P bit set
  padded.fill(0x33, 12, 172);
  padded[175] = 4;
  for (let i = 0; i < 3; i++) {
    padded[3] = 1 + i;
    padded[7] = 160 * (i + 1) & 255;
    padded[6] = 160 * (i + 1) >> 8;
    desk.sendRtp(padded.slice(), mediaPort);
  }
  await pause(200);
  assert.ok(
    bob.audio.length >= 2 && bob.audio.every((body) => body.length === 161),
    `${bob.audio.length} blocks`,
  );
  await speak(bob.speaking, { tag: 0x82, count: 2, size: 160 });
  const sent = await desk.receiveRtp();
  assert.deepEqual([sent.length, sent[0]! & 0x20], [172, 0]);
  await rawHangUp(desk, running, ok);
});

for (const [how, wrong] of [["longer", 40], ["shorter", -30]] as const) {
  Deno.test(`FAQ 13 (Asterisk): a Content-Length ${how} than the datagram is not the end of the call`, async () => {
    await using running = await startGateway();
    await using bob = await RtmpPhone.connect({ url: running.url("bob@127.0.0.1"), answers: ["pcmu"] });
    using desk = openRawPhone();
    const lines = how === "shorter" ? "a=x-tail:0123456789012345678901234$" : "";
    const right = rawInvite(desk, { user: "bob", port: 1 }, { callId: "x", sdpLines: lines });
    const length = Number(/Content-Length: (\d+)/.exec(right)?.[1]);
    const changes = { callId: `f13${how}`, sdpLines: lines, contentLength: length + wrong };
    const ok = await rawCall(desk, running, changes, "z9hG4bKack13");
    assert.deepEqual(await bob.expect("accepted"), ["pcmu", null]);
    await rawHangUp(desk, running, ok);
  });
}

Deno.test("FAQ 14 (speex/8000): a narrowband peer gets the wideband sender's frames without their upper layer", async () => {
  await using sipd = await startServer();
  await using running = await startGateway();
  const report = await runTrialCall(
    {
      url: running.url(`me@127.0.0.1:${sipd.address.port}`),
      destination: "echo",
      login: null,
      password: "any",
      displayName: null,
      source: { kind: "sample", codec: "narrowband", durationSeconds: 0.4 },
      record: null,
    },
    running.environment,
    new AbortController().signal,
  );
  assert.ok(report.outcome.type === "completed" && report.outcome.echo.matched === 20);
});

Deno.test("FAQ 15 (DTMF): digits cross as RFC 4733 events and are reported once each, with their length", async () => {
  await using sipd = await startServer();
  await using running = await startGateway();
  await using bob = await registered(running, sipd, "bob", { answers: ["pcmu", "dtmf"] });
  await using alice = await registered(running, sipd, "alice");
  alice.client.send("invite", "bob", "pcmu", "dtmf");
  await alice.expect("accepted");
  await bob.expect("accepted");
  await alice.client.call("sendDTMF", "1#");
  assert.equal((await bob.expect("receivedDTMF"))[0], "1");
  const [digit, durationMs] = await bob.expect("receivedDTMF");
  assert.equal(digit, "#");
  assert.ok(Number(durationMs) >= 40);
});

Deno.test("FAQ 16 (MESSAGE): texts in the call and outside of it, in any alphabet, with a result", async () => {
  await using sipd = await startServer();
  await using running = await startGateway();
  await using bob = await registered(running, sipd, "bob", { answers: ["pcmu"] });
  await using alice = await registered(running, sipd, "alice");
  await alice.client.call("sendPagingMessage", "bob", "Grüße, здравствуй, 你好");
  assert.equal((await bob.expect("receivedPagingMessage"))[1], "Grüße, здравствуй, 你好");
  await assert.rejects(alice.client.call("sendPagingMessage", "nobody", "?"), /404/);
  alice.client.send("invite", "bob", "pcmu");
  await alice.expect("accepted");
  await bob.expect("accepted");
  await alice.client.call("sendMessage", "in the call");
  assert.deepEqual(await bob.expect("receivedMessage"), ["in the call"]);
});

Deno.test("FAQ 18 (several clients, same address): the newest replaces, a suffix lets both live", async () => {
  await using sipd = await startServer();
  await using running = await startGateway();
  await using first = await registered(running, sipd, "bob");
  await using _second = await registered(running, sipd, "bob", { suffix: "/x7" });
  await pause(100);
  assert.equal(running.gateway.usage.clients, 2);
  await using _third = await registered(running, sipd, "bob");
  await first.client.closed;
  assert.equal(running.gateway.usage.clients, 2);
});

Deno.test("FAQ 19 (Wirecast): who joins late gets the decoder configuration and starts at a key frame, on any path", async () => {
  await using running = await startGateway();
  const open = (path: string) =>
    RtmpClient.open(`rtmp://127.0.0.1:${running.gateway.rtmp.port}/${path}`, {
      clock: systemClock,
      log: silentLog,
      random: systemRandom,
    });
  for (const path of ["wirecast", "live/room"]) {
    await using publisher = await open(path);
    const from = await publisher.createStream();
    await from.publish("show");
    const config = new Uint8Array([
      0x17,
      0,
      0,
      0,
      0,
      1,
      66,
      192,
      30,
      255,
      225,
      0,
      2,
      103,
      66,
      1,
      0,
      2,
      104,
      1,
    ]);
    const key = new Uint8Array([0x17, 1, 0, 0, 0, 0, 0, 0, 2, 0x65, 1]);
    const inter = new Uint8Array([0x27, 1, 0, 0, 0, 0, 0, 0, 2, 0x41, 2]);
    [config, key, inter].forEach((body, i) => from.send(9, i * 40, body));
    await pause(50);
    await using viewer = await open(path);
    const to = await viewer.createStream();
    const got: string[] = [];
    to.onMedia = ({ type, body }) => type === 9 && void got.push([...body.subarray(0, 2)].join());
    await to.play("show");
    await pause(150);
    assert.deepEqual(got.slice(0, 2), ["23,0", "23,1"], path);
  }
});

Deno.test("FAQ 20 (second call with Asterisk): an ACK with the INVITE's own branch confirms, call after call", async () => {
  await using running = await startGateway();
  await using bob = await RtmpPhone.connect({ url: running.url("bob@127.0.0.1"), answers: ["pcmu"] });
  using desk = openRawPhone();
  for (let call = 0; call < 3; call++) {
    const callId = `f20n${call}`;
    const ok = await rawCall(desk, running, { callId }, `z9hG4bK${callId}`); // the old branch, as Asterisk once did
    await bob.expect("accepted");
    await rawHangUp(desk, running, ok);
    await bob.expect("byed");
  }
});

Deno.test("docs/from-siprtmp.md answers all twenty questions, and each answer has a test with its number", async () => {
  const root = new URL("../../", import.meta.url);
  const faq = await Deno.readTextFile(new URL("docs/from-siprtmp.md", root));
  const rows = [...faq.matchAll(/^\| +(\d+) +\|([^|]+)\|([^|]+)\|$/gm)].map((match) => Number(match[1]));
  assert.deepEqual(rows, Array.from({ length: 20 }, (_, i) => i + 1));
  let tests = "";
  for (const folder of ["tests/e2e", "tests/peers"]) {
    for await (const entry of Deno.readDir(new URL(folder, root))) {
      if (entry.name.endsWith("_test.ts")) {
        tests += await Deno.readTextFile(new URL(`${folder}/${entry.name}`, root));
      }
    }
  }
  const missing = rows.filter((row) => !new RegExp(`["\`]FAQ ${row}\\b`).test(tests));
  assert.deepEqual(missing, []);
});
