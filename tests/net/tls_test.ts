// Real sockets on loopback, port 0: handshakes that fail or stall, and a certificate exchanged under way.

import assert from "node:assert/strict";
import { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import { createSelfSigned, type SelfSigned } from "../../scripts/self_signed.ts";
import { ConfigError, TransportError } from "../../lib/base/errors.ts";
import type { Endpoint } from "../../lib/net/endpoint.ts";
import { listenTls, type ListenTlsOptions, TlsConnection, TlsIdentity } from "../../lib/net/tls.ts";
import { readBytes } from "../support/pipe.ts";

const first = await createSelfSigned();
const second = await createSelfSigned();

interface Listening {
  readonly at: Endpoint;
  readonly identity: TlsIdentity;
  readonly errors: string[];
  next(): Promise<TlsConnection>;
  stop(): Promise<void>;
}

async function listen(options: Partial<ListenTlsOptions> = {}): Promise<Listening> {
  const stop = new AbortController();
  const listening = Promise.withResolvers<Endpoint>();
  const identity = new TlsIdentity(first);
  const errors: string[] = [];
  const accepted = listenTls({ hostname: "127.0.0.1", port: 0 }, {
    signal: stop.signal,
    identity,
    onListening: listening.resolve,
    onError: (error) => errors.push(error.message),
    ...options,
  });
  let pending: ReturnType<typeof accepted.next> | null = accepted.next();
  return {
    at: await listening.promise,
    identity,
    errors,
    next: async () => {
      const { value } = await (pending ?? accepted.next());
      pending = null;
      assert.ok(value);
      return value;
    },
    stop: async () => {
      stop.abort();
      assert.equal((await (pending ?? accepted.next())).done, true);
    },
  };
}

function connect(at: Endpoint, { certificate }: SelfSigned): Promise<Deno.TlsConn> {
  return Deno.connectTls({ hostname: "localhost", port: at.port, caCerts: [certificate] });
}

async function pair(server: Listening, trusted = first): Promise<[Deno.TlsConn, TlsConnection]> {
  const [client, accepted] = await Promise.all([connect(server.at, trusted), server.next()]);
  await client.handshake();
  return [client, accepted];
}

async function readAll(client: Deno.Conn): Promise<number> {
  const buffer = new Uint8Array(65536);
  let total = 0;
  for (let count = await client.read(buffer); count !== null; count = await client.read(buffer)) {
    total += count;
  }
  return total;
}

Deno.test("bytes go both ways, in any size, and both sides know who they are", async () => {
  const server = await listen();
  const [client, accepted] = await pair(server);
  assert.deepEqual(accepted.peer, { hostname: "127.0.0.1", port: client.localAddr.port });
  assert.deepEqual(accepted.local, server.at);
  const sent = Uint8Array.from({ length: 300_000 }, (_, i) => i * 7 + (i >> 8));
  const writing = (async () => {
    for (let at = 0; at < sent.length;) at += await client.write(sent.subarray(at));
  })();
  assert.deepEqual(await readBytes(accepted, sent.length), sent);
  await writing;
  accepted.put(sent);
  assert.ok(accepted.unsent > 0);
  const reading = readAll(client);
  assert.equal(await accepted.flush(10_000), true);
  accepted.close();
  assert.equal(await reading, sent.length, "all, and then the end: no reset, no missing closing alert");
  client.close();
  await server.stop();
});

Deno.test("the peer's end is an end; closing twice is nothing; a closed one takes and gives no more", async () => {
  const server = await listen();
  const [client, accepted] = await pair(server);
  const waiting = accepted.read(new Uint8Array(10));
  client.close();
  assert.equal(await waiting, null);
  accepted.close();
  accepted.close();
  assert.equal(accepted.closed, true);
  assert.equal(accepted.put(Uint8Array.of(1)), false);
  assert.equal(await accepted.read(new Uint8Array(1)), null);
  await server.stop();
});

Deno.test("our close ends a read that waits", async () => {
  const server = await listen();
  const [client, accepted] = await pair(server);
  const waiting = accepted.read(new Uint8Array(10));
  accepted.close();
  assert.equal(await waiting, null);
  assert.equal(await readAll(client), 0);
  client.close();
  await server.stop();
});

Deno.test("a peer that does not read is closed as too slow, and the reader learns why", async () => {
  const server = await listen({ softUnsent: 100_000, hardUnsent: 1_000_000 });
  const [client, accepted] = await pair(server);
  const ended = assert.rejects(
    readBytes(accepted),
    (error) => error instanceof TransportError && error.code === "timeout",
  );
  const piece = new Uint8Array(50_000);
  for (let puts = 0; !accepted.closed; puts++) {
    assert.ok(puts < 1000, "never gave up");
    accepted.put(piece);
    await new Promise<void>((resolve) => queueMicrotask(resolve));
  }
  await ended;
  client.close();
  await server.stop();
});

Deno.test("a client of another protocol, one that leaves and one that distrusts us end only themselves", async () => {
  const server = await listen();
  const { hostname, port } = server.at;
  using stranger = await Deno.connect({ hostname, port });
  await stranger.write(new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n"));
  await readAll(stranger).catch((error) => assert.ok(error instanceof Deno.errors.ConnectionReset));
  (await Deno.connect({ hostname, port })).close();
  await assert.rejects(async () => {
    using distrusting = await connect(server.at, second);
    await distrusting.handshake();
  });
  const [client, accepted] = await pair(server);
  assert.ok(server.errors.length >= 2);
  const [other, ...failed] = server.errors;
  assert.equal(other, "A client without TLS came to the TLS port");
  for (const error of failed) assert.match(error, /^TLS handshake with .+ failed: /);
  client.close();
  accepted.close();
  await server.stop();
});

Deno.test("a client that says nothing is dropped when its time is up", async () => {
  const server = await listen({ handshakeMs: 1500 }); // time enough for the honest one, however busy the machine
  const { hostname, port } = server.at;
  using silent = await Deno.connect({ hostname, port });
  await readAll(silent).catch((error) => assert.ok(error instanceof Deno.errors.ConnectionReset));
  assert.match(server.errors.join(), /failed: TLS handshake timeout$/);
  const [client, accepted] = await pair(server);
  client.close();
  accepted.close();
  await server.stop();
});

Deno.test("256 clients that say nothing do not keep the next one out", async () => {
  const server = await listen();
  const { hostname, port } = server.at;
  const silent: Deno.Conn[] = [];
  for (let i = 0; i < 256; i++) silent.push(await Deno.connect({ hostname, port }));
  const [client, accepted] = await pair(server);
  assert.equal(await silent[0]!.read(new Uint8Array(1)).catch(() => null), null, "the oldest went");
  await server.stop();
  for (const one of silent) one.close();
  client.close();
  accepted.close();
});

Deno.test("a new certificate is shown to new connections; old ones live on, and a wrong one changes nothing", async () => {
  const server = await listen();
  const [before, beforeAccepted] = await pair(server, first);
  server.identity.replace(second);
  const [after, afterAccepted] = await pair(server, second);
  const mixed = { certificate: first.certificate, privateKey: second.privateKey };
  assert.throws(() => server.identity.replace(mixed), (error) => {
    assert.ok(error instanceof ConfigError);
    assert.match(
      error.message,
      /^the TLS certificate and key cannot be used: the key is not that of the certificate$/,
    );
    return true;
  });
  assert.equal(server.identity.pem.certificate.trim(), second.certificate.trim());
  await assert.rejects(async () => {
    using outdated = await connect(server.at, first);
    await outdated.handshake();
  });
  for (const [client, accepted] of [[before, beforeAccepted], [after, afterAccepted]] as const) {
    await client.write(Uint8Array.of(1, 2, 3));
    assert.deepEqual(await readBytes(accepted, 3), Uint8Array.of(1, 2, 3));
    client.close();
    accepted.close();
  }
  await server.stop();
});

Deno.test("what is no certificate or no key is refused in words", () => {
  const table: [SelfSigned, RegExp][] = [
    [{ certificate: "x", privateKey: first.privateKey }, /the certificate file holds no certificate/],
    [{ certificate: first.certificate, privateKey: "x" }, /the key file holds no private key/],
  ];
  for (const [pem, message] of table) assert.throws(() => new TlsIdentity(pem), message);
});

Deno.test("a busy port, a foreign address and a name cannot be listened on", async () => {
  const server = await listen();
  const table: [Endpoint, TransportError["code"], RegExp][] = [
    [server.at, "addr-in-use", /^Cannot listen on TLS 127\.0\.0\.1:\d+: address already in use$/],
    [{ hostname: "203.0.113.1", port: 0 }, "unreachable", /203\.0\.113\.1:0: address not available$/],
    [{ hostname: "localhost", port: 0 }, "failed", /not an IP address/],
  ];
  for (const [at, code, message] of table) {
    const options = { signal: new AbortController().signal, identity: server.identity };
    await assert.rejects(listenTls(at, options).next(), (error) => {
      assert.ok(error instanceof TransportError);
      assert.equal(error.code, code);
      assert.match(error.message, message);
      return true;
    });
  }
  await server.stop();
  const aborted = { signal: AbortSignal.abort(), identity: server.identity };
  assert.equal((await listenTls(server.at, aborted).next()).done, true);
});

Deno.test("breaking out of the loop closes the listener", async () => {
  let at: Endpoint | null = null;
  const client = Promise.withResolvers<Deno.TlsConn>();
  const onListening = (local: Endpoint): void => {
    at = local;
    client.resolve(connect(local, first));
  };
  const options = { signal: new AbortController().signal, identity: new TlsIdentity(first), onListening };
  for await (const accepted of listenTls({ hostname: "127.0.0.1", port: 0 }, options)) {
    accepted.close();
    break;
  }
  (await client.promise).close();
  await assert.rejects(Deno.connect(at!), Deno.errors.ConnectionRefused);
});

class ScriptedSocket extends Duplex {
  readonly remoteAddress = "::ffff:192.0.2.1";
  readonly remotePort = 50000;
  readonly localAddress = "192.0.2.2";
  readonly localPort = 443;
  failWrites = false;

  override _read(): void {}

  override _write(_chunk: unknown, _encoding: string, done: (error?: Error) => void): void {
    done(this.failWrites ? Object.assign(new Error("write EPIPE"), { code: "EPIPE" }) : undefined);
  }

  destroySoon(): void {
    this.destroy();
  }
}

function open(): [ScriptedSocket, TlsConnection] {
  const socket = new ScriptedSocket();
  return [socket, new TlsConnection(socket as unknown as TLSSocket)];
}

Deno.test("an IPv4 peer of an IPv6 socket is named as IPv4", () => {
  const [, connection] = open();
  assert.deepEqual(connection.peer, { hostname: "192.0.2.1", port: 50000 });
  assert.deepEqual(connection.local, { hostname: "192.0.2.2", port: 443 });
  connection.close();
});

Deno.test("what was read is cut to the reader's buffer, and nothing is lost", async () => {
  const [socket, connection] = open();
  socket.push(Uint8Array.of(1, 2, 3, 4, 5));
  socket.push(Uint8Array.of(6));
  const read: number[] = [];
  for (const size of [2, 1, 10]) {
    const into = new Uint8Array(size);
    const count = await connection.read(into);
    read.push(...into.subarray(0, count ?? 0));
  }
  socket.push(Uint8Array.of(7));
  socket.push(null);
  const into = new Uint8Array(10);
  for (let count = await connection.read(into); count !== null; count = await connection.read(into)) {
    read.push(...into.subarray(0, count));
  }
  assert.deepEqual(read, [1, 2, 3, 4, 5, 6, 7]);
  connection.close();
});

Deno.test("a reset while the reader waits is a TransportError, told once", async () => {
  const [socket, connection] = open();
  const waiting = connection.read(new Uint8Array(1));
  socket.destroy(Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" }));
  await assert.rejects(waiting, (error) => error instanceof TransportError && error.code === "closed");
  assert.equal(await connection.read(new Uint8Array(1)), null);
});

Deno.test("a write that fails closes the connection, and the reader learns why", async () => {
  const [socket, connection] = open();
  socket.failWrites = true;
  const waiting = connection.read(new Uint8Array(1));
  connection.put(Uint8Array.of(1));
  await assert.rejects(waiting, /Cannot write to 192\.0\.2\.1:50000|broke/);
  assert.equal(connection.closed, true);
  assert.equal(socket.destroyed, true);
});
