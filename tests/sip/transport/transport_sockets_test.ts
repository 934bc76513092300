// Answers to: lib/sip/transport/transport_sockets.ts. Real sockets on loopback.

import assert from "node:assert/strict";
import { TransportError } from "../../../lib/base/errors.ts";
import { connectTcp, listenTcp } from "../../../lib/net/tcp.ts";
import { UdpSocket } from "../../../lib/net/udp.ts";
import { openSipSockets, type SipSockets } from "../../../lib/sip/transport/transport_sockets.ts";

class Bench implements AsyncDisposable {
  readonly stop = new AbortController();
  readonly opened: SipSockets[] = [];

  open(port: number, fallback: boolean, bind = "127.0.0.1"): SipSockets {
    const onError = (error: TransportError) => assert.fail(error);
    const sockets = openSipSockets({ bind, port, fallback, signal: this.stop.signal, onError });
    this.opened.push(sockets);
    return sockets;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stop.abort();
    for (const { udp, accepted } of this.opened) {
      udp.close();
      for await (const stream of accepted) stream.close();
    }
  }
}

/** Holds a TCP port that the system chose. */
async function holdTcp(): Promise<{ port: number; release: () => Promise<void> }> {
  const stop = new AbortController();
  let port = 0;
  const onListening = (local: { port: number }) => port = local.port;
  const loop = listenTcp({ hostname: "127.0.0.1", port: 0 }, { signal: stop.signal, onListening });
  const pending = loop.next();
  await Promise.resolve();
  const release = async () => {
    stop.abort();
    await pending;
  };
  return { port, release };
}

Deno.test("transport_sockets: both protocols on one port", async () => {
  await using bench = new Bench();
  const { udp, accepted } = bench.open(0, false);
  using client = await connectTcp(udp.local);
  const { value: stream } = await accepted.next();
  assert.equal(stream!.local.port, udp.local.port);
  assert.equal(stream!.peer.port, client.local.port);
  stream!.close();
});

Deno.test("transport_sockets: IPv6", async () => {
  await using bench = new Bench();
  const { udp, accepted } = bench.open(0, false, "::1");
  using client = await connectTcp(udp.local);
  const { value: stream } = await accepted.next();
  assert.equal(stream!.peer.port, client.local.port);
  stream!.close();
});

Deno.test("transport_sockets: a taken UDP port is an error, or the next port with fallback", async () => {
  await using bench = new Bench();
  using taken = UdpSocket.bind({ hostname: "127.0.0.1", port: 0 });
  assert.throws(() => bench.open(taken.local.port, false), { code: "addr-in-use" });
  assert.ok(bench.open(taken.local.port, true).udp.local.port > taken.local.port);
});

Deno.test("transport_sockets: a taken TCP port is an error that leaves no UDP socket behind, or the next port", async () => {
  await using bench = new Bench();
  const taken = await holdTcp();
  assert.throws(() => bench.open(taken.port, false), { code: "addr-in-use" });
  UdpSocket.bind({ hostname: "127.0.0.1", port: taken.port }).close();
  assert.ok(bench.open(taken.port, true).udp.local.port > taken.port);
  await taken.release();
});

Deno.test("transport_sockets: other failures are not retried", async () => {
  await using bench = new Bench();
  assert.throws(() => bench.open(0, true, "not-an-address"), TransportError);
  assert.throws(() => bench.open(0, true, "192.0.2.1"), TransportError);
  assert.equal(bench.opened.length, 0);
});
