import assert from "node:assert/strict";
import { silentLog } from "../../lib/base/log.ts";
import { type LivePlayer, type LiveSink, PlayerSink } from "../../lib/live/player_sink.ts";
import { defaultLiveLimits, LiveStreams } from "../../lib/live/streams.ts";
import type { Congestion } from "../../lib/rtmp/drop_policy.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { picture, speech } from "../support/live_flv.ts";
import { RecordLog } from "../support/record_log.ts";

class FakePlayer implements LivePlayer {
  readonly name = "cam";
  readonly lines: string[] = [];
  congestion: Congestion = 0;
  lagMs = 0;

  send(type: 8 | 9 | 18, timeMs: number): boolean {
    this.lines.push(`${type} ${timeMs}`);
    return true;
  }

  started(recorded?: boolean): void {
    this.lines.push(`started ${recorded}`);
  }

  published(): void {
    this.lines.push("published");
  }

  stop(code?: string, description?: string): void {
    this.lines.push(`stop ${code} ${description}`);
  }
}

function setUp(durationMs = -1) {
  const clock = new FakeClock(1000);
  const log = new RecordLog();
  const player = new FakePlayer();
  let finished = 0;
  const sink = new PlayerSink(player, {
    latencyMs: 800,
    durationMs,
    clock,
    log,
    onFinished: () => finished++,
  });
  return { clock, log, player, sink, finished: () => finished };
}

Deno.test("a player is slow when its connection is, or when it lags more than it may", () => {
  const { player, sink } = setUp();
  const table: [congestion: Congestion, lagMs: number, slow: Congestion][] = [
    [0, 0, 0],
    [0, 799, 0],
    [0, 800, 1],
    [0, 1600, 2],
    [1, 0, 1],
    [1, 1600, 2],
    [2, 0, 2],
  ];
  for (const [congestion, lagMs, slow] of table) {
    player.congestion = congestion;
    player.lagMs = lagMs;
    assert.equal(sink.congestion(), slow, `${congestion} ${lagMs}`);
  }
});

Deno.test("it is told what happens to the stream", () => {
  const { player, sink } = setUp();
  sink.started();
  sink.published();
  sink.media(8, 20, speech());
  sink.unpublished();
  assert.deepEqual(player.lines, [
    "started false",
    "published",
    "8 20",
    "stop NetStream.Play.UnpublishNotify cam is now unpublished.",
  ]);
});

Deno.test("losses are logged once a second at most, with what they were", () => {
  const { clock, log, player, sink } = setUp();
  player.lagMs = 912.3;
  for (let i = 1; i <= 250; i++) {
    sink.dropped(i, 2 * i);
    clock.advance(10);
  }
  assert.deepEqual(log.lines, [
    'warn main "cam" arrives 912 ms late: 1 video and 2 audio messages left out',
    'warn main "cam" arrives 912 ms late: 100 video and 200 audio messages left out',
    'warn main "cam" arrives 912 ms late: 100 video and 200 audio messages left out',
  ]);
});

Deno.test("a duration ends what is played, once", () => {
  const { player, sink, finished } = setUp(100);
  sink.media(18, 0, speech());
  for (const timeMs of [5000, 5050, 5100, 5101, 5150]) assert.ok(sink.media(8, timeMs, speech()));
  sink.unpublished();
  assert.deepEqual(player.lines, ["18 0", "8 5000", "8 5050", "8 5100", "stop undefined undefined"]);
  assert.equal(finished(), 1);
});

Deno.test("a sink needs no more than two functions", () => {
  const streams = new LiveStreams(defaultLiveLimits, { clock: new FakeClock(), log: silentLog });
  const times: number[] = [];
  const sink: LiveSink = { congestion: () => 0, media: (_type, timeMs) => times.push(timeMs) < 3 };
  assert.equal(streams.play("live/a", sink).type, "playing");
  const outcome = streams.publish("live/a");
  assert.ok(outcome.type === "publishing");
  for (let i = 0; i < 5; i++) outcome.publication.put(9, i * 40, picture(i === 0));
  outcome.publication.end();
  assert.deepEqual(times, [0, 40, 80]); // what was not taken is a loss: the rest waits for a key frame
});
