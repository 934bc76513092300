// RTMPS ends at HAProxy: ffmpeg publishes through it, and a gateway that knows nothing of TLS has every tag.

import assert from "node:assert/strict";
import { systemClock } from "../../lib/base/clock.ts";
import { silentLog } from "../../lib/base/log.ts";
import { systemRandom } from "../../lib/base/random.ts";
import { RtmpClient } from "../../lib/rtmp/client.ts";
import { startSite } from "../support/deploy_site.ts";
import { publishFlv, toneFlv } from "../support/ffmpeg.ts";
import { hasPeer } from "../support/peers.ts";
import { tagsOf } from "../support/rtmp_server.ts";

const octets = (bodies: readonly Uint8Array[]) => bodies.filter((body) => body.length > 1).map(String);

/** Plays a live stream straight from one gateway. */
async function listen(at: string, stream: string): Promise<{ client: RtmpClient; heard: Uint8Array[] }> {
  const environment = { clock: systemClock, log: silentLog, random: systemRandom };
  const client = await RtmpClient.open(`rtmp://${at}/live`, environment);
  const heard: Uint8Array[] = [];
  const playing = await client.createStream();
  playing.onMedia = ({ type, body }) => type === 8 && void heard.push(body.slice());
  await playing.play(stream);
  return { client, heard };
}

Deno.test({
  name: "ffmpeg publishes over RTMPS through HAProxy, and every tag arrives at one of the gateways",
  ignore: !hasPeer("haproxy", "kamailio", "ffmpeg"),
}, async () => {
  await using site = await startSite();
  const file = await toneFlv("pcmu", 733, 2);
  const players = await Promise.all(site.rtmp.map((at) => listen(at, "tone")));
  try {
    const url = `rtmps://127.0.0.1:${site.haproxy.rtmpsPort}/live/tone`;
    await using ffmpeg = await publishFlv(url, file);
    const { code, said } = await ffmpeg.ended;
    assert.equal(code, 0, said);
    await new Promise((resolve) => setTimeout(resolve, 300));
    const heard = players.map(({ heard }) => octets(heard)).filter((tags) => tags.length > 0);
    const sent = octets(tagsOf(file).filter(({ type }) => type === 8).map(({ body }) => body));
    assert.ok(sent.length > 10);
    assert.deepEqual(heard, [sent]);
  } finally {
    for (const { client } of players) await client.close();
  }
});
