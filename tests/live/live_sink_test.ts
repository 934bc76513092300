// The interface has no code of its own; what is tested is that a sink may leave out what it does not need.
import assert from "node:assert/strict";
import { silentLog } from "../../lib/base/log.ts";
import type { LiveSink } from "../../lib/live/live_sink.ts";
import { defaultLiveLimits, LiveStreams } from "../../lib/live/streams.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { picture } from "../support/live_flv.ts";

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
