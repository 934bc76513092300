// A real phone calls a call-in line: baresip speaks its tone, which rtmpdump plays from rtmp://gateway/line/<account>, and
// hears the tone that ffmpeg publishes to line/<account>/say.

import assert from "node:assert/strict";
import { decodeFlv, flvOf, publishFlv, startProgram } from "../support/ffmpeg.ts";
import { runProgram } from "../support/media_programs.ts";
import { hasPeer } from "../support/peers.ts";
import { type KeptTag, tagsOf } from "../support/rtmp_server.ts";
import { startGateway, type TestGateway } from "../support/test_gateway.ts";
import { measureTone, sineWave } from "../support/tone.ts";
import { built } from "../support/transcode_bench.ts";
import { startToneBaresip } from "../support/url_call_baresip.ts";

const ignore = !hasPeer("ffmpeg", "baresip", "rtmpdump") || !built;
const SPEAKER_HZ = 733;
const PHONE_HZ = 433;
const PEAK = 8000;
const SECONDS = 4;
/** What a machine that is busy with other tests may deliver too late. */
const LATE_BLOCKS = 30;
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function until(running: TestGateway, pattern: RegExp): Promise<void> {
  for (let tries = 0; tries < 200 && !pattern.test(running.lines()); tries++) await pause(50);
  assert.match(running.lines(), pattern);
}

/** AAC at 44.1 kHz, stereo, as OBS sends it. */
function speakerFlv(): Promise<Uint8Array> {
  const source = ["-f", "lavfi", "-i", `sine=frequency=${SPEAKER_HZ}:sample_rate=44100:duration=${SECONDS}`];
  return runProgram("ffmpeg", [
    "-v",
    "error",
    ...source,
    "-ac",
    "2",
    "-c:a",
    "aac",
    "-b:a",
    "128k",
    "out.flv",
  ], {
    input: new Uint8Array(0),
    inputName: "none",
    outputName: "out.flv",
  });
}

/** The part of the sound in which this tone is, measured. */
function assertTone(samples: Int16Array, sampleRate: number, hz: number, who: string): void {
  const edge = sampleRate * 0.12;
  const isSound = (sample: number): boolean => Math.abs(sample) > 1000;
  const inner = samples.slice(samples.findIndex(isSound) + edge, samples.findLastIndex(isSound) - edge);
  const tone = measureTone(inner, { sampleRate, hz, impurity: 0.05 });
  const told = `${who}: ${JSON.stringify(tone)}`;
  assert.ok(Math.abs(tone.hz - hz) < hz / 100, told);
  assert.ok(tone.durationMs > (SECONDS - 1.5) * 1000, told);
  assert.ok(tone.broken <= LATE_BLOCKS, told);
}

for (const [answer, codec, sampleRate] of [["auto", "pcmu", 8000], ["on-publish", "g722", 16000]] as const) {
  Deno.test({
    name: `baresip with ${codec} calls a line that answers ${answer}: rtmpdump hears it, ffmpeg is heard`,
    ignore,
  }, async () => {
    const file = await speakerFlv();
    const speaks = sineWave({ hz: PHONE_HZ, peak: PEAK, seconds: 20, sampleRate });
    await using running = await startGateway(
      {},
      `[[account]]\nname = "desk"\naddress = "desk@127.0.0.1"\nregister = false\nanswer = "${answer}"\n`,
    );
    {
      const url = `rtmp://127.0.0.1:${running.gateway.rtmp.port}/line/desk`;
      await using player = await startProgram("rtmpdump", ["-q", "--live", "-r", url, "-o", "out.flv"]);
      await until(running, /<- play \["desk"/);
      const target = `sip:desk@127.0.0.1:${running.gateway.sipPort}`;
      await using phone = await startToneBaresip({
        speaks,
        sampleRate,
        codec,
        commands: [`/dial ${target}`],
      });
      await until(running, /account .*: call from .*$/m);
      await using speaker = await publishFlv(`${url}/say`, file);
      await until(running, /account .*: call with .* established/);
      const { code, said } = await speaker.ended;
      assert.equal(code, 0, said + running.lines());
      if (answer === "on-publish") await until(running, /hanging up: the publisher has left/);
      const heard = await phone.heard();
      await until(running, /account .*: call ended/);
      assertTone(heard.samples, heard.sampleRate, SPEAKER_HZ, "the phone");
      player.kill("SIGINT");
      await player.ended;
      const tags = tagsOf(await player.file("out.flv")).filter(({ type }) => type === 8) as KeptTag[];
      assert.ok(tags.every(({ body }) => body[0] === 0xaf), "AAC, which every player plays");
      assertTone(await decodeFlv(flvOf(tags), 16000), 16000, PHONE_HZ, "the player");
    }
    for (let tries = 0; tries < 60 && running.gateway.usage.connections > 0; tries++) await pause(50);
    const { connections, calls, rtpPorts } = running.gateway.usage;
    assert.deepEqual({ connections, calls, rtpPorts }, { connections: 0, calls: 0, rtpPorts: 0 });
  });
}
