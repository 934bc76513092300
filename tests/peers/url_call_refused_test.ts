// Encoders whose sound cannot be carried in a call: ffmpeg with MP3 or linear PCM is told so, and ends with the reason,
// whether it calls by URL or speaks on a line; on the line the caller stays, and hears who comes next.

import assert from "node:assert/strict";
import { startProgram } from "../support/ffmpeg.ts";
import { hasPeer } from "../support/peers.ts";
import { startSipp } from "../support/sipp.ts";
import { startGateway } from "../support/test_gateway.ts";
import { sineWave } from "../support/tone.ts";
import { pcapOf } from "../support/tone_pcap.ts";
import { built } from "../support/transcode_bench.ts";

const ACCOUNT = `[[account]]\nname = "desk"\naddress = "desk@127.0.0.1"\nregister = false\nanswer = "auto"\n`;
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

const REFUSED = [["MP3", ["-c:a", "libmp3lame"]], ["linear PCM", ["-c:a", "pcm_s16le"]]] as const;

function publish(url: string, args: readonly string[]) {
  const input = ["-v", "warning", "-re", "-f", "lavfi", "-i", "sine=frequency=733:sample_rate=44100"];
  return startProgram("ffmpeg", [...input, "-t", "10", ...args, "-f", "flv", url]);
}

for (const [codec, args] of REFUSED) {
  Deno.test({
    name: `ffmpeg calls by URL with ${codec}: it is told what can be sent, and nobody is called`,
    ignore: !hasPeer("ffmpeg") || !built,
  }, async () => {
    await using running = await startGateway({}, ACCOUNT);
    await using ffmpeg = await publish(
      `rtmp://127.0.0.1:${running.gateway.rtmp.port}/call/desk/7140@127.0.0.1`,
      args,
    );
    const { code, said } = await ffmpeg.ended;
    assert.notEqual(code, 0);
    assert.match(said, /cannot be carried in a call: send AAC, Opus, Speex or G\.711/);
    assert.doesNotMatch(running.lines(), /INVITE sip:/);
  });

  Deno.test({
    name: `ffmpeg publishes on a line with ${codec}: it gets what can be sent, the call continues`,
    ignore: !hasPeer("ffmpeg", "sipp") || !built,
  }, async () => {
    await using running = await startGateway({}, ACCOUNT);
    await using sipp = await startSipp({
      scenario: "caller_pcap",
      target: `127.0.0.1:${running.gateway.sipPort}`,
      service: "desk",
      args: ["-d", "4500"],
      files: { "tone.pcap": pcapOf(sineWave({ hz: 433, peak: 8000, seconds: 4, sampleRate: 8000 })) },
    });
    for (let tries = 0; tries < 100 && !/call with .* established/.test(running.lines()); tries++) {
      await pause(50);
    }
    const say = `rtmp://127.0.0.1:${running.gateway.rtmp.port}/line/desk/say`;
    await using refused = await publish(say, args);
    const { said } = await refused.ended;
    assert.match(said, /cannot be carried in a call: send AAC, Opus, Speex or G\.711/);
    assert.equal(running.gateway.usage.calls, 1);
    await using next = await publish(say, ["-ac", "1", "-ar", "8000", "-c:a", "pcm_mulaw"]);
    const { ok, report } = await sipp.finished();
    assert.ok(ok, report);
    next.kill("SIGINT");
    await next.ended;
  });
}
