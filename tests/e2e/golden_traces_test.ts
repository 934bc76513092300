// What the gateway puts on the wire in twelve scenes, compared with what it put there when the traces were recorded:
// SIP messages, RTMP callbacks and statuses, the first packets of media. What is random is masked.
// After a wanted change: SIPRTMP_GOLDEN=record deno test -A tests/e2e/golden_traces_test.ts

import assert from "node:assert/strict";
import { avc, CONFIG, PPS, slice, SPS } from "../support/media_h264.ts";
import { startGateway, type TestGateway } from "../support/test_gateway.ts";
import { header, hex, Mask, rtpPacket, rtpText, waitFor, WireClient, WirePeer } from "../support/wire_tap.ts";

const TRACES = new URL("../golden/traces/", import.meta.url);

interface Scene {
  readonly mask: Mask;
  readonly peer: WirePeer;
  readonly running: TestGateway;
  /** Adds a part to the trace. */
  note(title: string, text: string): void;
  client(address?: string, args?: (string | null)[]): Promise<WireClient>;
}

const PCMU_ANSWER = "m=audio AUDIO RTP/AVP 0";

function scene(
  name: string,
  play: (scene: Scene) => Promise<void>,
  flags: Parameters<typeof startGateway>[0] = {},
  file?: (peer: WirePeer) => string,
): void {
  Deno.test(`golden: ${name}`, async () => {
    const mask = new Mask();
    const parts: string[] = [];
    using peer = new WirePeer(mask, "PEER");
    {
      await using running = await startGateway(flags, file?.(peer));
      mask.name(running.gateway.sipPort, "GATEWAY");
      await play({
        mask,
        peer,
        running,
        note: (title, text) => void parts.push(`== ${title}\n${mask.text(text)}`),
        client: (address = "alice@127.0.0.1", args = [null, "", null, "wideband"]) =>
          WireClient.open(running.url(address), { args }),
      });
    }
    parts.push(`== SIP\n${peer.sipText()}`);
    await compare(name, `${parts.join("\n\n")}\n`);
  });
}

async function compare(name: string, text: string): Promise<void> {
  const file = new URL(`${name.replaceAll(/\W+/g, "_")}.txt`, TRACES);
  if (Deno.env.get("SIPRTMP_GOLDEN") === "record") return await Deno.writeTextFile(file, text);
  assert.equal(text, await Deno.readTextFile(file));
}

/** The INVITE of bob's phone to the client; `more`: header lines. */
function invite({ peer, running }: Scene, sdp: string, more = ""): string {
  const { sipPort } = running.gateway;
  return `INVITE sip:alice@127.0.0.1:${sipPort} SIP/2.0
Via: SIP/2.0/UDP 127.0.0.1:${peer.port};branch=z9hG4bKinvite
Max-Forwards: 70
From: "Bob" <sip:bob@127.0.0.1:${peer.port}>;tag=bobtag
To: <sip:alice@127.0.0.1:${sipPort}>
Call-ID: call-of-bob
CSeq: 1 INVITE
Contact: <sip:bob@127.0.0.1:${peer.port}>
${more}${peer.sdp(sdp)}`;
}

/** A request within the dialog of bob's call. */
function within({ peer }: Scene, method: string, cseq: number, ok: string, more = ""): string {
  const target = /<([^>]+)>/.exec(header(ok, "Contact"))![1];
  return `${method} ${target} SIP/2.0
Via: SIP/2.0/UDP 127.0.0.1:${peer.port};branch=z9hG4bK${method}${cseq}
Max-Forwards: 70
From: ${header(ok, "From")}
To: ${header(ok, "To")}
Call-ID: ${header(ok, "Call-ID")}
CSeq: ${cseq} ${method}
Contact: <sip:bob@127.0.0.1:${peer.port}>${more === "" ? "" : `\n${more}`}`;
}

/** The same in a dialog that the gateway began. */
function back({ peer }: Scene, method: string, cseq: number, sip: string, more = ""): string {
  const target = /<([^>]+)>/.exec(header(sip, "Contact"))![1];
  return `${method} ${target} SIP/2.0
Via: SIP/2.0/UDP 127.0.0.1:${peer.port};branch=z9hG4bK${method}${cseq}
Max-Forwards: 70
From: ${header(sip, "To")};tag=peertag
To: ${header(sip, "From")}
Call-ID: ${header(sip, "Call-ID")}
CSeq: ${cseq} ${method}
Contact: <sip:peer@127.0.0.1:${peer.port}>${more === "" ? "" : `\n${more}`}`;
}

function portIn(sdp: string, media = "audio"): number {
  return Number(new RegExp(`m=${media} (\\d+)`).exec(sdp)![1]);
}

function fill(first: readonly number[], length: number): Uint8Array {
  const bytes = new Uint8Array(length).fill(0x55);
  bytes.set(first);
  return bytes;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Audio of 20 ms each, both ways: FLV bodies begin with `tag`, RTP payloads of `type` are as long as their blocks. */
async function talk(
  { peer, note }: Scene,
  client: WireClient,
  publisher: Awaited<ReturnType<WireClient["publish"]>>,
  to: number,
  { tag, type, size, step, first = [] }: {
    tag: number;
    type: number;
    size: number;
    step: number;
    first?: readonly number[];
  },
): Promise<void> {
  const counts = { rtp: peer.rtp.length, heard: client.heard.length };
  for (let i = 0; i < 8; i++) {
    publisher.send(8, i * 20, fill([tag, ...first, i], size + 1));
    const payload = fill([...first, 0x80 + i], size);
    peer.sendRtp(
      rtpPacket({ payloadType: type, sequence: 100 + i, timestamp: 1000 + i * step, payload }),
      to,
    );
    await pause(20);
  }
  const audio = (): number => client.heard.filter((message) => message.type === 8).length;
  await waitFor("media", () => peer.rtp.length >= counts.rtp + 5 && audio() >= 5);
  await pause(60);
  note("RTP up", rtpText(peer.rtp.filter(({ payloadType }) => payloadType !== 101), 5));
  note("RTMP down", client.heardText(8, 5));
}

function accepted(scene: Scene, client: WireClient): void {
  scene.note("client", client.told.join("\n"));
}

scene("register with digest, then unregister", async (scene) => {
  const { peer } = scene;
  const connecting = WireClient.open(scene.running.url(`alice@127.0.0.1:${peer.port}`), {
    args: ["alice", "secret", "Alice", "wideband"],
  });
  const first = await peer.next(/^REGISTER/);
  peer.answer(
    first,
    "401 Unauthorized",
    'WWW-Authenticate: Digest realm="r", nonce="n1", algorithm=MD5, qop="auth"',
  );
  const second = await peer.next(/^REGISTER/);
  peer.answer(second, "200 OK", `Expires: 600`);
  const client = await connecting;
  const leaving = client[Symbol.asyncDispose]();
  const last = await peer.next(/^REGISTER/);
  peer.answer(last, "200 OK");
  await leaving;
  scene.note("client", client.told.join("\n"));
});

scene("outgoing call with Speex wideband, hung up by the client", async (scene) => {
  const { peer } = scene;
  await using client = await scene.client();
  const publisher = await client.publish("local");
  await client.play("remote");
  client.client.send("invite", `sip:bob@127.0.0.1:${peer.port}`, "wideband", "dtmf");
  const sip = await peer.next(/^INVITE/);
  peer.answer(sip, "180 Ringing");
  const offer = /a=rtpmap:(\d+) speex\/16000/.exec(sip)![1]!;
  peer.answer(
    sip,
    "200 OK",
    peer.sdp(
      `m=audio AUDIO RTP/AVP ${offer} 101\na=rtpmap:${offer} speex/16000\na=rtpmap:101 telephone-event/8000`,
    ),
  );
  await peer.next(/^ACK/);
  await client.hears("accepted");
  const frame = [0x2c, 0x80]; // sub-mode bits of a wideband frame are those of the block: passed on as it is
  await talk(scene, client, publisher, portIn(sip), {
    tag: 0xb6,
    type: Number(offer),
    size: 60,
    step: 320,
    first: frame,
  });
  client.client.send("bye");
  peer.answer(await peer.next(/^BYE/), "200 OK");
  accepted(scene, client);
});

scene("incoming call with PCMU, answered, hung up by the peer", async (scene) => {
  const { peer, running } = scene;
  await using client = await scene.client();
  const publisher = await client.publish("local");
  await client.play("remote");
  peer.send(invite(scene, PCMU_ANSWER), running.gateway.sipPort);
  await client.hears("invited");
  client.client.send("accept", "pcmu");
  const ok = await peer.next(/ 200 OK/);
  peer.send(within(scene, "ACK", 1, ok));
  await client.hears("accepted");
  await talk(scene, client, publisher, portIn(ok), { tag: 0x82, type: 0, size: 160, step: 160 });
  peer.send(within(scene, "BYE", 2, ok));
  await peer.next(/ 200 OK/);
  await client.hears("byed");
  accepted(scene, client);
});

scene("incoming calls: rejected, cancelled, busy, without a common codec", async (scene) => {
  const { peer, running } = scene;
  await using client = await scene.client();
  const port = running.gateway.sipPort;
  peer.send(invite(scene, PCMU_ANSWER).replace("call-of-bob", "rejected").replace("Kinvite", "Kr"), port);
  await client.hears("invited");
  client.client.send("reject", "603 Decline");
  const declined = await peer.next(/ 603 /);
  peer.send(
    within(scene, "ACK", 1, `${declined}Contact: <sip:x@127.0.0.1:${port}>`).replace("KACK1", "Kr"),
    port,
  );
  const cancelled = invite(scene, PCMU_ANSWER).replace("call-of-bob", "cancelled").replace("Kinvite", "Kc");
  peer.send(cancelled, port);
  await waitFor(
    "second invited",
    () => client.told.filter((line) => line.startsWith("invited")).length === 2,
  );
  const busy = invite(scene, PCMU_ANSWER).replace("call-of-bob", "busy").replace("Kinvite", "Kb");
  peer.send(busy, port);
  await peer.next(/ 486 /);
  peer.send(
    cancelled.split("\nContact")[0]!.replace("INVITE sip", "CANCEL sip").replace("1 INVITE", "1 CANCEL"),
    port,
  );
  await peer.next(/ 487 /);
  await client.hears("cancelled");
  peer.send(
    invite(scene, "m=audio AUDIO RTP/AVP 18\na=rtpmap:18 G729/8000").replace("call-of-bob", "g729").replace(
      "Kinvite",
      "Kg",
    ),
    port,
  );
  await peer.next(/ 488 /);
  accepted(scene, client);
});

scene("outgoing calls: challenged, busy, cancelled", async (scene) => {
  const { peer } = scene;
  await using client = await scene.client("alice@127.0.0.1", ["alice", "", null, "wideband"]);
  client.client.send("invite", `sip:busy@127.0.0.1:${peer.port}`, "pcmu");
  peer.answer(await peer.next(/^INVITE/), "486 Busy Here");
  await peer.next(/^ACK/);
  await client.hears("rejected");
  client.client.send("invite", `sip:ringing@127.0.0.1:${peer.port}`, "pcmu");
  const ringing = await peer.next(/^INVITE/);
  peer.answer(ringing, "180 Ringing");
  await client.hears("ringing");
  client.client.send("bye");
  const cancel = await peer.next(/^CANCEL/);
  peer.answer(cancel, "200 OK");
  peer.answer(ringing, "487 Request Terminated");
  await peer.next(/^ACK/);
  accepted(scene, client);
});

scene("PCMA with DTMF and messages both ways", async (scene) => {
  const { peer, running } = scene;
  await using client = await scene.client();
  const publisher = await client.publish("local");
  await client.play("remote");
  client.client.send("invite", `sip:bob@127.0.0.1:${peer.port}`, "pcma", "dtmf");
  const sip = await peer.next(/^INVITE/);
  peer.answer(
    sip,
    "200 OK",
    peer.sdp("m=audio AUDIO RTP/AVP 8 101\na=rtpmap:101 telephone-event/8000\na=fmtp:101 0-16"),
  );
  await peer.next(/^ACK/);
  await client.hears("accepted");
  const to = portIn(sip);
  await talk(scene, client, publisher, to, { tag: 0x72, type: 8, size: 160, step: 160 });
  for (let i = 0; i < 5; i++) {
    const payload = [7, i < 2 ? 10 : 0x8a, 0x03, 0x20];
    const event = { payloadType: 101, sequence: 200 + i, timestamp: 9000, marker: i === 0, payload };
    peer.sendRtp(rtpPacket(event), to);
    await pause(20);
  }
  await client.hears("receivedDTMF");
  const before = peer.rtp.length;
  await client.client.call("sendDTMF", "5", 160);
  await waitFor(
    "events",
    () => peer.rtp.slice(before).filter(({ payloadType }) => payloadType === 101).length >= 8,
  );
  await pause(100);
  const events = peer.rtp.slice(before).filter(({ payloadType }) => payloadType === 101);
  scene.note("events up", [...new Set(events.map(({ payload }) => hex(payload)))].join("\n"));
  peer.send(back(scene, "INFO", 1, sip, "Content-Type: application/dtmf-relay\n\nSignal=9\nDuration=200\n"));
  await waitFor(
    "second digit",
    () => client.told.filter((line) => line.startsWith("receivedDTMF")).length === 2,
  );
  peer.send(back(scene, "MESSAGE", 2, sip, "Content-Type: text/plain\n\nhello Alice"));
  await client.hears("receivedMessage");
  const sending = client.client.call("sendMessage", "hello Bob");
  peer.answer(await peer.next(/^MESSAGE/), "200 OK");
  await sending;
  const paging = client.client.call("sendPagingMessage", `sip:bob@127.0.0.1:${peer.port}`, "page");
  peer.answer(await peer.next(/^MESSAGE/), "202 Accepted");
  await paging;
  peer.send(back(scene, "BYE", 3, sip));
  await client.hears("byed");
  void running;
  accepted(scene, client);
});

const AVC_CONFIG = [0x17, 0, 0, 0, 0, ...CONFIG];

scene("a call with H.264 both ways", async (scene) => {
  const { peer } = scene;
  await using client = await scene.client();
  const publisher = await client.publish("local");
  await client.play("remote");
  publisher.send(9, 0, new Uint8Array(AVC_CONFIG));
  await pause(30);
  client.client.send("invite", `sip:bob@127.0.0.1:${peer.port}`, "pcmu", "h264");
  const sip = await peer.next(/^INVITE/);
  const type = /a=rtpmap:(\d+) H264\/90000/i.exec(sip)![1]!;
  peer.answer(
    sip,
    "200 OK",
    peer.sdp(
      `m=audio AUDIO RTP/AVP 0\nm=video VIDEO RTP/AVP ${type}\na=rtpmap:${type} H264/90000\n` +
        `a=fmtp:${type} profile-level-id=42c01e;packetization-mode=1\na=rtcp-fb:${type} nack pli`,
    ),
  );
  await peer.next(/^ACK/);
  await client.hears("accepted");
  const key = [0x17, 1, 0, 0, 0, ...avc([slice("I", 2000)])];
  const inter = [0x27, 1, 0, 0, 0, ...avc([slice("P", 12)])];
  publisher.send(9, 100, new Uint8Array(key));
  for (let i = 1; i < 4; i++) publisher.send(9, 100 + i * 40, new Uint8Array(inter));
  await waitFor("pictures up", () => peer.videoRtp.length >= 6);
  scene.note("video up", rtpText(peer.videoRtp, 7));
  const to = portIn(sip, "video");
  const nals = [SPS, PPS, slice("I", 20), slice("P", 10), slice("P", 11)];
  for (const [i, payload] of nals.entries()) {
    const timestamp = 5000 + Math.max(0, i - 2) * 3600;
    peer.sendRtp(
      rtpPacket({ payloadType: Number(type), sequence: 10 + i, timestamp, marker: i >= 2, payload }),
      to,
      "video",
    );
    await pause(20);
  }
  await waitFor("pictures down", () => client.heard.filter((message) => message.type === 9).length >= 4);
  scene.note("video down", client.heardText(9, 4, false, 24));
  peer.send(
    back(
      scene,
      "INFO",
      1,
      sip,
      "Content-Type: application/media_control+xml\n\n<media_control><vc_primitive><to_encoder>" +
        "<picture_fast_update/></to_encoder></vc_primitive></media_control>",
    ),
  );
  await peer.next(/ 200 OK/);
  client.client.send("bye");
  peer.answer(await peer.next(/^BYE/), "200 OK");
  accepted(scene, client);
});

scene("a Speex client and a PCMU phone, transcoded", async (scene) => {
  const { peer } = scene;
  await using client = await scene.client();
  const publisher = await client.publish("local");
  await client.play("remote");
  client.client.send("invite", `sip:bob@127.0.0.1:${peer.port}`);
  const sip = await peer.next(/^INVITE/);
  peer.answer(sip, "200 OK", peer.sdp(PCMU_ANSWER));
  await peer.next(/^ACK/);
  await client.hears("accepted");
  const silence = [0xb6, 0x3e, 0x9d, 0x1b, 0x9a, 0x20, 0x00, 0x01, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0x91];
  for (let i = 0; i < 30; i++) {
    publisher.send(8, i * 20, fill(silence, 71));
    const payload = new Uint8Array(160).fill(0xff);
    peer.sendRtp(rtpPacket({ payloadType: 0, sequence: i, timestamp: i * 160, payload }), portIn(sip));
    await pause(20);
  }
  await waitFor(
    "audio",
    () => peer.rtp.length >= 5 && client.heard.filter(({ type }) => type === 8).length >= 5,
  );
  scene.note("RTP up", rtpText(peer.rtp, 5, 0));
  scene.note("RTMP down", client.heardText(8, 5, false, 1));
  client.client.send("bye");
  peer.answer(await peer.next(/^BYE/), "200 OK");
  accepted(scene, client);
});

const account = (peer: WirePeer): string =>
  `[[account]]\nname = "desk"\naddress = "desk@127.0.0.1:${peer.port}"\nregister = false\nredial = 0\nanswer = "auto"\n`;

scene(
  "a call by URL",
  async (scene) => {
    const { peer, running } = scene;
    await using client = await WireClient.open(`rtmp://127.0.0.1:${running.gateway.rtmp.port}/call/desk`);
    const publisher = await client.publish("say");
    publisher.send(8, 0, fill([0x82], 161));
    const sip = await peer.next(/^INVITE/);
    peer.answer(sip, "180 Ringing");
    peer.answer(sip, "200 OK", peer.sdp(PCMU_ANSWER));
    await peer.next(/^ACK/);
    await client.play("bob");
    for (let i = 1; i < 9; i++) {
      publisher.send(8, i * 20, fill([0x82, i], 161));
      await pause(20);
    }
    await waitFor("RTP", () => peer.rtp.length >= 5);
    scene.note("RTP up", rtpText(peer.rtp.slice(-5), 5, 0));
    peer.send(back(scene, "BYE", 1, sip));
    await peer.next(/ 200 OK/);
    await pause(100);
    accepted(scene, client);
  },
  {},
  account,
);

scene(
  "a call-in line with a player",
  async (scene) => {
    const { peer, running } = scene;
    const url = `rtmp://127.0.0.1:${running.gateway.rtmp.port}/line`;
    await using player = await WireClient.open(url);
    await player.play("desk");
    const wire = invite(scene, PCMU_ANSWER).replaceAll("alice", "desk");
    peer.send(wire, running.gateway.sipPort);
    const ok = await peer.next(/ 200 OK/);
    peer.send(within(scene, "ACK", 1, ok));
    for (let i = 0; i < 8; i++) {
      const payload = fill([0x80 + i], 160);
      peer.sendRtp(rtpPacket({ payloadType: 0, sequence: i, timestamp: i * 160, payload }), portIn(ok));
      await pause(20);
    }
    await pause(150);
    scene.note("player", player.told.join("\n"));
    const bodies = player.heard.filter(({ type }) => type === 8).map(({ body }) => hex(body.subarray(0, 2)));
    scene.note("RTMP down", [...new Set(bodies)].join("\n"));
    peer.send(within(scene, "BYE", 2, ok));
    await peer.next(/ 200 OK/);
  },
  {},
  account,
);

scene("early media with PRACK, hold, session refresh", async (scene) => {
  const { peer } = scene;
  await using client = await scene.client();
  await client.publish("local");
  await client.play("remote");
  client.client.send("invite", `sip:bob@127.0.0.1:${peer.port}`, "pcmu", "dtmf");
  const sip = await peer.next(/^INVITE/);
  peer.answer(sip, "183 Session Progress", `Require: 100rel\nRSeq: 7\n${peer.sdp(PCMU_ANSWER)}`);
  peer.answer(await peer.next(/^PRACK/), "200 OK");
  for (let i = 0; i < 4; i++) {
    const payload = fill([0x80 + i], 160);
    peer.sendRtp(rtpPacket({ payloadType: 0, sequence: i, timestamp: i * 160, payload }), portIn(sip));
    await pause(20);
  }
  await waitFor("early media", () => client.heard.some(({ type }) => type === 8));
  peer.answer(sip, "200 OK", "Session-Expires: 1800;refresher=uas");
  await peer.next(/^ACK/);
  await client.hears("accepted");
  peer.send(back(scene, "INVITE", 1, sip, peer.sdp(`${PCMU_ANSWER}\na=sendonly`, 2)));
  await peer.next(/ 200 OK/);
  peer.send(back(scene, "ACK", 1, sip).replace("KACK1", "Khold"));
  await pause(60);
  peer.send(back(scene, "UPDATE", 2, sip, "Session-Expires: 1800;refresher=uac"));
  await peer.next(/ 200 OK/);
  peer.send(back(scene, "OPTIONS", 3, sip));
  await peer.next(/ 200 OK/);
  client.client.send("bye");
  peer.answer(await peer.next(/^BYE/), "200 OK");
  accepted(scene, client);
});

scene("a live stream with a late joiner", async (scene) => {
  const url = `rtmp://127.0.0.1:${scene.running.gateway.rtmp.port}/live`;
  await using from = await WireClient.open(url);
  const publisher = await from.publish("show");
  publisher.send(9, 0, new Uint8Array(AVC_CONFIG));
  publisher.send(8, 0, new Uint8Array([0xaf, 0, 0x12, 0x10]));
  publisher.send(9, 0, new Uint8Array([0x17, 1, 0, 0, 0, 0, 0, 0, 2, 0x65, 1]));
  for (let i = 1; i < 4; i++) {
    publisher.send(9, i * 40, new Uint8Array([0x27, 1, 0, 0, 0, 0, 0, 0, 2, 0x41, i]));
  }
  await pause(60);
  await using late = await WireClient.open(url);
  await late.play("show");
  for (let i = 4; i < 6; i++) {
    publisher.send(9, i * 40, new Uint8Array([0x27, 1, 0, 0, 0, 0, 0, 0, 2, 0x41, i]));
  }
  await waitFor("pictures", () => late.heard.filter(({ type }) => type === 9).length >= 6);
  scene.note("publisher", from.told.join("\n"));
  scene.note("player", late.told.join("\n"));
  scene.note("video", late.heardText(9, 7));
  scene.note("audio", late.heardText(8, 2));
});
