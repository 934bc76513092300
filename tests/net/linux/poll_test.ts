import assert from "node:assert/strict";
import { TransportError } from "../../../lib/base/errors.ts";
import { LINUX } from "../../../lib/net/linux/calls.ts";
import { LinuxPoll } from "../../../lib/net/linux/poll.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { FakeLinux } from "../../support/fake_linux.ts";

function open() {
  const kernel = new FakeLinux();
  const clock = new FakeClock();
  const poll = new LinuxPoll(kernel, clock);
  const looks = (): number => kernel.made.filter((name) => name === "epoll_wait").length;
  return { kernel, clock, poll, looks };
}

/** A socket of the kernel in memory with so many packets that can be read. */
function readable(kernel: FakeLinux, packets: number): number {
  const fd = kernel.socket();
  for (let i = 0; i < packets; i++) {
    kernel.files.get(fd)!.packets.push({ bytes: new Uint8Array(1), from: new Uint8Array(16) });
  }
  return fd;
}

Deno.test("a look at nothing is one call in 5 ms, with traffic one a millisecond, and in quiet times as before", () => {
  const { kernel, clock, poll, looks } = open();
  clock.advance(1000);
  assert.equal(looks(), 0, "nothing is watched");
  const fd = readable(kernel, 0);
  poll.watch(fd, LINUX.epollIn, { ready: () => kernel.files.get(fd)!.packets.shift() !== undefined });
  clock.advance(100);
  assert.equal(looks(), 20);
  for (let ms = 0; ms < 200; ms++) { // two packets a millisecond: twenty calls
    for (let i = 0; i < 2; i++) {
      kernel.files.get(fd)!.packets.push({ bytes: new Uint8Array(1), from: new Uint8Array(16) });
    }
    clock.advance(1);
  }
  const busy = looks();
  clock.advance(20);
  assert.equal(looks() - busy, 20);
  clock.advance(500);
  const quiet = looks();
  clock.advance(100);
  assert.equal(looks() - quiet, 20);
  poll.unwatch(fd);
  poll.unwatch(fd);
  assert.deepEqual([poll.size, clock.pending], [0, 0]);
  poll[Symbol.dispose]();
});

Deno.test("who makes no use of it is not asked again in the same tick", () => {
  const { kernel, clock, poll, looks } = open();
  let told = 0;
  poll.watch(readable(kernel, 1), LINUX.epollIn, {
    ready: (events) => {
      told++;
      assert.equal(events, LINUX.epollIn);
      return false;
    },
  });
  clock.advance(5);
  assert.deepEqual([told, looks()], [1, 1]);
  clock.advance(45);
  assert.equal(told, 10);
  poll[Symbol.dispose]();
});

Deno.test("what is watched anew is one socket, and what throws ends nothing", () => {
  const { kernel, clock, poll } = open();
  const fd = readable(kernel, 1);
  poll.watch(fd, LINUX.epollIn, { ready: () => assert.fail("replaced") });
  poll.watch(fd, LINUX.epollIn, {
    ready: () => {
      throw new Error("a bug");
    },
  });
  assert.equal(poll.size, 1);
  assert.throws(() => clock.advance(5), /a bug/);
  assert.equal(clock.pending, 1, "it looks again");
  poll[Symbol.dispose]();
  assert.deepEqual([clock.pending, kernel.disposed], [0, true]);
});

Deno.test("a system that refuses is told of in words", () => {
  const { kernel, poll } = open();
  kernel.failing = () => 28;
  assert.throws(
    () => poll.watch(readable(kernel, 0), LINUX.epollIn, { ready: () => true }),
    (error) => error instanceof TransportError && error.message === "Cannot watch a socket: error 28",
  );
  assert.equal(poll.size, 0);
  poll[Symbol.dispose]();
});
