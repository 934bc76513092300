// One publisher of pictures and many players of the same live stream, some of which read nothing.
// Role: edge

import { FrameSender } from "./frame_sender.ts";
import { Histogram } from "./histogram.ts";
import type { LoadSockets } from "./load_sockets.ts";
import { Pacer } from "./pacer.ts";
import type { FanOutRequest, FanOutResult } from "./protocol.ts";
import { RtmpLoadClient } from "./rtmp_client.ts";
import { Tally } from "./tally.ts";
import {
  CONFIGURATION,
  createKeyPicture,
  createPicture,
  pictureAgeUs,
  PICTURES_PER_SECOND,
  VideoLeg,
} from "./video_leg.ts";
import { openWindow, pause } from "./window.ts";

const APP = "live/bench";
const VIDEO = 9;
const CHUNKS = 9;
/** Players that connect at the same time. */
const TOGETHER = 20;
/** Time for what was written last. */
const DRAIN_MS = 1000;

/** The gateway, and how it is connected to. */
interface Where {
  readonly port: number;
  readonly sockets: LoadSockets;
}

/** What all players of a run count. */
class Audience {
  readonly latency = new Histogram();
  received = 0;
  measuring = false;
  slowGone = 0;

  see(body: Uint8Array): void {
    const ageUs = pictureAgeUs(body);
    if (ageUs === null) return;
    this.received++;
    if (this.measuring) this.latency.record(ageUs);
  }
}

/** Key frames that fill the way to a slow reader: slowly enough that the gateway does not slow the publisher down. */
const FILLING = { length: 60_000, everyMs: 50 } as const;

/** See the protocol. */
export async function fanOut(request: FanOutRequest, sockets: LoadSockets): Promise<FanOutResult> {
  const { port, players, slow, pictureLength, pid } = request;
  const audience = new Audience();
  using clients = new DisposableStack();
  const join = async (count: number, isSlow: boolean): Promise<RtmpLoadClient[]> => {
    const joined: RtmpLoadClient[] = [];
    let next = 0;
    const one = async (): Promise<void> => {
      while (next++ < count) {
        joined.push(clients.adopt(await play({ port, sockets }, audience, isSlow), (who) => who.close()));
      }
    };
    await Promise.all(Array.from({ length: TOGETHER }, one));
    return joined;
  };
  const publisher = clients.adopt(await publish({ port, sockets }), (client) => client.close());
  const streamId = await publisher.createStream();
  publisher.send(streamId, "publish", "bench", "live");
  publisher.sendMessage(CHUNKS, VIDEO, streamId, CONFIGURATION);
  for (const client of await join(slow, true)) client.pause();
  if (slow > 0) await fill(publisher, streamId, request.filling);
  await join(players, false);
  await pause(DRAIN_MS);
  const tally = new Tally();
  const shape = { chunkStreamId: CHUNKS, type: VIDEO, streamId, announce: true } as const;
  const sender = new FrameSender(publisher.conn, { ...shape, bodies: [createPicture(pictureLength)] });
  const { pacer, window } = await showTo(audience, new VideoLeg(0, sender, tally), request, pid);
  pacer.stop();
  await pause(DRAIN_MS);
  return {
    ...window,
    players,
    published: tally.sentUp,
    wanted: tally.sentUp * players,
    received: audience.received,
    latency: audience.latency.toJSON(),
    slowLeft: slow - audience.slowGone,
  };
}

/** Sends pictures; measures behind the warm-up. The pacer goes on. */
async function showTo(audience: Audience, leg: VideoLeg, request: FanOutRequest, pid: number) {
  const periodMs = 1000 / PICTURES_PER_SECOND;
  const originMs = Math.round(performance.now());
  audience.received = 0;
  const pacer = new Pacer({
    periodMs,
    count: 1,
    send: (_index, round) => leg.show(originMs + round * periodMs),
  });
  await pause(request.warmSeconds * 1000);
  const close = openWindow(pid, pacer.lag);
  audience.measuring = true;
  await pause(request.seconds * 1000);
  audience.measuring = false;
  return { pacer, window: close() };
}

async function fill(publisher: RtmpLoadClient, streamId: number, pictures: number): Promise<void> {
  const picture = createKeyPicture(FILLING.length);
  for (let i = 0; i < pictures; i++) {
    publisher.sendMessage(CHUNKS, VIDEO, streamId, picture);
    await pause(FILLING.everyMs);
  }
}

function publish(where: Where): Promise<RtmpLoadClient> {
  const outlets = { onCall: () => {}, onMedia: () => {}, onClosed: () => {} };
  return RtmpLoadClient.open({ ...where, app: APP, args: [] }, outlets);
}

/** Slow ones are counted when they are thrown out, and what they got is not. */
async function play(where: Where, audience: Audience, slow: boolean): Promise<RtmpLoadClient> {
  const client = await RtmpLoadClient.open({ ...where, app: APP, args: [] }, {
    onCall: () => {},
    onMedia: (_type, body) => slow ? undefined : audience.see(body),
    onClosed: () => void (slow && audience.slowGone++),
  });
  const streamId = await client.createStream();
  client.send(streamId, "play", "bench", -1000);
  return client;
}
