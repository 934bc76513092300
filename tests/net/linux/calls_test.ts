import fc from "fast-check";
import assert from "node:assert/strict";
import { TransportError } from "../../../lib/base/errors.ts";
import { LINUX, LinuxPoll, mayCallLinux, OpenFiles, openLinuxCalls } from "../../../lib/net/linux/calls.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { FakeLinux } from "../../support/fake_linux.ts";

const onLinux = Deno.build.os === "linux";

Deno.test({
  name: "calls reach the system, and a failed one says why",
  ignore: !onLinux,
  fn: () => {
    assert.ok(mayCallLinux());
    using calls = openLinuxCalls();
    assert.equal(calls.close(-1), -1);
    assert.equal(calls.errno(), 9);
    const epoll = calls.epollCreate(0);
    assert.ok(epoll > 2);
    assert.equal(calls.epollWait(epoll, new Uint8Array(16), 1, 0), 0);
    assert.equal(calls.close(epoll), 0);
  },
});

Deno.test({
  name: "who has not granted it is not asked for it, and is told when it is used all the same",
  permissions: { ffi: false },
  fn: () => {
    assert.equal(mayCallLinux(), false);
    assert.throws(() => openLinuxCalls(), TransportError);
  },
});

Deno.test("what was opened and not closed is known in the other thread, once", () => {
  const here = new OpenFiles();
  const there = new OpenFiles(here.memory);
  for (const fd of [3, 31, 32, 63, 131071]) here.add(fd);
  here.remove(32);
  assert.deepEqual(there.take(), [3, 31, 63, 131071]);
  assert.deepEqual(here.take(), []);
});

Deno.test("numbers beyond all bounds, and none, are nothing", () => {
  const files = new OpenFiles();
  for (const fd of [-1, 131072, 1e9]) {
    files.add(fd);
    files.remove(fd);
  }
  assert.deepEqual(files.take(), []);
});

Deno.test("it is a set of numbers", () => {
  const steps = fc.array(fc.record({ add: fc.boolean(), fd: fc.nat(100) }));
  fc.assert(fc.property(steps, (all) => {
    const [files, model] = [new OpenFiles(), new Set<number>()];
    for (const { add, fd } of all) {
      if (add) files.add(fd);
      else files.remove(fd);
      if (add) model.add(fd);
      else model.delete(fd);
    }
    assert.deepEqual(files.take(), [...model].sort((a, b) => a - b));
  }));
});

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
