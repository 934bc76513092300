import assert from "node:assert/strict";
import { Heartbeat } from "../../lib/rtmp/heartbeat.ts";
import { defaultRtmpOptions } from "../../lib/rtmp/options.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { sinkLink } from "../support/rtmp_sink.ts";

function setUp() {
  const clock = new FakeClock();
  const { sink, link } = sinkLink(clock);
  const said: string[] = [];
  const dropped: [number, number] = [0, 0];
  const options = { ...defaultRtmpOptions, pingMs: 10_000, idleMs: 30_000 };
  const heartbeat = new Heartbeat(link, options, {
    dropped: () => dropped,
    slow: (text) => said.push(text),
    dead: (text) => said.push(`dead: ${text}`),
  });
  const peer = { heardMs: 0 };
  const beat = (seconds: number): void => {
    for (let second = 0; second < seconds; second++) {
      clock.advance(1000);
      heartbeat.beat(clock.now(), peer.heardMs);
    }
  };
  return { clock, sink, link, heartbeat, said, dropped, beat, peer };
}

Deno.test("heartbeat: rests until it is started", () => {
  const { beat, sink, said } = setUp();
  beat(100);
  assert.deepEqual([sink.lines(), said], [[], []]);
});

Deno.test("heartbeat: pings at the interval, and gives up after the silence allowed", () => {
  const { beat, sink, said, heartbeat } = setUp();
  heartbeat.start(0);
  beat(9);
  assert.deepEqual(sink.lines(), []);
  beat(1);
  assert.deepEqual(sink.lines(), ["user 6 10000"]);
  beat(19);
  assert.deepEqual(said, []);
  beat(3);
  assert.deepEqual(said, ["dead: no sign of life for 30 s"]);
});

Deno.test("heartbeat: who is asked whether it is alive is pinged at once, and answers by anything it sends", async () => {
  const { beat, sink, heartbeat, clock, peer } = setUp();
  assert.equal(await heartbeat.answers(0), false, "not before the start");
  heartbeat.start(0);
  clock.advance(500);
  const alive = [heartbeat.answers(clock.now()), heartbeat.answers(clock.now())];
  assert.deepEqual(sink.lines(), ["user 6 500"], "one ping for both");
  peer.heardMs = 501;
  beat(1);
  assert.deepEqual(await Promise.all(alive), [true, true]);
  const dead = heartbeat.answers(clock.now());
  beat(2);
  assert.equal(await dead, false);
  const ended = heartbeat.answers(clock.now());
  heartbeat.stop();
  assert.equal(await ended, false);
});

Deno.test("heartbeat: any sign of life will do", () => {
  const { beat, said, heartbeat, clock, peer } = setUp();
  heartbeat.start(0);
  for (let round = 0; round < 10; round++) {
    beat(20);
    peer.heardMs = clock.now();
  }
  assert.deepEqual(said, []);
});

Deno.test("heartbeat: asks more often while media is sent", () => {
  const { beat, sink, link, heartbeat } = setUp();
  heartbeat.start(0);
  for (let second = 0; second < 6; second++) {
    link.sendMedia(9, 1, 0, new Uint8Array(5000));
    beat(1);
  }
  assert.equal(sink.lines().filter((line) => line.startsWith("user 6")).length, 3);
});

Deno.test("heartbeat: reports drops at most once a beat, as differences", () => {
  const { beat, said, heartbeat, dropped } = setUp();
  heartbeat.start(0);
  dropped[0] = 5;
  beat(2);
  dropped[0] = 6;
  dropped[1] = 2;
  beat(2);
  assert.deepEqual(said, [
    "reads too slowly: 5 video and 0 audio messages dropped",
    "reads too slowly: 1 video and 2 audio messages dropped",
  ]);
});
