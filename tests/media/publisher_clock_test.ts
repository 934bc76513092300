import assert from "node:assert/strict";
import { LipSync, PublisherClock, StreamAnchor } from "../../lib/media/publisher_clock.ts";
import { FakeClock } from "../support/fake_clock.ts";

Deno.test("the first time means now, later ones count from it, for all streams of the publisher", () => {
  const clock = new FakeClock(5000);
  const publisher = new PublisherClock(clock);
  assert.equal(publisher.momentOf(70), 5000);
  clock.advance(100);
  assert.equal(publisher.momentOf(150), 5080, "what comes late was not late where it was made");
});

for (
  const [name, act, timeMs] of [
    ["a clock set back", () => {}, 10],
    ["a leap into the future", () => {}, 90_000],
    ["another publisher", (publisher: PublisherClock) => publisher.restart(), 1_100],
  ] as const
) {
  Deno.test(`${name} means now`, () => {
    const clock = new FakeClock(5000);
    const publisher = new PublisherClock(clock);
    publisher.momentOf(0);
    for (let passed = 0; passed < 3000; passed += 20) publisher.momentOf(passed), clock.advance(20);
    act(publisher);
    assert.equal(publisher.momentOf(timeMs), 8000);
  });
}

function anchors(clockRate: number) {
  const clock = new FakeClock(1000);
  const publisher = new PublisherClock(clock);
  const told: { timestamp: number; atMs: number }[] = [];
  const anchor = new StreamAnchor(
    publisher,
    clockRate,
    (timestamp, atMs) => void told.push({ timestamp, atMs }),
  );
  return { clock, publisher, anchor, told };
}

Deno.test("an exact stream is anchored exactly", () => {
  const { anchor, told, clock } = anchors(90_000);
  for (let i = 0; i < 50; i++) anchor.placed(i * 3600, i * 40), clock.advance(40);
  assert.deepEqual(told.map(({ atMs }) => Math.round(atMs)), told.map((_, i) => 1000 + i * 40));
});

Deno.test("jitter of the stamps is smoothed, a step is followed at once", () => {
  const { anchor, told, clock } = anchors(8000);
  for (let i = 0; i < 500; i++) anchor.placed(i * 160, i * 20 + (i % 2 === 0 ? 0 : 14)), clock.advance(20);
  const errors = told.slice(200).map(({ atMs }, i) => atMs - (1000 + 7 + (i + 200) * 20));
  assert.ok(Math.max(...errors.map(Math.abs)) < 1, `${Math.max(...errors)}`);
  clock.advance(1000);
  anchor.placed(500 * 160, 500 * 20 + 1000);
  assert.equal(told.at(-1)?.atMs, 1000 + 500 * 20 + 1000);
});

class Stream {
  moves: number[] = [];
  constructor(readonly clockRate: number, public offsetMs: number | null) {}
  peekMs(timestamp: number): number | null {
    return this.offsetMs === null ? null : timestamp / this.clockRate * 1000 + this.offsetMs;
  }
  shift(ms: number): void {
    this.moves.push(ms);
  }
}

function streams(audioOffsetMs: number | null, videoOffsetMs: number | null) {
  const audio = new Stream(8000, audioOffsetMs);
  const video = new Stream(90_000, videoOffsetMs);
  return { video, sync: new LipSync(audio, video, { audio: 8000, video: 90_000 }) };
}

const WALL = 1_700_000_000_000;

Deno.test("nothing moves before both streams have reported", () => {
  const { sync, video } = streams(0, 0);
  sync.audioReported({ wallMs: WALL, timestamp: 8000 });
  sync.audioReported({ wallMs: WALL + 5000, timestamp: 48_000 });
  assert.deepEqual([video.moves, sync.skewMs], [[], null]);
});

// audio timestamp 8000 was one second of audio at WALL; the video's timestamp 0 was at WALL, too
const ROWS: [name: string, videoOffsetMs: number, moves: number[]][] = [
  ["video behind comes forward", 1150, [-150]],
  ["video ahead goes back", 870, [130]],
  ["what nobody notices stays", 1004, [0]],
  ["clocks that are not one are not believed", 4000, []],
];

for (const [name, videoOffsetMs, moves] of ROWS) {
  Deno.test(name, () => {
    const { sync, video } = streams(0, videoOffsetMs);
    sync.audioReported({ wallMs: WALL, timestamp: 8000 });
    sync.videoReported({ wallMs: WALL + 700, timestamp: 63_000 });
    assert.deepEqual(video.moves.map(Math.round), moves);
    assert.equal(Math.round(sync.skewMs!), videoOffsetMs - 1000);
  });
}

Deno.test("a stream that has not begun, or has another source, cannot be compared", () => {
  const silent = streams(null, 1150);
  silent.sync.audioReported({ wallMs: WALL, timestamp: 8000 });
  silent.sync.videoReported({ wallMs: WALL, timestamp: 0 });
  assert.deepEqual(silent.video.moves, []);
  for (const change of ["audioChanged", "videoChanged"] as const) {
    const { sync, video } = streams(0, 1150);
    sync.audioReported({ wallMs: WALL, timestamp: 8000 });
    sync.videoReported({ wallMs: WALL, timestamp: 0 });
    sync[change]();
    if (change === "audioChanged") sync.videoReported({ wallMs: WALL + 100, timestamp: 9000 });
    else sync.audioReported({ wallMs: WALL + 100, timestamp: 8800 });
    assert.equal(video.moves.length, 1, change);
  }
});
