// What RTMP clients of the streams application see: publish, play, record, seek, pause, and each other.

import assert from "node:assert/strict";
import { encodeAmf0 } from "../../lib/amf/amf0.ts";
import { LiveClient } from "../../lib/live/live_client.ts";
import { Recordings } from "../../lib/live/recordings.ts";
import { defaultLiveLimits, LiveStreams } from "../../lib/live/streams.ts";
import { RtmpRefused } from "../../lib/rtmp/client.ts";
import { NetStream } from "../../lib/rtmp/net_stream.ts";
import type { RtmpEvent } from "../../lib/rtmp/stream_commands.ts";
import { FakeClock } from "../support/fake_clock.ts";
import {
  aacHeader,
  avcHeader,
  film,
  inFolder,
  picture,
  sound,
  speech,
  type TestTag,
} from "../support/live_flv.ts";
import { LiveHouse, type Viewer } from "../support/live_house.ts";
import { until } from "../support/live_server.ts";
import { KeepingSink } from "../support/live_sink.ts";
import { RecordLog } from "../support/record_log.ts";
import { sinkLink } from "../support/rtmp_sink.ts";

const refused = (code: string, text: RegExp) => (error: unknown): boolean => {
  assert.ok(error instanceof RtmpRefused, String(error));
  assert.equal(error.code, code);
  assert.match(error.description, text);
  return true;
};

const HEADERS: readonly TestTag[] = [
  { type: 18, timeMs: 0, body: encodeAmf0(["@setDataFrame", "onMetaData", { width: 320 }]) },
  { type: 9, timeMs: 0, body: avcHeader() },
  { type: 8, timeMs: 0, body: aacHeader() },
];

function gop(startMs: number): TestTag[] {
  return [
    { type: 9, timeMs: startMs, body: picture(true) },
    { type: 8, timeMs: startMs + 10, body: sound() },
    { type: 9, timeMs: startMs + 40, body: picture(false) },
  ];
}

/** A viewer of its own connection. */
async function enter(house: LiveHouse, path = "live"): Promise<Viewer> {
  return await (await house.enter(path)).view();
}

Deno.test("late joiners get metadata, AVC and AAC headers and start at a key frame, on every path", async () => {
  for (const path of ["live", "wirecast", "any/thing"]) {
    await using house = new LiveHouse();
    const publisher = await enter(house, path);
    await publisher.stream.publish("cam?key=secret");
    publisher.send(...HEADERS, ...gop(0), ...gop(1000));
    const player = await enter(house, path);
    const elsewhere = await enter(house, `${path}/x`);
    await player.stream.play("cam?other");
    await elsewhere.stream.play("cam", -1);
    publisher.send({ type: 8, timeMs: 1050, body: sound() });
    assert.deepEqual(await player.takeUpTo("sound 1050"), [
      "Play.Reset",
      "Play.Start",
      "metadata 0",
      "avc1 1000",
      "aac 1000",
      "key 1000",
      "sound 1010",
      "picture 1040",
      "sound 1050",
    ]);
    assert.deepEqual(elsewhere.lines, ["Play.Reset", "Play.Start"]);
    assert.doesNotMatch(house.log.lines.join("\n"), /secret/);
  }
});

Deno.test("a player may come first, and stays for the next publisher", async () => {
  await using house = new LiveHouse();
  const player = await enter(house);
  await player.stream.play("cam");
  const guest = await house.enter();
  const first = await guest.view();
  await first.stream.publish("cam");
  first.send(...gop(0));
  assert.deepEqual(await player.takeUpTo("picture 40"), [
    "Play.Reset",
    "Play.Start",
    "Play.PublishNotify",
    "key 0",
    "sound 10",
    "picture 40",
  ]);
  await guest.client.close(); // without a word
  assert.deepEqual(await player.takeUpTo("Play.UnpublishNotify"), ["Play.UnpublishNotify"]);
  const second = await enter(house);
  await second.stream.publish("cam");
  second.send(...gop(0));
  assert.equal((await player.takeUpTo("Play.PublishNotify")).length, 1);
  await until("media", () => player.lines.length === 3);
  assert.ok(player.tags.at(-1)!.timeMs > 40);
});

Deno.test("a name that is taken is refused, and free when its publisher closes it", async () => {
  await using house = new LiveHouse();
  const first = await enter(house);
  const second = await enter(house);
  await first.stream.publish("cam");
  const taken = assert.rejects(
    second.stream.publish("cam"),
    refused("NetStream.Publish.BadName", /^Stream name already in use$/),
  );
  await house.clock.advanceAsync(3000); // the first is asked whether it is alive
  await taken;
  first.stream.command("closeStream");
  await first.takeUpTo("Unpublish.Success");
  await second.stream.publish("cam");
  await first.stream.publish("other"); // the same stream, another name
  await assert.rejects(first.stream.publish("a\nb"), refused("NetStream.Publish.BadName", /no name/));
  await assert.rejects(first.stream.play("a\nb"), refused("NetStream.Play.StreamNotFound", /no name/));
  const said = house.log.lines.filter((line) => line.includes("refused")).map((line) =>
    line.replace(/^.*?live: /, "")
  );
  assert.deepEqual(said, [
    "publish of live/cam refused: Stream name already in use",
    "publish refused: This is no name for a stream",
    "play refused: This is no name for a stream",
  ]);
  assert.deepEqual({ ...house.app.usage }, {
    streams: 1,
    publishers: 1,
    players: 0,
    cachedBytes: 0,
    recordings: 0,
  });
});

Deno.test("what cannot be served is refused with the reason", async () => {
  await using house = new LiveHouse({ limits: { streams: 1, players: 1 } });
  const a = await enter(house);
  await a.stream.publish("cam");
  const b = await enter(house);
  await assert.rejects(b.stream.publish("other"), refused("NetStream.Publish.BadName", /too many streams/));
  await b.stream.play("cam");
  const c = await enter(house);
  await assert.rejects(c.stream.play("cam", -1), refused("NetStream.Play.Failed", /too many players/));
  b.stream.close();
  await until("the player to be gone", () => house.app.usage.players === 0);
  await c.stream.play("cam", -1);
});

Deno.test("what is recorded is played back: every tag, its length, from an offset", () =>
  inFolder(async (root) => {
    await using house = new LiveHouse({ root });
    const publisher = await enter(house, "live/room");
    await publisher.stream.publish("film", "record");
    await publisher.takeUpTo("Record.Start");
    publisher.send(...HEADERS.slice(0, 1), ...film(3000));
    publisher.stream.command("closeStream");
    assert.deepEqual(await publisher.takeUpTo("Record.Stop"), ["Unpublish.Success", "Record.Stop"]);
    assert.deepEqual(Array.from(await Array.fromAsync(Deno.readDir(`${root}/room`)), ({ name }) => name), [
      "film.flv",
    ]);

    const guest = await house.enter("live/room");
    assert.deepEqual(await guest.client.call("getStreamLength", "film"), [3]);
    assert.deepEqual(await guest.client.call("getStreamLength", "none"), [0]);
    const player = await guest.view();
    await player.stream.play("film");
    const turning = setInterval(() => house.clock.advance(500), 5);
    const lines = await player.takeUpTo("Play.Stop");
    clearInterval(turning);
    assert.deepEqual(lines.slice(0, 3), ["Play.Reset", "Play.Start", "metadata 0"]);
    assert.equal(lines.at(-2), "data 3000"); // onPlayStatus
    assert.deepEqual(player.tags.slice(1, -1), film(3000));

    const piece = await guest.view();
    await piece.stream.play("film", 2100);
    assert.deepEqual((await piece.takeUpTo("key 2000")).slice(2), [
      "metadata 0",
      "avc1 2000",
      "aac 2000",
      "key 2000",
    ]);
  }));

Deno.test("append goes on in the file, also through another application with the same file", () =>
  inFolder(async (root) => {
    await using house = new LiveHouse({ root });
    for (const path of ["live", "wirecast"]) {
      const publisher = await enter(house, path);
      await publisher.stream.publish("talk", "append");
      publisher.send({ type: 8, timeMs: 500, body: speech(1) }, { type: 8, timeMs: 520, body: speech(2) });
      publisher.stream.command("closeStream");
      await publisher.takeUpTo("Record.Stop");
    }
    const player = await enter(house, "third");
    await player.stream.play("talk", 0);
    const lines = await player.takeUpTo("Play.Stop");
    assert.deepEqual(lines.filter((line) => line.startsWith("speech")), [
      "speech 0",
      "speech 20",
      "speech 40",
      "speech 60",
    ]);
  }));

Deno.test("pause, resume and seek in a recording", () =>
  inFolder(async (root) => {
    await using house = new LiveHouse({ root });
    const publisher = await enter(house);
    await publisher.stream.publish("film", "record");
    publisher.send(...film(9000));
    publisher.stream.command("closeStream");
    await publisher.takeUpTo("Record.Stop");
    const player = await enter(house);
    await player.stream.play("film", 0);
    await player.takeUpTo("sound 1000");
    player.stream.command("pause", true, 500);
    await player.takeUpTo("Pause.Notify");
    await until("the pause", () => house.clock.pending <= 3);
    house.clock.advance(5000);
    player.stream.command("pause", false, 510);
    const resumed = await player.takeUpTo("sound 1500");
    assert.deepEqual(resumed.slice(0, 3), ["Unpause.Notify", "picture 520", "sound 520"]);
    player.stream.command("seek", 7300);
    const sought = await player.takeUpTo("sound 8000");
    const at = sought.indexOf("Seek.Notify");
    assert.deepEqual(sought.slice(at, at + 5), [
      "Seek.Notify",
      "Play.Start",
      "avc1 7000",
      "aac 7000",
      "key 7000",
    ]);
    player.stream.command("seek", 99_000);
    await player.takeUpTo("Seek.Failed");
  }));

Deno.test("a live stream cannot be sought in; a pause loses what is sent meanwhile", async () => {
  await using house = new LiveHouse();
  const publisher = await enter(house);
  await publisher.stream.publish("cam");
  const player = await enter(house);
  await player.stream.play("cam");
  player.stream.command("seek", 1000);
  await player.takeUpTo("Seek.Failed");
  publisher.send(...gop(0));
  await player.takeUpTo("picture 40");
  player.stream.command("pause", true, 0);
  await player.takeUpTo("Pause.Notify");
  publisher.send(...gop(1000));
  await until("the tags", () => house.app.streams.find("live/cam")!.lastTimeMs === 1040);
  player.stream.command("pause", false, 0);
  await player.takeUpTo("Unpause.Notify");
  publisher.send({ type: 9, timeMs: 1080, body: picture(false) }, ...gop(2000));
  assert.deepEqual(await player.takeUpTo("picture 2040"), ["key 2000", "sound 2010", "picture 2040"]);
});

Deno.test("a recording that is not there: refused when asked for, else waited for live", () =>
  inFolder(async (root) => {
    await using house = new LiveHouse({ root });
    const player = await enter(house);
    await assert.rejects(
      player.stream.play("none", 0),
      refused("NetStream.Play.StreamNotFound", /There is no recording none/),
    );
    for (const name of ["../secret", "/etc/passwd", "a/../../b"]) {
      await assert.rejects(
        player.stream.play(name, 0),
        refused("NetStream.Play.StreamNotFound", /no recording/),
      );
    }
    await player.stream.play("none");
    const publisher = await enter(house);
    await publisher.stream.publish("none");
    publisher.send({ type: 8, timeMs: 0, body: speech() });
    await player.takeUpTo("speech 0");
  }));

Deno.test("a recording that cannot be made refuses the publish", () =>
  inFolder(async (root) => {
    await using house = new LiveHouse({ root });
    const publisher = await enter(house);
    for (const name of ["../x", "a/../x", "C:x"]) {
      await assert.rejects(
        publisher.stream.publish(name, "record"),
        refused("NetStream.Record.NoAccess", /cannot be that of a file/),
      );
    }
    assert.equal(house.app.usage.streams, 0);
    await publisher.stream.publish("x", "record");
    const other = await enter(house, "wirecast");
    await assert.rejects(
      other.stream.publish("x", "append"),
      refused("NetStream.Record.NoAccess", /already/),
    );
    publisher.stream.close();
    await until("the recording to end", () => house.app.usage.recordings === 0);
    assert.deepEqual(await Array.fromAsync(Deno.readDir(root)), []); // nothing was sent, nothing is left
  }));

Deno.test("a disk that fails ends the recording, not the stream", () =>
  inFolder(async (root) => {
    await using house = new LiveHouse({ root });
    const publisher = await enter(house);
    await publisher.stream.publish("film", "record");
    await publisher.takeUpTo("Record.Start");
    await Deno.mkdir(`${root}/film.flv`);
    const player = await enter(house);
    await player.stream.play("film");
    publisher.send({ type: 8, timeMs: 0, body: speech() });
    await player.takeUpTo("speech 0");
    publisher.stream.command("closeStream");
    await publisher.takeUpTo("Record.Stop");
    assert.match(house.log.at("error").join(), /incomplete: Cannot name/);
  }));

Deno.test("what is asked and answered beside: commands, a duration, play instead of play", () =>
  inFolder(async (root) => {
    await using house = new LiveHouse({ root });
    const guest = await house.enter();
    assert.deepEqual(await guest.client.call("whatever", 1, 2), []);
    const publisher = await enter(house);
    await publisher.stream.publish("cam");
    assert.deepEqual(await guest.client.call("getStreamLength", "cam"), [0]);
    const player = await guest.view();
    player.stream.command("play", "cam", -1000, 50);
    await player.takeUpTo("Play.Start");
    publisher.send(...[0, 50, 51, 70].map((timeMs) => ({ type: 8, timeMs, body: speech() } as const)));
    assert.deepEqual(await player.takeUpTo("Play.Stop"), ["speech 0", "speech 50", "Play.Stop"]);
    await until("the player to be gone", () => house.app.usage.players === 0);
    await player.stream.play("cam");
    await player.stream.play("other"); // in the place of the first
    player.stream.command("receiveAudio", false);
    await until("one player", () => house.app.streams.find("live/other")?.players === 1);
    assert.equal(house.app.streams.find("live/cam")!.players, 0);
  }));

Deno.test("a client that leaves while its file is being opened leaves nothing behind", () =>
  inFolder(async (root) => {
    const clock = new FakeClock();
    const log = new RecordLog();
    const streams = new LiveStreams(defaultLiveLimits, { clock, log });
    const recordings = new Recordings({ root, record: true }, log);
    const services = {
      streams,
      recordings,
      latencyMs: 1000,
      readAheadMs: 1000,
      clock,
      onBusy: "replace",
    } as const;
    const connection = {
      proof: null,
      answers: () => Promise.resolve(true),
      close: () => Promise.resolve(),
    };
    const first = new LiveClient("live", connection, services, log);
    const { link } = sinkLink(clock);
    const stream = new NetStream(1, link, { softUnsent: 1e6, hardUnsent: 1e6, maxLagMs: 1000 });
    const event: RtmpEvent = { type: "publish", stream, name: "film", query: "", mode: "record" };
    stream.beginPublish("film");
    first.handle(event);
    await first[Symbol.asyncDispose]();
    const second = new LiveClient("live", connection, services, log);
    stream.beginPlay("film", { recorded: false, reset: true });
    second.handle({ type: "play", stream, name: "film", query: "", start: 0, duration: -1, reset: true });
    await second[Symbol.asyncDispose]();
    assert.deepEqual(streams.usage, { streams: 0, publishers: 0, players: 0, cachedBytes: 0 });
    assert.deepEqual([recordings.size, await Array.fromAsync(Deno.readDir(root))], [0, []]);
  }));

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
