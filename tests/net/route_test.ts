// This host's own network, whatever it is: what is certain everywhere, and the order of the policy.

import assert from "node:assert/strict";
import { TransportError } from "../../lib/base/errors.ts";
import { AddressPolicy, learnDefaultIpv4, localAddressFor } from "../../lib/net/route.ts";

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
