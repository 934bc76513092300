import assert from "node:assert/strict";
import { fromHex } from "../../lib/base/bytes.ts";
import { systemClock } from "../../lib/base/clock.ts";
import { TransportError, WireError } from "../../lib/base/errors.ts";
import { silentLog } from "../../lib/base/log.ts";
import { seededRandom } from "../../lib/base/random.ts";
import { ClientStream, parseRtmpUrl, RtmpClient, RtmpRefused } from "../../lib/rtmp/client.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { RecordLog } from "../support/record_log.ts";
import { rtmpPair, serveEcho } from "../support/rtmp_pair.ts";
import { sinkLink } from "../support/rtmp_sink.ts";

Deno.test("client: a refused connect throws the server's words", async () => {
  const { server, connect } = rtmpPair();
  const connecting = connect();
  await server.open();
  const rejecting = server.reject("403 Forbidden");
  await assert.rejects(
    connecting,
    (error) => error instanceof RtmpRefused && error.description === "403 Forbidden",
  );
  await rejecting;
});

Deno.test("client: _error of a call throws, and the connection goes on", async () => {
  const { server, connect } = rtmpPair();
  const serving = (async () => {
    await server.open();
    server.accept();
    for await (const event of server.events()) {
      if (event.type !== "command") continue;
      if (event.name === "bad") event.reply.error("NetConnection.Call.Failed", "no");
      else event.reply.result(event.name);
    }
  })();
  const client = await connect();
  await assert.rejects(client.call("bad"), { code: "NetConnection.Call.Failed", description: "no" });
  assert.deepEqual(await client.call("good"), ["good"]);
  await client.close();
  await serving;
});

Deno.test("client: what waits when the server leaves is told", async () => {
  const { server, connect, clock } = rtmpPair();
  const serving = (async () => {
    await server.open();
    server.accept();
    for await (const event of server.events()) if (event.type === "command") break;
    await server.close();
  })();
  const client = await connect();
  const calling = assert.rejects(client.call("anything"), TransportError);
  await clock.advanceAsync(600);
  await calling;
  await client.closed;
  await serving;
  await assert.rejects(client.call("late"), TransportError);
});

Deno.test("client: calls of the server arrive in order and are answered when asked for", async () => {
  const { server, connect } = rtmpPair();
  const serving = serveEcho(server);
  const calls: string[] = [];
  const client = await connect({
    onCall: (name, args) => calls.push(`${name} ${args.join()}`),
    objectEncoding: 3,
  });
  server.call("ringing", "180 Ringing");
  server.call("accepted", "speex", "h264");
  await client.call("sync");
  assert.deepEqual(calls, ["ringing 180 Ringing", "accepted speex,h264"]);
  await client.close();
  await serving;
});

Deno.test("client: no answer to connect in time is a timeout", async () => {
  const { server, connect, serverEnd } = rtmpPair();
  const clock = new FakeClock();
  const connecting = connect({ clock, timeoutMs: 3000 });
  await server.open();
  clock.advance(3000);
  await assert.rejects(connecting, (error) => error instanceof TransportError && error.code === "timeout");
  serverEnd.close();
});

Deno.test("client: a signal ends the attempt, and later the connection", async () => {
  const { server, connect, serverEnd } = rtmpPair();
  const controller = new AbortController();
  const connecting = connect({ signal: controller.signal });
  await server.open();
  controller.abort();
  await assert.rejects(connecting, TransportError);
  serverEnd.close();
  const second = rtmpPair();
  const serving = serveEcho(second.server);
  const later = new AbortController();
  const client = await second.connect({ signal: later.signal });
  later.abort();
  await client.closed;
  await serving;
});

Deno.test("client: a fault in an outlet ends this connection and is logged as our error", async () => {
  const { server, connect } = rtmpPair();
  const serving = serveEcho(server);
  const log = new RecordLog("error");
  const client = await connect({
    log,
    onCall: () => {
      throw new RangeError("bug");
    },
  });
  server.call("anything");
  await client.closed;
  await serving;
  assert.match(log.lines.join(), /error rtmp cannot go on: .*bug/);
});

Deno.test("client: nobody listens there", async () => {
  const options = { log: silentLog, clock: systemClock, random: seededRandom(1) };
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  await assert.rejects(RtmpClient.open(`rtmp://127.0.0.1:${port}/sip`, options), TransportError);
  await assert.rejects(RtmpClient.open("http://127.0.0.1/", options), /is not rtmp/);
});

const GOOD: [string, string, number, string][] = [
  ["rtmp://localhost/sip/alice@localhost", "localhost", 1935, "sip/alice@localhost"],
  ["rtmp://127.0.0.1:1936/live", "127.0.0.1", 1936, "live"],
  ["RTMP://gw.example.net/live?key=1", "gw.example.net", 1935, "live?key=1"],
  ["rtmp://[::1]:1936/sip/a@b", "::1", 1936, "sip/a@b"],
  ["rtmp://host", "host", 1935, ""],
  ["rtmp://host/", "host", 1935, ""],
];

for (const [text, hostname, port, app] of GOOD) {
  Deno.test(`RTMP URL ${text}`, () => {
    assert.deepEqual(parseRtmpUrl(` ${text} `), { hostname, port, app, tcUrl: text });
  });
}

for (
  const text of [
    "",
    "http://host/a",
    "rtmp://",
    "rtmp:///app",
    "rtmp://h:0/a",
    "rtmp://h:65536/a",
    "rtmp://a b/c",
  ]
) {
  Deno.test(`no RTMP URL: "${text}"`, () => assert.throws(() => parseRtmpUrl(text), WireError));
}

function setUp() {
  const { sink, link } = sinkLink(new FakeClock());
  let closed = 0;
  return { sink, stream: new ClientStream(1, link, () => closed++), closedTimes: () => closed };
}

Deno.test("client stream: publish and play resolve at their start", async () => {
  const { sink, stream } = setUp();
  const codes: unknown[] = [];
  stream.onStatus = (info) => codes.push(info["code"]);
  const publishing = stream.publish("local", "record");
  stream.receiveStatus({ level: "status", code: "NetStream.Publish.Start" });
  await publishing;
  const playing = stream.play("remote");
  stream.receiveStatus({ level: "status", code: "NetStream.Play.Reset" });
  stream.receiveStatus({ level: "status", code: "NetStream.Play.Start" });
  await playing;
  void stream.play("film", 5000).catch(() => {});
  assert.deepEqual(sink.lines(), [
    'command 1 publish 0 null "local" "record"',
    'command 1 play 0 null "remote" -2000',
    'command 1 play 0 null "film" 5000',
  ]);
  assert.deepEqual(codes, ["NetStream.Publish.Start", "NetStream.Play.Reset", "NetStream.Play.Start"]);
});

Deno.test("client stream: a status of level error refuses", async () => {
  const { stream } = setUp();
  const publishing = stream.publish("local");
  stream.receiveStatus({ level: "error", code: "NetStream.Publish.BadName", description: "in use" });
  await assert.rejects(publishing, (error) => error instanceof RtmpRefused && error.description === "in use");
});

Deno.test("client stream: what waits ends with the stream, the connection or the next request", async () => {
  const { stream, sink, closedTimes } = setUp();
  const first = stream.publish("a");
  const second = stream.publish("b");
  await assert.rejects(first, /replaced/);
  stream.close();
  stream.close();
  await assert.rejects(second, /closed/);
  await assert.rejects(stream.play("c"), /closed/);
  stream.send(8, 0, fromHex("aa"));
  stream.command("pause", true, 0);
  assert.equal(closedTimes(), 1);
  assert.equal(sink.lines().at(-1), "command 0 deleteStream 0 null 1");
});

Deno.test("client stream: media both ways, times unwrapped", () => {
  const { stream, sink } = setUp();
  const times: number[] = [];
  stream.onMedia = ({ timeMs }) => times.push(timeMs);
  const body = fromHex("aa");
  for (const timestamp of [0xfffffff0, 10]) stream.receive(8, { type: 8, streamId: 1, timestamp, body });
  assert.deepEqual(times, [0xfffffff0, 2 ** 32 + 10]);
  stream.send(9, 40, fromHex("1701"));
  stream.command("seek", 100);
  assert.deepEqual(sink.lines(), ["video 1 40 1701", "command 1 seek 0 null 100"]);
});

Deno.test("a refusal speaks in the server's words", () => {
  const refused = RtmpRefused.from({ level: "error", code: "A.B", description: "401 Unauthorized" });
  assert.deepEqual([refused.code, refused.description, refused.message], [
    "A.B",
    "401 Unauthorized",
    "401 Unauthorized",
  ]);
});

Deno.test("a refusal without words still says something", () => {
  assert.equal(RtmpRefused.from({ code: "A.B" }).message, "A.B");
  assert.equal(RtmpRefused.from("no").message, "no");
  assert.equal(RtmpRefused.from(undefined).message, "refused without a reason");
});
