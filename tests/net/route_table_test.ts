// Hosts of several kinds as plain values: what would the kernel put on a packet?

import assert from "node:assert/strict";
import fc from "fast-check";
import {
  chooseLocalAddress,
  type LocalAddress,
  type NetworkView,
  parseIpv4Routes,
  parseIpv6Routes,
  prefixLengthOf,
} from "../../lib/net/route_table.ts";

const LO: LocalAddress[] = [
  { name: "lo", address: "127.0.0.1", prefixLength: 8 },
  { name: "lo", address: "::1", prefixLength: 128 },
];

/** Office machine: two cards, a container bridge and a VPN. */
const ADDRESSES: LocalAddress[] = [
  ...LO,
  { name: "docker0", address: "172.17.0.1", prefixLength: 16 },
  { name: "eth0", address: "192.168.1.20", prefixLength: 24 },
  { name: "eth0", address: "fe80::20", prefixLength: 64 },
  { name: "eth0", address: "2001:db8:1::20", prefixLength: 64 },
  { name: "eth1", address: "10.0.0.5", prefixLength: 8 },
  { name: "eth1", address: "10.1.0.5", prefixLength: 16 },
  { name: "eth1", address: "fe80::5", prefixLength: 64 },
  { name: "eth1", address: "fd00::5", prefixLength: 64 },
  { name: "tun0", address: "100.100.0.9", prefixLength: 32 },
];

const IPV4_TABLE = `Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth1\t00000000\t0100000A\t0003\t0\t0\t200\t00000000\t0\t0\t0
eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0
eth1\t0000000A\t00000000\t0001\t0\t0\t0\t000000FF\t0\t0\t0
eth1\t0000010A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
eth0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
tun0\t007100CB\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
eth0\t006433C6\t00000000\t0000\t0\t0\t0\t00FFFFFF\t0\t0\t0
nonsense
`;

const ZERO = "0".repeat(32);
const IPV6_TABLE = [
  `20010db8000100000000000000000000 40 ${ZERO} 00 ${ZERO} 00000100 00000001 00000000 00000001     eth0`,
  `fd000000000000000000000000000000 40 ${ZERO} 00 ${ZERO} 00000100 00000001 00000000 00000001     eth1`,
  `fe800000000000000000000000000000 40 ${ZERO} 00 ${ZERO} 00000100 00000001 00000000 00000001     eth0`,
  `fe800000000000000000000000000000 40 ${ZERO} 00 ${ZERO} 00000100 00000001 00000000 00000001     eth1`,
  `${ZERO} 00 ${ZERO} 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003     eth0`,
  `${ZERO} 00 ${ZERO} 00 ${ZERO} ffffffff 00000001 00000000 00200200       lo`,
  "nonsense",
  "",
].join("\n");

const WITH_TABLE: NetworkView = {
  addresses: ADDRESSES,
  routes: [...parseIpv4Routes(IPV4_TABLE), ...parseIpv6Routes(IPV6_TABLE)],
  defaultIpv4: null,
};
const WITHOUT_TABLE: NetworkView = { addresses: ADDRESSES, routes: [], defaultIpv4: null };
const WITH_LEARNT: NetworkView = { addresses: ADDRESSES, routes: [], defaultIpv4: "10.0.0.5" };

function check(view: NetworkView, table: [destination: string, local: string | null][]): void {
  for (const [destination, local] of table) {
    assert.equal(chooseLocalAddress(destination, view), local, destination);
  }
}

/** True with or without a table. */
const CERTAIN: [string, string | null][] = [
  ["127.0.0.1", "127.0.0.1"],
  ["127.0.0.53", "127.0.0.1"],
  ["::1", "::1"],
  ["::ffff:127.0.0.1", "127.0.0.1"],
  ["192.168.1.20", "192.168.1.20"],
  ["192.168.1.7", "192.168.1.20"],
  ["::ffff:192.168.1.7", "192.168.1.20"],
  ["172.17.0.2", "172.17.0.1"],
  ["10.200.0.1", "10.0.0.5"],
  ["10.1.0.1", "10.1.0.5"],
  ["2001:db8:1::1", "2001:db8:1::20"],
  ["fd00::77", "fd00::5"],
  ["fe80::99%eth1", "fe80::5"],
  ["fe80::99%eth0", "fe80::20"],
  ["example.com", null],
];

Deno.test("loopback, own and on-link destinations need no table", () => {
  check(WITH_TABLE, CERTAIN);
  check(WITHOUT_TABLE, CERTAIN);
  check(WITH_LEARNT, CERTAIN);
});

Deno.test("with the table: longest prefix, then metric, decide", () => {
  check(WITH_TABLE, [
    ["8.8.8.8", "192.168.1.20"],
    ["203.0.113.7", "100.100.0.9"],
    ["198.51.100.7", "192.168.1.20"], // that route is down
    ["2001:db8:ffff::1", "2001:db8:1::20"],
  ]);
});

Deno.test("with the learnt address: it faces what is not on-link, and its interface does for IPv6", () => {
  check(WITH_LEARNT, [["8.8.8.8", "10.0.0.5"], ["2001:db8:ffff::1", "fd00::5"]]);
  const gone: NetworkView = { ...WITH_LEARNT, defaultIpv4: "198.51.100.1" };
  check(gone, [["8.8.8.8", "192.168.1.20"]]);
});

Deno.test("with neither: the first card that is no bridge, global addresses for global peers", () => {
  check(WITHOUT_TABLE, [
    ["8.8.8.8", "192.168.1.20"],
    ["2001:db8:ffff::1", "2001:db8:1::20"],
    ["fd99::1", "fd00::5"],
  ]);
});

Deno.test("a bridge is better than nothing, another family or loopback is not", () => {
  const onlyBridge: NetworkView = { addresses: [...LO, ADDRESSES[2]!], routes: [], defaultIpv4: null };
  check(onlyBridge, [["8.8.8.8", "172.17.0.1"], ["2001:db8::1", null]]);
  const onlyLoopback: NetworkView = { addresses: LO, routes: [], defaultIpv4: null };
  check(onlyLoopback, [["8.8.8.8", null], ["127.0.0.1", "127.0.0.1"]]);
});

Deno.test("tables are read to the bit and nonsense is left out", () => {
  const ipv4 = parseIpv4Routes(IPV4_TABLE);
  assert.equal(ipv4.length, 7);
  assert.deepEqual(ipv4[5], {
    name: "eth0",
    prefix: Uint8Array.of(192, 168, 1, 0),
    prefixLength: 24,
    metric: 0,
  });
  const ipv6 = parseIpv6Routes(IPV6_TABLE);
  assert.deepEqual(ipv6.map(({ name, prefixLength }) => [name, prefixLength]), [
    ["eth0", 64],
    ["eth1", 64],
    ["eth0", 64],
    ["eth1", 64],
    ["eth0", 0],
  ]);
  fc.assert(fc.property(fc.string(), fc.constantFrom(...CERTAIN), (text, [destination, local]) => {
    const routes = [...parseIpv4Routes(text), ...parseIpv6Routes(text)];
    assert.equal(chooseLocalAddress(destination, { ...WITHOUT_TABLE, routes }), local);
  }));
});

Deno.test("netmasks become prefix lengths", () => {
  for (
    const [mask, length] of [["255.255.255.0", 24], ["0.0.0.0", 0], ["255.255.240.0", 20], [
      "ffff:ffff::",
      32,
    ]]
  ) {
    assert.equal(prefixLengthOf(mask as string), length);
  }
  assert.equal(prefixLengthOf("x"), 0);
});
