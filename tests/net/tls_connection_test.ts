// Failures that a real peer shows too rarely, on a socket that is scripted; the rest is in tls_test.ts.

import assert from "node:assert/strict";
import { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import { TransportError } from "../../lib/base/errors.ts";
import { TlsConnection } from "../../lib/net/tls_connection.ts";

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
