import assert from "node:assert/strict";
import { ByteBudget } from "../../lib/live/gop_cache.ts";
import { LiveStream } from "../../lib/live/live_stream.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { avcHeader, picture, speech } from "../support/live_flv.ts";
import { KeepingSink } from "../support/live_sink.ts";
import { RecordLog } from "../support/record_log.ts";

function setUp() {
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
  const { stream } = setUp();
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
  const { stream, log } = setUp();
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
    const { stream } = setUp();
    stream.subscribe({ congestion: () => 0, media: () => true, [what]: () => assert.fail(what) });
    stream.begin();
    stream.end();
    assert.equal(stream.players, 0, what);
  }
});

Deno.test("players may leave, and make others leave or join, while they are being served", () => {
  const { stream } = setUp();
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
  const { stream, budget, idle } = setUp();
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
