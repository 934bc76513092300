// Text of endpoints both ways, and what kind of address is what.

import fc from "fast-check";
import assert from "node:assert/strict";
import { WireError } from "../../lib/base/errors.ts";
import {
  decodeIp,
  embeddedIpv4,
  formatEndpoint,
  formatIp,
  formatNetwork,
  isInNetwork,
  isIpAddress,
  isIpv6,
  isLoopback,
  isPrivate,
  isUnspecified,
  parseEndpoint,
  parseNetwork,
  prefixMatches,
  sameAddress,
  sameEndpoint,
  unmapAddress,
} from "../../lib/net/endpoint.ts";

const BOTH_WAYS: [string, { hostname: string; port: number }][] = [
  ["192.0.2.1:5060", { hostname: "192.0.2.1", port: 5060 }],
  ["[::1]:5060", { hostname: "::1", port: 5060 }],
  ["[2001:db8::7]:0", { hostname: "2001:db8::7", port: 0 }],
  ["[fe80::1%eth0]:65535", { hostname: "fe80::1%eth0", port: 65535 }],
  ["example.com:1935", { hostname: "example.com", port: 1935 }],
];

Deno.test("endpoints are written and read the same way", () => {
  for (const [text, endpoint] of BOTH_WAYS) {
    assert.equal(formatEndpoint(endpoint), text);
    assert.deepEqual(parseEndpoint(text, 1), endpoint);
  }
});

Deno.test("what is missing is the default port", () => {
  for (
    const [text, hostname] of [["192.0.2.1", "192.0.2.1"], ["::1", "::1"], ["[::1]", "::1"], [
      " host ",
      "host",
    ]]
  ) {
    assert.deepEqual(parseEndpoint(text!, 99), { hostname, port: 99 });
  }
});

Deno.test("text that is no endpoint is refused", () => {
  for (
    const text of [
      "",
      ":",
      ":5060",
      "a:",
      "a:b",
      "a:65536",
      "a:123456",
      "a:-1",
      "[::1",
      "::1]",
      "[x]:1",
      "a b",
      "a/b",
      "u@h",
      "1:2:3",
    ]
  ) assert.throws(() => parseEndpoint(text, 1), WireError, text);
  fc.assert(fc.property(fc.string(), (text) => {
    try {
      assert.deepEqual(parseEndpoint(formatEndpoint(parseEndpoint(text, 1)), 2), parseEndpoint(text, 1));
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
    }
  }));
});

Deno.test("IP addresses, and texts that only look like them", () => {
  const v4 = ["0.0.0.0", "127.0.0.1", "255.255.255.255"];
  const v6 = [
    "::",
    "::1",
    "1::",
    "1:2:3:4:5:6:7:8",
    "2001:DB8::a",
    "::ffff:192.0.2.1",
    "fe80::1%eth0",
    "1::8",
    "::1.2.3.4",
  ];
  const none = [
    "",
    "localhost",
    "1.2.3",
    "1.2.3.4.5",
    "256.1.1.1",
    "01.2.3.4",
    "1.2.3.4 ",
    "1..2.3",
    "0x7f.1",
    "-1.2.3.4",
    ":",
    ":::",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "1::2::3",
    "12345::",
    "g::",
    "1:2:3:4:5:6:7::8",
    ":1",
    "1:",
    "::1.2.3",
    "1.2.3.4::",
    "::1%",
    "[::1]",
    "::ffff:1.2.3.256",
    "1:" + "2:".repeat(40),
  ];
  for (const text of v4) assert.deepEqual([isIpAddress(text), isIpv6(text)], [true, false], text);
  for (const text of v6) assert.deepEqual([isIpAddress(text), isIpv6(text)], [true, true], text);
  for (const text of none) assert.deepEqual([isIpAddress(text), isIpv6(text)], [false, false], text);
});

Deno.test("the bytes of an address", () => {
  assert.deepEqual([...decodeIp("192.0.2.1")!], [192, 0, 2, 1]);
  assert.deepEqual([...decodeIp("2001:db8::102:3")!], [
    0x20,
    1,
    0xd,
    0xb8,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    1,
    2,
    0,
    3,
  ]);
  assert.deepEqual([...decodeIp("::192.0.2.1")!].slice(12), [192, 0, 2, 1]);
  assert.equal(decodeIp("name"), null);
});

Deno.test("every IPv6 address is read however it is shortened", () => {
  fc.assert(fc.property(fc.ipV6(), (text) => decodeIp(text)?.length === 16));
  fc.assert(fc.property(fc.ipV4(), (text) => decodeIp(text)?.join(".") === text));
  fc.assert(fc.property(fc.string({ unit: fc.constantFrom(..."0123456789abcdef:.%[]") }), (text) => {
    const bytes = decodeIp(text);
    return bytes === null || bytes.length === 4 || bytes.length === 16;
  }));
});

Deno.test("kinds of addresses", () => {
  const table: [string, { loopback?: true; private?: true; unspecified?: true }][] = [
    ["127.0.0.1", { loopback: true, private: true }],
    ["127.9.9.9", { loopback: true, private: true }],
    ["::1", { loopback: true, private: true }],
    ["0:0:0:0:0:0:0:1", { loopback: true, private: true }],
    ["::ffff:127.0.0.1", { loopback: true, private: true }],
    ["localhost", { loopback: true, private: true }],
    ["128.0.0.1", {}],
    ["::2", {}],
    ["10.1.2.3", { private: true }],
    ["172.15.0.1", {}],
    ["172.16.0.1", { private: true }],
    ["172.31.255.255", { private: true }],
    ["172.32.0.1", {}],
    ["192.168.0.1", { private: true }],
    ["100.64.0.1", { private: true }],
    ["100.128.0.1", {}],
    ["169.254.1.1", { private: true }],
    ["fd00::1", { private: true }],
    ["fe80::1%eth0", { private: true }],
    ["febf::1", { private: true }],
    ["fec0::1", {}],
    ["2001:db8::1", {}],
    ["0.0.0.0", { unspecified: true }],
    ["::", { unspecified: true }],
    ["0::0", { unspecified: true }],
    ["example.com", {}],
    ["", {}],
  ];
  for (const [text, kind] of table) {
    const found = [isLoopback(text), isPrivate(text), isUnspecified(text)];
    assert.deepEqual(found, [kind.loopback ?? false, kind.private ?? false, kind.unspecified ?? false], text);
  }
});

Deno.test("the same address in other spellings is the same", () => {
  assert.ok(sameAddress("::1", "0:0::0:1"));
  assert.ok(sameAddress("2001:DB8::1", "2001:db8::1"));
  assert.ok(sameAddress("::ffff:192.0.2.1", "192.0.2.1"));
  assert.ok(sameAddress("Example.com", "example.COM"));
  assert.ok(sameAddress("fe80::1%eth0", "fe80::1"));
  assert.ok(!sameAddress("fe80::1%eth0", "fe80::1%eth1"));
  assert.ok(!sameAddress("192.0.2.1", "192.0.2.2"));
  assert.ok(!sameAddress("192.0.2.1", "example.com"));
  assert.ok(sameEndpoint({ hostname: "::1", port: 5 }, { hostname: "0::1", port: 5 }));
  assert.ok(!sameEndpoint({ hostname: "::1", port: 5 }, { hostname: "::1", port: 6 }));
});

Deno.test("mapped addresses become IPv4, others stay", () => {
  assert.equal(unmapAddress("::FFFF:192.0.2.1"), "192.0.2.1");
  assert.equal(unmapAddress("::ffff:1:2"), "::ffff:1:2");
  assert.equal(unmapAddress("192.0.2.1"), "192.0.2.1");
});

Deno.test("prefixes match to the bit", () => {
  const [a, b] = [decodeIp("192.0.2.128")!, decodeIp("192.0.2.255")!];
  assert.ok(prefixMatches(a, b, 25));
  assert.ok(!prefixMatches(a, b, 26));
  assert.ok(prefixMatches(a, b, 0));
  assert.ok(prefixMatches(a, a, 32));
});

Deno.test("addresses are written as RFC 5952 wants them, and read back", () => {
  const table = [
    "0.0.0.0",
    "192.0.2.255",
    "::",
    "::1",
    "1::",
    "2001:db8::1",
    "2001:db8:0:1:1:1:1:1",
    "2001:0:0:1::1",
    "2001:db8::1:0:0:1",
    "fe80::aff:1:203",
    "1:2:3:4:5:6:7:8",
  ];
  for (const text of table) assert.equal(formatIp(decodeIp(text)!), text);
});

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
