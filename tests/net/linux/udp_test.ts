// Against a kernel in memory, turned by hand. The same sockets with the real one: udp_test.ts.

import fc from "fast-check";
import assert from "node:assert/strict";
import { TransportError } from "../../../lib/base/errors.ts";
import { LinuxPoll } from "../../../lib/net/linux/calls.ts";
import {
  bindLinuxUdp,
  decodeSockaddr,
  encodeSockaddr,
  SOCKADDR_LENGTH,
  sockaddrKey,
} from "../../../lib/net/linux/udp.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { EBADF, FakeLinux } from "../../support/fake_linux.ts";
import { fromHex } from "../../support/hex.ts";

const ANYWHERE = { hostname: "127.0.0.1", port: 0 };

function open() {
  const kernel = new FakeLinux();
  const clock = new FakeClock();
  const poll = new LinuxPoll(kernel, clock);
  return { kernel, clock, poll, bind: () => bindLinuxUdp(poll, ANYWHERE) };
}

Deno.test("sockets are looked at together, as long as one is run", async () => {
  const { kernel, clock, poll, bind } = open();
  const [a, b] = [bind(), bind()];
  assert.equal(clock.pending, 0, "nobody is run");
  const heard: string[] = [];
  const running = [
    a.run(([octet]) => void heard.push(`a${octet}`)),
    b.run(([octet]) => void heard.push(`b${octet}`)),
  ];
  kernel.deliver(a.local.port, Uint8Array.of(1));
  kernel.deliver(b.local.port, Uint8Array.of(2));
  kernel.deliver(a.local.port, Uint8Array.of(3));
  assert.deepEqual(heard, []);
  clock.advance(5);
  assert.deepEqual(heard, ["a1", "b2", "a3"]);
  a.close();
  assert.equal(clock.pending, 1);
  b.close();
  assert.equal(clock.pending, 0);
  await Promise.all(running);
  poll[Symbol.dispose]();
  assert.deepEqual([kernel.files.size, kernel.disposed], [0, true]);
});

Deno.test("a flood on one socket waits, the packet of another one does not", async () => {
  const { kernel, clock, poll, bind } = open();
  const [flooded, other] = [bind(), bind()];
  let [flood, heardAfter] = [0, -1];
  const running = [flooded.run(() => void flood++), other.run(() => void (heardAfter = flood))];
  for (let i = 0; i < 100; i++) kernel.deliver(flooded.local.port, Uint8Array.of(i));
  kernel.deliver(other.local.port, Uint8Array.of(1));
  clock.advance(5);
  assert.deepEqual([flood, heardAfter], [16, 1]);
  clock.advance(60);
  assert.equal(flood, 100);
  flooded.close();
  other.close();
  poll[Symbol.dispose]();
  await Promise.all(running);
});

Deno.test("a handler may close its socket, another one, or all, and open new ones", async () => {
  const { kernel, clock, poll, bind } = open();
  const [first, second] = [bind(), bind()];
  const heard: string[] = [];
  const runs: Promise<void>[] = [];
  runs.push(first.run(() => {
    heard.push("first");
    first.close();
    second.close();
    const third = bind(); // has the number of the first one now
    runs.push(third.run(() => {
      heard.push("third");
      third.close();
      poll[Symbol.dispose]();
    }));
    kernel.deliver(third.local.port, Uint8Array.of(3));
  }));
  runs.push(second.run(() => void heard.push("second")));
  kernel.deliver(first.local.port, Uint8Array.of(1));
  kernel.deliver(first.local.port, Uint8Array.of(1));
  kernel.deliver(second.local.port, Uint8Array.of(2));
  clock.advance(5);
  await Promise.all(runs);
  assert.deepEqual(heard, ["first", "third"]);
  assert.deepEqual([kernel.files.size, clock.pending], [0, 0]);
});

Deno.test("whichever call fails while a socket is opened, nothing stays open", async () => {
  const outcomes: string[] = [];
  for (let k = 1;; k++) {
    const kernel = new FakeLinux();
    kernel.failing = (count) => count === k ? 24 : null;
    const failure = await openAndClose(kernel);
    assert.deepEqual([kernel.files.size, kernel.disposed], [0, true], `call ${k}: ${kernel.made}`);
    if (kernel.made.length < k) break;
    if (failure !== null) assert.match(failure.message, /: Too many open files$/);
    outcomes.push(`${kernel.made[k - 1]} ${failure === null ? "went well" : "failed"}`);
  }
  assert.deepEqual(outcomes, [
    "epoll_create1 failed",
    "socket failed",
    "setsockopt went well", // a smaller buffer will do
    "bind failed",
    "getsockname failed",
    "epoll_ctl failed",
    "epoll_ctl went well", // it is closed all the same
    "close went well",
    "close went well",
  ]);
});

/** The failure, if there was one. */
async function openAndClose(kernel: FakeLinux): Promise<TransportError | null> {
  const clock = new FakeClock();
  try {
    using poll = new LinuxPoll(kernel, clock);
    using socket = bindLinuxUdp(poll, ANYWHERE);
    const running = socket.run(() => {});
    socket.close();
    await running;
  } catch (error) {
    assert.ok(error instanceof TransportError);
    return error;
  }
  assert.equal(clock.pending, 0);
  return null;
}

Deno.test("a receive that fails once is counted; one that fails again and again ends the socket with the reason", async () => {
  const { kernel, clock, poll, bind } = open();
  const socket = bind();
  let heard = 0;
  const running = socket.run(() => void heard++);
  kernel.deliver(socket.local.port, Uint8Array.of(1));
  let failures = 1;
  kernel.failing = (_count, name) => name === "recvfrom" && failures-- > 0 ? EBADF : null;
  clock.advance(5);
  assert.deepEqual([socket.receiveErrors, heard], [1, 1]);
  failures = Infinity;
  kernel.deliver(socket.local.port, Uint8Array.of(1));
  clock.advance(100);
  await assert.rejects(running, (error) => {
    assert.ok(error instanceof TransportError);
    assert.match(error.message, /^Cannot receive on UDP 127\.0\.0\.1:\d+: error 9$/);
    return true;
  });
  assert.deepEqual([clock.pending, socket.receiveErrors], [0, 101]);
  poll[Symbol.dispose]();
});

Deno.test("nothing to receive after all (a bad checksum) is no failure; what cannot be sent is counted", async () => {
  const { kernel, clock, poll, bind } = open();
  using socket = bind();
  const running = socket.run(() => {});
  kernel.deliver(socket.local.port, Uint8Array.of(1));
  kernel.failing = (_count, name) => name === "recvfrom" ? 11 : name === "sendto" ? 105 : null;
  clock.advance(500);
  assert.equal(socket.receiveErrors, 0);
  socket.send(new Uint8Array(3), { hostname: "127.0.0.1", port: 9 });
  assert.equal(socket.sendErrors, 1);
  socket.close();
  await running;
  poll[Symbol.dispose]();
  assert.equal(kernel.files.size, 0);
});

const TABLE = [
  { hostname: "127.0.0.1", port: 5060, bytes: "0200 13c4 7f000001 0000000000000000" },
  { hostname: "0.0.0.0", port: 0, bytes: "0200 0000 00000000 0000000000000000" },
  { hostname: "255.1.2.254", port: 65535, bytes: "0200 ffff ff0102fe 0000000000000000" },
];

Deno.test("addresses are written and read as the system has them", () => {
  for (const { hostname, port, bytes } of TABLE) {
    assert.deepEqual(encodeSockaddr({ hostname, port }), fromHex(bytes));
    assert.deepEqual(decodeSockaddr(fromHex(bytes)), { hostname, port });
  }
});

Deno.test("what is not an IPv4 address has none", () => {
  for (const hostname of ["::1", "localhost", "1.2.3", "1.2.3.256", "::ffff:1.2.3.4", ""]) {
    assert.equal(encodeSockaddr({ hostname, port: 1 }), null);
  }
});

const endpoints = fc.record({
  hostname: fc.tuple(...Array.from({ length: 4 }, () => fc.integer({ min: 0, max: 255 })))
    .map((parts) => parts.join(".")),
  port: fc.integer({ min: 0, max: 65535 }),
}, { noNullPrototype: true });

Deno.test("any address comes back, and has a number of its own", () => {
  fc.assert(fc.property(endpoints, endpoints, (a, b) => {
    const [bytesA, bytesB] = [encodeSockaddr(a)!, encodeSockaddr(b)!];
    assert.equal(bytesA.length, SOCKADDR_LENGTH);
    assert.deepEqual(decodeSockaddr(bytesA), a);
    assert.equal(sockaddrKey(bytesA) === sockaddrKey(bytesB), a.hostname === b.hostname && a.port === b.port);
    assert.ok(Number.isSafeInteger(sockaddrKey(bytesA)));
  }));
});
