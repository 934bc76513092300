// A codec that is added by one file (tests/support/mirror_codec.ts) and one row of the registry, called with over real
// sockets: named by a client, offered, answered, passed through both ways, and transcoded.

import assert from "node:assert/strict";
import { concatBytes } from "../../lib/base/bytes.ts";
import { linearToUlaw, ulawToLinear } from "../../lib/codecs/g711_tables.ts";
import { builtInCodecs } from "../../lib/codecs/registry.ts";
import { measureTone, tone } from "../support/codecs_audio.ts";
import { mirror } from "../support/mirror_codec.ts";
import {
  header,
  openRawPhone,
  rawAnswer,
  rawInDialog,
  rawInvite,
  type RawPhone,
} from "../support/raw_phone.ts";
import { RtmpPhone } from "../support/rtmp_phone.ts";
import { rtpBytes } from "../support/rtp_packets.ts";
import { startGateway, type TestGateway } from "../support/test_gateway.ts";
import { built } from "../support/transcode_bench.ts";

const startWithMirror = (): Promise<TestGateway> => startGateway({}, undefined, builtInCodecs.with(mirror));
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

const HEADER = mirror.flv!.frameHeader;
const PACKETS = 80;
const TONE = tone(1004, 8000, 20 * PACKETS);
const block = (at: number): Int16Array => TONE.subarray(160 * at, 160 * (at + 1));
const ulaw = (at: number): Uint8Array => Uint8Array.from(block(at), linearToUlaw);
const mirrored = (at: number): Uint8Array => ulaw(at).map((octet) => octet ^ 0xff);

function audioPortOf(description: string): number {
  return Number(/^m=audio (\d+)/m.exec(description)?.[1]);
}

/** Both sides speak for two seconds, the client in the new codec. */
async function talk(client: RtmpPhone, phone: RawPhone, port: number, peer: {
  readonly payloadType: number;
  readonly payload: (at: number) => Uint8Array;
}): Promise<void> {
  const startMs = performance.now();
  for (let at = 0; at < PACKETS; at++) {
    client.speaking.send(8, 20 * at, concatBytes([HEADER, mirrored(at)]));
    const { payloadType, payload } = peer;
    const packet = { payloadType, sequenceNumber: at, timestamp: 160 * at, marker: at === 0 };
    phone.sendRtp(rtpBytes({ ...packet, payload: payload(at) }), port);
    await pause(Math.max(0, startMs + 20 * (at + 1) - performance.now()));
  }
}

/** The client hangs up, and the phone says so. */
async function hangUp(client: RtmpPhone, phone: RawPhone, port: number): Promise<void> {
  client.client.send("bye");
  const bye = await phone.receive(/^BYE /);
  const headers = ["Via", "From", "To", "Call-ID", "CSeq"].map((name) => `${name}: ${header(bye, name)}$`);
  phone.send(`SIP/2.0 200 OK$${headers.join("")}Content-Length: 0$$`, port);
}

/** The payloads of this type that have come to a phone. */
async function payloadsOf(phone: RawPhone, payloadType: number, count: number): Promise<Uint8Array[]> {
  const found: Uint8Array[] = [];
  while (found.length < count) {
    const packet = await phone.receiveRtp();
    assert.equal(packet[1]! & 0x7f, payloadType);
    found.push(packet.subarray(12));
  }
  return found;
}

/** What the player got, without tag headers. */
function playedBy(client: RtmpPhone): Uint8Array[] {
  return client.audio.map((body) => {
    assert.equal(body.subarray(0, HEADER.length).toHex(), HEADER.toHex());
    return body.subarray(HEADER.length);
  });
}

/** The tone is there, and clean for a quarter of a second at least: a busy machine makes gaps. */
function assertTone(samples: Int16Array): void {
  const reports = [];
  for (let at = 1600; at + 2000 <= samples.length; at += 500) {
    reports.push(measureTone(samples.subarray(at, at + 2000), 1004, 8000));
  }
  const clean = reports.filter(({ snrDb, amplitude }) => snrDb > 25 && amplitude > 9000 && amplitude < 11000);
  assert.ok(clean.length > 0, JSON.stringify(reports));
}

Deno.test("a codec that was added passes through both ways, under the numbers of both sides", async () => {
  await using running = await startWithMirror();
  await using client = await RtmpPhone.connect({ url: running.url("me@127.0.0.1") });
  using desk = openRawPhone();
  client.client.send("invite", `sip:desk@127.0.0.1:${desk.port}`, "mirror", "dtmf");
  const invite = await desk.receive(/^INVITE /);
  assert.match(invite, /^m=audio \d+ RTP\/AVP 118 /m);
  assert.match(invite, /^a=rtpmap:118 x-mirror\/8000\r$/m);
  desk.send(rawAnswer(desk, invite, "121$a=rtpmap:121 X-Mirror/8000"), running.gateway.sipPort);
  assert.deepEqual(await client.expect("accepted"), ["mirror", null]);
  await talk(client, desk, audioPortOf(invite), { payloadType: 118, payload: mirrored });
  const heard = await payloadsOf(desk, 121, 50);
  assert.ok(heard.every((payload, at) => payload.toHex() === mirrored(at).toHex()));
  const played = playedBy(client);
  assert.ok(played.length > 50 && played.every((packet, at) => packet.toHex() === mirrored(at).toHex()));
  assert.match(running.lines(), /audio: mirror at 8000 Hz, payload type 121/);
  await hangUp(client, desk, running.gateway.sipPort);
});

Deno.test({
  name: "a codec that was added is transcoded to PCMU and back",
  ignore: !built,
}, async () => {
  await using running = await startWithMirror();
  await using client = await RtmpPhone.connect({ url: running.url("me@127.0.0.1") });
  using desk = openRawPhone();
  client.client.send("invite", `sip:desk@127.0.0.1:${desk.port}`, "mirror");
  const invite = await desk.receive(/^INVITE /);
  assert.match(invite, /^m=audio \d+ RTP\/AVP 118 0 8 /m);
  desk.send(rawAnswer(desk, invite, "0"), running.gateway.sipPort);
  assert.deepEqual(await client.expect("accepted"), ["mirror", null]);
  await talk(client, desk, audioPortOf(invite), { payloadType: 0, payload: ulaw });
  const heard = concatBytes(await payloadsOf(desk, 0, 70));
  assertTone(Int16Array.from(heard, ulawToLinear));
  const played = concatBytes(playedBy(client));
  assertTone(Int16Array.from(played, (octet) => ulawToLinear(octet ^ 0xff)));
  await hangUp(client, desk, running.gateway.sipPort);
});

Deno.test("a phone that calls with an added codec is answered with it", async () => {
  await using running = await startWithMirror();
  await using client = await RtmpPhone.connect({ url: running.url("bob@127.0.0.1"), answers: ["mirror"] });
  using desk = openRawPhone();
  const port = running.gateway.sipPort;
  const sdpLines = "a=rtpmap:97 x-mirror/8000$";
  desk.send(
    rawInvite(desk, { user: "bob", port }, { callId: "mirror", formats: "97 3", sdpLines }),
    port,
  );
  const ok = await desk.receive(/ 200 /);
  assert.match(ok, /^m=audio \d+ RTP\/AVP 97\r$/m);
  desk.send(rawInDialog(desk, "ACK", 1, ok, "z9hG4bKack"), port);
  await client.expect("accepted");
  await talk(client, desk, audioPortOf(ok), { payloadType: 97, payload: mirrored });
  await payloadsOf(desk, 97, 50);
  assert.ok(playedBy(client).length > 50);
  await hangUp(client, desk, port);
});

Deno.test("a gateway without the row knows nothing of it", async () => {
  await using running = await startGateway();
  await using client = await RtmpPhone.connect({ url: running.url("me@127.0.0.1") });
  client.client.send("invite", "sip:desk@127.0.0.1:9", "mirror");
  assert.match(String((await client.expect("rejected"))[0]), /^488 /);
  assert.match(running.lines(), /none of these codecs can be used: mirror/);
});
