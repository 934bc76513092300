// What each kind of sockets does: udp_test.ts. Here: which one there is.

import assert from "node:assert/strict";
import { ConfigError } from "../../lib/base/errors.ts";
import { openMediaSockets } from "../../lib/net/media_sockets.ts";

const onLinux = Deno.build.os === "linux";

Deno.test("with the permission those of Linux are taken, unless others are asked for", () => {
  using auto = openMediaSockets("auto");
  assert.equal(auto.kind, onLinux ? "linux" : "deno");
  using own = openMediaSockets("deno");
  assert.equal(own.kind, "deno");
});

Deno.test({
  name: "without the permission those of Deno are; who insists is told what is missing",
  permissions: { net: true, ffi: false },
  fn: () => {
    using sockets = openMediaSockets("auto");
    assert.equal(sockets.kind, "deno");
    using socket = sockets.bind({ hostname: "127.0.0.1", port: 0 });
    assert.ok(socket.local.port > 0);
    assert.throws(() => openMediaSockets("linux"), (error) => {
      assert.ok(error instanceof ConfigError);
      assert.match(error.message, /--allow-ffi/);
      return true;
    });
  },
});
