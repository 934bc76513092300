// This host's own network, whatever it is: what is certain everywhere, and the order of the policy.

import fc from "fast-check";
import assert from "node:assert/strict";
import { TransportError } from "../../lib/base/errors.ts";
import {
  AddressPolicy,
  chooseLocalAddress,
  learnDefaultIpv4,
  type LocalAddress,
  localAddressFor,
  type NetworkView,
  parseIpv4Routes,
  parseIpv6Routes,
  prefixLengthOf,
} from "../../lib/net/route.ts";

const OWN = Deno.networkInterfaces().filter(({ address }) => !address.startsWith("fe80"));

Deno.test("each own address faces itself, loopback faces loopback", () => {
  for (const { address, family } of OWN) {
    const loopback = address === "::1" || family === "IPv4" && address.startsWith("127.");
    const expected = loopback ? (family === "IPv4" ? "127.0.0.1" : "::1") : address;
    assert.equal(localAddressFor({ hostname: address, port: 5060 }), expected);
  }
  assert.equal(localAddressFor({ hostname: "127.1.2.3", port: 1 }), "127.0.0.1");
});

Deno.test("a host name is never looked up, it is refused", () => {
  for (const hostname of ["example.com", "not an address", ""]) {
    assert.throws(
      () => localAddressFor({ hostname, port: 5060 }),
      (error) =>
        error instanceof TransportError && error.code === "unreachable" && /not an IP/.test(error.message),
    );
  }
});

Deno.test("the kernel's default route agrees with the table, and leads to an own address", async () => {
  const learnt = await learnDefaultIpv4();
  if (learnt === null) {
    // A host without a default route: then nobody else may claim one either.
    const hasDefault = /^\S+\t00000000\t\S+\t0003/m.test(await Deno.readTextFile("/proc/net/route"));
    assert.equal(hasDefault, false);
    return;
  }
  assert.ok(OWN.some(({ address }) => address === learnt), `${learnt} is not ours`);
  assert.equal(localAddressFor({ hostname: "198.51.100.1", port: 5060 }), learnt);
  assert.equal(localAddressFor({ hostname: "198.51.100.1", port: 5060 }, learnt), learnt);
});

Deno.test("the advertised address always wins, then a specific bind, then the route", async () => {
  const local = { hostname: "127.0.0.1", port: 5060 };
  const table: [{ bind: string; advertise: string | null }, string][] = [
    [{ bind: "0.0.0.0", advertise: "203.0.113.9" }, "203.0.113.9"],
    [{ bind: "192.0.2.77", advertise: "203.0.113.9" }, "203.0.113.9"],
    [{ bind: "192.0.2.77", advertise: null }, "192.0.2.77"],
    [{ bind: "0.0.0.0", advertise: null }, "127.0.0.1"],
    [{ bind: "::", advertise: null }, "127.0.0.1"],
  ];
  for (const [options, expected] of table) {
    const policy = new AddressPolicy(options);
    assert.equal(policy.addressFor(local), expected);
    await policy.refresh();
    assert.equal(policy.addressFor(local), expected);
  }
  assert.throws(
    () =>
      new AddressPolicy({ bind: "0.0.0.0", advertise: null }).addressFor({
        hostname: "example.com",
        port: 1,
      }),
    TransportError,
  );
});

Deno.test("a public address learnt by STUN is for public destinations; -e wins over it", () => {
  const FOUND = "203.0.113.7";
  const table: [options: { bind: string; advertise: string | null }, destination: string, told: string][] = [
    [{ bind: "10.0.0.5", advertise: null }, "198.51.100.1", FOUND],
    [{ bind: "10.0.0.5", advertise: null }, "::ffff:198.51.100.1", FOUND],
    [{ bind: "10.0.0.5", advertise: null }, "10.0.0.9", "10.0.0.5"],
    [{ bind: "10.0.0.5", advertise: null }, "172.16.3.1", "10.0.0.5"],
    [{ bind: "10.0.0.5", advertise: null }, "127.0.0.1", "10.0.0.5"],
    [{ bind: "0.0.0.0", advertise: null }, "127.0.0.1", "127.0.0.1"],
    [{ bind: "2001:db8::5", advertise: null }, "2001:db8:9::1", "2001:db8::5"],
    [{ bind: "10.0.0.5", advertise: "192.0.2.9" }, "198.51.100.1", "192.0.2.9"],
  ];
  for (const [options, hostname, told] of table) {
    const policy = new AddressPolicy(options);
    policy.publicAddress = FOUND;
    assert.equal(policy.addressFor({ hostname, port: 5060 }), told, `${options.bind} to ${hostname}`);
  }
  const policy = new AddressPolicy({ bind: "10.0.0.5", advertise: null });
  policy.publicAddress = FOUND;
  policy.publicAddress = null;
  assert.equal(policy.addressFor({ hostname: "198.51.100.1", port: 5060 }), "10.0.0.5");
});

Deno.test("least permissions are enough, and give the same answers", async () => {
  const root = new URL("../../", import.meta.url);
  const script = `
    import { AddressPolicy, localAddressFor } from ${JSON.stringify(new URL("lib/net/route.ts", root).href)};
    const policy = new AddressPolicy({ bind: "0.0.0.0", advertise: null });
    await policy.refresh();
    const local = localAddressFor({ hostname: "127.0.0.1", port: 1 });
    const far = (() => { try { return policy.addressFor({ hostname: "198.51.100.1", port: 1 }); } catch (e) { return e.code; } })();
    await Deno.stdout.write(new TextEncoder().encode(local + " " + far));
  `;
  const path = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    await Deno.writeTextFile(path, script);
    const args = ["run", "--no-prompt", "--unstable-net", "--allow-net", "--allow-sys=networkInterfaces"];
    const output = await new Deno.Command(Deno.execPath(), { args: [...args, path], cwd: root }).output();
    const far = (): string => {
      try {
        return localAddressFor({ hostname: "198.51.100.1", port: 1 });
      } catch (error) {
        return (error as TransportError).code;
      }
    };
    assert.equal(new TextDecoder().decode(output.stdout), `127.0.0.1 ${far()}`);
  } finally {
    await Deno.remove(path);
  }
});

Deno.test("without the permission to see the interfaces the start says so in one line, where they are needed", async () => {
  const root = new URL("../../", import.meta.url);
  const script = `
    import { AddressPolicy } from ${JSON.stringify(new URL("lib/net/route.ts", root).href)};
    const told = [];
    for (const [bind, advertise] of [["0.0.0.0", null], ["::", null], ["127.0.0.1", null], ["0.0.0.0", "192.0.2.1"]]) {
      try { new AddressPolicy({ bind, advertise }); told.push("fine"); }
      catch (error) { told.push(error.name + " " + error.message); }
    }
    await Deno.stdout.write(new TextEncoder().encode(told.join("\\n")));
  `;
  const path = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    await Deno.writeTextFile(path, script);
    const args = ["run", "--no-prompt", "--unstable-net", "--allow-net", path];
    const output = await new Deno.Command(Deno.execPath(), { args, cwd: root }).output();
    const told = new TextDecoder().decode(output.stdout).split("\n");
    for (const line of told.slice(0, 2)) {
      assert.match(line, /^TransportError Cannot read the addresses of this machine: .*--allow-sys/);
    }
    assert.deepEqual(told.slice(2), ["fine", "fine"]);
  } finally {
    await Deno.remove(path);
  }
});

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
