// Real sockets on loopback, port 0: no packet spoils another, no error ends the socket. The sockets of the runtime and
// those of linux/udp.ts do the same.

import assert from "node:assert/strict";
import { TransportError } from "../../lib/base/errors.ts";
import type { Endpoint } from "../../lib/net/endpoint.ts";
import type { Sockets } from "../../lib/net/sockets.ts";
import { ReadBudget, TURN_MS, TURN_PACKETS, UdpSocket } from "../../lib/net/udp.ts";
import { testSockets } from "../support/both_sockets.ts";

const LOOPBACK = { hostname: "127.0.0.1", port: 0 };

type Bind = Sockets["bindUdp"];

/** The same with each kind of sockets. */
function testBoth(name: string, run: (bind: Bind) => Promise<void> | void): void {
  testSockets(name, (sockets) => run((at, options) => sockets.bindUdp(at, options)));
}

/** Runs the socket until `count` packets have come, and gives copies of them. */
async function collect(socket: UdpSocket, count: number): Promise<{ bytes: Uint8Array; from: Endpoint }[]> {
  const packets: { bytes: Uint8Array; from: Endpoint }[] = [];
  await socket.run((bytes, from) => {
    packets.push({ bytes: bytes.slice(), from });
    if (packets.length === count) socket.close();
  });
  return packets;
}

for (const hostname of ["127.0.0.1", "::1"]) {
  testBoth(`packets of every size arrive over ${hostname} with their sender`, async (bind) => {
    using receiver = bind({ hostname, port: 0 });
    using sender = bind({ hostname, port: 0 });
    assert.ok(receiver.local.port > 0);
    const sizes = [0, 1, 172, 1500, 9000, 65507];
    const received = collect(receiver, sizes.length);
    for (const size of sizes) sender.send(new Uint8Array(size).fill(size), receiver.local);
    const packets = await received;
    assert.deepEqual(packets.map(({ bytes }) => bytes.length).sort((a, b) => a - b), sizes);
    for (const { bytes, from } of packets) {
      assert.ok(bytes.every((byte) => byte === (bytes.length & 0xff)));
      assert.deepEqual([from.hostname, from.port], [hostname, sender.local.port]);
    }
    assert.equal(sender.sendErrors, 0);
  });
}

testBoth("a burst from one reused buffer arrives as it was sent", async (bind) => {
  using receiver = bind(LOOPBACK);
  using sender = bind(LOOPBACK);
  const count = 400;
  const received = collect(receiver, count);
  const reused = new Uint8Array(172);
  for (let i = 0; i < count; i++) {
    reused.fill(i & 0xff);
    reused[0] = i >> 8;
    sender.send(reused, receiver.local);
    reused.fill(0xee);
  }
  const seen = new Set<number>();
  for (const { bytes } of await received) {
    assert.ok(bytes.subarray(1).every((byte) => byte === bytes[1]), "a packet was overwritten on its way");
    seen.add(bytes[0]! << 8 | bytes[1]!);
  }
  assert.equal(seen.size, count);
});

testBoth("closing ends a receiver that waits, and may be done again", async (bind) => {
  const socket = bind(LOOPBACK);
  const ran = socket.run(() => assert.fail("nobody sent anything"));
  socket.close();
  socket.close();
  socket[Symbol.dispose]();
  await ran;
  await socket.run(() => assert.fail("closed"));
  socket.send(new Uint8Array(1), LOOPBACK);
  assert.equal(socket.sendErrors, 0);
});

testBoth("a handler that throws is counted and reported, the next packet comes", async (bind) => {
  using receiver = bind(LOOPBACK);
  using sender = bind(LOOPBACK);
  const errors: unknown[] = [];
  receiver.onError = (error) => errors.push(error);
  let packets = 0;
  sender.send(new Uint8Array(1), receiver.local);
  sender.send(new Uint8Array(1), receiver.local);
  await receiver.run(() => {
    if (++packets === 2) receiver.close();
    throw new Error(`packet ${packets}`);
  });
  assert.deepEqual([receiver.handlerErrors, errors.length], [2, 2]);
});

testBoth("what cannot be sent is counted, never thrown, and never looked up", async (bind) => {
  using receiver = bind(LOOPBACK);
  using sender = bind(LOOPBACK);
  sender.send(new Uint8Array(5), { hostname: "localhost", port: receiver.local.port });
  sender.send(new Uint8Array(65508), receiver.local);
  assert.equal(sender.sendErrors, 2);
  sender.send(new Uint8Array(5), { hostname: "::1", port: 9 });
  sender.send(new Uint8Array(5), { hostname: "127.0.0.1", port: 0 });
  const received = collect(receiver, 1);
  sender.send(new Uint8Array(7), receiver.local);
  assert.equal((await received)[0]!.bytes.length, 7, "the socket lives");
  // The failures of the wrong family and of port 0 were reported by the runtime before the packet came.
  assert.equal(sender.sendErrors, 4);
});

testBoth("packets longer than was asked for are dropped whole and counted", async (bind) => {
  using receiver = bind({ hostname: "127.0.0.1", port: 0 }, { maxReceived: 100 });
  using sender = bind(LOOPBACK);
  sender.send(new Uint8Array(101), receiver.local);
  sender.send(new Uint8Array(5000), receiver.local);
  sender.send(new Uint8Array(100), receiver.local);
  receiver.onError = () => receiver.close();
  await receiver.run((bytes) => {
    assert.equal(bytes.length, 100);
    // The first packets of a burst may change places: go on until the long ones have been met.
    if (receiver.receiveErrors === 2) receiver.close();
    else sender.send(bytes, receiver.local);
  });
  assert.equal(receiver.handlerErrors, 0);
});

Deno.test("the first unusually long packet is lost and counted, the next ones come", async () => {
  using receiver = UdpSocket.bind({ hostname: "127.0.0.1", port: 0 }, {
    usualReceived: 100,
    maxReceived: 3000,
  });
  using sender = UdpSocket.bind(LOOPBACK);
  const lengths: number[] = [];
  sender.send(new Uint8Array(2000), receiver.local);
  sender.send(new Uint8Array(50), receiver.local);
  const again = setInterval(() => sender.send(new Uint8Array(2000), receiver.local), 5);
  await receiver.run((bytes) => {
    lengths.push(bytes.length);
    if (bytes.length === 2000) receiver.close();
  });
  clearInterval(again);
  assert.equal(lengths.at(-1), 2000);
  assert.ok(receiver.receiveErrors >= 1);
});

testBoth("a port nobody listens on does not hurt the sender", async (bind) => {
  const gone = bind(LOOPBACK);
  const nobody = gone.local;
  gone.close();
  using socket = bind(LOOPBACK);
  const received = collect(socket, 1);
  for (let i = 0; i < 5; i++) socket.send(new Uint8Array(3), nobody);
  socket.send(new Uint8Array(4), socket.local);
  assert.equal((await received)[0]!.bytes.length, 4);
});

testBoth("a socket on :: names IPv4 senders as IPv4 and can answer them", async (bind) => {
  using everywhere = bind({ hostname: "::", port: 0 });
  using ipv4 = bind(LOOPBACK);
  const answered = collect(ipv4, 1);
  ipv4.send(new Uint8Array(1), { hostname: "127.0.0.1", port: everywhere.local.port });
  await everywhere.run((_bytes, from) => {
    assert.deepEqual(from, { hostname: "127.0.0.1", port: ipv4.local.port });
    everywhere.send(new Uint8Array(2), from);
    everywhere.close();
  });
  assert.equal((await answered)[0]!.bytes.length, 2);
});

testBoth("a busy port, a foreign address and a name cannot be bound", (bind) => {
  using holder = bind(LOOPBACK);
  const table: [Endpoint, TransportError["code"]][] = [
    [holder.local, "addr-in-use"],
    [{ hostname: "203.0.113.1", port: 0 }, "unreachable"],
    [{ hostname: "localhost", port: 0 }, "failed"],
  ];
  for (const [at, code] of table) {
    assert.throws(() => bind(at), (error) => {
      assert.ok(error instanceof TransportError);
      assert.equal(error.code, code);
      assert.match(error.message, /^Cannot bind UDP /);
      return true;
    });
  }
});

testBoth("a socket that takes turns delivers every packet of a burst", async (bind) => {
  using a = bind({ hostname: "127.0.0.1", port: 0 }, { inTurns: true });
  using b = bind(LOOPBACK);
  const count = 120; // fits into the smallest receive buffer of a system
  const heard: number[] = [];
  const all = Promise.withResolvers<void>();
  const running = a.run((bytes) => {
    heard.push(bytes[0]!);
    if (heard.length === count) all.resolve();
  });
  for (let i = 0; i < count; i++) b.send(Uint8Array.of(i), a.local);
  await all.promise;
  assert.deepEqual(heard.sort((x, y) => x - y), Array.from({ length: count }, (_, i) => i));
  a.close();
  await running;
});

testBoth("many senders and many receivers in turn: each packet has its own address", async (bind) => {
  using gateway = bind(LOOPBACK);
  using one = bind(LOOPBACK);
  using two = bind(LOOPBACK);
  const [atOne, atTwo] = [collect(one, 20), collect(two, 20)];
  // Each packet goes back to whom it names; the sender of a packet is one object as long as nobody else sends.
  const senders = new Set<Endpoint>();
  const running = gateway.run((bytes, from) => {
    senders.add(from);
    gateway.send(bytes, { ...from });
  });
  for (let i = 0; i < 20; i++) {
    one.send(Uint8Array.of(1, i), gateway.local);
    if (i >= 10) two.send(Uint8Array.of(2, i - 10), gateway.local);
  }
  for (let i = 10; i < 20; i++) two.send(Uint8Array.of(2, i), { ...gateway.local });
  for (const [number, packets] of [await atOne, await atTwo].entries()) {
    assert.ok(packets.every(({ bytes }) => bytes[0] === number + 1), "a packet went to somebody else");
    assert.equal(new Set(packets.map(({ bytes }) => bytes[1])).size, 20);
  }
  assert.ok(senders.size < 40, `${senders.size} objects for the senders of 40 packets`);
  gateway.close();
  await running;
});

testBoth(
  "a handler that throws, and who is told of it throws as well: the next packet is delivered",
  async (bind) => {
    using receiver = bind(LOOPBACK);
    using sender = bind(LOOPBACK);
    receiver.onError = () => {
      throw new Error("told");
    };
    const heard: number[] = [];
    const running = receiver.run((bytes) => {
      heard.push(bytes[0]!);
      if (heard.length === 1) throw new Error("handler");
      receiver.close();
    });
    sender.send(Uint8Array.of(1), receiver.local);
    sender.send(Uint8Array.of(2), receiver.local);
    await running;
    assert.deepEqual([heard.sort(), receiver.handlerErrors, receiver.receiveErrors], [[1, 2], 1, 1]);
  },
);

/** How often a sender of so many packets a second, for ten seconds, is made to wait. */
function pauses(perSecond: number): number {
  const turn = new ReadBudget();
  let count = 0;
  for (let i = 0; i < 10 * perSecond; i++) if (turn.isOver(() => 1_000 + i * 1_000 / perSecond)) count++;
  return count;
}

Deno.test("a flood waits once in so many packets, ordinary traffic never", () => {
  const limit = TURN_PACKETS * 1_000 / TURN_MS;
  assert.equal(pauses(limit * 2), limit * 2 * 10 / TURN_PACKETS - 1); // the first turn has no beginning
  assert.equal(pauses(limit / 2), 0);
});

Deno.test("the time is asked for once in so many packets", () => {
  const turn = new ReadBudget();
  let asked = 0;
  for (let i = 0; i < 10 * TURN_PACKETS; i++) turn.isOver(() => ++asked);
  assert.equal(asked, 10);
});
