// What is answered without asking anybody; names under .invalid (RFC 6761) for "not found".

import assert from "node:assert/strict";
import { TransportError } from "../../lib/base/errors.ts";
import { type DnsResolver, systemDns } from "../../lib/net/dns.ts";

Deno.test("localhost and addresses are answered without a query", async () => {
  const table: [string, string[], string[]][] = [
    ["localhost", ["127.0.0.1"], ["::1"]],
    ["LocalHost.", ["127.0.0.1"], ["::1"]],
    ["phone.localhost", ["127.0.0.1"], ["::1"]],
    ["192.0.2.7", ["192.0.2.7"], []],
    ["2001:db8::7", [], ["2001:db8::7"]],
    ["", [], []],
    [".", [], []],
  ];
  for (const [name, a, aaaa] of table) {
    assert.deepEqual(await systemDns.a(name), a, name);
    assert.deepEqual(await systemDns.aaaa(name), aaaa, name);
  }
  for (const name of ["localhost", "_sip._udp.localhost", "192.0.2.7", "::1", ""]) {
    assert.deepEqual(await systemDns.srv(name), []);
    assert.deepEqual(await systemDns.naptr(name), []);
  }
});

Deno.test("what does not exist is an empty list; a dead name server is a TransportError", async () => {
  const asks: [keyof DnsResolver, string][] = [
    ["a", "nothing.invalid"],
    ["aaaa", "nothing.invalid."],
    ["srv", "_sip._udp.nothing.invalid"],
    ["naptr", "nothing.invalid"],
  ];
  for (const [kind, name] of asks) {
    try {
      assert.deepEqual(await systemDns[kind](name), [], kind);
    } catch (error) {
      // A build machine may have no name server at all.
      assert.ok(error instanceof TransportError, `${kind}: ${error}`);
      assert.match(error.message, /^Cannot look up /);
    }
  }
});
