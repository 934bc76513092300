import assert from "node:assert/strict";
import { LipSync } from "../../lib/media/lip_sync.ts";

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
