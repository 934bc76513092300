// Host names where a session description usually has addresses: resolved, else the media go to where the peer's come
// from, else the call is refused; never accepted and silent.

import assert from "node:assert/strict";
import {
  header,
  openRawPhone,
  rawAnswer,
  rawInDialog,
  rawInvite,
  type RawPhone,
} from "../support/raw_phone.ts";
import { rtpBytes } from "../support/rtp_packets.ts";
import { RtmpPhone, speak } from "../support/rtmp_phone.ts";
import { startGateway, type TestGateway } from "../support/test_gateway.ts";

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
/** A name that no resolver knows (RFC 6761 6.4), and one with an underscore. */
const NOBODY = "IN IP4 media_1.nobody.invalid";

function connect(running: TestGateway): Promise<RtmpPhone> {
  return RtmpPhone.connect({
    url: running.url(`user@127.0.0.1:${running.gateway.sipPort}`),
    answers: ["pcmu"],
  });
}

const mediaPort = (message: string): number => Number(/^m=audio (\d+)/m.exec(message)?.[1]);

/** Says something, so that whoever wants to see where the phone is can see it. */
async function say(phone: RawPhone, to: number, count = 5): Promise<void> {
  for (let i = 0; i < count; i++) {
    phone.sendRtp(rtpBytes({ sequenceNumber: i, timestamp: 160 * i, payload: new Uint8Array(160) }), to);
    await pause(20);
  }
}

/** The client speaks and the phone hears it. */
async function heard(user: RtmpPhone, phone: RawPhone): Promise<void> {
  const speaking = speak(user.speaking, { tag: 0x82, count: 10, size: 160 });
  assert.equal((await phone.receiveRtp()).length, 172);
  await speaking;
}

const RESOLVED: readonly (readonly [what: string, sdp: { connection?: string; sdpLines?: string }])[] = [
  ["a name at session level", { connection: "IN IP4 localhost" }],
  ["at media level", { sdpLines: "c=IN IP4 localhost$" }],
  ["in capitals", { connection: "IN IP4 LOCALHOST" }],
  ["for RTCP", { sdpLines: "a=rtcp:4 IN IP4 localhost$" }],
  ["that nobody knows, for RTCP alone", { sdpLines: "a=rtcp:4 IN IP4 x.nobody.invalid$" }],
];

for (const [what, sdp] of RESOLVED) {
  Deno.test(`a name instead of an address, ${what}: an offer, an answer, an early answer`, async () => {
    await using running = await startGateway();
    await using user = await connect(running);
    using phone = openRawPhone();
    const { sipPort } = running.gateway;
    phone.send(rawInvite(phone, { user: "user", port: sipPort }, { callId: "in", ...sdp }), sipPort);
    const ok = await phone.receive(/ 200 /);
    phone.send(rawInDialog(phone, "ACK", 1, ok, "z9hG4bKack"), sipPort);
    await user.expect("accepted");
    await heard(user, phone);
    phone.send(rawInDialog(phone, "BYE", 2, ok, "z9hG4bKbye"), sipPort);
    await user.expect("byed");
    user.client.send("invite", `sip:desk@127.0.0.1:${phone.port}`, "pcmu");
    const invite = await phone.receive(/^INVITE/);
    phone.send(rawAnswer(phone, invite, "0", { status: "183 Session Progress", ...sdp }), sipPort);
    await user.expect("ringing");
    phone.send(rawAnswer(phone, invite, "0", sdp), sipPort);
    await user.expect("accepted");
    await heard(user, phone);
  });
}

Deno.test("a name that nobody knows: the media go to where the peer's come from, in answers and offers", async () => {
  await using running = await startGateway();
  await using user = await connect(running);
  using phone = openRawPhone();
  const { sipPort } = running.gateway;
  user.client.send("invite", `sip:desk@127.0.0.1:${phone.port}`, "pcmu");
  const invite = await phone.receive(/^INVITE/);
  phone.send(rawAnswer(phone, invite, "0", { connection: NOBODY }), sipPort);
  await user.expect("accepted");
  await say(phone, mediaPort(invite));
  await heard(user, phone);
  user.client.send("bye");
  const bye = await phone.receive(/^BYE/);
  phone.send(
    `SIP/2.0 200 OK$Via: ${header(bye, "Via")}$From: ${header(bye, "From")}$To: ${
      header(bye, "To")
    }$Call-ID: ${header(bye, "Call-ID")}$CSeq: ${header(bye, "CSeq")}$Content-Length: 0$$`,
    sipPort,
  );
  phone.send(
    rawInvite(phone, { user: "user", port: sipPort }, { callId: "in2", connection: NOBODY }),
    sipPort,
  );
  const ok = await phone.receive(/ 200 /);
  phone.send(rawInDialog(phone, "ACK", 1, ok, "z9hG4bKack"), sipPort);
  await user.expect("accepted");
  await say(phone, mediaPort(ok));
  await heard(user, phone);
  assert.match(running.lines(), /media_1\.nobody\.invalid/);
});

Deno.test("a name that nobody knows, of a peer that only listens, is refused: it would hear nothing", async () => {
  await using running = await startGateway();
  await using user = await connect(running);
  using phone = openRawPhone();
  const { sipPort } = running.gateway;
  const sdp = { connection: NOBODY, sdpLines: "a=recvonly$" };
  phone.send(rawInvite(phone, { user: "user", port: sipPort }, { callId: "deaf", ...sdp }), sipPort);
  assert.match(header(await phone.receive(/ 488 /), "Warning"), /only listens/);
  await user.expect("byed");
  user.client.send("invite", `sip:desk@127.0.0.1:${phone.port}`, "pcmu");
  phone.send(rawAnswer(phone, await phone.receive(/^INVITE/), "0", sdp), sipPort);
  const [reason] = await user.expect("rejected");
  assert.match(String(reason), /^488 Not Acceptable Here: the answer cannot be used, .*only listens/);
});

Deno.test("a re-INVITE may move the media to a name", async () => {
  await using running = await startGateway();
  await using user = await connect(running);
  using phone = openRawPhone();
  using moved = openRawPhone();
  const { sipPort } = running.gateway;
  const to = { user: "user", port: sipPort };
  phone.send(rawInvite(phone, to, { callId: "mv" }), sipPort);
  const ok = await phone.receive(/ 200 /);
  phone.send(rawInDialog(phone, "ACK", 1, ok, "z9hG4bKack"), sipPort);
  await user.expect("accepted");
  await heard(user, phone);
  const again = rawInvite(phone, to, { callId: "mv", connection: "IN IP4 localhost" })
    .replace(`m=audio ${phone.rtpPort}`, `m=audio ${moved.rtpPort}`)
    .replace("CSeq: 1", "CSeq: 2").replace("bKmv", "bKmv2")
    .replace(/To: .*?\$/, `To: ${header(ok, "To")}$`)
    .replace(
      /Content-Length: (\d+)/,
      (_, n) => `Content-Length: ${Number(n) + String(moved.rtpPort).length - String(phone.rtpPort).length}`,
    );
  phone.send(again, sipPort);
  phone.send(rawInDialog(phone, "ACK", 2, await phone.receive(/ 200 /), "z9hG4bKack2"), sipPort);
  await heard(user, moved);
});
