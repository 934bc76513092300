import assert from "node:assert/strict";
import { TransportError } from "../../../lib/base/errors.ts";
import { mayCallLinux, openLinuxCalls } from "../../../lib/net/linux/calls.ts";

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
