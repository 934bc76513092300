// Dialogs, registrations and routes that public reports tell of, over real sockets: what the remote party sees, and what the
// RTMP client hears.

import assert from "node:assert/strict";
import { header, openRawPhone, rawAnswer, type RawPhone } from "../support/raw_phone.ts";
import { RtmpPhone, speak } from "../support/rtmp_phone.ts";
import { startGateway, type TestGateway } from "../support/test_gateway.ts";

function connect(running: TestGateway, domain: RawPhone, password = ""): Promise<RtmpPhone> {
  return RtmpPhone.connect({ url: running.url(`user@127.0.0.1:${domain.port}`), login: "user", password });
}

/** The client calls the phone; gives the INVITE. */
async function dialled(user: RtmpPhone, phone: RawPhone): Promise<string> {
  user.client.send("invite", `sip:desk@127.0.0.1:${phone.port}`, "pcmu");
  return await phone.receive(/^INVITE/);
}

/** A response without a body. */
function plain(request: string, status: string, lines = "", tag = ";tag=d1"): string {
  const to = header(request, "To");
  return `SIP/2.0 ${status}$Via: ${header(request, "Via")}$From: ${header(request, "From")}$` +
    `To: ${to}${to.includes("tag=") ? "" : tag}$Call-ID: ${header(request, "Call-ID")}$CSeq: ${
      header(request, "CSeq")
    }$${lines}Content-Length: 0$$`;
}

/** A request of the phone inside the dialog that the INVITE made. */
function request(phone: RawPhone, method: string, invite: string, body = ""): string {
  const target = /<([^>]+)>/.exec(header(invite, "Contact"))?.[1] ?? "";
  const type = body === "" ? "" : "Content-Type: application/sdp$";
  return `${method} ${target} SIP/2.0$Via: SIP/2.0/UDP 127.0.0.1:${phone.port};branch=z9hG4bK${method}1;rport$` +
    `Max-Forwards: 70$From: ${header(invite, "To")};tag=d1$To: ${header(invite, "From")}$` +
    `Call-ID: ${header(invite, "Call-ID")}$CSeq: 1 ${method}$Contact: <sip:desk@127.0.0.1:${phone.port}>$` +
    `${type}Content-Length: ${body.replaceAll("$", "  ").length}$$${body}`;
}

/** What is wrong with a 200, and what the client hears. */
const UNUSABLE: [name: string, mangle: (answer: string) => string, told: RegExp][] = [
  [
    "a Contact that cannot be read",
    (text) => text.replace(/Contact: [^$]+/, "Contact: <sip:x@"),
    /its Contact/,
  ],
  ["no description", (text) => text.replace(/Content-Type[^]*$/, "Content-Length: 0$$$$"), /no session desc/],
  ["a description that is none", (text) => text.replace("v=0", "hello"), /cannot be used/],
  ["a codec nobody named", (text) => text.replace(/RTP\/AVP 0/, "RTP/AVP 18"), /cannot be used/],
  [
    "an extension required",
    (text) => text.replace("Contact:", "Require: nobody$$Contact:"),
    /requires nobody/,
  ],
];

Deno.test("a 200 that cannot be used gets ACK and BYE, and the client hears why at once", async () => {
  await using running = await startGateway();
  using phone = openRawPhone();
  await using user = await connect(running, phone);
  const to = running.gateway.sipPort;
  for (const [name, mangle, told] of UNUSABLE) {
    const invite = await dialled(user, phone);
    phone.send(plain(invite, "180 Ringing"), to);
    const answer = mangle(rawAnswer(phone, invite, "0"));
    phone.send(answer, to);
    const ack = await phone.receive(/^ACK/);
    assert.equal(header(ack, "Call-ID"), header(invite, "Call-ID"), name);
    const bye = await phone.receive(/^BYE/);
    const [reason] = await user.expect("rejected");
    assert.match(String(reason), told, name);
    phone.send(answer, to);
    await phone.receive(/^ACK/);
    phone.send(plain(bye, "200 OK"), to);
  }
});

Deno.test("a BYE instead of the 200: 200, CANCEL, and the client hears it at once", async () => {
  await using running = await startGateway();
  using phone = openRawPhone();
  await using user = await connect(running, phone);
  const to = running.gateway.sipPort;
  const invite = await dialled(user, phone);
  phone.send(plain(invite, "180 Ringing"), to);
  await user.expect("ringing");
  phone.send(request(phone, "BYE", invite), to);
  const seen = [
    await phone.receive(/^(CANCEL|SIP\/2\.0 200)/),
    await phone.receive(/^(CANCEL|SIP\/2\.0 200)/),
  ];
  assert.ok(
    seen.some((text) => text.startsWith("CANCEL")) && seen.some((text) => text.startsWith("SIP/2.0 200")),
  );
  assert.deepEqual(await user.expect("rejected"), ["487 Request Terminated: hung up"]);
  phone.send(plain(invite, "487 Request Terminated"), to);
  await phone.receive(/^ACK/);
});

Deno.test("UPDATE with an offer before the 200: media go to the new place", async () => {
  await using running = await startGateway();
  using phone = openRawPhone();
  using other = openRawPhone();
  await using user = await connect(running, phone);
  const to = running.gateway.sipPort;
  const invite = await dialled(user, phone);
  const early = rawAnswer(phone, invite, "0", { status: "183 Session Progress" });
  phone.send(early.replace("Contact:", "Require: 100rel$RSeq: 1$Contact:"), to);
  phone.send(plain(await phone.receive(/^PRACK/), "200 OK"), to);
  const body =
    `v=0$o=- 2 2 IN IP4 127.0.0.1$s=-$c=IN IP4 127.0.0.1$t=0 0$m=audio ${other.rtpPort} RTP/AVP 0$`;
  phone.send(request(phone, "UPDATE", invite, body), to);
  assert.match(await phone.receive(/ 200 /), /^m=audio [1-9]/m);
  phone.send(plain(invite, "200 OK", `Contact: <sip:desk@127.0.0.1:${phone.port}>$`), to);
  await phone.receive(/^ACK/);
  await user.expect("accepted");
  const speaking = speak(user.speaking, { tag: 0x82, count: 10, size: 160 });
  assert.equal((await other.receiveRtp()).length, 172);
  await speaking;
});

Deno.test("a registrar that rewrites our Contact and names a Service-Route: asked in time, calls go that way", async () => {
  await using running = await startGateway();
  using registrar = openRawPhone();
  using route = openRawPhone();
  const to = running.gateway.sipPort;
  const rewritten =
    `Contact: <sip:user@198.51.100.7:60210>;expires=3$Service-Route: <sip:127.0.0.1:${route.port};lr>$`;
  const registering = registrar.receive(/^REGISTER/);
  const connecting = connect(running, registrar, "secret");
  const register = await registering;
  assert.match(header(register, "Supported"), /path/);
  registrar.send(plain(register, "200 OK", rewritten), to);
  await using user = await connecting;
  user.client.send("invite", `sip:desk@127.0.0.1:${registrar.port}`, "pcmu");
  const invite = await route.receive(/^INVITE/);
  assert.equal(header(invite, "Route"), `<sip:127.0.0.1:${route.port};lr>`);
  route.send(plain(invite, "486 Busy Here"), to);
  assert.deepEqual(await user.expect("rejected"), ["486 Busy Here"]);
  const again = await registrar.receive(/^REGISTER/); // three seconds were granted; the phone waits for ten
  registrar.send(plain(again, "200 OK", rewritten), to);
});

Deno.test("a 302 is followed once; what the gateway blocks says so; the caller's headers arrive", async () => {
  await using running = await startGateway({ "allowed-dials": "desk,carol,user" });
  using phone = openRawPhone();
  using carol = openRawPhone();
  await using user = await connect(running, phone);
  const to = running.gateway.sipPort;
  const invite = await dialled(user, phone);
  phone.send(plain(invite, "302 Moved", `Contact: <sip:carol@127.0.0.1:${carol.port}>$`), to);
  const redirected = await carol.receive(/^INVITE sip:carol@/);
  carol.send(plain(redirected, "302 Moved", `Contact: <sip:desk@127.0.0.1:${phone.port}>$`), to);
  assert.deepEqual(await user.expect("rejected"), ["302 Moved"]);
  phone.send(
    plain(await dialled(user, phone), "302 Moved", `Contact: <sip:0900@127.0.0.1:${carol.port}>$`),
    to,
  );
  assert.deepEqual(await user.expect("rejected"), [
    "403 Forbidden: blocked by this gateway, 0900 is not in allowed-dials",
  ]);
  user.client.send("invite", `sip:0900@127.0.0.1:${phone.port}`, "pcmu");
  assert.match(String((await user.expect("rejected"))[0]), /^403 Forbidden: .* allowed-dials$/);
});
