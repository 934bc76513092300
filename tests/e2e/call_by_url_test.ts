// Calls of programs that can only publish and play, over real sockets: an RTMP client, the gateway, and a SIP phone.

import assert from "node:assert/strict";
import { systemClock } from "../../lib/base/clock.ts";
import { systemRandom } from "../../lib/base/random.ts";
import { silentLog } from "../../lib/base/log.ts";
import { clientFormat } from "../../lib/bridge/client_audio.ts";
import { systemDns } from "../../lib/net/dns.ts";
import { FarEnd } from "../../scripts/quality/far_end.ts";
import { codecs, tone } from "../support/codecs_audio.ts";
import { startGateway, type TestGateway } from "../support/test_gateway.ts";
import { audioTag, built, encodeAudio, PlayerEar } from "../support/transcode_bench.ts";
import { measureTone } from "../../scripts/quality/measure.ts";
import { StreamProgram, until } from "../support/stream_program.ts";
import { createPhone, openPhones, PhoneLine } from "../support/sipd_phone.ts";
import { mediaFormat } from "../../lib/sdp/media_format.ts";

const KEY = "a-key-of-sixteen-letters";

function account(more = ""): string {
  return `[[account]]\nname = "desk"\naddress = "desk@127.0.0.1"\n${more}\n`;
}

function urlOf({ gateway }: TestGateway, path: string): string {
  return `rtmp://127.0.0.1:${gateway.rtmp.port}/${path}`;
}

async function idle(running: TestGateway): Promise<void> {
  await until("nothing is left", () => {
    const { connections, calls, rtpPorts } = running.gateway.usage;
    return connections + calls + rtpPorts === 0;
  });
}

Deno.test({
  name:
    "a program that publishes AAC calls a G.722 phone by URL, and two players hear what it says come back",
  ignore: !built,
}, async () => {
  await using running = await startGateway({}, account(`key = "${KEY}"`));
  await using farEnd = FarEnd.open({
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
    dns: systemDns,
    codecs,
  });
  const dest = `sip:g722@127.0.0.1:${farEnd.port}`;
  await using early = await StreamProgram.connect(urlOf(running, "call/desk"));
  await early.play(`${dest}?key=${KEY}`);
  await using publisher = await StreamProgram.connect(urlOf(running, `call/desk?key=${KEY}`));
  await publisher.publish(encodeURIComponent(dest));
  const format = clientFormat("aac");
  const said = encodeAudio(format, tone(1004, format.sampleRate, 3000));
  publisher.send(8, 0, audioTag("aac", said.config!, true));
  const speaking = publisher.speak(said.packets.map((packet) => audioTag("aac", packet)), said.packetMs);
  await until("the call is up", () => publisher.codes.includes("NetStream.Call.Accepted"));
  await using late = await StreamProgram.connect(urlOf(running, "call"));
  await late.play(`desk/${dest}?key=${KEY}`);
  await speaking;
  for (const player of [early, late]) {
    using ear = new PlayerEar();
    for (const { body } of player.audio) ear.hear(body);
    assert.deepEqual([...ear.codecs], ["aac"]);
    const heard = ear.all();
    const inner = heard.subarray(heard.length - 1.3 * ear.sampleRate, heard.length - 0.3 * ear.sampleRate);
    const { levelDb, snrDb } = measureTone(inner, 1004, ear.sampleRate, 10000);
    assert.ok(Math.abs(levelDb) < 1 && snrDb > 14, `${levelDb} dB, SNR ${snrDb} dB`);
  }
  publisher.stop();
  await until(
    "the players are told",
    () => [early, late].every(({ codes }) => codes.includes("NetStream.Play.UnpublishNotify")),
  );
  await until("the call is over", () => running.gateway.usage.calls === 0);
  await Promise.all([early.close(), late.close(), publisher.close()]);
  await idle(running);
});
