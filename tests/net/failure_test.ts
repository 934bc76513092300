// The runtime's errors by class and by errno.

import assert from "node:assert/strict";
import { TransportError } from "../../lib/base/errors.ts";
import { isClosedHere, transportError } from "../../lib/net/failure.ts";

Deno.test("each failure gets its code and a plain line", () => {
  const withErrno = (code: string): Error =>
    Object.assign(new Error("No route to host (os error 113)"), { code });
  const table: [unknown, TransportError["code"]][] = [
    [new Deno.errors.AddrInUse("x"), "addr-in-use"],
    [new Deno.errors.ConnectionRefused("x"), "refused"],
    [withErrno("EHOSTUNREACH"), "unreachable"],
    [new Deno.errors.NetworkUnreachable("x"), "unreachable"],
    [new Deno.errors.AddrNotAvailable("x"), "unreachable"],
    [new Deno.errors.TimedOut("x"), "timeout"],
    [new Deno.errors.ConnectionReset("x"), "closed"],
    [new Deno.errors.BrokenPipe("x"), "closed"],
    [new Deno.errors.BadResource("x"), "closed"],
    [new Deno.errors.PermissionDenied("x"), "failed"],
    [withErrno("EMFILE"), "failed"],
    ["a string", "failed"],
  ];
  for (const [error, code] of table) {
    const failure = transportError("Cannot do it", error);
    assert.equal(failure.code, code, String(error));
    assert.equal(failure.cause, error);
    assert.match(failure.message, /^Cannot do it: /);
  }
  assert.equal(transportError("Cannot go", withErrno("EHOSTUNREACH")).message, "Cannot go: No route to host");
});

Deno.test("a TransportError is passed on as it is", () => {
  const original = new TransportError("first", "timeout");
  assert.equal(transportError("second", original), original);
});

Deno.test("only what the runtime says of sockets closed here counts as closed here", () => {
  assert.ok(isClosedHere(new Deno.errors.Interrupted("x")));
  assert.ok(isClosedHere(new Deno.errors.BadResource("x")));
  assert.ok(!isClosedHere(new Deno.errors.ConnectionReset("x")));
  assert.ok(!isClosedHere("x"));
});
