// Video through whole calls, judged by ffmpeg picture by picture: H.264 beside Speex to the echo number and back,
// several slices, both packetization modes, calls dialled by URL, x-flv between two users.

import assert from "node:assert/strict";
import { systemClock } from "../../lib/base/clock.ts";
import { getProperty, textOf } from "../../lib/amf/value.ts";
import { ByteWriter } from "../../lib/base/bytes.ts";
import { silentLog } from "../../lib/base/log.ts";
import { systemRandom } from "../../lib/base/random.ts";
import { decodeTag, encodeTag } from "../../lib/media/flv_tag.ts";
import { createFrame } from "../../lib/media/frame.ts";
import { H264Depacketizer } from "../../lib/codecs/h264/depacketizer.ts";
import { H264Packetizer } from "../../lib/codecs/h264/packetizer.ts";
import { systemDns } from "../../lib/net/dns.ts";
import { mediaFormat } from "../../lib/sdp/media_format.ts";
import { SipServer } from "../../lib/tools/sipd/sip_server.ts";
import { publishFlv } from "../support/ffmpeg.ts";
import { hasPeer } from "../support/peers.ts";
import { type Heard, RtmpPhone } from "../support/rtmp_phone.ts";
import { type KeptTag, tagsOf } from "../support/rtmp_server.ts";
import { startSipp } from "../support/sipp.ts";
import { createPhone, openPhones, PhoneLine, place } from "../support/sipd_phone.ts";
import { startGateway, type TestGateway } from "../support/test_gateway.ts";
import {
  isKey,
  isPicture,
  pictureHashes,
  publishTags,
  videoFlv,
  videoFlvOf,
  type VideoOptions,
} from "../support/video_files.ts";

const ignore = !hasPeer("ffmpeg");
const ENVIRONMENT = { clock: systemClock, log: silentLog, random: systemRandom, dns: systemDns };
const NOTHING_LEFT = { connections: 0, clients: 0, calls: 0, rtpPorts: 0 };
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

function startSipd(): Promise<SipServer> {
  return SipServer.start({ listen: { hostname: "127.0.0.1", port: 0 }, portFallback: false }, ENVIRONMENT);
}

async function assertNothingLeft(running: TestGateway): Promise<void> {
  for (let tries = 0; tries < 40 && running.gateway.usage.connections > 0; tries++) await pause(50);
  assert.deepEqual(running.gateway.usage, NOTHING_LEFT);
}

const pictures = (tags: readonly Heard[]): KeptTag[] =>
  (tags as KeptTag[]).filter((tag) => tag.type === 9 && tag.body.length > 5);

/** Waits for the last picture: no test depends on how long that takes. */
async function untilHeard(phone: RtmpPhone, count: number): Promise<void> {
  const heard = () => phone.heard.filter((tag) => isPicture(tag as KeptTag)).length;
  for (let tries = 0; tries < 100 && heard() < count; tries++) await pause(50);
}

/** Every picture came, decodes without a complaint, and is the picture that was sent. */
async function assertSamePictures(heard: readonly Heard[], file: Uint8Array): Promise<void> {
  const sent = await pictureHashes(file);
  const arrived = await pictureHashes(videoFlvOf(pictures(heard)));
  assert.equal(arrived.length, sent.length);
  assert.equal(arrived.findIndex((hash, i) => hash !== sent[i]), -1, "first picture that differs");
}

/** Every octet of the audio came, in order; the tag in front is siprtmp's. */
async function assertSameAudio(phone: RtmpPhone, tags: readonly KeptTag[]): Promise<void> {
  const audioOf = (heard: readonly { type: number; body: Uint8Array }[]) =>
    heard.filter((tag) => tag.type === 8 && tag.body.length > 1).map((tag) => tag.body.subarray(1).toHex());
  const sent = audioOf(tags);
  for (let tries = 0; tries < 20 && audioOf(phone.heard).length < sent.length; tries++) await pause(50);
  const arrived = audioOf(phone.heard);
  assert.equal(arrived.length, sent.length, "messages of audio");
  assert.equal(arrived.findIndex((body, i) => body !== sent[i]), -1, "first that differs");
}

function assertEvenTimes(heard: readonly Heard[], repeated = 0): void {
  const times = heard.filter((tag) => isPicture(tag as KeptTag)).map((tag) => tag.timeMs);
  const steps = times.slice(1).map((timeMs, i) => timeMs - times[i]!);
  const odd = steps.filter((step) => step < 34 || step > 46);
  assert.ok(odd.length <= repeated && odd.every((step) => step < 34), steps.join());
}

/** With what the publisher is told about its encoder. */
const RETURNED: [name: string, options: VideoOptions, told: string[]][] = [
  ["one slice in a picture", { seconds: 4 }, []],
  ["six slices, key frames of many packets", { seconds: 4, size: "640x480", slices: 6 }, []],
  ["B frames", { seconds: 3, bFrames: 2, profile: "main" }, [
    "NetStream.Publish.ProfileMismatch",
    "NetStream.Publish.BFrames",
  ]],
];

for (const [name, options, told] of RETURNED) {
  Deno.test({ name: `H.264 and Speex to the echo number and back: ${name}`, ignore }, async () => {
    const file = await videoFlv(options);
    await using sipd = await startSipd();
    await using running = await startGateway();
    {
      const url = running.url(`alice@127.0.0.1:${sipd.address.port}`);
      await using phone = await RtmpPhone.connect({ url });
      const statuses: string[] = [];
      phone.speaking.onStatus = (info) => statuses.push(textOf(getProperty(info, "code")) ?? "");
      phone.client.send("invite", "echo", "wideband", "h264");
      assert.deepEqual(await phone.expect("accepted"), ["speex", "h264"]);
      const tags = tagsOf(file);
      await publishTags(phone.speaking, tags);
      await untilHeard(phone, tags.filter(isPicture).length);
      await assertSamePictures(phone.heard, file);
      await assertSameAudio(phone, tags);
      if (options.bFrames === undefined) assertEvenTimes(phone.heard);
      assert.deepEqual(statuses, told);
    }
    await assertNothingLeft(running);
    const warnings = running.lines().split("\n").filter((line) => /warn +media .*: client sends/.test(line));
    assert.equal(warnings.length, told.length, warnings.join("\n"));
  });
}

Deno.test({
  name: "SIPp returns H.264 and Speex: every picture and all audio",
  ignore: !hasPeer("ffmpeg", "sipp"),
}, async () => {
  const file = await videoFlv({ seconds: 4, size: "320x240", slices: 2 });
  await using sipp = await startSipp({ scenario: "callee_echo_video", args: ["-rtp_echo"] });
  await using running = await startGateway();
  {
    await using phone = await RtmpPhone.connect({ url: running.url("alice@127.0.0.1") });
    phone.client.send("invite", `echo@127.0.0.1:${sipp.port}`, "wideband", "h264");
    assert.deepEqual(await phone.expect("accepted"), ["speex", "h264"]);
    const tags = tagsOf(file);
    await publishTags(phone.speaking, tags);
    await untilHeard(phone, tags.filter(isPicture).length);
    await assertSamePictures(phone.heard, file);
    await assertSameAudio(phone, tags);
    phone.client.send("bye");
    const { ok, report } = await sipp.finished();
    assert.ok(ok, report);
  }
  await assertNothingLeft(running);
});

Deno.test({ name: "ffmpeg dials by URL with its video: the callee sees every picture", ignore }, async () => {
  const file = await videoFlv({ seconds: 4 });
  await using running = await startGateway();
  {
    const { sipPort } = running.gateway;
    await using eye = await RtmpPhone.connect({
      url: running.url("eye@127.0.0.1"),
      answers: ["wideband", "h264"],
    });
    const url = running.url(`mouth@127.0.0.1?dial=eye@127.0.0.1%3A${sipPort}/local`);
    await using ffmpeg = await publishFlv(url, file);
    assert.deepEqual(await eye.expect("accepted"), ["speex", "h264"]);
    const { code, said } = await ffmpeg.ended;
    assert.equal(code, 0, said);
    await eye.expect("byed");
    // What ffmpeg sent before the call was answered is lost, and all up to the next key frame.
    const sent = await pictureHashes(file);
    const arrived = await pictureHashes(videoFlvOf(pictures(eye.heard)));
    assert.ok(arrived.length >= sent.length - 26, `${arrived.length} of ${sent.length}`);
    // The callee asks for a key frame when it begins to watch; that may cross the next one, which then comes twice.
    const once = arrived.filter((hash, i) => i === 0 || hash !== arrived[i - 1]);
    assert.ok(arrived.length - once.length <= 1, `${arrived.length - once.length} pictures came again`);
    assert.deepEqual(once, sent.slice(-once.length));
    assertEvenTimes(eye.heard, arrived.length - once.length);
  }
  await assertNothingLeft(running);
});

Deno.test(
  { name: "x-flv between two users: every picture, all audio, key frames over 32767 octets", ignore },
  async () => {
    const file = await videoFlv({ seconds: 4, size: "1280x720" });
    const tags = tagsOf(file);
    const largest = Math.max(...tags.filter(isKey).map((tag) => tag.body.length));
    assert.ok(largest > 32767 && largest < 65500, `a key frame of ${largest} octets`);
    await using running = await startGateway();
    {
      const { sipPort } = running.gateway;
      await using eye = await RtmpPhone.connect({ url: running.url("eye@127.0.0.1"), answers: [] });
      await using mouth = await RtmpPhone.connect({ url: running.url("mouth@127.0.0.1") });
      mouth.client.send("invite", `eye@127.0.0.1:${sipPort}`);
      assert.deepEqual(await mouth.expect("accepted"), []);
      await eye.expect("accepted");
      await publishTags(mouth.speaking, tags);
      await untilHeard(eye, tags.filter(isPicture).length);
      await assertSamePictures(eye.heard, file);
      await assertSameAudio(eye, tags);
    }
    await assertNothingLeft(running);
    assert.match(running.lines(), /video: x-flv, payload type 97/);
  },
);

Deno.test(
  {
    name: "packetization mode 0: single NAL units both ways, also some larger than an Ethernet frame",
    ignore,
  },
  async () => {
    const file = await videoFlv({ seconds: 3, size: "320x240", slices: 2, audio: false });
    await using running = await startGateway();
    await using phones = openPhones();
    const line = new PhoneLine(
      [mediaFormat(96, "H264", 90_000, { fmtp: "profile-level-id=42e01f" })],
      "video",
    );
    const received: Uint8Array[] = [];
    const returned: KeptTag[] = [];
    {
      await using mirror = await RtmpPhone.connect({
        url: running.url("mirror@127.0.0.1"),
        answers: ["h264"],
        echo: true,
      });
      const server = { hostname: "127.0.0.1", port: running.gateway.sipPort };
      await using caller = createPhone(phones, "caller", server);
      const { call } = await place(caller, `sip:mirror@127.0.0.1:${server.port}`, line.offer());
      assert.ok(call);
      const agreed = line.take(call.remoteBody);
      assert.match(agreed.formats[0]?.fmtp ?? "", /packetization-mode=0/);
      assert.deepEqual(await mirror.expect("accepted"), [null, "h264"]);
      const tags = tagsOf(file);
      await sendSingleUnits(line, tags);
      const wanted = tags.filter(isPicture).length;
      const ended = () => line.received.filter((packet) => packet.marker).length;
      for (let tries = 0; tries < 40 && ended() < wanted; tries++) await pause(50);
      received.push(...line.received.map((packet) => packet.payload));
      returned.push(...tagsOfPackets(line));
      await call.hangUp();
      await mirror.expect("byed");
    }
    await line.close();
    await assertNothingLeft(running);
    const types = new Set(received.map((payload) => payload[0]! & 31));
    assert.deepEqual([...types].sort((a, b) => a - b), [1, 5, 6, 7, 8]);
    assert.ok(
      Math.max(...received.map((payload) => payload.length)) > 1500,
      "larger than an Ethernet frame",
    );
    await assertSamePictures(returned, file);
  },
);

/** Sends the pictures as a phone of mode 0 does. */
async function sendSingleUnits(line: PhoneLine, tags: readonly KeptTag[]): Promise<void> {
  const packetizer = new H264Packetizer({ clock: systemClock, packetizationMode: 0 });
  const frame = createFrame();
  const begunMs = performance.now();
  for (const { type, timeMs, body } of tags) {
    if (type !== 9) continue;
    await pause(Math.max(0, begunMs + timeMs - performance.now()));
    decodeTag(9, timeMs, body, frame);
    packetizer.push(frame, (payload, timestamp, marker) => line.send(payload, timestamp, marker, 96));
  }
}

function tagsOfPackets(line: PhoneLine): KeptTag[] {
  const depacketizer = new H264Depacketizer({ clock: systemClock, originMs: systemClock.now() });
  const tags: KeptTag[] = [];
  const body = new ByteWriter(65536);
  const firstTimestamp = line.received[0]!.timestamp;
  for (const { payload, timestamp, marker } of line.received) {
    depacketizer.push(payload, timestamp - firstTimestamp >>> 0, marker, (frame) => {
      body.reset();
      encodeTag(frame, body);
      tags.push({ type: 9, timeMs: frame.timeMs, body: body.view().slice() });
    }, 0);
  }
  return tags;
}
