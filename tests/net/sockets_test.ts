// What each kind of sockets does: udp_test.ts. Here: which one there is.

import assert from "node:assert/strict";
import { ConfigError } from "../../lib/base/errors.ts";
import { openSockets } from "../../lib/net/sockets.ts";

const onLinux = Deno.build.os === "linux";

Deno.test("with the permission those of Linux are taken, unless others are asked for", () => {
  using auto = openSockets("auto");
  assert.equal(auto.kind, onLinux ? "linux" : "deno");
  using own = openSockets("deno");
  assert.equal(own.kind, "deno");
});

Deno.test({
  name: "without the permission those of Deno are; who insists is told what is missing",
  permissions: { net: true, ffi: false },
  fn: () => {
    using sockets = openSockets("auto");
    assert.equal(sockets.kind, "deno");
    using socket = sockets.bindUdp({ hostname: "127.0.0.1", port: 0 });
    assert.ok(socket.local.port > 0);
    assert.throws(() => openSockets("linux"), (error) => {
      assert.ok(error instanceof ConfigError);
      assert.match(error.message, /--allow-ffi/);
      return true;
    });
  },
});
