import assert from "node:assert/strict";
import { silentLog } from "../../lib/base/log.ts";
import { ByteBudget } from "../../lib/live/gop_cache.ts";
import {
  defaultLiveLimits,
  type LiveLimits,
  LiveStream,
  LiveStreams,
  type Publication,
} from "../../lib/live/streams.ts";
import type { Subscription } from "../../lib/live/subscription.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { avcHeader, picture, speech } from "../support/live_flv.ts";
import { KeepingSink } from "../support/live_sink.ts";
import { RecordLog } from "../support/record_log.ts";

function setUp(limits: Partial<LiveLimits> = {}) {
  const streams = new LiveStreams({ ...defaultLiveLimits, ...limits }, {
    clock: new FakeClock(),
    log: silentLog,
  });
  const publish = (path: string): Publication => {
    const outcome = streams.publish(path);
    assert.ok(outcome.type === "publishing");
    return outcome.publication;
  };
  const play = (path: string, sink = new KeepingSink()): Subscription => {
    const outcome = streams.play(path, sink);
    assert.ok(outcome.type === "playing");
    return outcome.subscription;
  };
  return { streams, publish, play };
}

const NOTHING = { streams: 0, publishers: 0, players: 0, cachedBytes: 0 };

Deno.test("a stream belongs to its whole path", () => {
  const { publish, play } = setUp();
  const here = new KeepingSink();
  const there = new KeepingSink();
  play("live/a/b", here);
  play("live/ab", there);
  publish("live/a/b").put(8, 0, speech());
  assert.deepEqual([here.take(), there.take()], [["started", "published", "speech 0"], ["started"]]);
});

Deno.test("a name has one publisher at a time", () => {
  const { streams, publish } = setUp();
  const first = publish("live/cam");
  assert.deepEqual(streams.publish("live/cam"), {
    type: "refused",
    reason: "Stream name already in use",
    publisher: null,
  });
  const sink = new KeepingSink();
  streams.play("live/cam", sink);
  first.end();
  const second = publish("live/cam");
  first.put(8, 0, speech()); // it has no say any more
  first.end();
  first[Symbol.dispose]();
  second.put(8, 20, speech());
  assert.deepEqual([first.ended, second.ended], [true, false]);
  assert.deepEqual(sink.take(), ["started", "unpublished", "published", "speech 20"]);
});

Deno.test("what nobody uses is forgotten", () => {
  const { streams, publish, play } = setUp();
  for (let i = 0; i < 100; i++) {
    const subscription = play(`live/${i}/cam`);
    const publication = publish(`live/${i}/cam`);
    publication.put(9, 0, picture(true));
    assert.deepEqual(streams.usage, { streams: 1, publishers: 1, players: 1, cachedBytes: 65536 });
    if (i % 2 === 0) subscription[Symbol.dispose]();
    publication.end();
    subscription[Symbol.dispose]();
    assert.equal(streams.find(`live/${i}/cam`), undefined);
  }
  assert.deepEqual(streams.usage, NOTHING);
});

Deno.test("streams, players and cached bytes are bounded", () => {
  const { streams, publish, play } = setUp({ streams: 2, players: 3, cacheBytesTotal: 100_000 });
  const a = publish("live/a");
  const b = publish("live/b");
  assert.deepEqual(streams.publish("live/c"), {
    type: "refused",
    reason: "too many streams",
    publisher: null,
  });
  assert.deepEqual(streams.play("live/c", new KeepingSink()), {
    type: "refused",
    reason: "too many streams",
  });
  const sink = new KeepingSink();
  play("live/a", sink);
  play("live/a");
  const third = play("live/b");
  assert.deepEqual(streams.play("live/b", sink), { type: "refused", reason: "too many players" });
  third[Symbol.dispose]();
  play("live/b", sink);
  for (const each of [a, b]) each.put(9, 0, picture(true, 60_000));
  assert.equal(streams.usage.cachedBytes, 65536);
  assert.deepEqual(sink.take().filter((line) => line.startsWith("key")), ["key 0", "key 0"]);
});

function setUpStream() {
  const log = new RecordLog();
  const budget = new ByteBudget(1_000_000);
  let idle = 0;
  const stream = new LiveStream({
    path: "live/cam",
    cacheBytes: 100_000,
    budget,
    clock: new FakeClock(),
    log,
    onIdle: () => idle++,
  });
  return { stream, log, budget, idle: () => idle };
}

Deno.test("many players get the same bytes, uncopied", () => {
  const { stream } = setUpStream();
  const body = picture(true);
  const seen: Uint8Array[] = [];
  for (let i = 0; i < 100; i++) {
    stream.subscribe({ congestion: () => 0, media: (_type, _time, each) => seen.push(each) > 0 });
  }
  stream.begin();
  stream.put(9, 0, body);
  assert.equal(seen.length, 100);
  assert.ok(seen.every((each) => each === body));
});

Deno.test("a player that throws is removed, and costs nobody else anything", () => {
  const { stream, log } = setUpStream();
  const before = new KeepingSink();
  const after = new KeepingSink();
  stream.subscribe(before);
  const broken = { congestion: () => 0 as const, media: () => assert.fail("broken on purpose") };
  const subscription = stream.subscribe(broken);
  stream.subscribe(after);
  stream.begin();
  stream.put(8, 0, speech());
  stream.put(8, 20, speech());
  stream.end();
  for (const sink of [before, after]) {
    assert.deepEqual(sink.take(), ["started", "published", "speech 0", "speech 20", "unpublished"]);
  }
  assert.deepEqual([stream.players, subscription.closed, log.at("error").length], [2, true, 1]);
  assert.match(log.at("error")[0]!, /live\/cam: a player failed and was removed: broken on purpose/);
});

Deno.test("players that throw when they are told something are removed too", () => {
  for (const what of ["started", "published", "unpublished"] as const) {
    const { stream } = setUpStream();
    stream.subscribe({ congestion: () => 0, media: () => true, [what]: () => assert.fail(what) });
    stream.begin();
    stream.end();
    assert.equal(stream.players, 0, what);
  }
});

Deno.test("players may leave, and make others leave or join, while they are being served", () => {
  const { stream } = setUpStream();
  const last = new KeepingSink();
  const joined = new KeepingSink();
  const first = stream.subscribe({
    congestion: () => 0,
    media: () => {
      first[Symbol.dispose]();
      third[Symbol.dispose]();
      stream.subscribe(joined);
      return true;
    },
  });
  const second = new KeepingSink();
  stream.subscribe(second);
  const third = stream.subscribe(last);
  stream.begin();
  stream.put(8, 0, speech());
  stream.put(8, 20, speech());
  assert.deepEqual(second.take(), ["started", "published", "speech 0", "speech 20"]);
  assert.deepEqual(last.take(), ["started", "published"]);
  assert.deepEqual(joined.take(), ["started", "speech 20"]);
  assert.equal(stream.players, 2);
});

Deno.test("when the publisher has gone nothing of it is left, and an empty stream says so", () => {
  const { stream, budget, idle } = setUpStream();
  const sink = new KeepingSink();
  const subscription = stream.subscribe(sink);
  stream.begin();
  stream.put(9, 0, avcHeader());
  stream.put(9, 0, picture(true));
  assert.ok(budget.used > 0);
  assert.deepEqual([stream.publishing, stream.hasVideo], [true, true]);
  stream.end();
  assert.deepEqual([stream.publishing, stream.hasVideo, budget.used, idle()], [false, false, 0, 0]);
  const late = new KeepingSink();
  stream.subscribe(late)[Symbol.dispose]();
  stream.begin();
  stream.put(8, 0, speech());
  assert.deepEqual(late.take(), ["started"]);
  subscription[Symbol.dispose]();
  assert.equal(idle(), 0);
  stream.end();
  assert.equal(idle(), 1);
});
