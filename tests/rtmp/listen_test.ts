import assert from "node:assert/strict";
import { decodeUtf8 } from "../../lib/base/bytes.ts";
import { systemClock } from "../../lib/base/clock.ts";
import { TransportError } from "../../lib/base/errors.ts";
import { silentLog } from "../../lib/base/log.ts";
import { seededRandom } from "../../lib/base/random.ts";
import { Scope } from "../../lib/base/scope.ts";
import type { Endpoint } from "../../lib/net/endpoint.ts";
import type { ByteStream } from "../../lib/net/byte_stream.ts";
import { RtmpClient } from "../../lib/rtmp/client.ts";
import { defaultRtmpOptions } from "../../lib/rtmp/connection.ts";
import { listenRtmp, RtmpAcceptor, serveRtmp } from "../../lib/rtmp/listen.ts";
import { pipePair } from "../support/pipe.ts";
import { RecordLog } from "../support/record_log.ts";
import { serveEcho } from "../support/rtmp_pair.ts";

const ENVIRONMENT = { clock: systemClock, log: silentLog, random: seededRandom(1) };

/** Runs `use` against a server on a free port of the loopback interface. */
async function withServer(use: (url: string, local: Endpoint) => Promise<void>): Promise<number[]> {
  const stop = new AbortController();
  const listening = Promise.withResolvers<Endpoint>();
  const ids: number[] = [];
  const at = { hostname: "127.0.0.1", port: 0 };
  await using scope = new Scope("test");
  scope.spawn("accept", async () => {
    const clients = listenRtmp(at, defaultRtmpOptions, ENVIRONMENT, stop.signal, listening.resolve);
    for await (const connection of clients) {
      ids.push(connection.id);
      scope.spawn(`client ${connection.id}`, () => serveEcho(connection));
    }
  });
  const local = await listening.promise;
  try {
    await use(`rtmp://127.0.0.1:${local.port}`, local);
  } finally {
    stop.abort();
  }
  return ids;
}

Deno.test("listen: clients over real sockets, numbered, until the signal", async () => {
  const ids = await withServer(async (url) => {
    for (let turn = 0; turn < 3; turn++) {
      await using client = await RtmpClient.open(`${url}/sip/alice@localhost`, ENVIRONMENT);
      assert.deepEqual(await client.call("anything", 1, 2), ["done", 2]);
    }
  });
  assert.deepEqual(ids, [1, 2, 3]);
});

Deno.test("listen: an empty app, an HTTP client and a client that leaves do not end it", async () => {
  const ids = await withServer(async (url, { hostname, port }) => {
    await using empty = await RtmpClient.open(url, ENVIRONMENT);
    assert.deepEqual(await empty.call("x"), ["done", 0]);
    using stranger = await Deno.connect({ hostname, port });
    await stranger.write(new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n"));
    (await Deno.connect({ hostname, port })).close();
    const answer = new Uint8Array(1000);
    assert.match(
      decodeUtf8(answer.subarray(0, await stranger.read(answer) ?? 0)),
      /^HTTP\/1\.1 400 [^]*RTMP port/,
    );
    assert.equal(await stranger.read(answer), null);
    await using client = await RtmpClient.open(`${url}/live`, ENVIRONMENT);
    assert.deepEqual(await client.call("x"), ["done", 0]);
  });
  assert.deepEqual(ids, [1, 2, 3, 4]);
});

Deno.test("listen: a port in use is told at once", async () => {
  await withServer(async (_url, local) => {
    const clients = listenRtmp(local, defaultRtmpOptions, ENVIRONMENT, new AbortController().signal);
    await assert.rejects(
      clients.next(),
      (error) => error instanceof TransportError && error.code === "addr-in-use",
    );
  });
});

Deno.test("listen: 300 connections in turn leave nothing behind", async () => {
  const ids = await withServer(async (url) => {
    for (let turn = 0; turn < 300; turn++) {
      await using _client = await RtmpClient.open(`${url}/live`, { ...ENVIRONMENT, digest: null });
    }
  });
  assert.equal(ids.length, 300);
});

Deno.test("listen: streams of any kind are served by one acceptor, in the order they arrive", async () => {
  const pipes = [pipePair(), pipePair(), pipePair()] as const;
  async function* streamsOf(...which: number[]): AsyncGenerator<ByteStream, void, void> {
    for (const index of which) yield await Promise.resolve(pipes[index]![0]);
  }
  const log = new RecordLog();
  const acceptor = new RtmpAcceptor(defaultRtmpOptions, { ...ENVIRONMENT, log });
  const ids: number[] = [];
  for await (const connection of serveRtmp(streamsOf(0, 2), acceptor)) ids.push(connection.id);
  for await (const connection of serveRtmp(streamsOf(1), acceptor, "tls client")) {
    ids.push(connection.id);
    pipes[1][1].put(Uint8Array.of(0x50, 0x4f, 0x53, 0x54));
    pipes[1][1].close();
    assert.equal(await connection.open(), null);
  }
  assert.deepEqual(ids, [1, 2, 3]);
  assert.match(log.lines.join("\n"), /tls client 3 127\.0\.0\.1:40002/);
});
