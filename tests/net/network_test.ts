import assert from "node:assert/strict";
import fc from "fast-check";
import { decodeIp, formatIp } from "../../lib/net/endpoint.ts";
import { embeddedIpv4, formatNetwork, isInNetwork, parseNetwork } from "../../lib/net/network.ts";

Deno.test("network: texts to blocks and back", () => {
  const table: readonly (readonly [text: string, formatted: string])[] = [
    ["192.0.2.0/24", "192.0.2.0/24"],
    ["192.0.2.7", "192.0.2.7"],
    ["0.0.0.0/0", "0.0.0.0/0"],
    ["2001:db8::/32", "2001:db8::/32"],
    ["[::1]", "::1"],
    ["::1/128", "::1"],
    ["::ffff:192.0.2.7", "192.0.2.7"],
    ["fe80::/10", "fe80::/10"],
  ];
  for (const [text, formatted] of table) {
    const network = parseNetwork(text);
    assert.ok(network, text);
    assert.equal(formatNetwork(network), formatted);
  }
});

Deno.test("network: what is none", () => {
  for (
    const text of [
      "",
      "/",
      "/8",
      "1.2.3.4/",
      "1.2.3.4/33",
      "::1/129",
      "1.2.3.4/-1",
      "1.2.3.4/8/8",
      "1.2.3/8",
      "example.com",
      "example.com/8",
      "fe80::1%eth0",
      "1.2.3.4/ 8",
      "1.2.3.4/1e1",
      `::${"/".repeat(99)}`,
    ]
  ) assert.equal(parseNetwork(text), undefined, text);
});

Deno.test("network: an address is in it as it is written, or as the IPv4 address it leads to", () => {
  const table: readonly (readonly [address: string, network: string, inside: boolean])[] = [
    ["10.1.2.3", "10.0.0.0/8", true],
    ["11.1.2.3", "10.0.0.0/8", false],
    ["10.1.2.3", "10.1.2.2/31", true],
    ["10.1.2.4", "10.1.2.2/31", false],
    ["::ffff:10.1.2.3", "10.0.0.0/8", true],
    ["::ffff:a01:203", "10.0.0.0/8", true],
    ["64:ff9b::a01:203", "10.0.0.0/8", true],
    ["64:ff9b:1:2:3:4:a01:203", "10.0.0.0/8", true],
    ["2002:a01:203::1", "10.0.0.0/8", true],
    ["2001:0:1:2:3:4:f5fe:fdfc", "10.0.0.0/8", true],
    ["::10.1.2.3", "10.0.0.0/8", true],
    ["::ffff:0:a01:203", "10.0.0.0/8", true],
    ["2001:db8::a01:203", "10.0.0.0/8", false],
    ["::1", "0.0.0.0/0", false],
    ["::", "0.0.0.0/0", false],
    ["fe80::1%eth0", "fe80::/10", true],
    ["2002:a01:203::1", "2002::/16", true],
    ["name", "0.0.0.0/0", false],
  ];
  for (const [address, network, inside] of table) {
    assert.equal(isInNetwork(address, parseNetwork(network)!), inside, `${address} in ${network}`);
  }
});

Deno.test("network: every address is in its own network of any length, and in no other of full length", () => {
  const bytes = fc.oneof(
    fc.uint8Array({ minLength: 4, maxLength: 4 }),
    fc.uint8Array({ minLength: 16, maxLength: 16 }),
  );
  fc.assert(fc.property(bytes, fc.nat(128), (address, length) => {
    const text = formatIp(address);
    const bits = Math.min(length, 8 * address.length);
    assert.ok(isInNetwork(text, parseNetwork(`${text}/${bits}`)!));
    assert.equal(embeddedIpv4(embeddedIpv4(decodeIp(text)!)).length <= address.length, true);
  }));
});
