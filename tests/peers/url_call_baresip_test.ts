// Plain programs call a real phone by URL, from an account of the gateway: ffmpeg publishes to
// rtmp://gateway/call/desk/<dest>, another ffmpeg plays the same name, baresip answers. Each hears the other's tone.

import assert from "node:assert/strict";
import { decodeFlv, flvOf, playFlv, publishFlv } from "../support/ffmpeg.ts";
import { runProgram } from "../support/media_programs.ts";
import { hasPeer } from "../support/peers.ts";
import { type KeptTag, tagsOf } from "../support/rtmp_server.ts";
import { startGateway, type TestGateway } from "../support/test_gateway.ts";
import { measureTone, sineWave } from "../support/tone.ts";
import { built } from "../support/transcode_bench.ts";
import { startToneBaresip } from "../support/url_call_baresip.ts";

const ignore = !hasPeer("ffmpeg", "baresip") || !built;
const PUBLISHER_HZ = 733;
const PHONE_HZ = 433;
const PHONE_PEAK = 8000;
const SECONDS = 5;
/** Of some 700 blocks: what a machine that is busy with other tests may deliver too late, and is concealed. */
const LATE_BLOCKS = 20;
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

const ACCOUNT = `[[account]]\nname = "desk"\naddress = "desk@127.0.0.1"\nregister = false\n`;

/** What programs publish. */
const PUBLISHED: Readonly<Record<string, readonly string[]>> = {
  "AAC and H.264": [
    ...["-f", "lavfi", "-i", `testsrc2=size=176x144:rate=25:duration=${SECONDS}`],
    ...["-c:a", "aac", "-ar", "44100", "-ac", "2", "-b:a", "96k"],
    ...[
      "-c:v",
      "libx264",
      "-preset",
      "ultrafast",
      "-profile:v",
      "baseline",
      "-bf",
      "0",
      "-pix_fmt",
      "yuv420p",
    ],
  ],
  "PCMU": ["-c:a", "pcm_mulaw", "-ar", "8000", "-ac", "1"],
  "PCMA": ["-c:a", "pcm_alaw", "-ar", "8000", "-ac", "1"],
  "Speex": ["-c:a", "libspeex", "-ar", "16000", "-ac", "1"],
};

function publishedFlv(args: readonly string[]): Promise<Uint8Array> {
  const source = [
    "-f",
    "lavfi",
    "-i",
    `sine=frequency=${PUBLISHER_HZ}:sample_rate=48000:duration=${SECONDS}`,
  ];
  return runProgram("ffmpeg", ["-v", "error", ...source, ...args, "out.flv"], {
    input: new Uint8Array(0),
    inputName: "none",
    outputName: "out.flv",
  });
}

async function assertNothingLeft(running: TestGateway): Promise<void> {
  for (let tries = 0; tries < 60 && running.gateway.usage.connections > 0; tries++) await pause(50);
  const { connections, calls, rtpPorts } = running.gateway.usage;
  assert.deepEqual({ connections, calls, rtpPorts }, { connections: 0, calls: 0, rtpPorts: 0 });
}

/** The tone, whole but for its edges. */
function assertTone(
  samples: Int16Array,
  sampleRate: number,
  hz: number,
  impurity: number,
  who: string,
): void {
  const edge = sampleRate * 0.12;
  const isSound = (sample: number): boolean => Math.abs(sample) > 500;
  const inner = samples.slice(samples.findIndex(isSound) + edge, samples.findLastIndex(isSound) - edge);
  const tone = measureTone(inner, { sampleRate, hz, impurity });
  const told = `${who}: ${JSON.stringify(tone)}`;
  assert.ok(Math.abs(tone.hz - hz) < hz / 100, told);
  assert.ok(tone.durationMs > (SECONDS - 2.5) * 1000, told);
  assert.ok(tone.broken <= LATE_BLOCKS, told);
}

const CALLS: [published: string, phone: string, sampleRate: number, impurity: number][] = [
  ["AAC and H.264", "pcmu", 8000, 0.05],
  ["AAC and H.264", "g722", 16000, 0.05],
  ["AAC and H.264", "opus", 48000, 0.1],
  ["PCMU", "pcmu", 8000, 0.02],
  ["PCMA", "pcmu", 8000, 0.02],
  ["Speex", "pcma", 8000, 0.1],
];

for (const [published, codec, sampleRate, impurity] of CALLS) {
  Deno.test({
    name: `ffmpeg with ${published} calls baresip, which speaks ${codec}, by URL: both hear`,
    ignore,
  }, async () => {
    const file = await publishedFlv(PUBLISHED[published]!);
    const speaks = sineWave({ hz: PHONE_HZ, peak: PHONE_PEAK, seconds: 20, sampleRate });
    await using phone = await startToneBaresip({ speaks, sampleRate, codec });
    await using running = await startGateway({}, ACCOUNT);
    {
      const url = `rtmp://127.0.0.1:${running.gateway.rtmp.port}/call/desk/bare@127.0.0.1%3A${phone.port}`;
      await using player = await playFlv(url);
      await using publisher = await publishFlv(url, file);
      const { code, said } = await publisher.ended;
      assert.equal(code, 0, said + running.lines());
      const heard = await phone.heard();
      assertTone(heard.samples, heard.sampleRate, PUBLISHER_HZ, impurity, "the phone");
      player.kill("SIGINT");
      await player.ended;
      const tags = tagsOf(await player.file("out.flv")).filter(({ type }) => type === 8) as KeptTag[];
      assertTone(await decodeFlv(flvOf(tags), sampleRate), sampleRate, PHONE_HZ, impurity, "the player");
    }
    await assertNothingLeft(running);
  });
}
