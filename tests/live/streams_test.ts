import assert from "node:assert/strict";
import { silentLog } from "../../lib/base/log.ts";
import { defaultLiveLimits, type LiveLimits, LiveStreams, type Publication } from "../../lib/live/streams.ts";
import type { Subscription } from "../../lib/live/subscription.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { picture, speech } from "../support/live_flv.ts";
import { KeepingSink } from "../support/live_sink.ts";

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
