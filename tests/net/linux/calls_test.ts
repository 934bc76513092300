import fc from "fast-check";
import assert from "node:assert/strict";
import { TransportError } from "../../../lib/base/errors.ts";
import { mayCallLinux, OpenFiles, openLinuxCalls } from "../../../lib/net/linux/calls.ts";

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
