import assert from "node:assert/strict";
import { mayReplace, onBusyPolicies, type OnBusyPolicy } from "../../lib/live/publisher.ts";
import { LiveHouse } from "../support/live_house.ts";
import { until } from "../support/live_server.ts";
import { speech } from "../support/live_flv.ts";

Deno.test("who has shown the same replaces at once, who has not only what does not answer any more", async () => {
  const table: [
    policy: OnBusyPolicy,
    there: string | null,
    newcomer: string | null,
    alive: boolean,
    may: boolean,
  ][] = [
    ["replace", "user alice", "user alice", true, true],
    ["replace", "token", "token", true, true],
    ["replace", "user alice", "user bob", true, false],
    ["replace", "token", "user alice", true, false],
    ["replace", null, null, true, false],
    ["replace", "token", null, true, false],
    ["replace", "user alice", "user bob", false, true],
    ["replace", null, null, false, true],
    ["reject", "user alice", "user alice", true, false],
    ["reject", "user alice", "user alice", false, true],
    ["reject", null, null, false, true],
  ];
  for (const [policy, proof, shown, alive, may] of table) {
    let asked = 0;
    const there = { proof, answers: () => Promise.resolve(asked++ === 0 && alive) };
    const newcomer = { proof: shown, answers: () => Promise.resolve(true) };
    assert.equal(
      await mayReplace(policy, there, newcomer),
      may,
      JSON.stringify([policy, proof, shown, alive]),
    );
    assert.ok(
      asked === 0 || policy === "reject" || proof === null || proof !== shown,
      "nobody is asked in vain",
    );
  }
  assert.equal(onBusyPolicies[0], "replace");
});

Deno.test("an encoder that shows the same token again goes on at once; players stay", async () => {
  await using house = new LiveHouse();
  const old = await house.enter("live", "token");
  const first = await old.view();
  await first.stream.publish("cam");
  const player = await (await house.enter()).view();
  await player.stream.play("cam");
  first.send({ type: 8, timeMs: 0, body: speech() });
  await player.takeUpTo("speech 0");
  const second = await (await house.enter("live", "token")).view();
  await second.stream.publish("cam");
  second.send({ type: 8, timeMs: 20, body: speech() });
  await until("the player hears the second", () => player.lines.some((line) => line.startsWith("speech")));
  assert.deepEqual(player.lines.slice(0, 2), ["Play.UnpublishNotify", "Play.PublishNotify"]);
  await until("the first is told", () => first.lines.includes("Unpublish.Success"));
  await house.clock.advanceAsync(2000);
  await old.client.closed;
  assert.deepEqual(old.told, ["NetConnection.Connect.Closed"]);
  assert.equal(house.app.usage.publishers, 1);
});

Deno.test("who is gone without a word is replaced when its ping has no answer; who answers is not", async () => {
  await using house = new LiveHouse();
  const old = await house.enter();
  const first = await old.view();
  await first.stream.publish("cam");
  const refused = (await (await house.enter()).view()).stream.publish("cam");
  refused.catch(() => {});
  await house.clock.advanceAsync(3000);
  await assert.rejects(refused, /Stream name already in use/);
  old.clientEnd.unplugged = true;
  const second = (await (await house.enter()).view()).stream.publish("cam");
  await house.clock.advanceAsync(3000);
  await second;
  assert.equal(house.app.usage.publishers, 1);
  assert.match(house.log.lines.join("\n"), /live\/cam: a newer connection replaces its publisher/);
});

Deno.test("of two that knock at a dead one's place one gets it, and one that leaves meanwhile gets nothing", async () => {
  await using house = new LiveHouse();
  const old = await house.enter();
  await (await old.view()).stream.publish("cam");
  old.clientEnd.unplugged = true;
  const leaving = await house.enter();
  (await leaving.view()).stream.publish("cam").catch(() => {});
  await until("it waits", () => house.app.usage.publishers === 1);
  const both = await Promise.all([house.enter(), house.enter()]);
  const attempts = await Promise.all(
    both.map(async (guest) =>
      (await guest.view()).stream.publish("cam")
        .then(() => "in", () => "out")
    ).map((attempt) => [attempt]),
  );
  await leaving.client.close();
  await house.clock.advanceAsync(4000);
  const outcomes = await Promise.all(attempts.flat());
  assert.deepEqual(outcomes.toSorted(), ["in", "out"]);
  assert.equal(house.app.usage.publishers, 1);
});
