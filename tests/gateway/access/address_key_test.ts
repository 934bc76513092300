import assert from "node:assert/strict";
import { addressKey, sourceKey } from "../../../lib/gateway/access/address_key.ts";

Deno.test("an IPv4 address is one, an IPv6 network is one, this machine is nobody", () => {
  const same: [string, string][] = [
    ["192.0.2.1", "::ffff:192.0.2.1"],
    ["2001:db8:0:1::1", "2001:0db8:0:1:ffff::2"],
  ];
  for (const [a, b] of same) assert.equal(addressKey(a), addressKey(b));
  const different: [string, string][] = [
    ["192.0.2.1", "192.0.2.2"],
    ["2001:db8:0:1::1", "2001:db8:0:2::1"],
  ];
  for (const [a, b] of different) assert.notEqual(addressKey(a), addressKey(b));
  for (const own of ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"]) {
    assert.equal(addressKey(own), null);
  }
});

Deno.test("as a source of datagrams this machine is somebody", () => {
  for (const own of ["127.0.0.1", "127.9.9.9"]) assert.equal(sourceKey(own), own);
  assert.equal(sourceKey("::ffff:192.0.2.1"), "192.0.2.1");
  assert.equal(sourceKey("2001:db8:0:1::1"), sourceKey("2001:db8:0:1::2"));
});
