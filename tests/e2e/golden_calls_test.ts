// Golden traces of signalling: registration, calls out and in, refusals, keys and messages. See tests/support/golden.

import { branchOf, dialogOf, dialogOfRequest, type Phone, type RtpIn } from "../support/golden/phone.ts";
import type { Program } from "../support/golden/program.ts";
import { golden, type Stage } from "../support/golden/trace.ts";
import { numbered, speexPackets } from "../support/golden/media.ts";

const CHALLENGE = 'Digest realm="golden", nonce="nonce-1", qop="auth", algorithm=MD5';

async function registered(phone: Phone, granted = 180): Promise<void> {
  const request = await phone.take(/^REGISTER/);
  const contact = /^Contact: ([^\r]*)/m.exec(request)?.[1] ?? "";
  const expires = /^Expires: 0\r/m.test(request) ? 0 : granted;
  const headers = expires === 0 ? [] : [`Contact: ${contact.replace(/;expires=\d+/, "")};expires=${granted}`];
  phone.respond(request, "200 OK", { headers });
}

/** A user without a password. */
function caller(stage: Stage, phone: Phone): Promise<Program> {
  return stage.program("alice", `sip/alice@127.0.0.1:${phone.port}`, "alice", "", "Alice", "wideband");
}

/** A user that takes calls. */
async function callee(stage: Stage, registrar: Phone): Promise<Program> {
  const alice = await stage.silentProgram("alice");
  alice.connect(`sip/alice@127.0.0.1:${registrar.port}`, "alice", "secret", "Alice", "wideband");
  await registered(registrar);
  await alice.take(/_result/);
  return alice;
}

golden("01 registration", async (stage) => {
  const registrar = stage.phone("registrar");
  const alice = await stage.silentProgram("alice");
  stage.note("connect with a password registers; a challenge is answered");
  alice.connect(`sip/alice@127.0.0.1:${registrar.port}`, "alice", "secret", "Alice", "wideband");
  const first = await registrar.take(/^REGISTER/);
  registrar.respond(first, "401 Unauthorized", { headers: [`WWW-Authenticate: ${CHALLENGE}`] });
  await registered(registrar, 2);
  await alice.take(/_result/);
  stage.note("refresh, with a stale nonce");
  const refresh = await registrar.take(/^REGISTER/);
  const stale = CHALLENGE.replace("nonce-1", "nonce-2") + ", stale=true";
  registrar.respond(refresh, "401 Unauthorized", { headers: [`WWW-Authenticate: ${stale}`] });
  await registered(registrar);
  stage.note("the client leaves");
  await alice.close();
  await registered(registrar);
  stage.note("a wrong password");
  const bob = await stage.silentProgram("bob");
  bob.connect(`sip/bob@127.0.0.1:${registrar.port}`, "bob", "wrong", null, "wideband");
  for (let i = 0; i < 2; i++) {
    const request = await registrar.take(/^REGISTER/);
    registrar.respond(request, "401 Unauthorized", { headers: [`WWW-Authenticate: ${CHALLENGE}`] });
  }
  await bob.take(/_error/);
  await bob.takeEnd();
});

for (const rate of ["wideband", "narrowband"] as const) {
  golden(`02 outgoing call, Speex ${rate}`, async (stage) => {
    const bob = stage.phone("bob");
    const alice = await caller(stage, bob);
    const local = await alice.stream("publish", "local");
    const remote = await alice.stream("play", "remote");
    stage.note("invite");
    await alice.done("invite", bob.uri, rate, "dtmf");
    const invite = await bob.take(/^INVITE/);
    bob.audio.learn(invite);
    bob.respond(invite, "180 Ringing");
    await alice.take(/ringing/);
    const [format, clock, ticks] = rate === "wideband" ? [96, 16000, 320] : [98, 8000, 160];
    const body = bob.sdp(
      bob.audioLine(`${format} 101`),
      `a=rtpmap:${format} speex/${clock}`,
      "a=rtpmap:101 telephone-event/8000",
    );
    bob.respond(invite, "200 OK", { body });
    await bob.take(/^ACK/);
    await alice.take(/accepted/);
    stage.note("media both ways");
    await alice.speak(
      local,
      8,
      speexPackets("wideband", 12).map((packet) => Uint8Array.of(0xb2, ...packet)),
      20,
      500,
    );
    await bob.audio.take(12);
    await bob.audio.speak(format, speexPackets(rate, 12), ticks);
    await alice.takeMedia(remote, 8, 10);
    stage.note("bye");
    await alice.done("bye");
    bob.respond(await bob.take(/^BYE/), "200 OK");
    await stage.quiet();
    await alice.close();
  });
}

golden("03 incoming call", async (stage) => {
  const registrar = stage.phone("registrar");
  const bob = stage.phone("bob");
  const alice = await callee(stage, registrar);
  const local = await alice.stream("publish", "local");
  const remote = await alice.stream("play", "remote");
  stage.note("an INVITE");
  const formats = ["a=rtpmap:110 speex/16000", "a=rtpmap:102 telephone-event/8000", "a=ptime:20"];
  const body = bob.sdp(bob.audioLine("110 0 102"), ...formats);
  const dialog = bob.toward("alice", "call-in");
  bob.request("INVITE", 1, dialog, {
    body,
    headers: ["X-Tenant: 7", "P-Asserted-Identity: <sip:+4930@example.com>"],
  });
  await bob.take(/ 180 /);
  await alice.take(/invited/);
  await alice.done("accept", "wideband", "pcmu", "dtmf");
  const ok = await bob.take(/ 200 /);
  bob.audio.learn(ok);
  const within = dialogOf(ok);
  bob.request("ACK", 1, within);
  await alice.take(/accepted/);
  stage.note("media both ways");
  await bob.audio.speak(110, speexPackets("wideband", 12), 320);
  await alice.takeMedia(remote, 8, 10);
  await alice.speak(
    local,
    8,
    speexPackets("wideband", 10).map((packet) => Uint8Array.of(0xb2, ...packet)),
    20,
    500,
  );
  await bob.audio.take(10);
  stage.note("OPTIONS in the dialog and outside");
  bob.request("OPTIONS", 2, within);
  await bob.take(/^SIP/);
  bob.request("OPTIONS", 1, bob.toward("alice", "options"));
  await bob.take(/^SIP/);
  stage.note("BYE");
  bob.request("BYE", 3, within, { headers: ['Reason: Q.850;cause=16;text="Normal call clearing"'] });
  await bob.take(/ 200 /);
  await alice.take(/byed/);
  await stage.quiet();
  await alice.close();
  await registered(registrar);
});

golden("04 incoming call refused", async (stage) => {
  const registrar = stage.phone("registrar");
  const bob = stage.phone("bob");
  const alice = await callee(stage, registrar);
  const body = bob.sdp(bob.audioLine("0"));
  for (const reason of ["486 Busy Here", "Decline", null]) {
    stage.note(`rejected: ${reason}`);
    const dialog = bob.toward("alice", `rejected-${reason?.slice(0, 3)}`);
    const invite = bob.request("INVITE", 1, dialog, { body });
    await bob.take(/ 180 /);
    await alice.take(/invited/);
    await (reason === null ? alice.done("reject") : alice.done("reject", reason));
    const refusal = await bob.take(/ [456]\d\d /);
    bob.request("ACK", 1, { ...dialog, to: dialogOf(refusal).to }, {}, branchOf(invite));
    await stage.quiet();
  }
  stage.note("a second caller while it rings; then the first one gives up");
  const dialog = bob.toward("alice", "given-up");
  const invite = bob.request("INVITE", 1, dialog, { body });
  await bob.take(/ 180 /);
  await alice.take(/invited/);
  const second = bob.toward("alice", "second");
  const secondInvite = bob.request("INVITE", 1, second, { body });
  const busy = await bob.take(/ 486 /);
  bob.request("ACK", 1, { ...second, to: dialogOf(busy).to }, {}, branchOf(secondInvite));
  bob.request("CANCEL", 1, dialog, {}, branchOf(invite));
  const ok = await bob.take(/^SIP/);
  const other = await bob.take(/^SIP/);
  const terminated = / 487 /.test(ok) ? ok : other;
  bob.request("ACK", 1, { ...dialog, to: dialogOf(terminated).to }, {}, branchOf(invite));
  await alice.take(/cancelled/);
  stage.note("nothing in common");
  const odd = bob.toward("alice", "odd");
  const oddInvite = bob.request("INVITE", 1, odd, {
    body: bob.sdp(bob.audioLine("18"), "a=rtpmap:18 G729/8000"),
  });
  const unfit = await bob.take(/ 488 /);
  bob.request("ACK", 1, { ...odd, to: dialogOf(unfit).to }, {}, branchOf(oddInvite));
  stage.note("nobody of that name, a method and an extension that are not known");
  const nobody = bob.toward("nobody", "nobody");
  const toNobody = bob.request("INVITE", 1, nobody, { body });
  const unknown = await bob.take(/ 4\d\d /);
  bob.request("ACK", 1, { ...nobody, to: dialogOf(unknown).to }, {}, branchOf(toNobody));
  bob.request("SUBSCRIBE", 1, bob.toward("alice", "subscribe"), { headers: ["Event: presence"] });
  await bob.take(/^SIP/);
  const required = bob.toward("alice", "required");
  const withRequire = bob.request("INVITE", 1, required, { body, headers: ["Require: no-such-extension"] });
  const refused = await bob.take(/ 420 /);
  bob.request("ACK", 1, { ...required, to: dialogOf(refused).to }, {}, branchOf(withRequire));
  await stage.quiet();
  await alice.close();
  await registered(registrar);
});

golden("05 outgoing call refused", async (stage) => {
  const bob = stage.phone("bob");
  const alice = await stage.program(
    "alice",
    `sip/alice@127.0.0.1:${bob.port}`,
    "alice",
    "",
    "Alice",
    "wideband",
    {
      headers: { "X-Tenant": "7" },
    },
  );
  for (const status of ["486 Busy Here", "404 Not Found", "302 Moved Temporarily", "603 Decline"]) {
    stage.note(status);
    await alice.done("invite", bob.uri, "pcmu");
    bob.respond(await bob.take(/^INVITE/), status);
    await bob.take(/^ACK/);
    await alice.take(/rejected/);
    await stage.quiet();
  }
  stage.note("cancelled by bye");
  await alice.done("invite", bob.uri, "pcmu");
  const invite = await bob.take(/^INVITE/);
  bob.respond(invite, "180 Ringing");
  await alice.take(/ringing/);
  await alice.done("bye");
  bob.respond(await bob.take(/^CANCEL/), "200 OK");
  bob.respond(invite, "487 Request Terminated");
  await bob.take(/^ACK/);
  await stage.quiet();
  stage.note("what cannot be dialled, a command that is not known");
  await alice.done("invite", "sip:");
  await alice.take(/rejected/);
  alice.call("noSuchCommand", 1);
  await alice.take(/_error/);
  await alice.close();
  stage.note("401, then 200, with a password that nobody registers with");
  const carol = await stage.silentProgram("carol");
  carol.connect(`sip/carol@127.0.0.1:${bob.port}`, "carol-login", "secret", null, "narrowband");
  await registered(bob);
  await carol.take(/_result/);
  await carol.done("invite", `"The Bob" <${bob.uri}>`, "pcma", "pcmu");
  const unauthorized = await bob.take(/^INVITE/);
  bob.respond(unauthorized, "407 Proxy Authentication Required", {
    headers: [`Proxy-Authenticate: ${CHALLENGE.replace("MD5", "SHA-256")}`],
  });
  await bob.take(/^ACK/);
  const again = await bob.take(/^INVITE/);
  bob.respond(again, "200 OK", { body: bob.sdp(bob.audioLine("8")) });
  await bob.take(/^ACK/);
  await carol.take(/accepted/);
  const within = dialogOfRequest(again, "bob-tag");
  bob.request("BYE", 1, within);
  await bob.take(/ 200 /);
  await carol.take(/byed/);
  await stage.quiet();
  await carol.close();
  await registered(bob);
});

for (const [codec, format, tag] of [["pcmu", 0, 0x82], ["pcma", 8, 0x72]] as const) {
  golden(`06 keys and messages, ${codec}`, async (stage) => {
    const bob = stage.phone("bob");
    const alice = await caller(stage, bob);
    const local = await alice.stream("publish", "local");
    const remote = await alice.stream("play", "remote");
    await alice.done("invite", bob.uri, codec, "dtmf");
    const invite = await bob.take(/^INVITE/);
    bob.audio.learn(invite);
    const events = ["a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-15"];
    bob.respond(invite, "200 OK", { body: bob.sdp(bob.audioLine(`${format} 101`), ...events) });
    await bob.take(/^ACK/);
    await alice.take(/accepted/);
    const within = dialogOfRequest(invite, "bob-tag");
    stage.note("media both ways");
    await alice.speak(local, 8, numbered(10, 160, tag), 20, 1000);
    await bob.audio.take(10);
    await bob.audio.speak(format, numbered(10, 160), 160);
    await alice.takeMedia(remote, 8, 8);
    stage.note("a key of the phone by RTP, and by INFO in two forms");
    for (const [end, duration] of [[0, 160], [0, 320], [0x80, 480], [0x80, 480], [0x80, 480]] as const) {
      bob.audio.send(101, Uint8Array.of(7, end | 10, duration >> 8, duration & 255), 0, duration === 160);
    }
    bob.audio.skip(800);
    await alice.take(/receivedDTMF/);
    bob.request("INFO", 1, within, { type: "application/dtmf-relay", body: "Signal=#\r\nDuration=240\r\n" });
    await bob.take(/ 200 /);
    await alice.take(/receivedDTMF/);
    bob.request("INFO", 2, within, { type: "application/dtmf", body: "4" });
    await bob.take(/ 200 /);
    await alice.take(/receivedDTMF/);
    stage.note("keys of the client");
    await alice.done("sendDTMF", "5");
    const isKey = (packet: RtpIn): boolean => packet.payloadType === 101;
    const isEnd = (packet: RtpIn): boolean => isKey(packet) && packet.payload[1]! >= 0x80;
    await bob.audio.take(1, { isTaken: isKey, anew: true });
    await bob.audio.take(3, { isTaken: isEnd });
    bob.audio.forget();
    stage.note("messages inside the call");
    bob.request("MESSAGE", 3, within, { type: "text/plain", body: "hello inside" });
    await bob.take(/ 20\d /);
    await alice.take(/receivedMessage/);
    alice.call("sendMessage", "and hello to you");
    bob.respond(await bob.take(/^MESSAGE/), "200 OK");
    await alice.take(/_result/);
    alice.call("sendMessage", "not wanted");
    bob.respond(await bob.take(/^MESSAGE/), "415 Unsupported Media Type");
    await alice.take(/_error/);
    stage.note("messages outside of it");
    bob.request("MESSAGE", 1, bob.toward("alice", "paging"), { type: "text/plain", body: "hello outside" });
    await bob.take(/^SIP/);
    await alice.take(/receivedPagingMessage/);
    alice.call("sendPagingMessage", bob.uri, "outside, too");
    bob.respond(await bob.take(/^MESSAGE/), "202 Accepted");
    await alice.take(/_result/);
    stage.note("the client leaves");
    await alice.close();
    bob.respond(await bob.take(/^BYE/), "200 OK");
    await stage.quiet();
  });
}

golden("06 keys by INFO", async (stage) => {
  const bob = stage.phone("bob");
  const alice = await caller(stage, bob);
  await alice.done("invite", bob.uri, "wideband");
  const invite = await bob.take(/^INVITE/);
  bob.respond(invite, "200 OK", { body: bob.sdp(bob.audioLine("96"), "a=rtpmap:96 speex/16000") });
  await bob.take(/^ACK/);
  await alice.take(/accepted/);
  alice.call("sendDTMF", "1*", 100);
  for (let i = 0; i < 2; i++) bob.respond(await bob.take(/^INFO/), "200 OK");
  await alice.take(/_result/);
  alice.call("sendDTMF", "2");
  for (let i = 0; i < 2; i++) bob.respond(await bob.take(/^INFO/), "415 Unsupported Media Type");
  await alice.take(/_error/);
  await alice.done("bye");
  bob.respond(await bob.take(/^BYE/), "200 OK");
  await stage.quiet();
  await alice.close();
}, { flags: { dtmf: "info" } });
