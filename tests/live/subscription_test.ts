// What one player of a live stream is sent and loses, whatever it is like and whenever it joins.

import fc from "fast-check";
import assert from "node:assert/strict";
import { encodeAmf0 } from "../../lib/amf/amf0.ts";
import { silentLog } from "../../lib/base/log.ts";
import { defaultLiveLimits, LiveStreams, type Publication } from "../../lib/live/streams.ts";
import {
  FoldedPast,
  type LiveHeaders,
  type LivePlayer,
  type LiveSink,
  MAX_LIVE_HEADER_BYTES,
  MAX_LIVE_HEADERS,
  NO_HEADERS,
  PlayerSink,
  type Subscription,
  withHeader,
} from "../../lib/live/subscription.ts";
import { createTag, readTag } from "../../lib/media/tag.ts";
import type { Congestion } from "../../lib/rtmp/drop_policy.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { fromHex, toHex } from "../support/hex.ts";
import { aacHeader, avcHeader, film, picture, sound, speech } from "../support/live_flv.ts";
import { KeepingSink } from "../support/live_sink.ts";
import { RecordLog } from "../support/record_log.ts";
import { TAG_TABLE } from "../support/tag_table.ts";

const METADATA = encodeAmf0(["onMetaData", { width: 320 }]);

class Scene {
  readonly clock = new FakeClock(5000);
  readonly streams: LiveStreams;
  #publication: Publication | null = null;

  constructor(cacheBytes = defaultLiveLimits.cacheBytes) {
    this.streams = new LiveStreams({ ...defaultLiveLimits, cacheBytes }, {
      clock: this.clock,
      log: silentLog,
    });
  }

  publish(): Publication {
    const outcome = this.streams.publish("live/cam");
    assert.ok(outcome.type === "publishing");
    return this.#publication = outcome.publication;
  }

  join(sink: KeepingSink): Subscription {
    const outcome = this.streams.play("live/cam", sink);
    assert.ok(outcome.type === "playing");
    return outcome.subscription;
  }

  /** "m 0" metadata, "h 0" AVC header (h2: another one), "a 0" AAC header, "K 0", "P 40", "s 20", "d 0" data. */
  put(...tags: string[]): void {
    for (const tag of tags) {
      const [what = "", time = "0"] = tag.split(" ");
      const timeMs = Number(time);
      const publication = this.#publication!;
      if (what === "m") publication.put(18, timeMs, METADATA);
      else if (what === "d") publication.put(18, timeMs, encodeAmf0(["onCuePoint"]));
      else if (what.startsWith("h")) publication.put(9, timeMs, avcHeader(Number(what[1] ?? 1)));
      else if (what === "a") publication.put(8, timeMs, aacHeader());
      else if (what === "s") publication.put(8, timeMs, sound());
      else publication.put(9, timeMs, picture(what === "K"));
    }
  }
}

Deno.test("who is there before the publisher gets everything from the first key frame on", () => {
  const scene = new Scene();
  const sink = new KeepingSink();
  scene.join(sink);
  scene.publish();
  scene.put("m 0", "h 0", "a 0", "s 0", "P 0", "K 40", "s 45", "P 80", "d 90");
  assert.deepEqual(sink.take(), [
    "started",
    "published",
    "metadata 0",
    "avc1 0",
    "aac 0",
    "sound 0",
    "key 40",
    "sound 45",
    "picture 80",
    "data 90",
  ]);
  assert.deepEqual(sink.told, [0, 0]);
});

Deno.test("a late joiner gets metadata, both headers, and all since the last key frame", () => {
  const scene = new Scene();
  scene.publish();
  scene.put("m 0", "h 0", "a 0", "K 0", "s 10", "P 40", "K 1000", "s 1010", "P 1040", "d 1050");
  const sink = new KeepingSink();
  const subscription = scene.join(sink);
  const beginning = [
    "started",
    "metadata 0",
    "avc1 1000",
    "aac 1000",
    "key 1000",
    "sound 1010",
    "picture 1040",
    "data 1050",
  ];
  assert.deepEqual(sink.take(), beginning);
  scene.put("P 1080", "s 1090");
  assert.deepEqual(sink.take(), ["picture 1080", "sound 1090"]);
  assert.deepEqual([subscription.sent, subscription.droppedVideo], [9, 0]);
});

Deno.test("without pictures a late joiner hears at once", () => {
  const scene = new Scene();
  scene.publish();
  scene.put("m 0", "a 0", "s 20", "s 40");
  const sink = new KeepingSink();
  scene.join(sink);
  scene.put("s 60");
  assert.deepEqual(sink.take(), ["started", "metadata 0", "aac 40", "sound 60"]);
});

Deno.test("without a cache, or when a group was too long for it, pictures wait for the next key frame", () => {
  for (const cacheBytes of [0, 50]) {
    const scene = new Scene(cacheBytes);
    scene.publish();
    scene.put("m 0", "h 0", "a 0", "K 0", "P 40", "P 80");
    const sink = new KeepingSink();
    const subscription = scene.join(sink);
    scene.put("P 120", "s 125", "K 160", "P 200");
    assert.deepEqual(sink.take(), [
      "started",
      "metadata 0",
      "avc1 80",
      "aac 80",
      "sound 125",
      "key 160",
      "picture 200",
    ]);
    assert.deepEqual([subscription.droppedVideo, scene.streams.usage.cachedBytes], [0, cacheBytes]);
  }
});

Deno.test("headers that change are those of the pictures they come with", () => {
  const scene = new Scene();
  scene.publish();
  scene.put("h1 0", "K 0", "P 40", "h2 50");
  const between = new KeepingSink();
  scene.join(between);
  assert.deepEqual(between.take(), ["started", "avc1 0", "key 0", "picture 40", "avc2 50"]);
  scene.put("K 80", "P 120");
  const after = new KeepingSink();
  scene.join(after);
  assert.deepEqual(after.take(), ["started", "avc2 80", "key 80", "picture 120"]);
  assert.deepEqual(between.take(), ["key 80", "picture 120"]);
});

Deno.test("a joiner that takes the cache slowly goes on where it was, and skips to the next key frame", () => {
  const scene = new Scene();
  scene.publish();
  scene.put("h 0", "K 0", "s 10", "P 40", "P 80");
  const sink = new KeepingSink();
  sink.room = 3; // header, key frame, sound
  const subscription = scene.join(sink);
  scene.put("P 120", "s 130");
  assert.deepEqual(sink.take(), ["started", "avc1 0", "key 0", "sound 10"]);
  sink.room = 2;
  scene.put("P 160");
  assert.deepEqual(sink.take(), ["picture 40", "picture 80"]);
  sink.room = Infinity;
  scene.put("s 165");
  assert.deepEqual(sink.take(), ["picture 120", "sound 130", "picture 160", "sound 165"]);
  assert.equal(subscription.droppedVideo, 0);

  const slow = new KeepingSink();
  slow.room = 2;
  const second = scene.join(slow);
  scene.put("h2 190", "K 200", "s 210");
  assert.deepEqual(slow.take(), ["started", "avc1 0", "key 0", "avc2 200"]);
  assert.deepEqual([second.droppedVideo, second.droppedAudio, slow.told], [5, 3, [5, 3]]);
  slow.room = Infinity;
  scene.put("P 240");
  assert.deepEqual(slow.take(), ["key 200", "sound 210", "picture 240"]);
});

Deno.test("a joiner that is still behind when the cache is given up waits for the next key frame", () => {
  const scene = new Scene(100); // four pictures of twenty bytes, and one header
  scene.publish();
  scene.put("h 0", "K 0", "P 40");
  const sink = new KeepingSink();
  sink.room = 2;
  const subscription = scene.join(sink);
  scene.put("P 80", "P 120", "P 160", "P 200");
  assert.deepEqual(sink.take(), ["started", "avc1 0", "key 0"]);
  sink.room = Infinity;
  scene.put("P 240", "s 250", "K 280", "P 320");
  assert.deepEqual(sink.take(), ["sound 250", "key 280", "picture 320"]);
  assert.equal(subscription.droppedVideo, 6);
});

Deno.test("who becomes slow loses pictures up to the next key frame, then sound, and nothing else", () => {
  const scene = new Scene();
  const slow = new KeepingSink();
  const fast = new KeepingSink();
  const subscription = scene.join(slow);
  scene.join(fast);
  scene.publish();
  scene.put("h 0", "K 0", "P 40");
  slow.take();
  fast.take();
  slow.slow = 1;
  scene.put("P 80", "s 90", "h2 95", "d 96");
  slow.slow = 0;
  scene.put("P 120", "s 130");
  slow.slow = 2;
  scene.put("s 150", "K 160", "a 165");
  slow.slow = 0;
  scene.put("P 200", "s 210", "K 240", "P 280");
  assert.deepEqual(slow.take(), [
    "sound 90",
    "avc2 95",
    "data 96",
    "sound 130",
    "aac 165",
    "sound 210",
    "key 240",
    "picture 280",
  ]);
  assert.deepEqual([subscription.droppedVideo, subscription.droppedAudio, slow.told], [4, 1, [4, 1]]);
  assert.equal(fast.take().length, 13);
});

Deno.test("without pictures the sound is what is lost", () => {
  const scene = new Scene();
  const sink = new KeepingSink();
  const subscription = scene.join(sink);
  const publication = scene.publish();
  sink.slow = 1;
  publication.put(8, 0, speech());
  sink.slow = 0;
  publication.put(8, 20, speech());
  assert.deepEqual(sink.take(), ["started", "published", "speech 20"]);
  assert.equal(subscription.droppedAudio, 1);
});

Deno.test("a picture that is not taken makes those after it useless, in the cache as well", () => {
  const scene = new Scene();
  scene.publish();
  scene.put("h 0", "K 0", "P 40", "P 80");
  const sink = new KeepingSink();
  sink.takes = false;
  const subscription = scene.join(sink);
  sink.takes = true;
  scene.put("P 120", "s 130", "K 160");
  assert.deepEqual(sink.take(), ["started", "sound 130", "key 160"]);
  assert.equal(subscription.droppedVideo, 1 + 3 + 1); // header, cache, the one after
});

Deno.test("the next publisher's times go on where the last one's ended", () => {
  const scene = new Scene();
  const sink = new KeepingSink();
  scene.join(sink);
  const first = scene.publish();
  scene.put("h 90000", "K 90000", "P 90040");
  first.end();
  assert.deepEqual(sink.take(), [
    "started",
    "published",
    "avc1 90000",
    "key 90000",
    "picture 90040",
    "unpublished",
  ]);
  scene.clock.advance(2500);
  scene.publish();
  scene.put("h 0", "P 0", "K 40", "s 20");
  assert.deepEqual(sink.take(), ["published", "avc1 92540", "key 92580", "sound 92560"]);
});

Deno.test("who has left gets nothing more", () => {
  const scene = new Scene();
  const sink = new KeepingSink();
  const subscription = scene.join(sink);
  const publication = scene.publish();
  subscription[Symbol.dispose]();
  subscription[Symbol.dispose]();
  scene.put("K 0");
  publication.end();
  assert.deepEqual([sink.take(), subscription.closed], [["started", "published"], true]);
});

Deno.test("whenever one joins and however slow one is, every picture can be decoded", () => {
  const tags = film(4000, 7);
  const step = fc.record({ join: fc.nat(9), room: fc.nat(12), slow: fc.nat(20) });
  fc.assert(
    fc.property(
      fc.array(step, { minLength: 20, maxLength: 20 }),
      fc.constantFrom(0, 100, 100_000),
      (steps, cacheBytes) => {
        const scene = new Scene(cacheBytes);
        const publication = scene.publish();
        const sinks: KeepingSink[] = [];
        tags.forEach(({ type, timeMs, body }, at) => {
          const { join, room, slow } = steps[at % steps.length]!;
          publication.put(type, timeMs, body);
          if (join === 0 && sinks.length < 5) {
            sinks.push(new KeepingSink());
            scene.join(sinks.at(-1)!);
          }
          for (const sink of sinks) {
            sink.room = room === 0 ? Infinity : room;
            sink.slow = slow === 1 || slow === 2 ? slow : 0;
          }
        });
        for (const sink of sinks) checkDecodable(sink);
      },
    ),
    { numRuns: 200 },
  );
});

/** A header before the first picture, a key frame first, and no gap between pictures but before a key frame. */
function checkDecodable(sink: KeepingSink): void {
  let last = Number.NaN;
  let header = false;
  for (const { type, timeMs, body } of sink.tags) {
    if (type !== 9) continue;
    if (body[1] === 0) header = true;
    else {
      assert.ok(header);
      if (body[0] !== 0x17) assert.equal(timeMs, last + 40);
      last = timeMs;
    }
  }
}

Deno.test("metadata of the next publisher, at its time 0, does not move the pictures behind it", () => {
  const scene = new Scene();
  const sink = new KeepingSink();
  scene.join(sink);
  const first = scene.publish();
  scene.put("m 0", "h 0", "K 1000");
  first.end();
  scene.clock.advance(500);
  scene.publish();
  sink.take();
  scene.put("m 0", "h 7000", "K 7000", "P 7040");
  assert.deepEqual(sink.take(), ["metadata 1500", "avc1 1501", "key 1501", "picture 1541"]);
});

Deno.test("before it is begun, and behind its end, times stay", () => {
  const folded = new FoldedPast();
  assert.equal(folded.timeMs(500), 500);
  folded.begin(0, 10_000, 1000);
  assert.equal(folded.timeMs(0), 9000);
  folded.end();
  assert.equal(folded.timeMs(0), 0);
});

Deno.test("a long past is folded evenly, a short one not at all, what is outside neither", () => {
  const folded = new FoldedPast();
  folded.begin(1000, 11_000, 1000);
  assert.deepEqual([0, 1000, 6000, 10_990, 11_000, 12_000].map((timeMs) => folded.timeMs(timeMs)), [
    0, // before the group: of another time line
    10_000,
    10_500,
    10_999,
    11_000,
    12_000,
  ]);
  folded.begin(10_000, 11_000, 1000);
  assert.equal(folded.timeMs(10_400), 10_400);
  folded.begin(11_500, 11_000, 1000);
  assert.equal(folded.timeMs(11_200), 11_200);
});

const BODIES: readonly (readonly [what: string, body: string, folded: string])[] = [
  ["AVC", "2701000050aabb", "2701000008aabb"],
  ["AVC without", "2701000000aabb", "2701000000aabb"],
  ["enhanced", "a161766331000050aa", "a161766331000008aa"],
  ["HEVC", "a168766331000050aa", "a168766331000008aa"],
  ["behind ModEx", "a7020000010161766331000050aa", "a7020000010161766331000008aa"],
  ["without composition time", "a361766331aa", "a361766331aa"],
  ["AVC, to be shown before it is decoded", "2701ffffd8aabb", "2701fffffcaabb"],
  ["Sorenson", "22aabb", "22aabb"],
];

for (const [what, hex, expected] of BODIES) {
  Deno.test(`composition times are folded as well: ${what}`, () => {
    const folded = new FoldedPast();
    folded.begin(0, 10_000, 1000);
    const body = fromHex(hex);
    const tag = readTag(9, body, createTag());
    assert.equal(toHex(folded.body(tag, 2000, body)), expected);
    assert.equal(toHex(body), hex, "what is borrowed stays");
    assert.equal(folded.body(tag, 10_000, body), body);
    if (tag.compositionMs < 0) assert.equal(toHex(folded.body(tag, 0, body)), "2701000000aabb");
  });
}

Deno.test("order is kept, whatever is folded", () => {
  fc.assert(
    fc.property(
      fc.nat(1e5),
      fc.nat(1e5),
      fc.array(fc.nat(2e5), { maxLength: 30 }),
      (fromMs, lengthMs, times) => {
        const folded = new FoldedPast();
        folded.begin(fromMs, fromMs + lengthMs, 1000);
        const sorted = times.filter((timeMs) => timeMs >= fromMs).sort((a, b) => a - b);
        const shown = sorted.map((timeMs) => folded.timeMs(timeMs));
        assert.deepEqual(shown, shown.toSorted((a, b) => a - b));
        assert.ok(shown.every((timeMs, i) => timeMs >= sorted[i]!));
      },
    ),
  );
});

const LIVE_HEADERS_METADATA = encodeAmf0(["onMetaData", {}]);

function after(headers: LiveHeaders, type: 8 | 9 | 18, body: Uint8Array): LiveHeaders {
  return withHeader(headers, readTag(type, body, createTag()), body);
}

function configs(headers: LiveHeaders): string[] {
  return headers.configs.map(({ type, body }) => `${type} ${toHex(body)}`);
}

Deno.test("the latest of each kind is kept, as its own copy", () => {
  const metadata = LIVE_HEADERS_METADATA.slice();
  let headers = after(NO_HEADERS, 18, metadata);
  headers = after(headers, 8, fromHex("af001210"));
  headers = after(headers, 9, fromHex("170000000001"));
  headers = after(headers, 9, fromHex("170000000002"));
  metadata.fill(9);
  assert.deepEqual(headers.metadata, LIVE_HEADERS_METADATA);
  assert.deepEqual(configs(headers), ["9 170000000002", "8 af001210"]);
});

Deno.test("each track keeps its own configuration", () => {
  let headers = after(NO_HEADERS, 9, fromHex("170000000001"));
  headers = after(headers, 9, fromHex("9600617663310102"));
  headers = after(headers, 9, fromHex("9600617663310203"));
  headers = after(headers, 8, fromHex("95004f7075730105"));
  headers = after(headers, 8, fromHex("af001210"));
  headers = after(headers, 9, fromHex("9600617663310104"));
  assert.deepEqual(configs(headers), [
    "9 170000000001",
    "9 9600617663310203",
    "9 9600617663310104",
    "8 95004f7075730105",
    "8 af001210",
  ]);
});

Deno.test("of every tag headers are kept, and nothing else", () => {
  for (const { what, type, body, content } of TAG_TABLE) {
    const headers = after(NO_HEADERS, type, fromHex(body));
    assert.equal(headers.configs.length, content === "config" || content === "info" ? 1 : 0, what);
    assert.equal(headers.metadata !== null, content === "metadata", what);
    assert.equal(after(headers, type, fromHex(body)), headers, `${what}: nothing new`);
  }
});

Deno.test("what is too long is not kept, nor more than a stream can have", () => {
  const long = new Uint8Array(MAX_LIVE_HEADER_BYTES + 1);
  long.set(LIVE_HEADERS_METADATA);
  assert.equal(after(NO_HEADERS, 18, long), NO_HEADERS);
  long.set(fromHex("af001210"));
  assert.equal(after(NO_HEADERS, 8, long), NO_HEADERS);
  let headers = NO_HEADERS;
  for (let track = 0; track < 100; track++) {
    headers = after(headers, 9, Uint8Array.of(0x96, 0, 0x61, 0x76, 0x63, 0x31, track, 1));
  }
  assert.equal(headers.configs.length, MAX_LIVE_HEADERS);
  headers = NO_HEADERS;
  for (let track = 0; track < 10; track++) {
    const large = new Uint8Array(MAX_LIVE_HEADER_BYTES);
    large.set([0x96, 0, 0x61, 0x76, 0x63, 0x31, track, 1]);
    headers = after(headers, 9, large);
  }
  assert.equal(headers.configs.length, 4);
});

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
