// A real encoder that stalls: ffmpeg calls baresip, is stopped for five seconds, and then sends all at once what it had
// for that time. The phone hears silence meanwhile, and the tone again within half a second.

import assert from "node:assert/strict";
import { publishFlv } from "../support/ffmpeg.ts";
import { runProgram } from "../support/media_programs.ts";
import { hasPeer } from "../support/peers.ts";
import { startGateway } from "../support/test_gateway.ts";
import { sineWave } from "../support/tone.ts";
import { built } from "../support/transcode_bench.ts";
import { startToneBaresip } from "../support/url_call_baresip.ts";

const HZ = 733;
const STALL_MS = 5000;
const BACK_WITHIN_MS = 500;
const SECONDS = 10;
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** The longest silence with sound before and after it, and what comes after, in blocks of 20 ms. */
function longestGap(samples: Int16Array, sampleRate: number): { gapMs: number; afterMs: number } {
  const block = sampleRate / 50;
  const loud: boolean[] = [];
  for (let at = 0; at + block <= samples.length; at += block) {
    loud.push(samples.subarray(at, at + block).some((sample) => Math.abs(sample) > 1000));
  }
  const [first, last] = [loud.indexOf(true), loud.lastIndexOf(true)];
  let [longest, end, run] = [0, first, 0];
  for (let i = first; i <= last; i++) {
    run = loud[i] ? 0 : run + 1;
    if (run > longest) [longest, end] = [run, i];
  }
  return { gapMs: longest * 20, afterMs: (last - end) * 20 };
}

for (
  const [name, args] of [
    ["AAC", ["-ar", "44100", "-ac", "2", "-c:a", "aac"]],
    ["Speex", ["-ar", "16000", "-ac", "1", "-c:a", "libspeex"]],
  ] as const
) {
  Deno.test({
    name:
      `ffmpeg with ${name} stalls for 5 s and then sends the backlog: the phone hears it again within 500 ms`,
    ignore: !hasPeer("ffmpeg", "baresip") || !built,
  }, async () => {
    const source = ["-f", "lavfi", "-i", `sine=frequency=${HZ}:sample_rate=48000:duration=${SECONDS}`];
    const file = await runProgram("ffmpeg", ["-v", "error", ...source, ...args, "out.flv"], {
      input: new Uint8Array(0),
      inputName: "none",
      outputName: "out.flv",
    });
    const speaks = sineWave({ hz: 433, peak: 8000, seconds: 20, sampleRate: 8000 });
    await using phone = await startToneBaresip({ speaks, sampleRate: 8000, codec: "pcmu" });
    await using running = await startGateway(
      {},
      `[[account]]\nname = "desk"\naddress = "desk@127.0.0.1"\nregister = false\n`,
    );
    const url = `rtmp://127.0.0.1:${running.gateway.rtmp.port}/call/desk/bare@127.0.0.1%3A${phone.port}`;
    await using publisher = await publishFlv(url, file);
    for (let tries = 0; tries < 100 && !/call with .* established/.test(running.lines()); tries++) {
      await pause(50);
    }
    await pause(1500);
    publisher.kill("SIGSTOP");
    const stoppedMs = performance.now();
    await pause(STALL_MS);
    const stalledMs = performance.now() - stoppedMs;
    publisher.kill("SIGCONT");
    const { code, said } = await publisher.ended;
    assert.equal(code, 0, said);
    const { samples, sampleRate } = await phone.heard();
    const { gapMs, afterMs } = longestGap(samples, sampleRate);
    const told = `silent for ${gapMs} of ${stalledMs} ms, then heard for ${afterMs} ms\n${running.lines()}`;
    assert.ok(gapMs >= stalledMs - BACK_WITHIN_MS && gapMs <= stalledMs + BACK_WITHIN_MS, told);
    assert.ok(afterMs >= 1500, told);
    assert.equal(running.gateway.usage.rtpPorts, 0);
  });
}
