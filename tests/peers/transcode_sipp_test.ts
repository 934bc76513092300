// Clients of old and a SIP peer that speaks PCMU alone: the "488" and the silence of before are a call now.

import assert from "node:assert/strict";
import { decodeFlv, FFMPEG_TONE_PEAK, flvOf, speakTags, toneFlv } from "../support/ffmpeg.ts";
import { hasPeer } from "../support/peers.ts";
import { type KeptTag, tagsOf } from "../support/rtmp_server.ts";
import { RtmpPhone } from "../support/rtmp_phone.ts";
import { startSipp } from "../support/sipp.ts";
import { startGateway } from "../support/test_gateway.ts";
import { measureTone } from "../support/tone.ts";
import { built } from "../support/transcode_bench.ts";

const ignore = !hasPeer("sipp", "ffmpeg") || !built;
const HZ = 733;
const SECONDS = 3;
/** What a busy machine may deliver too late, of some 550 blocks. */
const LATE_BLOCKS = 20;
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** The tone in what a phone of Speex heard. */
async function assertTone(phone: RtmpPhone): Promise<void> {
  const tags = phone.heard.filter((tag) => tag.type === 8) as KeptTag[];
  assert.ok(tags.every(({ body }) => body[0] === 0xb2), "Speex, as the client plays it");
  const samples = await decodeFlv(flvOf(tags), 16000);
  const isSound = (sample: number): boolean => Math.abs(sample) > 500;
  const inner = samples.slice(samples.findIndex(isSound) + 1920, samples.findLastIndex(isSound) - 1920);
  const tone = measureTone(inner, { sampleRate: 16000, hz: HZ, impurity: 0.15 });
  const told = JSON.stringify(tone);
  assert.ok(Math.abs(tone.hz - HZ) < HZ / 100 && tone.durationMs > (SECONDS - 1) * 1000, told);
  assert.ok(
    Math.abs(20 * Math.log10(tone.level / (FFMPEG_TONE_PEAK / Math.SQRT2))) < 1,
    `within 1 dB: ${told}`,
  );
  assert.ok(tone.broken <= LATE_BLOCKS, told);
}

const LISTS: [codecs: string[], accepted: unknown[]][] = [
  [["wideband"], ["speex", null]],
  [["wideband", "narrowband", "ulaw", "alaw", "dtmf", "flv"], ["speex", null]],
  [[], []],
];

for (const [codecs, accepted] of LISTS) {
  Deno.test({
    name: `a Speex client with ${codecs.length} codecs calls SIPp, which speaks PCMU: the tone comes back`,
    ignore,
  }, async () => {
    const speech = await toneFlv("speex", HZ, SECONDS);
    await using sipp = await startSipp({ scenario: "callee_echo", args: ["-rtp_echo"] });
    await using running = await startGateway();
    await using phone = await RtmpPhone.connect({ url: running.url("me@127.0.0.1") });
    phone.client.send("invite", `sip:echo@127.0.0.1:${sipp.port}`, ...codecs);
    assert.deepEqual(await phone.expect("accepted"), accepted);
    await speakTags(phone.speaking, tagsOf(speech));
    await pause(400);
    phone.client.send("bye");
    const { ok, report } = await sipp.finished();
    assert.ok(ok, report);
    await assertTone(phone);
    assert.match(running.lines(), /speex of the client transcoded to pcmu/);
  });
}

Deno.test({
  name: "SIPp calls with PCMU alone: a client that named Speex alone answers, and both hear",
  ignore,
}, async () => {
  const speech = await toneFlv("speex", HZ, 1);
  await using running = await startGateway();
  await using phone = await RtmpPhone.connect({ url: running.url("bob@127.0.0.1"), answers: ["wideband"] });
  const target = `127.0.0.1:${running.gateway.sipPort}`;
  await using sipp = await startSipp({ scenario: "caller", target, service: "bob", args: ["-rtp_echo"] });
  assert.deepEqual(await phone.expect("accepted"), ["speex", null]);
  await speakTags(phone.speaking, tagsOf(speech));
  await phone.expect("byed");
  const { ok, report } = await sipp.finished();
  assert.ok(ok, report);
  const heard = phone.audio.length;
  assert.ok(heard > 50, `${heard} messages`);
  assert.ok(phone.audio.every((body) => body[0] === 0xb2));
});
