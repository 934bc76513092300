import assert from "node:assert/strict";
import { answer, invited } from "../../../lib/call/answer.ts";
import { dial } from "../../../lib/call/dial.ts";
import { settle } from "../../support/fake_clock.ts";
import { ScriptedCall, ScriptedInvitation } from "../../support/gateway_fakes.ts";
import { LineBench, message } from "../../support/stream_line_bench.ts";

Deno.test("the remote party is published from its first tag to the end of its call, for early and late players", async () => {
  const bench = new LineBench();
  const { leg } = bench.openClient();
  const early = bench.player();
  dial(leg, "100", ["pcmu"]);
  const call = await bench.accept();
  assert.equal(bench.streams.usage.publishers, 0, "nothing to hear yet");
  bench.factory.last.hear(20);
  const late = bench.player();
  bench.factory.last.hear(40);
  assert.deepEqual(early.take(), ["started", "published", "sound 20", "sound 40"]);
  assert.deepEqual(late.take(), ["started", "sound 40"]);
  call.end("remote");
  await settle();
  assert.deepEqual([...early.take(), ...late.take()], ["unpublished", "unpublished"]);
  assert.deepEqual(bench.link.take(), ["accepted()", "byed()"]);
  assert.deepEqual(await bench.close(), []);
});

Deno.test("early media is heard before the answer; a refusal ends it", async () => {
  const bench = new LineBench();
  const { leg } = bench.openClient();
  const player = bench.player();
  dial(leg, "100", ["pcmu"]);
  await bench.early();
  bench.factory.last.hear(20);
  await bench.refuse(486, "Busy Here");
  assert.deepEqual(player.take(), ["started", "published", "sound 20", "unpublished"]);
  assert.deepEqual(bench.link.take(), ['ringing("183 Session Progress")', 'rejected("486 Busy Here")']);
  assert.deepEqual(await bench.close(), []);
});

Deno.test("times of the next call go on where those of the last one ended", async () => {
  const bench = new LineBench();
  const { leg } = bench.openClient();
  const player = bench.player();
  for (const _ of [1, 2]) {
    dial(leg, "100", ["pcmu"]);
    const call = await bench.accept();
    bench.factory.last.hear(20);
    bench.clock.advance(20);
    bench.factory.last.hear(40);
    call.end("remote");
    await settle();
    bench.clock.advance(980);
  }
  const times = player.tags.map(({ timeMs }) => timeMs);
  assert.deepEqual(times, [20, 40, 1020, 1040]);
  assert.deepEqual(await bench.close(), []);
});

Deno.test("a name that cannot be had is told once a call, and costs no call", async () => {
  const bench = new LineBench();
  const { leg } = bench.openClient();
  const taken = bench.streams.publish("call/desk/100");
  dial(leg, "100", ["pcmu"]);
  await bench.accept();
  bench.factory.last.hear(20);
  bench.factory.last.hear(40);
  assert.equal(bench.log.lines.filter((each) => each.includes("cannot publish the remote party")).length, 1);
  assert.equal(leg.state.type, "talking");
  if (taken.type === "publishing") taken.publication.end();
  assert.deepEqual(await bench.close(), []);
});

Deno.test("what was published before the call is given to it, and what is published in it", async () => {
  const bench = new LineBench();
  const { leg } = bench.openClient();
  leg.publishedBy(bench.publisher);
  leg.put(message(9, 0, "170000000001420020"));
  leg.put(message(8, 0, "af001210"));
  leg.put(message(8, 10, "af0121"));
  assert.equal(leg.hasVideo, true);
  dial(leg, "100", ["aac", "h264"]);
  await bench.accept();
  leg.put(message(8, 20, "af0121"));
  assert.deepEqual(bench.factory.last.log.slice(-3), ["8@0", "9@0", "8@20"]);
  leg.publishedBy(null);
  assert.deepEqual(bench.factory.last.log.at(-1), "publisher changed");
  assert.equal(leg.hasVideo, false);
  assert.deepEqual(await bench.close(), []);
});

Deno.test("the publisher is told what it can do better", async () => {
  const bench = new LineBench();
  const { leg } = bench.openClient();
  leg.publishedBy(bench.publisher);
  dial(leg, "100", ["aac", "h264"]);
  await bench.accept();
  const { last } = bench.factory;
  last.onKeyFrameWanted?.();
  last.onPublisherWarning?.("NetStream.Publish.BFrames", "B frames", "warning");
  last.onPublisherWarning?.("NetStream.Publish.UnsupportedCodec", "no MP3", "error");
  leg.publishedBy(null);
  last.onKeyFrameWanted?.();
  assert.deepEqual(bench.publisher.events, [
    "status NetStream.Publish.KeyFrameWanted the remote party lost its picture: send a key frame",
    "warning NetStream.Publish.BFrames B frames",
    "error NetStream.Publish.UnsupportedCodec no MP3",
  ]);
  assert.deepEqual(await bench.close(), []);
});

Deno.test("an invitation rings, is answered, and the call leg is busy meanwhile", async () => {
  const bench = new LineBench();
  const { leg } = bench.openClient();
  const [first, second, call] = [new ScriptedInvitation(), new ScriptedInvitation(), new ScriptedCall()];
  invited(leg, first);
  invited(leg, second);
  answer(leg, ["aac"]);
  first.confirm(call);
  await settle();
  assert.deepEqual(second.said, ["486 Busy Here"]);
  assert.deepEqual(first.said, ["180", "200 answer to bob"]);
  assert.deepEqual(bench.factory.asked, ["10.0.0.1 aac"]);
  leg.hangUp();
  await settle();
  assert.deepEqual([call.hangUps, leg.state.type], [1, "idle"]);
  assert.deepEqual(await bench.close(), []);
});

Deno.test("DTMF go into the call; without one that is said", async () => {
  const bench = new LineBench();
  const { leg } = bench.openClient();
  const problems: (string | null)[] = [];
  leg.sendDigits("1", 100, (problem) => problems.push(problem));
  dial(leg, "100", ["pcmu"]);
  await bench.accept();
  leg.sendDigits("2", 100, (problem) => problems.push(problem));
  assert.deepEqual(problems, ["there is no call", null]);
  assert.ok(bench.factory.last.log.includes("digits 2 100"));
  assert.deepEqual(await bench.close(), []);
});

for (const state of ["dialing", "ringing", "alerting", "talking"] as const) {
  Deno.test(`disposed while ${state}: nothing is left`, async () => {
    const bench = new LineBench();
    const { leg } = bench.openClient();
    const [invitation, call] = [new ScriptedInvitation(), new ScriptedCall()];
    if (state === "alerting") invited(leg, invitation);
    else dial(leg, "100", ["pcmu"]);
    if (state === "ringing") await bench.ring();
    if (state === "talking") {
      await settle();
      bench.invite.steps.push({ type: "accepted", call: call.call });
    }
    await settle();
    assert.deepEqual(await bench.close(), []);
    assert.equal(bench.agent.disposed, false, "it is the account's");
    if (state === "alerting") assert.deepEqual(invitation.said, ["180", "480 Temporarily Unavailable"]);
    if (state === "talking") assert.equal(call.hangUps, 1);
    if (state === "dialing" || state === "ringing") assert.equal(bench.invite.signal.aborted, true);
  });
}
