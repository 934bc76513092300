// The files of deploy/ as their programs read them, and that they agree with each other: what one calls the gateways,
// the others call them too.

import assert from "node:assert/strict";
import { buildConfig } from "../../lib/config/config.ts";
import { DEPLOY, kamailioDefines } from "../support/deploy_site.ts";
import { HAPROXY_CONFIG, writePem } from "../support/haproxy.ts";
import { hasPeer } from "../support/peers.ts";

const read = (name: string) => Deno.readTextFileSync(`${DEPLOY}${name}`);

const gateway = () => buildConfig({ file: { name: "gateway.toml", text: read("gateway.toml") } });

async function run(program: string, args: readonly string[], env: Record<string, string> = {}) {
  const { code, stdout, stderr } = await new Deno.Command(program, { args: [...args], env, stdin: "null" })
    .output();
  return { code, said: new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr) };
}

/** The settings at the top of haproxy.cfg. */
const balancer = () =>
  new Map(
    [...read("haproxy.cfg").matchAll(/^ {2}presetenv (\S+)\s+(\S+)$/gm)].map(([, name, value]) =>
      [name!, value!] as const
    ),
  );

/** The settings at the top of kamailio.cfg. */
const registrar = () =>
  new Map(
    [...read("kamailio.cfg").matchAll(/^#!trydef (\S+) (.*)$/gm)].map(([, name, value]) =>
      [name!, value!] as const
    ),
  );

const destinations = (set: string) =>
  read("dispatcher.list").split("\n").map((line) => line.trim().split(/\s+/)).filter(([first]) =>
    first === set
  )
    .map(([, uri]) => uri);

Deno.test("gateway.toml is one of the two gateways that haproxy.cfg and dispatcher.list name", () => {
  const { rtmp, sip, rtp, limit } = gateway();
  assert.equal(`${rtmp.listen.hostname}:${rtmp.listen.port}`, balancer().get("GATEWAY_1"));
  assert.equal(destinations("1")[0], `sip:${sip.bind}:${sip.port}`);
  assert.equal(rtp.bind, sip.bind);
  const others = [balancer().get("GATEWAY_2")?.split(":")[0], /^sip:(.*):/.exec(destinations("1")[1]!)?.[1]];
  assert.equal(others[0], others[1]);
  assert.ok(limit.connections > Number(balancer().get("CONNECTIONS_PER_GATEWAY")), "room for health checks");
});

Deno.test("gateway.toml sends everything to Kamailio, and takes clients of its domain only", () => {
  const { sip, entrance } = gateway();
  const { host, port } = sip.outboundProxy!;
  assert.deepEqual([host, `${port}`], [registrar().get("SIP_ADDRESS"), registrar().get("SIP_PORT")]);
  assert.deepEqual(entrance.domains, [registrar().get("SIP_DOMAIN")]);
});

Deno.test("limits of each address are HAProxy's, because the gateways see only HAProxy", () => {
  const { connectionsPerAddress, failedLogins, callsPerAddress } = gateway().entrance;
  assert.deepEqual([connectionsPerAddress, failedLogins, callsPerAddress], [0, 0, 0]);
  assert.ok(Number(balancer().get("CONNECTIONS_PER_ADDRESS")) > 0);
});

Deno.test("HAProxy waits longer for a silent connection than the gateway does", () => {
  const timeouts = [...read("haproxy.cfg").matchAll(/^ {2}timeout (?:client|server) (\d+)m$/gm)];
  const { idleMs } = gateway().rtmp.options;
  assert.equal(timeouts.length, 2);
  for (const [, minutes] of timeouts) assert.ok(Number(minutes) * 60_000 > idleMs);
});

Deno.test(
  { name: "HAProxy has nothing to say against haproxy.cfg", ignore: !hasPeer("haproxy") },
  async () => {
    const folder = await Deno.makeTempDir();
    const env = { TLS_PEM: await writePem(folder) };
    const { code, said } = await run("haproxy", ["-c", "-f", HAPROXY_CONFIG], env);
    await Deno.remove(folder, { recursive: true });
    assert.deepEqual([code, said.trim()], [0, "Configuration file is valid"]);
  },
);

for (const variant of ["", "WITH_SHARED_ADDRESSES"]) {
  Deno.test({
    name: `Kamailio takes kamailio.cfg${variant && `, ${variant}`}`,
    ignore: !hasPeer("kamailio"),
  }, async () => {
    const defines = { ...kamailioDefines(DEPLOY.replace(/\/$/, "")), ...(variant && { [variant]: "1" }) };
    const given = Object.entries(defines).flatMap((pair) => ["-A", pair.join("=")]);
    const { code, said } = await run("kamailio", ["-c", "-f", `${DEPLOY}kamailio.cfg`, ...given]);
    assert.equal(code, 0, said);
    assert.match(said, /config file ok/);
    assert.doesNotMatch(said, /ERROR|WARNING|CRITICAL/);
  });
}

Deno.test({
  name: "systemd takes siprtmp.service and finds it well protected",
  ignore: !hasPeer("systemd-analyze"),
}, async () => {
  const folder = await Deno.makeTempDir();
  const unit = `${folder}/siprtmp.service`;
  // It wants the program to be there.
  await Deno.writeTextFile(unit, read("siprtmp.service").replaceAll("/usr/bin/siprtmp", Deno.execPath()));
  const verified = await run("systemd-analyze", ["verify", "--man=no", unit]);
  const security = await run("systemd-analyze", ["security", "--offline=true", "--threshold=20", unit]);
  await Deno.remove(folder, { recursive: true });
  assert.deepEqual([verified.code, verified.said], [0, ""]);
  assert.equal(security.code, 0, security.said.slice(-300));
});

Deno.test("siprtmp.service starts the program with its settings, reloads it by SIGHUP, and lets it write its own folder alone", () => {
  const unit = read("siprtmp.service");
  assert.match(unit, /^ExecStart=\/usr\/bin\/siprtmp start --config \/etc\/siprtmp\/siprtmp\.toml$/m);
  assert.match(unit, /^ProtectSystem=strict$/m);
  assert.match(unit, /^StateDirectory=siprtmp$/m);
  assert.match(unit, /^ExecReload=\/bin\/kill -HUP \$MAINPID$/m);
  const [, files] = /^LimitNOFILE=(\d+)$/m.exec(unit) ?? [];
  const { limit } = buildConfig({ flags: {} });
  assert.ok(Number(files) > 5 * limit.calls + limit.connections);
});
