// What is to be the same with the sockets of the runtime and with those of Linux.

import assert from "node:assert/strict";
import { openSockets, type Sockets } from "../../lib/net/sockets.ts";

/** A test for each kind of sockets. */
export function testEachKind(name: string, run: (kind: "deno" | "linux") => Promise<void> | void): void {
  for (const kind of ["deno", "linux"] as const) {
    const ignore = kind === "linux" && Deno.build.os !== "linux";
    Deno.test({ name: `${kind}: ${name}`, ignore, fn: () => run(kind) });
  }
}

/** The same, with sockets to be opened. */
export function testSockets(name: string, run: (sockets: Sockets) => Promise<void> | void): void {
  testEachKind(name, async (kind) => {
    using sockets = openSockets(kind);
    assert.equal(sockets.kind, kind);
    await run(sockets);
  });
}
