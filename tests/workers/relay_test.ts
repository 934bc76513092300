// A client that came to a worker without streams is served by the one that has them, and notices nothing.

import fc from "fast-check";
import assert from "node:assert/strict";
import { systemClock } from "../../lib/base/clock.ts";
import { TransportError, WireError } from "../../lib/base/errors.ts";
import { silentLog } from "../../lib/base/log.ts";
import { systemRandom } from "../../lib/base/random.ts";
import type { Endpoint } from "../../lib/net/endpoint.ts";
import type { ByteStream } from "../../lib/net/byte_stream.ts";
import { connectTcp, listenTcp } from "../../lib/net/tcp.ts";
import { RtmpClient } from "../../lib/rtmp/client.ts";
import { defaultRtmpOptions, RtmpConnection } from "../../lib/rtmp/connection.ts";
import {
  decodeRelayHeader,
  encodeRelayHeader,
  listenRelay,
  MAX_RELAY_HEADER,
  relayToStreams,
  ReplayedStream,
} from "../../lib/workers/relay.ts";
import { pipePair } from "../support/pipe.ts";
import { RecordLog } from "../support/record_log.ts";

const ENVIRONMENT = { clock: systemClock, log: silentLog, random: systemRandom };
const LOOPBACK = { hostname: "127.0.0.1", port: 0 };
const SECRET = "secret-of-this-run";

interface House extends AsyncDisposable {
  /** Where clients come in, at the worker without streams. */
  readonly near: Endpoint;
  /** The private port of the other one. */
  readonly home: Endpoint;
  /** What came out of carrying each client: "ended", or an error. */
  readonly carried: Promise<string>[];
  readonly log: RecordLog;
  stop(): void;
}

/** Two workers: clients come to the first, the second serves them with `serve`. */
async function house(serve: (client: RtmpConnection) => Promise<void>): Promise<House> {
  const stopping = new AbortController();
  const { signal } = stopping;
  const log = new RecordLog("debug");
  const [near, home] = [Promise.withResolvers<Endpoint>(), Promise.withResolvers<Endpoint>()];
  const carried: Promise<string>[] = [];
  const served: Promise<void>[] = [];
  const homeDone = (async () => {
    const options = { secret: SECRET, limits: {}, clock: systemClock, log, onListening: home.resolve };
    for await (const stream of listenRelay(options, signal)) {
      served.push(serve(new RtmpConnection(stream, defaultRtmpOptions, ENVIRONMENT)));
    }
  })();
  const carry = async (stream: ByteStream): Promise<string> => {
    await using client = new RtmpConnection(new ReplayedStream(stream), defaultRtmpOptions, ENVIRONMENT);
    if (await client.open() === null) return "no connect";
    const at = await home.promise;
    const options = { home: () => at, secret: SECRET, limits: {}, clock: systemClock };
    const kept = client.surrender();
    assert.ok(kept instanceof ReplayedStream);
    try {
      await relayToStreams(kept, options, signal);
      return "ended";
    } catch (error) {
      assert.ok(error instanceof TransportError);
      return error.message;
    }
  };
  const nearDone = (async () => {
    for await (const stream of listenTcp(LOOPBACK, { signal, onListening: near.resolve })) {
      carried.push(carry(stream));
    }
  })();
  return {
    near: await near.promise,
    home: await home.promise,
    carried,
    log,
    stop: () => stopping.abort(),
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await Promise.all([homeDone, nearDone, ...carried, ...served]);
    },
  };
}

function connect({ port }: Endpoint): Promise<RtmpClient> {
  return RtmpClient.open(`rtmp://127.0.0.1:${port}/live/room`, { ...ENVIRONMENT, args: ["me"] });
}

Deno.test("relay: the home serves a client as if it had come there, with its own address", async () => {
  const seen: string[] = [];
  await using running = await house(async (client) => {
    await using connection = client;
    const request = await connection.open();
    seen.push(`connect ${request?.app} ${request?.args} from port ${connection.peer.port}`);
    connection.accept();
    for await (const event of connection.events()) {
      if (event.type === "command") event.reply.result(`you said ${event.args[0]}`);
      if (event.type !== "publish") continue;
      event.stream.started();
      connection.onMedia = (_, message) => void seen.push(`media ${message.type} ${message.body.length}`);
    }
    seen.push("left");
  });
  {
    await using client = await connect(running.near);
    const stream = await client.createStream();
    await stream.publish("x");
    for (let i = 0; i < 3; i++) stream.send(9, i * 40, new Uint8Array(100_000).fill(i));
    assert.deepEqual(await client.call("echo", "hello"), ["you said hello"]);
  }
  assert.equal(await running.carried[0], "ended");
  await using _end = running;
  while (!seen.includes("left")) await new Promise((go) => setTimeout(go, 5));
  const media = "media 9 100000";
  assert.match(seen[0] ?? "", /^connect live\/room me from port \d+$/);
  assert.notEqual(Number(/\d+$/.exec(seen[0] ?? "")?.[0]), running.near.port);
  assert.deepEqual(seen.slice(1), [media, media, media, "left"]);
});

Deno.test("relay: when all stop, the home's last words reach the client", async () => {
  const stopped = Promise.withResolvers<void>();
  await using running = await house(async (client) => {
    await using connection = client;
    await connection.open();
    connection.accept();
    await stopped.promise;
    await connection.close("NetConnection.Connect.AppShutdown", "bye");
  });
  const statuses: string[] = [];
  await using client = await RtmpClient.open(`rtmp://127.0.0.1:${running.near.port}/live/room`, {
    ...ENVIRONMENT,
    onCall: (name, args) => void statuses.push(`${name} ${JSON.stringify(args)}`),
  });
  running.stop();
  stopped.resolve();
  await client.closed;
  assert.equal(await running.carried[0], "ended");
  assert.match(statuses.join(), /onStatus .*NetConnection\.Connect\.AppShutdown/);
});

Deno.test("relay port: peers without the key are closed before anything is read as RTMP, and named", async () => {
  await using running = await house(() => assert.fail("a peer without the key was let in"));
  const client = { hostname: "192.0.2.1", port: 1 };
  for (const line of [encodeRelayHeader("guess", client), new Uint8Array(300).fill(3)]) {
    using stream = await connectTcp(running.home);
    stream.put(line);
    const outcome = await stream.read(new Uint8Array(1)).catch((error) => {
      assert.ok(error instanceof TransportError);
      return null;
    });
    assert.equal(outcome, null);
  }
  const said = running.log.at("warn").join("\n");
  assert.match(said, /wrong secret/);
  assert.doesNotMatch(said, /guess/);
});

Deno.test("kept stream: forgets when its client was answered, or said too much", async () => {
  const [near, far] = pipePair();
  const kept = new ReplayedStream(near);
  far.put(new Uint8Array(100).fill(7));
  assert.equal(await kept.read(new Uint8Array(60)), 60);
  assert.equal(await kept.read(new Uint8Array(60)), 40);
  kept.put(new Uint8Array(3073));
  assert.deepEqual(kept.takeKept(), new Uint8Array(100).fill(7));

  const answered = new ReplayedStream(near);
  far.put(Uint8Array.of(1));
  await answered.read(new Uint8Array(1));
  answered.put(new Uint8Array(3073));
  answered.put(new Uint8Array(1));
  assert.equal(answered.takeKept(), null);

  const talkative = new ReplayedStream(near);
  const buffer = new Uint8Array(64 * 1024);
  for (let read = 0; read <= 256 * 1024;) {
    far.put(new Uint8Array(32 * 1024));
    read += await talkative.read(buffer) ?? assert.fail();
  }
  assert.equal(talkative.takeKept(), null);
  kept.close();
  far.close();
});

Deno.test("relay port: a client is whom the relay header names, and begins right behind it", async () => {
  const stop = new AbortController();
  const listening = Promise.withResolvers<Endpoint>();
  const options = {
    secret: "s",
    limits: {},
    clock: systemClock,
    log: silentLog,
    onListening: listening.resolve,
  };
  const door = listenRelay(options, stop.signal);
  const first = door.next();
  const at = await listening.promise;
  assert.equal(at.hostname, "127.0.0.1");
  using worker = await connectTcp(at);
  const client = { hostname: "2001:db8::9", port: 999 };
  const line = encodeRelayHeader("s", client);
  worker.put(line.subarray(0, 9)); // in pieces
  await worker.flush(1000);
  worker.put(line.subarray(9));
  worker.put(Uint8Array.of(3, 1, 2));
  const { value } = await first;
  assert.ok(value);
  assert.deepEqual(value.peer, client);
  const into = new Uint8Array(2);
  let text = "";
  while (text.length < 3) text += into.subarray(0, await value.read(into) ?? assert.fail()).join("");
  assert.equal(text, "312");
  value.put(Uint8Array.of(9));
  assert.equal(await worker.read(into), 1);
  assert.equal(into[0], 9);
  value.close();
  stop.abort();
  assert.equal((await door.next()).done, true);
});

const encoder = new TextEncoder();

Deno.test("relay header: what was encoded is read, however little has come", () => {
  for (const hostname of ["192.0.2.7", "2001:db8::7"]) {
    const line = encodeRelayHeader("s3cret", { hostname, port: 4711 });
    const bytes = new Uint8Array([...line, 3, 10, 32]);
    for (let length = 0; length < line.length; length++) {
      assert.equal(decodeRelayHeader(bytes.subarray(0, length)), null);
    }
    const expected = { secret: "s3cret", client: { hostname, port: 4711 }, length: line.length };
    assert.deepEqual(decodeRelayHeader(bytes), expected);
  }
});

const BAD = [
  "GET / HTTP/1.1\r\n",
  "siprtmp-relay s host.example 1\n",
  "siprtmp-relay s 192.0.2.7 70000\n",
  "siprtmp-relay s 192.0.2.7 1 2\n",
  "siprtmp-relay s 192.0.2.7\n",
  "\n",
  "x".repeat(MAX_RELAY_HEADER),
];

for (const text of BAD) {
  Deno.test(`relay header: ${JSON.stringify(text.slice(0, 40))} is none`, () => {
    assert.throws(() => decodeRelayHeader(encoder.encode(text)), WireError);
  });
}

Deno.test("relay header: any bytes are a header, too few, or a WireError", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
    try {
      const preface = decodeRelayHeader(bytes);
      if (preface === null) assert.ok(bytes.length < MAX_RELAY_HEADER);
    } catch (error) {
      assert.ok(error instanceof WireError);
    }
  }));
});
