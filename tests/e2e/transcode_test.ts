// Whole calls between sides that speak different codecs: RTMP client, gateway, and a remote party that decodes what it
// hears and says it again, over real sockets. The table of all pairings is docs/quality.md.

import assert from "node:assert/strict";
import { systemClock } from "../../lib/base/clock.ts";
import { silentLog } from "../../lib/base/log.ts";
import { systemRandom } from "../../lib/base/random.ts";
import { clientFormat } from "../support/audio_formats.ts";
import { systemDns } from "../../lib/net/dns.ts";
import { callAndListen, CLIENTS, decodeHeard } from "../../scripts/quality/caller.ts";
import { Phones } from "../../scripts/quality/phones.ts";
import { measureTone } from "../../scripts/quality/measure.ts";
import { codecs, tone } from "../support/codecs_audio.ts";
import { startGateway } from "../support/test_gateway.ts";
import { audioTag, built, encodeAudio } from "../support/transcode_bench.ts";

const SECONDS = 3;

/** What the client is told, and who answers. */
const PAIRINGS: [client: string, far: string, accepted: string][] = [
  ["Speex wb", "pcmu", "speex, "],
  ["AAC 48", "g722", "aac, "],
  ["PCMU", "opus", "pcmu, "],
  ["Opus", "speexwb", "opus, "],
];

Deno.test({
  name:
    "AAC, Opus, Speex and PCMU clients call phones of other codecs, all at once, and hear their tone come back",
  ignore: !built,
}, async () => {
  await using running = await startGateway();
  await using phones = Phones.open({
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
    dns: systemDns,
    codecs,
  });
  await Promise.all(PAIRINGS.map(async ([name, far, accepted]) => {
    const kind = CLIENTS.find((client) => client.name === name)!;
    const { codec } = kind.audio;
    const format = clientFormat(codec);
    const said = encodeAudio(format, tone(1004, format.sampleRate, SECONDS * 1000));
    const heard = await callAndListen({
      url: running.url(`${codec}@127.0.0.1`),
      destination: `sip:${far}@127.0.0.1:${phones.port}`,
      kind,
      speech: {
        config: said.config === null ? null : audioTag(codec, said.config, true),
        bodies: said.packets.map((packet) => audioTag(codec, packet)),
        bodyMs: said.packetMs,
      },
    }, { clock: systemClock, random: systemRandom });
    assert.equal(heard.accepted, accepted);
    const { samples, sampleRate } = decodeHeard(heard, codecs);
    const inner = samples.subarray(sampleRate, sampleRate * (SECONDS - 0.5));
    const { levelDb, snrDb } = measureTone(inner, 1004, sampleRate, 10000);
    assert.ok(Math.abs(levelDb) < 1 && snrDb > 14, `${name} and ${far}: ${levelDb} dB, SNR ${snrDb} dB`);
  }));
  for (let tries = 0; tries < 40 && running.gateway.usage.connections > 0; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.deepEqual(running.gateway.usage, { connections: 0, clients: 0, calls: 0, rtpPorts: 0 });
});
