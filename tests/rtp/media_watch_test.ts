import assert from "node:assert/strict";
import { type MediaLife, type MediaTimeouts, MediaWatch } from "../../lib/rtp/media_watch.ts";

const USUAL: MediaTimeouts = { initialMs: 30_000, silenceMs: 60_000 };

interface Peer {
  /** Seconds after the answer in which RTP comes, from and to. */
  readonly rtp?: readonly (readonly [number, number])[];
  /** RTCP. */
  readonly rtcp?: readonly (readonly [number, number])[];
  /** On hold, or sending nothing by agreement. */
  readonly still?: readonly (readonly [number, number])[];
  readonly audio?: boolean;
}

const within = (s: number, spans: readonly (readonly [number, number])[] = []) =>
  spans.some(([from, to]) => s >= from && s < to);

/** What is told, with the second it is told in. */
function play(peer: Peer, timeouts: MediaTimeouts = USUAL, seconds = 200): string[] {
  const told: string[] = [];
  let nowMs = 1_000_000;
  const start = nowMs;
  const at = () => (nowMs - start) / 1000;
  const watch = new MediaWatch(timeouts, {
    quiet: () => told.push(`quiet at ${at()}`),
    dead: (after) => told.push(`dead at ${at()} after ${after}`),
  }, nowMs);
  let [heardMs, audioMs] = [-Infinity, -Infinity];
  for (; at() < seconds; nowMs += 1000) {
    const s = at();
    if (within(s, peer.rtp)) heardMs = audioMs = nowMs + 1;
    if (within(s, peer.rtcp)) heardMs = nowMs + 1;
    const expected = !within(s, peer.still);
    const life: MediaLife = { expected, heardMs, audioExpected: expected && peer.audio !== false, audioMs };
    watch.look(nowMs, life);
  }
  return told;
}

const TABLE: readonly (readonly [what: string, peer: Peer, told: readonly string[]])[] = [
  ["nothing ever", {}, ["quiet at 5", "dead at 30 after 30"]],
  ["a phone that speaks", { rtp: [[0, 200]] }, []],
  ["late, but in time", { rtp: [[20, 200]] }, ["quiet at 5"]],
  ["nothing any more", { rtp: [[0, 10]] }, ["quiet at 15", "dead at 70 after 60"]],
  ["silent for a while", { rtp: [[0, 10], [60, 200]] }, ["quiet at 15"]],
  ["voice detection: reports only", { rtp: [[0, 10]], rtcp: [[0, 200]] }, ["quiet at 15"]],
  ["reports only, from the answer on", { rtcp: [[0, 200]] }, ["quiet at 5"]],
  ["reports that end", { rtcp: [[0, 10]] }, ["quiet at 5", "dead at 70 after 60"]],
  ["a peer that only listens", { still: [[0, 200]] }, []],
  ["on hold from the start, then nothing", { still: [[0, 100]] }, ["quiet at 104", "dead at 129 after 30"]],
  ["on hold in between, then nothing", { rtp: [[0, 10]], still: [[12, 100]] }, [
    "quiet at 104",
    "dead at 159 after 60",
  ]],
  ["held in time each time", { rtp: [[0, 10]], still: [[50, 55], [100, 105], [150, 155]] }, ["quiet at 15"]],
  ["pictures alone", { rtcp: [[0, 200]], audio: false }, []],
];

for (const [what, peer, told] of TABLE) {
  Deno.test(`media watch: ${what}`, () => assert.deepEqual(play(peer), told));
}

Deno.test("media watch: 0 is never", () => {
  assert.deepEqual(play({}, { initialMs: 0, silenceMs: 60_000 }), ["quiet at 5"]);
  assert.deepEqual(play({ rtp: [[0, 10]] }, { initialMs: 30_000, silenceMs: 0 }), ["quiet at 15"]);
  assert.deepEqual(
    play({}, { initialMs: 2_000, silenceMs: 0 }),
    ["dead at 2 after 2"].concat("quiet at 5").slice(0, 1),
  );
});
