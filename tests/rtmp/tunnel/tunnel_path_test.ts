import assert from "node:assert/strict";
import fc from "fast-check";
import { parseTunnelPath, type TunnelRequest } from "../../../lib/rtmp/tunnel/tunnel_path.ts";

Deno.test("paths of the tunnel", () => {
  const table: [string, TunnelRequest][] = [
    ["/open/1", { type: "open" }],
    ["/open", { type: "open" }],
    ["/send/k3x9/0", { type: "send", session: "k3x9", sequence: 0 }],
    ["/idle/K3x9/4294967295", { type: "idle", session: "K3x9", sequence: 4294967295 }],
    ["/close/a/12", { type: "close", session: "a", sequence: 12 }],
    ["/fcs/ident2", { type: "unknown" }],
    ["/fcs/ident", { type: "unknown" }],
    ["/send/k3x9", { type: "unknown" }],
    ["/send/../1", { type: "unknown" }],
    ["/send/k3x9/-1", { type: "unknown" }],
    ["/send/k3x9/1/2", { type: "unknown" }],
    ["/", { type: "unknown" }],
    ["", { type: "unknown" }],
  ];
  for (const [path, expected] of table) assert.deepEqual(parseTunnelPath(path), expected, path);
});

Deno.test("any path is something or unknown", () => {
  fc.assert(fc.property(fc.string(), (path) => {
    const { type } = parseTunnelPath(path);
    assert.ok(["open", "send", "idle", "close", "unknown"].includes(type));
  }));
});
