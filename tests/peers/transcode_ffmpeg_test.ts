// Programs whose codecs the remote party does not speak: ffmpeg with AAC calls a phone and SIPp by URL, and plays calls
// in the codec it asked for. The tone is measured where it comes out.

import assert from "node:assert/strict";
import { runProgram } from "../support/media_programs.ts";
import {
  decodeFlv,
  FFMPEG_TONE_PEAK,
  flvOf,
  publishFlv,
  speakTags,
  startProgram,
} from "../support/ffmpeg.ts";
import { hasPeer } from "../support/peers.ts";
import { type KeptTag, tagsOf } from "../support/rtmp_server.ts";
import { type Heard, RtmpPhone } from "../support/rtmp_phone.ts";
import { startSipp } from "../support/sipp.ts";
import { startGateway, type TestGateway } from "../support/test_gateway.ts";
import { measureTone } from "../support/tone.ts";
import { built } from "../support/transcode_bench.ts";

const ignore = !hasPeer("ffmpeg") || !built;
const HZ = 733;
const SECONDS = 4;
const NOTHING_LEFT = { connections: 0, clients: 0, calls: 0, rtpPorts: 0 };

/** Of some 700 blocks: what a machine that is busy with other tests may deliver too late, and is concealed. */
const LATE_BLOCKS = 20;

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** AAC as encoders send it. */
const AAC = {
  "44.1 kHz stereo": ["-ar", "44100", "-af", "pan=stereo|c0=c0|c1=c0"],
  "48 kHz mono": ["-ar", "48000", "-ac", "1"],
} as const;

function aacFlv(args: readonly string[], seconds = SECONDS): Promise<Uint8Array> {
  const source = ["-f", "lavfi", "-i", `sine=frequency=${HZ}:sample_rate=48000:duration=${seconds}`];
  return runProgram("ffmpeg", ["-v", "error", ...source, ...args, "-c:a", "aac", "-b:a", "96k", "out.flv"], {
    input: new Uint8Array(0),
    inputName: "none",
    outputName: "out.flv",
  });
}

function dialUrl(running: TestGateway, from: string, to: string, port: number, more = ""): string {
  return running.url(`${from}@127.0.0.1?dial=${to}@127.0.0.1%3A${port}${more}/local`);
}

/** The tone, whole, at its level; `impurity` is the noise its codecs may add. */
async function assertTone(heard: readonly Heard[], sampleRate: number, impurity: number): Promise<void> {
  const tags = heard.filter((tag) => tag.type === 8 && tag.body.length > 1) as KeptTag[];
  const samples = withoutEdges(await decodeFlv(flvOf(tags), sampleRate), sampleRate);
  const tone = measureTone(samples, { sampleRate, hz: HZ, impurity });
  const told = JSON.stringify(tone);
  assert.ok(Math.abs(tone.hz - HZ) < HZ / 100, told);
  const level = 20 * Math.log10(tone.level / (FFMPEG_TONE_PEAK / Math.SQRT2));
  assert.ok(Math.abs(level) < 1, `within 1 dB: ${level} ${told}`);
  assert.ok(tone.broken <= LATE_BLOCKS, told);
  assert.ok(tone.durationMs >= (SECONDS - 1.5) * 1000, told);
}

/** Where the tone begins and ends it fades in and out: that is no fault. */
function withoutEdges(samples: Int16Array, sampleRate: number): Int16Array {
  const edge = sampleRate * 0.12;
  const isSound = (sample: number): boolean => Math.abs(sample) > 500;
  return samples.slice(samples.findIndex(isSound) + edge, samples.findLastIndex(isSound) - edge);
}

async function assertNothingLeft(running: TestGateway): Promise<void> {
  for (let tries = 0; tries < 40 && running.gateway.usage.connections > 0; tries++) await pause(50);
  assert.deepEqual(running.gateway.usage, NOTHING_LEFT);
}

const EARS: [token: string, chain: RegExp, sampleRate: number, impurity: number][] = [
  ["pcmu", /aac of the client transcoded to pcmu/, 8000, 0.02],
  ["wideband", /aac of the client transcoded to speex at 16000/, 16000, 0.1],
];

for (const [name, args] of Object.entries(AAC)) {
  for (const [token, chain, sampleRate, impurity] of EARS) {
    Deno.test({
      name: `ffmpeg publishes AAC, ${name}, and dials by URL: who answers with ${token} hears the tone`,
      ignore,
    }, async () => {
      const file = await aacFlv(args);
      await using running = await startGateway();
      {
        await using ear = await RtmpPhone.connect({ url: running.url("ear@127.0.0.1"), answers: [token] });
        await using ffmpeg = await publishFlv(
          dialUrl(running, "mouth", "ear", running.gateway.sipPort),
          file,
        );
        const { code, said } = await ffmpeg.ended;
        assert.equal(code, 0, said);
        await ear.expect("byed");
        assert.match(running.lines(), chain);
        await assertTone(ear.heard, sampleRate, impurity);
      }
      await assertNothingLeft(running);
    });
  }
}

Deno.test({
  name: "ffmpeg publishes AAC and dials SIPp, which speaks PCMU and echoes: the tone is in the echo",
  ignore: ignore || !hasPeer("sipp"),
}, async () => {
  const file = await aacFlv(AAC["44.1 kHz stereo"], SECONDS + 1);
  await using sipp = await startSipp({ scenario: "callee_echo", args: ["-rtp_echo"] });
  await using running = await startGateway({ "publish-calls": true });
  {
    await using ffmpeg = await publishFlv(dialUrl(running, "mouth", "echo", sipp.port), file);
    // What SIPp sends back, as any player may hear it while the call is up.
    const far = `rtmp://127.0.0.1:${running.gateway.rtmp.port}/calls/mouth@127.0.0.1/far`;
    await using player = await startProgram("ffmpeg", [
      ...["-v", "warning", "-analyzeduration", "500000", "-i", far, "-c", "copy", "-t", "20", "out.flv"],
    ]);
    const { code, said } = await ffmpeg.ended;
    assert.equal(code, 0, said);
    const { ok, report } = await sipp.finished();
    assert.ok(ok, report);
    player.kill("SIGINT");
    await player.ended;
    const heard = tagsOf(await player.file("out.flv"));
    assert.ok(
      heard.filter(({ type }) => type === 8).every(({ body }) => body[0] === 0xaf),
      "AAC, as it publishes",
    );
    await assertTone(heard, 48000, 0.03);
  }
  await assertNothingLeft(running);
});

const PLAYERS: [query: string, format: number, sampleRate: number, impurity: number][] = [
  ["&audio=aac", 10, 48000, 0.1],
  ["&audio=pcmu", 8, 8000, 0.1],
  ["", 11, 16000, 0.1], // passes through as it is
];

for (const [query, format, sampleRate, impurity] of PLAYERS) {
  Deno.test({ name: `ffmpeg plays a call of a Speex speaker by URL${query}`, ignore }, async () => {
    const speech = await runProgram("ffmpeg", [
      ...["-v", "error", "-f", "lavfi", "-i", `sine=frequency=${HZ}:sample_rate=16000:duration=${SECONDS}`],
      ...["-ac", "1", "-c:a", "libspeex", "-ar", "16000", "out.flv"],
    ], { input: new Uint8Array(0), inputName: "none", outputName: "out.flv" });
    await using running = await startGateway();
    {
      await using mouth = await RtmpPhone.connect({
        url: running.url("mouth@127.0.0.1"),
        answers: ["wideband"],
      });
      const url = dialUrl(running, "ear", "mouth", running.gateway.sipPort, query);
      await using ffmpeg = await startProgram("ffmpeg", [
        ...["-v", "warning", "-analyzeduration", "500000", "-i", url, "-c", "copy", "out.flv"],
      ]);
      await mouth.expect("accepted");
      await speakTags(mouth.speaking, tagsOf(speech));
      await pause(500);
      mouth.client.send("bye");
      const { code, said } = await ffmpeg.ended;
      assert.equal(code, 0, said);
      const heard = tagsOf(await ffmpeg.file("out.flv"));
      const audio = heard.filter((tag) => tag.type === 8);
      assert.ok(
        audio.length > 100 && audio.every(({ body }) => body[0]! >> 4 === format),
        `${audio[0]?.body[0]}`,
      );
      await assertTone(heard, sampleRate, impurity);
    }
    await assertNothingLeft(running);
  });
}

for (
  const [codec, args] of [["MP3", ["-c:a", "libmp3lame"]], ["linear PCM", ["-c:a", "pcm_s16le"]]] as const
) {
  Deno.test({ name: `ffmpeg publishes ${codec}: it is told why that is refused`, ignore }, async () => {
    await using running = await startGateway();
    const input = ["-v", "warning", "-re", "-f", "lavfi", "-i", `sine=frequency=${HZ}:sample_rate=44100`];
    const url = dialUrl(running, "mouth", "nobody", running.gateway.sipPort);
    await using ffmpeg = await startProgram("ffmpeg", [...input, "-t", "20", ...args, "-f", "flv", url]);
    const { said } = await ffmpeg.ended;
    assert.match(said, /cannot be carried in a call: send AAC, Opus, Speex or G\.711/);
    assert.match(running.lines(), /cannot be carried in a call/);
    await assertNothingLeft(running);
  });
}
