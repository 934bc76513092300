import assert from "node:assert/strict";
import fc from "fast-check";
import {
  decodeSockaddr,
  encodeSockaddr,
  SOCKADDR_LENGTH,
  sockaddrKey,
} from "../../../lib/net/linux/sockaddr.ts";
import { fromHex } from "../../support/hex.ts";

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
