// Playback of files under a clock turned by hand; only the disk is real.

import assert from "node:assert/strict";
import { FlvSeekReader, FlvWriter } from "../../lib/flv/writer.ts";
import {
  FilePacer,
  FilePlayer,
  type FilePlayOptions,
  type RecordedPlayer,
} from "../../lib/live/file_player.ts";
import type { Congestion } from "../../lib/rtmp/drop_policy.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { film, flvFile, inFolder, speech, type TestTag } from "../support/live_flv.ts";
import { until } from "../support/live_server.ts";
import { nameOf } from "../support/live_sink.ts";

class FakePlayer implements RecordedPlayer {
  readonly name = "film";
  readonly lines: string[] = [];
  congestion: Congestion = 0;
  bufferLengthMs = 0;

  send(type: 8 | 9 | 18, timeMs: number, body: Uint8Array): boolean {
    this.lines.push(nameOf(type, timeMs, body));
    return true;
  }

  status(_level: "status" | "error" | "warning", code: string): void {
    this.lines.push(code);
  }

  stop(code?: string): void {
    this.lines.push(`stop ${code}`);
  }

  /** What has come since the last call. */
  take(): string[] {
    return this.lines.splice(0);
  }

  /** Time of the last picture or sound since the last call. */
  takeLastMs(): number {
    const media = this.take().filter((line) => /^(key|picture|sound|speech) /.test(line));
    return Number(media.at(-1)?.split(" ")[1] ?? -1);
  }
}

class Playback {
  readonly clock = new FakeClock(100);
  readonly player = new FakePlayer();
  readonly playing: FilePlayer;
  readonly running: Promise<void>;
  ended = false;

  constructor(reader: FlvSeekReader, options: Partial<FilePlayOptions> = {}) {
    const all = { startMs: 0, durationMs: -1, readAheadMs: 2000, ...options };
    this.playing = new FilePlayer(reader, this.player, all, this.clock);
    this.running = this.playing.run().finally(() => this.ended = true);
  }

  /** Waits until it has done all it can do now. */
  async idle(): Promise<void> {
    await until("the player to wait", () => this.clock.pending > 0 || this.ended);
  }

  /** Lets time pass. */
  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0 && !this.ended; left -= 100) {
      await this.idle();
      this.clock.advance(Math.min(100, left));
    }
    await this.idle();
  }

  async finish(): Promise<void> {
    this.playing.stop();
    await this.running;
  }
}

async function withFile(
  tags: readonly TestTag[],
  run: (open: () => Promise<FlvSeekReader>, path: string) => Promise<void>,
): Promise<void> {
  await inFolder(async (folder) => {
    const path = `${folder}/film.flv`;
    const writer = await FlvWriter.create(path);
    for (const { type, timeMs, body } of tags) writer.put(type, timeMs, body);
    await writer.close();
    await run(() => FlvSeekReader.open(path), path);
  });
}

Deno.test("a file is sent at its pace, ahead by what the player buffers, and ends with words", () =>
  withFile(film(5000), async (open) => {
    const playback = new Playback(await open());
    const { player } = playback;
    await playback.idle();
    const first = player.take();
    assert.deepEqual(first.slice(0, 5), ["metadata 0", "avc1 0", "aac 0", "key 0", "sound 0"]);
    assert.equal(first.at(-1), "sound 1000");
    await playback.pass(500);
    assert.equal(player.takeLastMs(), 1500);
    player.bufferLengthMs = 60_000; // more than it may have
    await playback.pass(100);
    assert.equal(player.takeLastMs(), 2600);
    await playback.pass(2500);
    assert.deepEqual(player.take().slice(-3), ["sound 5000", "data 5000", "stop NetStream.Play.Stop"]);
    await playback.running;
  }));

Deno.test("everything arrives, in order, unchanged, however slowly the player takes it", () =>
  withFile(film(2000), async (open) => {
    const playback = new Playback(await open());
    const { player, clock } = playback;
    let beats = 0;
    while (!playback.ended) {
      await playback.idle();
      player.congestion = beats++ % 3 === 0 ? 0 : 2;
      clock.advance(40);
    }
    const wanted = film(2000).map(({ type, timeMs, body }) => nameOf(type, timeMs, body));
    assert.deepEqual(player.take().slice(1, -2), wanted);
  }));

Deno.test("a start and a duration cut a piece out", () =>
  withFile(film(5000), async (open) => {
    const playback = new Playback(await open(), { startMs: 2500, durationMs: 600 });
    await playback.pass(3000);
    const lines = playback.player.take();
    assert.deepEqual(lines.slice(0, 4), ["metadata 0", "avc1 2000", "aac 2000", "key 2000"]);
    assert.deepEqual(lines.slice(-3), ["sound 3100", "data 3100", "stop NetStream.Play.Stop"]);
    await playback.running;
    const beyond = new Playback(await open(), { startMs: 6000 });
    await beyond.running;
    assert.deepEqual(beyond.player.take(), ["metadata 0", "data 0", "stop NetStream.Play.Stop"]);
  }));

Deno.test("a pause stops the tags, and they go on behind what the player has seen", () =>
  withFile(film(9000), async (open) => {
    const playback = new Playback(await open());
    const { playing, player, clock } = playback;
    await playback.pass(1000);
    assert.equal(player.takeLastMs(), 2000);
    playing.pause(true, 1000);
    playing.pause(true, 1000);
    await until("the pause", () => clock.pending === 0);
    clock.advance(60_000);
    assert.deepEqual(player.take(), []);
    playing.pause(false, 1030); // what it got beyond this it has thrown away
    await playback.idle();
    const lines = player.take();
    assert.deepEqual([lines[0], lines.at(-1)], ["picture 1040", "sound 2040"]);
    for (const timeMs of [0, 99_999]) { // does not say where it is, or has kept everything
      playing.pause(true, timeMs);
      await until("the pause", () => clock.pending === 0);
      playing.pause(false, timeMs);
      await playback.idle();
      assert.equal(player.take()[0]?.split(" ")[1], timeMs === 0 ? "2060" : "3080");
    }
    await playback.finish();
  }));

Deno.test("a seek goes to the key frame before, with headers, and is told", () =>
  withFile(film(9000), async (open) => {
    const playback = new Playback(await open());
    const { playing, player } = playback;
    await playback.idle();
    for (const [timeMs, key] of [[7530, 7000], [3000, 3000], [10, 0]] as const) {
      player.take();
      playing.seek(timeMs);
      await until("the seek", () => player.lines.length > 5);
      await playback.idle();
      const told = ["NetStream.Seek.Notify", "NetStream.Play.Start"];
      const headers = [`avc1 ${key}`, `aac ${key}`, `key ${key}`];
      const lines = player.take().filter((line, at) =>
        !(key === 0 && at > 1 && /^a.* 0$/.test(line) && at > 3)
      );
      assert.deepEqual(lines.slice(0, 5), [...told, ...headers]);
      assert.equal(lines.at(-1), `sound ${key + 1000}`);
    }
    playing.seek(9001);
    await until("the answer", () => player.lines.length > 0);
    assert.deepEqual(player.take(), ["NetStream.Seek.Failed"]);
    await playback.pass(200);
    assert.equal(player.takeLastMs(), 1200);
    await playback.finish();
  }));

Deno.test("a seek while paused waits with its tags, key frame first, until the pause is over", () =>
  withFile(film(9000), async (open) => {
    const playback = new Playback(await open());
    const { playing, player, clock } = playback;
    await playback.idle();
    playing.pause(true, 500);
    await until("the pause", () => clock.pending === 0);
    player.take();
    playing.seek(6500);
    await until("the seek", () => player.lines.length === 2);
    assert.deepEqual(player.take(), ["NetStream.Seek.Notify", "NetStream.Play.Start"]);
    playing.pause(false, 6500);
    await playback.idle();
    assert.deepEqual(player.take().slice(0, 3), ["avc1 6000", "aac 6000", "key 6000"]);
    await playback.finish();
  }));

Deno.test("it stops at once, wherever it is", () =>
  withFile(film(9000), async (open) => {
    for (const when of ["at once", "waiting", "paused", "seeking"] as const) {
      const playback = new Playback(await open());
      if (when !== "at once") await playback.idle();
      if (when === "paused") playback.playing.pause(true, 0);
      if (when === "seeking") playback.playing.seek(8000);
      await playback.finish();
      assert.ok(!playback.player.take().some((line) => line.startsWith("stop")), when);
      assert.equal(playback.clock.pending, 0);
    }
  }));

Deno.test("a file that is damaged in the middle ends with an error", () =>
  inFolder(async (folder) => {
    const bytes = flvFile(film(3000));
    bytes.set([0xff, 0, 0, 1], bytes.length >> 1);
    await Deno.writeFile(`${folder}/a.flv`, bytes);
    const playback = new Playback(await FlvSeekReader.open(`${folder}/a.flv`), { readAheadMs: 60_000 });
    playback.player.bufferLengthMs = 60_000;
    const failed = assert.rejects(playback.running, /WireError/);
    await playback.pass(100);
    await until("its end", () => playback.ended);
    await failed;
  }));

Deno.test("times that jump back do not make it hurry", () =>
  withFile(
    [0, 20, 5000, 5020].map((timeMs) => ({ type: 8, timeMs, body: speech() })),
    async (_open, path) => {
      const times = [0, 1000, 100_000, 0, 1000, 5000];
      await Deno.writeFile(path, flvFile(times.map((timeMs) => ({ type: 8, timeMs, body: speech() }))));
      const playback = new Playback(await FlvSeekReader.open(path));
      await playback.pass(98_900);
      assert.equal(playback.player.takeLastMs(), 1000);
      await playback.pass(200);
      assert.deepEqual(playback.player.take(), ["speech 100000", "speech 0", "speech 1000"]);
      await playback.finish();
    },
  ));

Deno.test("tags are due at their times from the start on, less what may be ahead", () => {
  const clock = new FakeClock(777);
  const pacer = new FilePacer(() => clock.now());
  assert.equal(pacer.dueInMs(4000, 0), 0);
  assert.equal(pacer.dueInMs(4500, 0), 500);
  assert.equal(pacer.dueInMs(4500, 2000), -1500);
  clock.advance(300);
  assert.equal(pacer.dueInMs(4500, 0), 200);
  assert.equal(pacer.dueInMs(4480, 0), 180); // a little out of order
});

Deno.test("after a restart, or when times jump back, the next tag is due at once", () => {
  const clock = new FakeClock();
  const pacer = new FilePacer(() => clock.now());
  pacer.dueInMs(0, 0);
  clock.advance(10);
  pacer.restart();
  assert.equal(pacer.dueInMs(90_000, 0), 0);
  assert.equal(pacer.dueInMs(90_100, 0), 100);
  assert.equal(pacer.dueInMs(20, 0), 0);
  assert.equal(pacer.dueInMs(120, 0), 100);
});
