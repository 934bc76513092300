import assert from "node:assert/strict";
import { systemClock } from "../../lib/base/clock.ts";
import { TransportError, WireError } from "../../lib/base/errors.ts";
import { silentLog } from "../../lib/base/log.ts";
import { seededRandom } from "../../lib/base/random.ts";
import { parseRtmpUrl, RtmpClient, RtmpRefused } from "../../lib/rtmp/client.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { RecordLog } from "../support/record_log.ts";
import { rtmpPair, serveEcho } from "../support/rtmp_pair.ts";

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
