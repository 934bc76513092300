import assert from "node:assert/strict";
import { encodeUtf8, fromHex, toHex } from "../../lib/base/bytes.ts";
import { TransportError } from "../../lib/base/errors.ts";
import { type RtmpClient, RtmpRefused } from "../../lib/rtmp/client.ts";
import { defaultRtmpOptions, type PaceLimits, ReadPace, Throttle } from "../../lib/rtmp/connection.ts";
import { createHello } from "../../lib/rtmp/handshake.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { readBytes } from "../support/pipe.ts";
import { rtmpPair, serveEcho } from "../support/rtmp_pair.ts";

Deno.test("connection: connect, call, publish and play, and leave", async () => {
  const { server, connect, clock } = rtmpPair();
  const events: string[] = [];
  const serving = serveEcho(server, events);
  const client = await connect({ args: ["alice", "secret"] });
  assert.deepEqual(await client.call("invite", "sip:bob@host"), ["done", 1]);
  const local = await client.createStream();
  const remote = await client.createStream();
  await remote.play("remote");
  await local.publish("local");
  const heard: string[] = [];
  const got = Promise.withResolvers<void>();
  remote.onMedia = ({ type, timeMs, body }) => {
    heard.push(`${type} ${timeMs} ${body.length > 4 ? body.length : toHex(body)}`);
    if (timeMs === 40) got.resolve();
  };
  local.send(8, 20, fromHex("b2aa"));
  local.send(9, 40, new Uint8Array(10_000));
  await got.promise;
  assert.deepEqual(heard.slice(-2), ["8 20 b2aa", "9 40 10000"]);
  local.close();
  await client.close();
  await serving;
  assert.deepEqual(events, ["invite", "play", "publish", "ended"]);
  assert.deepEqual([server.id, server.peer.port, clock.pending], [7, 40001, 0]);
  const { bytesIn, bytesOut, droppedVideo, droppedAudio } = server.stats;
  assert.ok(bytesIn > 10_000 && bytesOut > 10_000);
  assert.deepEqual([droppedVideo, droppedAudio], [0, 0]);
});

for (const maxRead of [1, 7, 500]) {
  Deno.test(`connection: the same when only ${maxRead} bytes come at a time`, async () => {
    const { server, connect } = rtmpPair({}, { maxRead });
    const serving = serveEcho(server);
    const client = await connect({ objectEncoding: 3, digest: 1 });
    assert.deepEqual(await client.call("bye"), ["done", 0]);
    await client.close();
    await serving;
  });
}

Deno.test("connection: the request of the client is handed over, an empty app too", async () => {
  for (const app of ["sip/alice@example.net", ""]) {
    const { server, connect } = rtmpPair();
    const connecting = connect({ args: ["alice", "secret"], properties: { pageUrl: "http://page/" } }, app);
    const request = await server.open();
    assert.deepEqual([request?.app, request?.args, request?.pageUrl], [
      app,
      ["alice", "secret"],
      "http://page/",
    ]);
    const rejecting = server.reject("invalid application");
    await assert.rejects(
      connecting,
      (error) => error instanceof RtmpRefused && /invalid/.test(error.description),
    );
    await rejecting;
  }
});

Deno.test("connection: a rejected client is told once, and closed", async () => {
  const { server, serverEnd, connect, log } = rtmpPair();
  const connecting = connect();
  await server.open();
  const rejecting = Promise.all([server.reject("401 Unauthorized"), server.reject("again")]);
  await assert.rejects(connecting, {
    description: "401 Unauthorized",
    code: "NetConnection.Connect.Rejected",
  });
  await rejecting;
  assert.equal(serverEnd.closed, true);
  server.accept();
  server.call("late");
  assert.equal(log.lines.filter((line) => /_error/.test(line)).length, 1);
});

Deno.test("connection: a client that does not close after a rejection is closed after half a second", async () => {
  const { server, serverEnd, clientEnd, clock } = rtmpPair();
  const hello = createHello(null, 0, (count) => new Uint8Array(count)).hello;
  clientEnd.put(hello);
  const opening = server.open();
  await readBytes(clientEnd, 3073);
  const rejecting = server.reject("too many connections");
  await clock.advanceAsync(499);
  assert.equal(serverEnd.closed, false);
  await clock.advanceAsync(1);
  await rejecting;
  assert.equal(serverEnd.closed, true);
  assert.equal(await opening, null);
  clientEnd.close();
});

Deno.test("connection: other encodings are rejected", async () => {
  const { server, connect } = rtmpPair();
  const opening = server.open();
  await assert.rejects(connect({ properties: { objectEncoding: 2 } }), /Unsupported encoding/);
  assert.equal(await opening, null);
});

Deno.test("connection: a replaced client is told why", async () => {
  const { server, connect } = rtmpPair();
  const serving = serveEcho(server);
  const calls: string[] = [];
  const client = await connect({ onCall: (name, args) => calls.push(`${name} ${JSON.stringify(args)}`) });
  server.call("registered", 300);
  await client.call("anything");
  const closing = server.close("NetConnection.Connect.Closed", "a newer client connected");
  await settle();
  await client.close();
  await closing;
  await serving;
  assert.deepEqual(calls, [
    "registered [300]",
    'onStatus [{"level":"status","code":"NetConnection.Connect.Closed","description":"a newer client connected"}]',
  ]);
});

Deno.test("connection: close() inside the event loop does not wait for itself", async () => {
  const { server, connect, clock, serverEnd } = rtmpPair();
  const serving = (async () => {
    await server.open();
    server.accept();
    for await (const event of server.events()) if (event.type === "command") await server.close();
  })();
  const client = await connect();
  client.send("bye");
  await clock.advanceAsync(600);
  await serving;
  assert.equal(serverEnd.closed, true);
  await client.close();
});

Deno.test("connection: closed while its owner is busy, it has no events and one reader", async () => {
  const { server, serverEnd, connect, clock } = rtmpPair();
  let readers = 0;
  let most = 0;
  const read = serverEnd.read.bind(serverEnd);
  serverEnd.read = (into) => {
    most = Math.max(most, ++readers);
    return read(into).finally(() => readers--);
  };
  const connecting = connect().then(() => "connected", (error: Error) => error.message);
  await server.open();
  const closing = server.close("NetConnection.Connect.Closed", "replaced");
  server.accept();
  const events = Array.fromAsync(server.events());
  await clock.advanceAsync(600);
  await closing;
  assert.deepEqual(await events, []);
  assert.equal(await connecting, "replaced");
  assert.equal(await server.open(), null);
  assert.equal(most, 1);
});

Deno.test("connection: a client that never says connect is closed in time", async () => {
  for (const bytes of [new Uint8Array(0), createHello(null, 0, (count) => new Uint8Array(count)).hello]) {
    const { server, serverEnd, clientEnd, clock, log } = rtmpPair({ openTimeoutMs: 5000 });
    clientEnd.put(bytes);
    const opening = server.open();
    await clock.advanceAsync(4999);
    assert.equal(serverEnd.closed, false);
    await clock.advanceAsync(1);
    assert.equal(await opening, null);
    assert.match(log.lines.join("\n"), /info rtmp closed: no connect within 5 s/);
    assert.doesNotMatch(log.lines.join("\n"), /left early/, "it did not leave, it was closed");
    clientEnd.close();
  }
});

Deno.test("connection: another protocol costs one warning, and no exception", async () => {
  const { server, clientEnd, log } = rtmpPair();
  clientEnd.put(encodeUtf8("GET / HTTP/1.1\r\n\r\n"));
  assert.equal(await server.open(), null);
  assert.equal(log.at("warn").length, 1);
  clientEnd.close();
});

Deno.test("connection: who is reset before connect, as health checks are, is no news", async () => {
  for (const hello of [new Uint8Array(0), createHello(null, 0, (count) => new Uint8Array(count)).hello]) {
    const { server, serverEnd, clientEnd, log } = rtmpPair();
    clientEnd.put(hello);
    const opening = server.open();
    await settle();
    serverEnd.fail(new TransportError("reset by peer", "closed"));
    assert.equal(await opening, null);
    assert.match(log.lines.join("\n"), /debug rtmp left early: reset by peer/);
    assert.doesNotMatch(log.lines.join("\n"), /(?:info|warn|error) rtmp/);
  }
});

Deno.test("connection: who resets a connection is lost, unless we are closing it and have said why", async () => {
  for (const closing of [false, true]) {
    const { server, serverEnd, connect, log, clock } = rtmpPair();
    const serving = serveEcho(server);
    const client = await connect();
    const closed = closing ? server.close("NetConnection.Connect.Closed", "486 Busy Here") : null;
    await settle();
    serverEnd.fail(new TransportError("reset by peer", "closed"));
    await clock.advanceAsync(600);
    await Promise.all([serving, closed, client.close()]);
    const said = log.lines.join("\n");
    assert.match(said, closing ? /debug rtmp gone: reset by peer/ : /info rtmp lost: reset by peer/);
    if (closing) assert.doesNotMatch(said, /info rtmp/);
  }
});

Deno.test("connection: the policy file is no error", async () => {
  const { server, clientEnd, log } = rtmpPair();
  clientEnd.put(encodeUtf8("<policy-file-request/>\0"));
  assert.equal(await server.open(), null);
  assert.match(new TextDecoder().decode(await readBytes(clientEnd)), /cross-domain-policy/);
  assert.deepEqual(log.at("warn"), []);
  clientEnd.close();
});

Deno.test("connection: broken chunks end it with one warning", async () => {
  const { server, clientEnd, connect, log } = rtmpPair();
  const serving = serveEcho(server);
  const client = await connect();
  clientEnd.put(fromHex("04 000000 ffffff 09 01000000"));
  await serving;
  assert.equal(log.at("warn").length, 1);
  assert.match(log.at("warn")[0]!, /closed: Cannot decode RTMP chunk: message length 16777215/);
  await client.close();
});

Deno.test("connection: a command that makes no sense is told once, and the client goes on", async () => {
  const { server, clientEnd, connect, log } = rtmpPair();
  const serving = serveEcho(server);
  const client = await connect();
  for (let n = 0; n < 3; n++) clientEnd.put(fromHex("04 000000 000002 14 00000000 ff00"));
  assert.deepEqual(await client.call("echo", "still here"), ["done", 1]);
  assert.equal(log.lines.filter((line) => line.includes("ignored, as will be others")).length, 1);
  assert.deepEqual(log.at("warn"), []);
  await client.close();
  await serving;
});

Deno.test("connection: a client that answers pings stays, however quiet it is", async () => {
  const { server, serverEnd, connect, clock } = rtmpPair({ pingMs: 2000, idleMs: 6000 });
  const serving = serveEcho(server);
  const client = await connect();
  await clock.advanceAsync(60_000);
  assert.equal(serverEnd.closed, false);
  assert.equal(server.stats.roundTripMs, 0);
  await client.close();
  await serving;
});

Deno.test("connection: a silent client is closed after the idle time, and said so", async () => {
  const { server, serverEnd, clientEnd, clock, log, connect } = rtmpPair({ pingMs: 2000, idleMs: 6000 });
  const serving = serveEcho(server);
  const client: RtmpClient = await connect();
  clientEnd.put = () => true; // nothing reaches the server any more
  await clock.advanceAsync(7000);
  await serving;
  assert.equal(serverEnd.closed, true);
  assert.match(log.lines.join("\n"), /info rtmp closed: no sign of life for 6 s/);
  await client.close();
});

Deno.test("connection: a client that stops reading loses media, then its connection, never the server's memory", async () => {
  const pipe = { softUnsent: 20_000, hardUnsent: 100_000, window: 4096 };
  const { server, serverEnd, clientEnd, connect, log } = rtmpPair(
    { softUnsent: 20_000, hardUnsent: 100_000 },
    pipe,
  );
  const playing = Promise.withResolvers<{ send(type: 8 | 9, timeMs: number, body: Uint8Array): boolean }>();
  const serving = (async () => {
    await server.open();
    server.accept();
    for await (const event of server.events()) {
      if (event.type === "play") {
        event.stream.started();
        playing.resolve(event.stream);
      }
    }
  })();
  const client = await connect();
  const remote = await client.createStream();
  await remote.play("remote");
  const stream = await playing.promise;
  clientEnd.read = () => new Promise(() => {}); // reads no more
  let sent = 0;
  for (let frame = 0; frame < 1000; frame++) {
    const picture = new Uint8Array(1000);
    picture.set([frame === 0 ? 0x17 : 0x27, 1]);
    if (stream.send(9, frame * 40, picture)) sent++;
    stream.send(8, frame * 40, new Uint8Array(100).fill(0xb2));
  }
  assert.ok(sent < 30, `${sent} video messages were sent`);
  assert.ok(serverEnd.unsent <= 100_000);
  assert.ok(server.stats.droppedVideo > 900 && server.stats.droppedAudio > 300);
  for (let call = 0; call < 1000 && !serverEnd.closed; call++) {
    server.call("receivedMessage", "x".repeat(1000));
  }
  await serving;
  assert.match(log.lines.join("\n"), /info rtmp lost: too slow/);
  clientEnd.close();
});

Deno.test("connection: the k-th read or write fails, for every k, and nothing is left", async () => {
  for (const side of ["readsUntilFailure", "writesUntilFailure"] as const) {
    let done = false;
    for (let count = 0; !done; count++) {
      const { server, serverEnd, clientEnd, connect, clock } = rtmpPair({}, { maxRead: 700 });
      serverEnd[side] = count;
      const serving = serveEcho(server);
      const talking = (async () => {
        await using client = await connect();
        await client.call("invite", "bob");
        const stream = await client.createStream();
        await stream.publish("local");
        stream.send(9, 0, new Uint8Array(5000));
        stream.close();
        await client.call("bye");
      })();
      done = await talking.then(() => true, () => false);
      await clock.advanceAsync(600);
      await serving;
      assert.equal(serverEnd.closed, true);
      assert.equal(clock.pending, 0);
      clientEnd.close();
      assert.ok(count < 100);
    }
  }
});

Deno.test("connection: the defaults are re-exported beside the class", () => {
  assert.equal(defaultRtmpOptions.chunkSize >= 4096, true);
});

Deno.test("connection: a publisher above its rate waits, its call goes on, and closing does not wait", async () => {
  const offences: string[] = [];
  const { server, connect, clock } = rtmpPair({ readBytesPerSecond: 100_000 }, {}, (peer, offence) => {
    offences.push(`${offence} at ${peer.port}`);
    return true;
  });
  const serving = serveEcho(server);
  const client = await connect();
  const [local, remote] = [await client.createStream(), await client.createStream()];
  await remote.play("remote");
  await local.publish("local");
  const heard: number[] = [];
  remote.onMedia = ({ timeMs }) => void heard.push(timeMs);
  for (let i = 0; i < 30; i++) local.send(9, i, new Uint8Array(10_000));
  await settle();
  const first = heard.length;
  assert.ok(first > 0 && first < 15, `${first} of 30 at once`);
  for (let passed = 0; passed < 1_000; passed += 100) await clock.advanceAsync(100);
  assert.ok(heard.length > first && heard.length < 20, `${heard.length} after a second`);
  assert.equal(offences[0], "greedy at 40001");
  assert.equal(clock.pending, 2, "its wait and its heartbeat");
  await client.close();
  const closing = server.close();
  await clock.advanceAsync(2_000);
  await Promise.all([closing, serving]);
  assert.equal(clock.pending, 0);
});

Deno.test("connection: commands are paced too, however small they are", async () => {
  const offences: string[] = [];
  const { server, connect, clock } = rtmpPair({ commandsPerSecond: 10 }, {}, (_peer, offence) => {
    offences.push(offence);
    return true;
  });
  const events: string[] = [];
  const serving = serveEcho(server, events);
  const client = await connect();
  for (let i = 0; i < 100; i++) client.send("junk", i);
  await settle();
  const first = events.length;
  assert.ok(first >= 20 && first < 40, `${first} of 100 at once`);
  for (let passed = 0; passed < 2_000; passed += 100) await clock.advanceAsync(100);
  assert.ok(events.length > first && events.length < first + 40, `${events.length} two seconds later`);
  assert.equal(offences[0], "greedy");
  for (let passed = 0; passed < 10_000; passed += 100) await clock.advanceAsync(100);
  assert.equal(events.length, 100, "none is lost");
  await client.close();
  await clock.advanceAsync(2_000);
  await serving;
});

Deno.test("connection: no connect command, or no RTMP, is reported, and not logged when that was too often", async () => {
  for (const tell of [true, false]) {
    const offences: string[] = [];
    const onOffence = (_peer: unknown, offence: string) => {
      offences.push(offence);
      return tell;
    };
    const silent = rtmpPair({ openTimeoutMs: 5_000 }, {}, onOffence);
    const opening = silent.server.open();
    await silent.clock.advanceAsync(5_000);
    assert.equal(await opening, null);
    const stranger = rtmpPair({}, {}, onOffence);
    stranger.clientEnd.put(encodeUtf8("GET / HTTP/1.1\r\n\r\n"));
    assert.equal(await stranger.server.open(), null);
    assert.deepEqual(offences, ["silent", "unusable"]);
    const told = [silent.log, stranger.log].map((log) => log.lines.some((line) => line.includes("closed:")));
    assert.deepEqual(told, [tell, tell]);
    stranger.clientEnd.close();
    silent.clientEnd.close();
  }
});

Deno.test("connection: one that is dropped is gone at once", async () => {
  const { server, clock } = rtmpPair();
  const opening = server.open();
  server.drop();
  assert.equal(await opening, null);
  assert.equal(clock.pending, 0);
});

Deno.test("connection: a byte a second does not keep it open: the time for handshake and connect is one", async () => {
  const { server, clientEnd, clock } = rtmpPair({ openTimeoutMs: 15_000 });
  const opening = server.open();
  let ended = false;
  void opening.then(() => ended = true);
  clientEnd.put(Uint8Array.of(3));
  let seconds = 0;
  for (; !ended && seconds < 60; seconds++) {
    clientEnd.put(Uint8Array.of(0));
    await clock.advanceAsync(1_000);
  }
  assert.equal(seconds, 15);
  assert.equal(await opening, null);
  assert.equal(clock.pending, 0);
  clientEnd.close();
});

Deno.test("connection: a client hears what is said while its connect is decided, before the answer", async () => {
  const { server, connect } = rtmpPair();
  const told: string[] = [];
  const connecting = connect({ onCall: (name, args) => told.push(`${name} ${JSON.stringify(args)}`) });
  await server.open();
  server.call("onStatus", {
    level: "status",
    code: "NetConnection.Connect.Trying",
    description: "the next server",
  });
  await settle();
  server.accept();
  const client = await connecting;
  assert.equal(told.length, 1);
  assert.match(told[0] ?? "", /^onStatus .*Connect\.Trying.*the next server/);
  await client.close();
  await server.close();
});

const LIMITS = { readBytesPerSecond: 1_000, commandsPerSecond: 10 };

function scene() {
  const clock = new FakeClock(10_000);
  const throttle = new Throttle(LIMITS, clock);
  const pauses: number[] = [];
  const wait = (ms: number) => {
    const state = { ended: false };
    void throttle.wait(ms, (nowMs) => void pauses.push(nowMs)).then(() => state.ended = true);
    return state;
  };
  return { clock, throttle, pauses, wait };
}

Deno.test("totals are turned into what is new", () => {
  const { clock, throttle } = scene();
  assert.equal(throttle.waitMs(1_000, 1, clock.now()), 750);
  assert.equal(throttle.waitMs(1_000, 1, clock.now()), 750);
  assert.equal(throttle.waitMs(1_100, 1, clock.now()), 850);
  assert.equal(clock.pending, 0);
});

Deno.test("a long wait is a second at a time, and holds no timer afterwards", async () => {
  const { clock, throttle, pauses, wait } = scene();
  const state = wait(throttle.waitMs(2_750, 0, clock.now()));
  await clock.advanceAsync(2_499);
  assert.ok(!state.ended);
  await clock.advanceAsync(1);
  assert.deepEqual([state.ended, pauses, clock.pending], [true, [11_000, 12_000, 12_500], 0]);
});

Deno.test("the end of the connection ends the wait, and there is no other", async () => {
  const { clock, throttle, wait } = scene();
  const state = wait(throttle.waitMs(100_000, 0, clock.now()));
  await clock.advanceAsync(500);
  throttle.release();
  await settle();
  assert.deepEqual([state.ended, clock.pending], [true, 0]);
  assert.equal(throttle.waitMs(200_000, 0, clock.now()), 0);
});

Deno.test("a few bytes are looked at together with the next ones, but not while earlier ones are to be paid for", () => {
  const { clock, throttle } = scene();
  assert.equal(throttle.waitMs(249, 0, clock.now()), 0);
  for (let bytes = 250; bytes < 256; bytes++) assert.equal(throttle.waitMs(bytes, 0, clock.now()), 0);
  assert.equal(throttle.waitMs(256, 0, clock.now()), 6, "7 bytes together");
  assert.equal(throttle.waitMs(257, 0, clock.now()), 7);
});

const READ_PACE_LIMITS: PaceLimits = { readBytesPerSecond: 1_000_000, commandsPerSecond: 100 };

/** What gets through in ten seconds of somebody who always has more, in reads of this size. */
function greedy(limits: PaceLimits, bytes: number, commands: number): { bytes: number; commands: number } {
  const pace = new ReadPace(limits);
  const read = { bytes: 0, commands: 0 };
  for (let nowMs = 0; nowMs < 10_000;) {
    read.bytes += bytes;
    read.commands += commands;
    nowMs += pace.waitMs(bytes, commands, nowMs) || 0.01;
  }
  return read;
}

Deno.test("more than the rate waits, in bytes and in commands", () => {
  const video = greedy(READ_PACE_LIMITS, 64 * 1024, 0).bytes;
  assert.ok(video > 10_000_000 && video < 10_000_000 + 250_000 + 2 * 64 * 1024, `${video}`);
  const { commands } = greedy(READ_PACE_LIMITS, 1_000, 32);
  assert.ok(commands > 1_000 && commands < 1_000 + 200 + 64, `${commands}`);
});

Deno.test("less than the rate never waits, nor does a burst", () => {
  const pace = new ReadPace(READ_PACE_LIMITS);
  for (let nowMs = 0; nowMs < 60_000; nowMs += 20) {
    const keyFrame = nowMs % 2_000 === 0;
    assert.equal(pace.waitMs(keyFrame ? 200_000 : 10_000, nowMs === 0 ? 50 : 0, nowMs), 0, `at ${nowMs}`);
  }
});

Deno.test("a long silence earns one burst, not more", () => {
  const pace = new ReadPace(READ_PACE_LIMITS);
  pace.waitMs(1, 1, 0);
  assert.equal(pace.waitMs(250_000, 200, 3_600_000), 0);
  assert.equal(pace.waitMs(100_000, 0, 3_600_000), 100);
  assert.equal(pace.waitMs(0, 50, 3_600_000), 500);
});

Deno.test("no limit, no waiting", () => {
  const pace = new ReadPace({ readBytesPerSecond: 0, commandsPerSecond: 0 });
  for (let i = 0; i < 1_000; i++) assert.equal(pace.waitMs(1e9, 1e6, 0), 0);
});
