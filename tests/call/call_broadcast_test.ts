import assert from "node:assert/strict";
import { silentLog } from "../../lib/base/log.ts";
import { CallBroadcast, callPath } from "../../lib/call/call_broadcast.ts";
import { defaultLiveLimits, LiveStreams } from "../../lib/live/streams.ts";
import { FakeClock } from "../support/fake_clock.ts";

function watch(streams: LiveStreams, name: string): { got: string[]; leave: () => void } {
  const got: string[] = [];
  const outcome = streams.play(`${callPath("alice@example.com")}/${name}`, {
    congestion: () => 0,
    media: (type, _timeMs, body) => {
      got.push(`${type}:${[...body].join()}`);
      return true;
    },
  });
  assert.ok(outcome.type === "playing");
  return { got, leave: () => outcome.subscription[Symbol.dispose]() };
}

Deno.test("near and far are played apart, under the address of the client, call after call", () => {
  const streams = new LiveStreams(defaultLiveLimits, { clock: new FakeClock(), log: silentLog });
  const [near, far] = [watch(streams, "near"), watch(streams, "far")];
  for (const call of [1, 2]) {
    using broadcast = new CallBroadcast(streams, "alice@example.com");
    assert.deepEqual(broadcast.refusals, []);
    broadcast.near(8, call, new Uint8Array([0x82, call]));
    broadcast.far(8, call, new Uint8Array([0x82, 10 * call]));
  }
  assert.deepEqual([near.got, far.got], [["8:130,1", "8:130,2"], ["8:130,10", "8:130,20"]]);
  near.leave();
  far.leave();
});

Deno.test("a stream name in use stays with its publisher, and the other direction is published all the same", () => {
  const streams = new LiveStreams(defaultLiveLimits, { clock: new FakeClock(), log: silentLog });
  const held = streams.publish(`${callPath("alice@example.com")}/far`);
  assert.ok(held.type === "publishing");
  const far = watch(streams, "far");
  using broadcast = new CallBroadcast(streams, "alice@example.com");
  assert.equal(broadcast.refusals.length, 1);
  assert.match(broadcast.refusals[0]!, /^far: /);
  broadcast.far(8, 0, new Uint8Array([1]));
  broadcast.near(8, 0, new Uint8Array([1]));
  assert.deepEqual(far.got, []);
  far.leave();
  held.publication[Symbol.dispose]();
});
