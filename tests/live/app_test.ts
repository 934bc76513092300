// The application as a whole: who is let in, a slow player among others, stopping, many clients in turn.
import assert from "node:assert/strict";
import { RtmpRefused } from "../../lib/rtmp/client.ts";
import { film, inFolder, picture, speech } from "../support/live_flv.ts";
import { LiveHouse } from "../support/live_house.ts";
import { until } from "../support/live_server.ts";
import { KeepingSink } from "../support/live_sink.ts";

const NOTHING = { streams: 0, publishers: 0, players: 0, cachedBytes: 0, recordings: 0 };

Deno.test("a path that cannot be used is rejected, and the next client is served", async () => {
  await using house = new LiveHouse();
  for (const app of ["a\0b", "x".repeat(600)]) {
    await assert.rejects(house.enter(app), (error) => {
      assert.ok(error instanceof RtmpRefused);
      assert.equal(error.code, "NetConnection.Connect.Rejected");
      return true;
    });
  }
  await (await house.enter("live/")).view();
});

Deno.test("a slow player loses pictures up to a key frame, and costs the others nothing", async () => {
  const small = { softUnsent: 3000, hardUnsent: 60_000 };
  await using house = new LiveHouse({}, small, { ...small, window: 2000 });
  const publisher = await (await house.enter()).view();
  await publisher.stream.publish("cam");
  const slowGuest = await house.enter();
  const slow = await slowGuest.view();
  const fast = await (await house.enter()).view();
  await slow.stream.play("cam");
  await fast.stream.play("cam");
  const { clientEnd } = slowGuest;
  const read = clientEnd.read.bind(clientEnd);
  const stalled = Promise.withResolvers<void>();
  clientEnd.read = async (into) => {
    await stalled.promise;
    return await read(into);
  };
  const tags = film(6000);
  for (const { type, timeMs, body } of tags) {
    publisher.send({
      type,
      timeMs,
      body: type === 9 && body[1] === 1 ? picture(body[0] === 0x17, 400) : body,
    });
    if (timeMs === 4400) stalled.resolve();
    if (type === 8 && timeMs % 100 === 0) {
      await until("the others", () => fast.tags.at(-1)?.timeMs === timeMs);
      house.clock.advance(100);
    }
  }
  await fast.takeUpTo("sound 6000");
  await slow.takeUpTo("sound 6000");
  assert.equal(fast.tags.length, tags.length);
  const pictures = slow.tags.filter(({ type, body }) => type === 9 && body[1] === 1);
  const keyAfterLoss = pictures.findIndex(({ timeMs }, at) =>
    at > 0 && timeMs > pictures[at - 1]!.timeMs + 40
  );
  assert.ok(keyAfterLoss > 0);
  assert.equal(pictures[keyAfterLoss]!.body[0], 0x17);
  assert.ok(pictures.length < tags.length / 2);
  const warnings = house.log.at("warn").filter((line) => line.includes("left out"));
  assert.ok(warnings.length >= 2 && warnings.length <= 6, warnings.join("\n"));
  assert.match(
    warnings[0]!,
    /client 2 live: "cam" arrives \d+ ms late: \d+ video and \d+ audio messages left out/,
  );
});

Deno.test("when the server stops, clients are told and recordings are finished", () =>
  inFolder(async (root) => {
    await using house = new LiveHouse({ root });
    const guest = await house.enter();
    const publisher = await guest.view();
    await publisher.stream.publish("film", "record");
    publisher.send({ type: 8, timeMs: 0, body: speech() });
    const player = await (await house.enter()).view();
    await player.stream.play("film");
    publisher.send({ type: 8, timeMs: 20, body: speech() });
    await player.takeUpTo("speech 20");
    await house.stop();
    assert.deepEqual(guest.told, ["NetConnection.Connect.AppShutdown"]);
    assert.deepEqual({ ...house.app.usage }, NOTHING);
    assert.ok((await Deno.stat(`${root}/film.flv`)).isFile);
    assert.match(house.log.at("info").join("\n"), /recorded .*film\.flv/);
  }));

Deno.test("parts of this program publish to RTMP players, and hear RTMP publishers", async () => {
  await using house = new LiveHouse();
  const outcome = house.app.streams.publish("calls/alice@example.net/remote");
  assert.ok(outcome.type === "publishing");
  const player = await (await house.enter("calls/alice@example.net")).view();
  await player.stream.play("remote");
  outcome.publication.put(8, 20, speech());
  await player.takeUpTo("speech 20");
  outcome.publication.end();
  await player.takeUpTo("Play.UnpublishNotify");
  const sink = new KeepingSink();
  const listening = house.app.streams.play("live/cam", sink);
  assert.ok(listening.type === "playing");
  const publisher = await (await house.enter()).view();
  await publisher.stream.publish("cam");
  publisher.send({ type: 8, timeMs: 0, body: speech() });
  await until("the sound", () => sink.lines.includes("speech 0"));
  listening.subscription[Symbol.dispose]();
});

Deno.test("many clients in turn leave nothing behind", async () => {
  await using house = new LiveHouse();
  for (let i = 0; i < 200; i++) {
    const guest = await house.enter(`live/${i % 3}`);
    const viewer = await guest.view();
    if (i % 2 === 0) await viewer.stream.publish(`cam${i}`);
    else await viewer.stream.play(`cam${i}`, -1);
    if (i % 4 < 2) viewer.stream.close();
    await guest.client.close();
  }
  await until("them to be gone", () => house.app.usage.streams === 0);
  assert.deepEqual({ ...house.app.usage }, NOTHING);
});
