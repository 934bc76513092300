// Real sockets on loopback, port 0: ends of every kind, slow peers, and no leaks. Those of linux/tcp.ts do the same.

import assert from "node:assert/strict";
import { concatBytes } from "../../lib/base/bytes.ts";
import { TransportError } from "../../lib/base/errors.ts";
import type { ByteStream, SendLimits } from "../../lib/net/byte_stream.ts";
import type { Endpoint } from "../../lib/net/endpoint.ts";
import type { Sockets } from "../../lib/net/sockets.ts";
import { AcceptFailures, connectTcp, TcpConnection } from "../../lib/net/tcp.ts";
import { testSockets } from "../support/both_sockets.ts";
import { readBytes } from "../support/pipe.ts";

interface Pair extends Disposable {
  readonly client: TcpConnection;
  readonly server: ByteStream;
}

type Listen = Sockets["listenTcp"];

/** The same with each kind of sockets. */
function testBoth(name: string, run: (listen: Listen) => Promise<void> | void): void {
  testSockets(name, (sockets) => run((at, options) => sockets.listenTcp(at, options)));
}

/** A connected pair; the server side has the limits. */
async function openPair(listenTcp: Listen, limits: SendLimits = {}, hostname = "127.0.0.1"): Promise<Pair> {
  const stop = new AbortController();
  const listening = Promise.withResolvers<Endpoint>();
  const at = { hostname, port: 0 };
  const accepted = listenTcp(at, { ...limits, signal: stop.signal, onListening: listening.resolve });
  const first = accepted.next();
  const client = await connectTcp(await listening.promise);
  const server = (await first).value;
  assert.ok(server);
  stop.abort();
  assert.equal((await accepted.next()).done, true);
  const dispose = (): void => {
    client.close();
    server.close();
  };
  return { client, server, [Symbol.dispose]: dispose };
}

function bytesOf(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => i * 7 + (i >> 8));
}

/** Reads until the stream ends or breaks, and says which. */
async function endOf(stream: ByteStream): Promise<string> {
  const buffer = new Uint8Array(65536);
  try {
    while (await stream.read(buffer) !== null);
    return "end";
  } catch (error) {
    assert.ok(error instanceof TransportError);
    return error.code;
  }
}

for (const hostname of ["127.0.0.1", "::1"]) {
  testBoth(`bytes go both ways over ${hostname}, and both sides know who they are`, async (listenTcp) => {
    using pair = await openPair(listenTcp, {}, hostname);
    const { client, server } = pair;
    assert.deepEqual(client.peer, server.local);
    assert.deepEqual(server.peer, client.local);
    assert.equal(client.peer.hostname, hostname);
    const sent = bytesOf(300_000);
    client.put(sent);
    assert.deepEqual(await readBytes(server, sent.length), sent);
    server.put(sent.subarray(0, 5));
    assert.deepEqual(await readBytes(client, 5), sent.subarray(0, 5));
  });
}

testBoth("a listener on :: names IPv4 peers as IPv4", async (listenTcp) => {
  const stop = new AbortController();
  const listening = Promise.withResolvers<Endpoint>();
  const accepted = listenTcp({ hostname: "::", port: 0 }, {
    signal: stop.signal,
    onListening: listening.resolve,
  });
  const first = accepted.next();
  using client = await connectTcp({ hostname: "127.0.0.1", port: (await listening.promise).port });
  using server = (await first).value!;
  assert.deepEqual([server.peer, server.local.hostname], [client.local, "127.0.0.1"]);
  stop.abort();
  await accepted.next();
});

testBoth(
  "the peer's close is an end, our own close too, and closing twice is nothing",
  async (listenTcp) => {
    using pair = await openPair(listenTcp);
    const waiting = pair.server.read(new Uint8Array(10));
    pair.client.close();
    pair.client.close();
    assert.equal(await waiting, null);
    assert.equal(await pair.client.read(new Uint8Array(10)), null);
    assert.equal(pair.client.put(bytesOf(1)), false);
    assert.equal(await pair.client.flush(1000), true, "nothing was unsent");

    const own = pair.server.read(new Uint8Array(10));
    pair.server.close();
    assert.equal(await own, null);
  },
);

testBoth("what was flushed before close arrives whole", async (listenTcp) => {
  using pair = await openPair(listenTcp);
  const sent = bytesOf(100_000);
  pair.server.put(sent);
  const received = readBytes(pair.client);
  assert.equal(await pair.server.flush(10_000), true);
  pair.server.close();
  assert.deepEqual(await received, sent);
});

testBoth(
  "a peer that does not read is closed as too slow, and the reader learns why",
  async (listenTcp) => {
    using pair = await openPair(listenTcp, { softUnsent: 100_000, hardUnsent: 1_000_000 });
    let over = false;
    const ended = endOf(pair.server).finally(() => over = true);
    const piece = bytesOf(50_000);
    let puts = 0;
    let refusals = 0;
    while (!over) {
      assert.ok(puts++ < 1000, "never gave up");
      if (!pair.server.put(piece)) refusals++;
      assert.ok(pair.server.unsent <= 1_000_000);
      // Let the writes that the kernel still takes happen.
      await new Promise<void>((resolve) => setTimeout(resolve, 0));
    }
    assert.ok(refusals > 5, `put said false ${refusals} times before the end`);
    assert.equal(await ended, "timeout");
    assert.equal(await pair.server.read(piece), null, "told once");
  },
);

testBoth("a peer that reads late gets everything", async (listenTcp) => {
  using pair = await openPair(listenTcp);
  const sent: Uint8Array[] = [];
  while (pair.server.unsent < 300_000) { // the system takes some megabytes
    assert.ok(sent.length < 5000, "nothing ever waits");
    sent.push(bytesOf(10_000 + sent.length));
    pair.server.put(sent.at(-1)!);
  }
  const all = concatBytes(sent);
  assert.deepEqual(await readBytes(pair.client, all.length), all);
  assert.equal(await pair.server.flush(1000), true);
});

testBoth(
  "a connection reset by the peer is a TransportError or an end, never something else",
  async (listenTcp) => {
    using pair = await openPair(listenTcp);
    pair.server.put(bytesOf(100_000));
    await pair.server.flush(1000);
    // Closing with unread bytes makes the kernel send a reset.
    pair.client.close();
    assert.ok(["closed", "end"].includes(await endOf(pair.server)));
    for (let i = 0; i < 3; i++) pair.server.put(bytesOf(1000));
    await pair.server.flush(1000);
  },
);

testBoth("the listener ends with its signal, its connections live on", async (listenTcp) => {
  using pair = await openPair(listenTcp);
  pair.client.put(bytesOf(3));
  assert.deepEqual(await readBytes(pair.server, 3), bytesOf(3));
});

testBoth("breaking out of the accept loop closes the listener", async (listenTcp) => {
  const stop = new AbortController();
  let at: Endpoint | null = null;
  const client = Promise.withResolvers<TcpConnection>();
  const onListening = (local: Endpoint): void => {
    at = local;
    client.resolve(connectTcp(local));
  };
  for await (
    const server of listenTcp({ hostname: "127.0.0.1", port: 0 }, { signal: stop.signal, onListening })
  ) {
    server.close();
    break;
  }
  (await client.promise).close();
  await assert.rejects(
    connectTcp(at!),
    (error) => error instanceof TransportError && error.code === "refused",
  );
});

testBoth("a busy port, a foreign address and a name cannot be listened on", async (listenTcp) => {
  const stop = new AbortController();
  const listening = Promise.withResolvers<Endpoint>();
  const holder = listenTcp({ hostname: "127.0.0.1", port: 0 }, {
    signal: stop.signal,
    onListening: listening.resolve,
  });
  const ended = holder.next();
  const taken = await listening.promise;
  const table: [Endpoint, TransportError["code"], RegExp][] = [
    [taken, "addr-in-use", /^Cannot listen on TCP 127\.0\.0\.1:\d+: Address already in use$/],
    [{ hostname: "203.0.113.1", port: 0 }, "unreachable", /203\.0\.113\.1/],
    [{ hostname: "localhost", port: 0 }, "failed", /not an IP address/],
  ];
  for (const [at, code, message] of table) {
    await assert.rejects(listenTcp(at, { signal: stop.signal }).next(), (error) => {
      assert.ok(error instanceof TransportError);
      assert.equal(error.code, code);
      assert.match(error.message, message);
      return true;
    });
  }
  stop.abort();
  assert.equal((await ended).done, true);
  assert.equal(
    (await listenTcp(taken, { signal: stop.signal }).next()).done,
    true,
    "aborted before the start",
  );
});

testBoth("two listeners share a port when both ask for it", async (listenTcp) => {
  const stop = new AbortController();
  const options = { signal: stop.signal, reusePort: true };
  const listening = Promise.withResolvers<Endpoint>();
  const first = listenTcp({ hostname: "127.0.0.1", port: 0 }, { ...options, onListening: listening.resolve })
    .next();
  const also = Promise.withResolvers<Endpoint>();
  const second = listenTcp(await listening.promise, { ...options, onListening: also.resolve }).next();
  assert.deepEqual(await also.promise, await listening.promise);
  stop.abort();
  await Promise.all([first, second]);
});

testBoth("connecting can be refused or given up", async (listenTcp) => {
  const stop = new AbortController();
  stop.abort();
  const given = (error: unknown): boolean => error instanceof TransportError && error.code === "closed";
  await assert.rejects(connectTcp({ hostname: "127.0.0.1", port: 9 }, stop.signal), given);

  const listener = new AbortController();
  const listening = Promise.withResolvers<Endpoint>();
  const options = { signal: listener.signal, onListening: listening.resolve };
  const accepted = listenTcp({ hostname: "127.0.0.1", port: 0 }, options);
  const first = accepted.next();
  const midway = new AbortController();
  const connecting = connectTcp(await listening.promise, midway.signal);
  midway.abort();
  await assert.rejects(connecting, given);
  listener.abort();
  (await first).value?.close();
  await accepted.return();
});

const FULL = new TransportError("Cannot accept a connection: Too many open files", "failed");

Deno.test("pauses grow to a second and begin anew behind a success", () => {
  const failures = new AcceptFailures(() => 0, undefined);
  const pauses = Array.from({ length: 6 }, () => failures.failed(FULL));
  assert.deepEqual(pauses, [100, 200, 400, 800, 1000, 1000]);
  failures.succeeded();
  assert.equal(failures.failed(FULL), 100);
});

Deno.test("an hour without file descriptors is a line a minute, however often one is accepted in between", () => {
  let nowMs = 0;
  const lines: string[] = [];
  const failures = new AcceptFailures(() => nowMs, (error) => lines.push(error.message));
  for (; nowMs < 3_600_000; nowMs += 500) {
    failures.failed(FULL);
    if (nowMs % 1500 === 0) failures.succeeded();
  }
  assert.equal(lines.length, 60);
  const remedy = "; accepting pauses: raise the limit of the process (ulimit -n, LimitNOFILE)";
  assert.equal(lines[0], `Cannot accept a connection: Too many open files${remedy}`);
  assert.equal(lines[1], `Cannot accept a connection: Too many open files (and 119 times before)${remedy}`);
});

const REASONS: [reason: string, line: RegExp][] = [
  ["Too many open files in system", /files in system; accepting pauses: raise the limit of the machine/],
  ["Too many open files in the system", /raise the limit of the machine/],
  ["No buffer space available", /available; accepting pauses: the machine is short of memory for sockets$/],
  ["Cannot allocate memory", /memory; accepting pauses: the machine is short of memory$/],
  ["Software caused connection abort", /: Software caused connection abort$/],
  ["error 1", /: error 1$/],
];

for (const [reason, line] of REASONS) {
  Deno.test(`${reason}: what to do is said where it is known`, () => {
    const lines: string[] = [];
    const failures = new AcceptFailures(() => 0, (error) => lines.push(error.message));
    failures.failed(new TransportError(`Cannot accept a connection: ${reason}`, "failed"));
    assert.match(lines.join("\n"), line);
  });
}
