// Video over a bad network: 3 % of the packets that come back from the echo number are lost and as many come late.
// After each loss the picture must be whole again within a second: the gateway asks for a key frame (RTCP PLI), the
// request comes back from the echo, and the publisher, told by a status event, sends one. ffmpeg judges: a picture
// is whole when it is, to the last pixel, one of those that were sent.

import assert from "node:assert/strict";
import { getProperty, textOf } from "../../lib/amf/value.ts";
import { systemClock } from "../../lib/base/clock.ts";
import { silentLog } from "../../lib/base/log.ts";
import { seededRandom, systemRandom } from "../../lib/base/random.ts";
import { systemDns } from "../../lib/net/dns.ts";
import { RtpPorts } from "../../lib/net/rtp_ports.ts";
import type { ClientStream } from "../../lib/rtmp/client.ts";
import { SipServer } from "../../lib/tools/sipd/sip_server.ts";
import { LossyPorts } from "../support/lossy_ports.ts";
import { hasPeer } from "../support/peers.ts";
import { RtmpPhone } from "../support/rtmp_phone.ts";
import { type KeptTag, tagsOf } from "../support/rtmp_server.ts";
import { startGateway } from "../support/test_gateway.ts";
import {
  decodedPictures,
  FPS,
  isKey,
  isPicture,
  pictureHashes,
  videoFlv,
  videoFlvOf,
} from "../support/video_files.ts";

const ignore = !hasPeer("ffmpeg");
const SECONDS = 15;
const RECOVERY_MS = 1000;
/** Pictures that were whole before a loss are still on their way for so long: reordering waits for 60 ms. */
const IN_FLIGHT_MS = 100;
const H264 = 99;
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

interface Played extends KeptTag {
  readonly atMs: number;
}

/** Publishes pictures; when a key frame is asked for, goes on with the next one there is, as an encoder would. */
class Camera {
  keyFramesWanted = 0;
  readonly #stream: ClientStream;
  readonly #tags: readonly KeptTag[];
  #next = 0;

  constructor(stream: ClientStream, tags: readonly KeptTag[], obedient: boolean) {
    this.#stream = stream;
    this.#tags = tags.filter((tag) => tag.type === 9);
    stream.onStatus = (info) => {
      if (textOf(getProperty(info, "code")) !== "NetStream.Publish.KeyFrameWanted") return;
      this.keyFramesWanted++;
      if (!obedient) return;
      const key = this.#tags.findIndex((tag, i) => i >= this.#next && isKey(tag));
      if (key >= 0) this.#next = key;
    };
  }

  async run(seconds: number): Promise<void> {
    const begunMs = performance.now();
    for (let i = 0; i < seconds * FPS;) {
      const tag = this.#tags[this.#next++];
      if (tag === undefined) break;
      const timeMs = i * 1000 / FPS;
      await pause(Math.max(0, begunMs + timeMs - performance.now()));
      this.#stream.send(9, timeMs, tag.body);
      if (isPicture(tag)) i++;
    }
  }
}

/** Keeps pictures with the moments they came. */
function watch(phone: RtmpPhone): Played[] {
  const played: Played[] = [];
  phone.listening.onMedia = ({ type, timeMs, body }) => {
    if (type === 9 && body.length > 5) {
      played.push({ type, timeMs, body: body.slice(), atMs: performance.now() });
    }
  };
  return played;
}

/** When whole pictures came; an old key frame that serves in the meantime is none. */
async function wholePictures(played: readonly Played[], sent: readonly string[]): Promise<number[]> {
  const order = new Map(sent.map((hash, i) => [hash, i]));
  const firstMs = played[0]!.timeMs;
  const arrivals = new Map(
    played.filter((tag) => isPicture(tag)).map((tag) => [tag.timeMs - firstMs, tag.atMs]),
  );
  const decoded = await decodedPictures(videoFlvOf(played));
  const whole: number[] = [];
  let newest = -1;
  for (const { timeMs, hash } of decoded) {
    const atMs = arrivals.get(timeMs);
    const index = order.get(hash) ?? -1;
    if (atMs === undefined || index <= newest) continue;
    newest = index;
    whole.push(atMs);
  }
  return whole;
}

/** An encoder that sends a key frame when it is asked, and one that sends them in its own time, as ffmpeg does. */
const CAMERAS: [name: string, obedient: boolean, gop: number][] = [
  ["a publisher that sends key frames when asked", true, 50],
  ["a publisher that does not listen, with a key frame every half second", false, 12],
];

for (const [name, obedient, gop] of CAMERAS) {
  Deno.test({
    name: `video recovers within ${RECOVERY_MS} ms of each loss, at 3 % loss and reordering: ${name}`,
    ignore,
  }, async () => {
    const file = await videoFlv({ seconds: 60, gop, audio: false });
    const random = seededRandom(7);
    const ports = new LossyPorts(new RtpPorts({ min: 0, max: 0 }, systemClock), {
      random,
      loss: 0.03,
      late: 0.03,
      lateMs: 25,
    });
    await using sipd = await SipServer.start(
      { listen: { hostname: "127.0.0.1", port: 0 }, portFallback: false },
      { clock: systemClock, log: silentLog, random: systemRandom, dns: systemDns, rtpPorts: ports },
    );
    await using running = await startGateway();
    await using phone = await RtmpPhone.connect({ url: running.url(`alice@127.0.0.1:${sipd.address.port}`) });
    const played = watch(phone);
    phone.client.send("invite", "echo", "h264");
    assert.deepEqual(await phone.expect("accepted"), [null, "h264"]);
    const camera = new Camera(phone.speaking, tagsOf(file), obedient);
    const publishing = camera.run(SECONDS);
    await pause(500);
    ports.bad = true;
    await publishing;
    ports.bad = false;
    const lostUntilMs = performance.now();
    await camera.run(2);
    await pause(300);
    phone.client.send("bye");

    const whole = await wholePictures(played, await pictureHashes(file));
    const losses = ports.lost.filter((packet) => packet.payloadType === H264 && packet.atMs < lostUntilMs);
    const recoveries = losses.map(({ atMs }) =>
      (whole.find((ms) => ms > atMs + IN_FLIGHT_MS) ?? Infinity) - atMs
    );
    const told = `${losses.length} lost, ${ports.late} late, recovered after ${
      recoveries.map((ms) => Math.round(ms)).join(", ")
    } ms; ${whole.length} of ${
      played.filter(isPicture).length
    } pictures whole, ${camera.keyFramesWanted} key frames asked for`;
    assert.ok(losses.length >= 8 && ports.late >= 8, told);
    assert.ok(Math.max(...recoveries) <= RECOVERY_MS, told);
    assert.ok(camera.keyFramesWanted >= losses.length / 3, told);
  });
}
