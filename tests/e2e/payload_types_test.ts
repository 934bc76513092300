// Peers that number formats in their own way, over real sockets: their sound, pictures and DTMF
// are heard, what they get has the numbers of their description, whoever called and after a re-INVITE as well.

import assert from "node:assert/strict";
import { SampleSource } from "../../lib/codecs/sample.ts";
import { encodeRedundancy, encodeTelephoneEvent } from "../../lib/rtp/telephone_event.ts";
import { concatBytes } from "../../lib/base/bytes.ts";
import { PPS, slice, SPS } from "../support/media_h264.ts";
import { openRawPhone, rawAnswer, rawInDialog, rawInvite, type RawPhone } from "../support/raw_phone.ts";
import { RtmpPhone, speak } from "../support/rtmp_phone.ts";
import { rtpBytes } from "../support/rtp_packets.ts";
import { startGateway } from "../support/test_gateway.ts";

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** What a raw phone sends as one stream. */
class Stream {
  #sequence = 100;
  #timestamp = 5000;

  constructor(readonly phone: RawPhone, readonly port: number) {}

  packet(payloadType: number, payload: Uint8Array, step: number, marker = false): void {
    const sequenceNumber = this.#sequence++;
    const timestamp = this.#timestamp;
    this.#timestamp += step;
    this.phone.sendRtp(rtpBytes({ payloadType, sequenceNumber, timestamp, marker, payload }), this.port);
  }

  async voice(payloadType: number, count: number, ticks: number, payload: Uint8Array): Promise<void> {
    for (let i = 0; i < count; i++) {
      this.packet(payloadType, payload, ticks);
      await pause(20);
    }
  }

  /** One key, as an event of 100 ms that ends with its only packets; redundant when told how. */
  async key(payloadType: number, event: number, clockRate: number, red: number | null = null): Promise<void> {
    const data = encodeTelephoneEvent({ event, end: true, volume: 10, duration: clockRate / 10 });
    for (let i = 0; i < 3; i++) {
      if (red === null) this.packet(payloadType, data, 0, i === 0);
      else this.packet(red, encodeRedundancy([], { payloadType, data }), 0, i === 0);
      await pause(20);
    }
    this.#timestamp += clockRate / 5;
  }
}

function portOf(text: string, kind: "audio" | "video"): number {
  return Number(new RegExp(`^m=${kind} (\\d+)`, "m").exec(text)?.[1]);
}

/** Reads packets until one has this payload type; the others that came. */
async function heardBefore(phone: RawPhone, payloadType: number): Promise<number[]> {
  const others = new Set<number>();
  for (;;) {
    const type = (await phone.receiveRtp())[1]! & 0x7f;
    if (type === payloadType) return [...others];
    others.add(type);
  }
}

async function digitsOf(client: RtmpPhone, count: number): Promise<unknown[]> {
  const digits: unknown[] = [];
  while (digits.length < count) digits.push((await client.expect("receivedDTMF"))[0]);
  return digits;
}

const G711 = new Uint8Array(160).fill(0x55);
const OPUS = new Uint8Array(40).fill(0x55);
const SPEEX = new SampleSource("speex").next().slice();

/** The answer's formats and lines beside the codec that is spoken: its number, and RTP ticks and payload of a packet. */
const CALLED: [
  name: string,
  codecs: string[],
  answer: string,
  voice: [number, number, Uint8Array],
  tag: number,
][] = [
  ["PCMU under its own number", ["pcmu", "dtmf"], "121 122$a=rtpmap:121 PCMU/8000", [121, 160, G711], 0x82],
  ["PCMU under our number", ["pcmu", "dtmf"], "121 122$a=rtpmap:121 PCMU/8000", [0, 160, G711], 0x82],
  ["PCMA", ["pcma", "dtmf"], "120 122$a=rtpmap:120 PCMA/8000", [120, 160, G711], 0x72],
  ["Speex", ["wideband", "dtmf"], "110 122$a=rtpmap:110 speex/16000", [110, 320, SPEEX], 0xb2],
  ["Opus", ["opus", "dtmf"], "111 122$a=rtpmap:111 opus/48000/2", [111, 960, OPUS], 0x90],
];

for (const [name, codecs, answer, [payloadType, ticks, payload], tag] of CALLED) {
  Deno.test(`a phone that is called answers and sends ${name}, and DTMF so`, async () => {
    await using running = await startGateway();
    await using client = await RtmpPhone.connect({ url: running.url("me@127.0.0.1") });
    using desk = openRawPhone();
    client.client.send("invite", `sip:desk@127.0.0.1:${desk.port}`, ...codecs);
    const invite = await desk.receive(/^INVITE /);
    const lines = "$a=rtpmap:122 telephone-event/8000$a=rtpmap:123 red/8000$a=fmtp:123 122/122";
    const formats = answer.replace("122$", "122 123$") + lines;
    desk.send(rawAnswer(desk, invite, formats), running.gateway.sipPort);
    await client.expect("accepted");
    const stream = new Stream(desk, portOf(invite, "audio"));
    await stream.voice(payloadType, 25, ticks, payload);
    await stream.key(122, 5, 8000);
    await stream.key(101, 6, 8000);
    await stream.key(122, 7, 8000, 123);
    await stream.key(101, 8, 8000, 100);
    assert.deepEqual(await digitsOf(client, 4), ["5", "6", "7", "8"]);
    assert.ok(client.audio.length >= 20 && client.audio.every((body) => body[0] === tag || tag === 0x90));
    client.client.send("sendDTMF", "1");
    assert.deepEqual(await heardBefore(desk, 123), []);
    client.client.send("bye");
  });
}

Deno.test(
  "a phone that calls has its numbers used both ways, and those of its re-INVITE",
  async () => {
    await using running = await startGateway();
    await using client = await RtmpPhone.connect({
      url: running.url("bob@127.0.0.1"),
      answers: ["opus", "pcmu", "dtmf"],
    });
    using desk = openRawPhone();
    const port = running.gateway.sipPort;
    const sdpLines =
      "a=rtpmap:111 opus/48000/2$a=rtpmap:101 telephone-event/48000$a=rtpmap:102 telephone-event/8000$";
    desk.send(
      rawInvite(desk, { user: "bob", port }, { callId: "re", formats: "111 0 101 102", sdpLines }),
      port,
    );
    const ok = await desk.receive(/ 200 /);
    desk.send(rawInDialog(desk, "ACK", 1, ok, "z9hG4bKack1"), port);
    await client.expect("accepted");
    const stream = new Stream(desk, portOf(ok, "audio"));
    await stream.voice(111, 10, 960, OPUS);
    await stream.key(101, 1, 48000);
    await stream.voice(0, 10, 160, G711);
    await stream.key(102, 2, 8000);
    assert.deepEqual(await digitsOf(client, 2), ["1", "2"]);
    assert.ok(client.audio.length >= 18, `${client.audio.length} blocks`);
    client.client.send("sendDTMF", "1");
    assert.deepEqual(await heardBefore(desk, 101), [], "on the clock of the audio that is sent");

    const body =
      `v=0$o=- 1 2 IN IP4 127.0.0.1$s=-$c=IN IP4 127.0.0.1$t=0 0$m=audio ${desk.rtpPort} RTP/AVP ` +
      `0 126$a=rtpmap:126 telephone-event/8000$`;
    const headers = `Contact: <sip:desk@127.0.0.1:${desk.port}>$Content-Type: application/sdp$` +
      `Content-Length: ${body.replaceAll("$", "  ").length}$$`;
    const reinvite = rawInDialog(desk, "INVITE", 2, ok, "z9hG4bKagain").replace(
      "Content-Length: 0$$",
      () => headers + body,
    );
    desk.send(reinvite, port);
    const again = await desk.receive(/ 200 /);
    assert.match(again, /RTP\/AVP 0 126\r/);
    desk.send(rawInDialog(desk, "ACK", 2, again, "z9hG4bKack2"), port);
    const before = client.audio.length;
    await stream.voice(0, 15, 160, G711);
    await stream.key(126, 3, 8000);
    await stream.key(102, 4, 8000); // its number of before
    assert.deepEqual(await digitsOf(client, 2), ["3", "4"]);
    assert.ok(client.audio.length - before >= 12, `${client.audio.length - before} blocks`);
    client.client.send("sendDTMF", "2");
    await heardBefore(desk, 126); // behind what is left of the key of before
    await speak(client.speaking, { tag: 0x82, count: 20, size: 160 });
    assert.deepEqual(await heardBefore(desk, 0), [126]);
    client.client.send("bye");
  },
);

for (const [name, number] of [["its own", 126], ["our", 99]] as const) {
  Deno.test(`H.264 that a called phone renumbers is seen under ${name} number`, async () => {
    await using running = await startGateway();
    await using client = await RtmpPhone.connect({ url: running.url("me@127.0.0.1") });
    using desk = openRawPhone();
    using screen = openRawPhone();
    client.client.send("invite", `sip:desk@127.0.0.1:${desk.port}`, "pcmu", "h264");
    const invite = await desk.receive(/^INVITE /);
    const video = `$m=video ${screen.rtpPort} RTP/AVP 126$a=rtpmap:126 H264/90000$` +
      "a=fmtp:126 profile-level-id=42e01f;packetization-mode=1";
    desk.send(rawAnswer(desk, invite, `0${video}`), running.gateway.sipPort);
    await client.expect("accepted");
    const stream = new Stream(screen, portOf(invite, "video"));
    const idr = slice("I", 60);
    const sets = concatBytes([Uint8Array.of(0x78, 0, SPS.length), SPS, Uint8Array.of(0, PPS.length), PPS]);
    for (let i = 0; i < 5; i++) {
      stream.packet(number, sets, 0);
      stream.packet(number, idr, 3600, true);
      await pause(40);
    }
    await pause(300);
    const pictures = client.heard.filter(({ type, body }) => type === 9 && body[1] === 1);
    assert.ok(pictures.length >= 4, `${pictures.length} pictures`);
    client.client.send("bye");
  });
}
