import assert from "node:assert/strict";
import denoJson from "../../deno.json" with { type: "json" };
import { ConfigError } from "../../lib/base/errors.ts";
import { defaultRtmpOptions } from "../../lib/rtmp/options.ts";
import { buildConfig, type Config, type ConfigSources, version } from "../../lib/config/config.ts";
import type { PartialSettings } from "../../lib/config/settings.ts";
import { resolveDialled } from "../../lib/config/dial_plan.ts";

function complaint(sources: ConfigSources): string {
  try {
    buildConfig(sources);
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error.message;
  }
  return assert.fail("accepted");
}

const file = (text: string) => ({ name: "gw.toml", text });

Deno.test("the version is the project's", () => assert.equal(version, denoJson.version));

Deno.test("defaults are those of siprtmp, and of the new options", () => {
  const expected: Config = {
    rtmp: {
      listen: { hostname: "0.0.0.0", port: 1935 },
      root: "./",
      record: false,
      options: { ...defaultRtmpOptions, idleMs: 60_000, pingMs: 15_000 },
    },
    entrance: {
      tls: null,
      tunnel: null,
      usersFile: null,
      token: null,
      domains: null,
      dials: null,
      targets: { allowed: [], open: [] },
      connectionsPerAddress: 100,
      failedLogins: 10,
      callsPerAddress: 120,
    },
    sip: {
      bind: "0.0.0.0",
      advertise: null,
      stunServer: null,
      port: 5060,
      portFallback: true,
      outboundProxy: null,
      expiresSeconds: 180,
      keepAlive: { method: "crlf", periodMs: 25_000 },
      userAgent: `siprtmp/${version}`,
    },
    rtp: {
      bind: "0.0.0.0",
      advertise: null,
      portMin: 10000,
      portMax: 20000,
      sourceRule: "nat",
      timeouts: { initialMs: 30_000, silenceMs: 60_000 },
    },
    sockets: "auto",
    limit: { connections: 1000, calls: 500, lagMs: 100, memoryBytes: 0, halfOpen: 256 },
    dialPlan: [],
    sameAddress: { policy: "replace", accounts: [] },
    accounts: [],
    onBusy: "replace",
    dtmf: "auto",
    redirect: true,
    publishCalls: false,
    sipd: null,
    verbosity: "normal",
    workers: 1,
  };
  assert.deepEqual(buildConfig({}), expected);
});

Deno.test("presets, file and flags each beat the one before", () => {
  const sources: ConfigSources = {
    presets: { host: "127.0.0.1", port: 1, root: "a/", expires: 600 },
    file: file('port = 2\nroot = "b"\nexpires = 700'),
    flags: { root: "c", "rtmp-idle": "90" },
  };
  const config = buildConfig(sources);
  assert.deepEqual(config.rtmp.listen, { hostname: "127.0.0.1", port: 2 });
  assert.equal(config.rtmp.root, "c/");
  assert.equal(config.rtmp.options.idleMs, 90_000);
  assert.equal(config.sip.expiresSeconds, 700);
});

Deno.test("the advertised address counts whatever the bound one is (behaviour 1.11, defect 1)", () => {
  const table: [flags: ConfigSources["flags"], bind: string, advertise: string | null][] = [
    [{}, "0.0.0.0", null],
    [{ "int-ip": "10.0.0.5" }, "10.0.0.5", null],
    [{ "ext-ip": "203.0.113.7" }, "0.0.0.0", "203.0.113.7"],
    [{ "int-ip": "10.0.0.5", "ext-ip": "203.0.113.7" }, "10.0.0.5", "203.0.113.7"],
    [{ "int-ip": "::", "ext-ip": "203.0.113.7" }, "::", "203.0.113.7"],
  ];
  for (const [flags, bind, advertise] of table) {
    const { sip, rtp } = buildConfig({ flags: flags ?? {} });
    assert.deepEqual([sip.bind, sip.advertise, rtp.bind, rtp.advertise], [bind, advertise, bind, advertise]);
  }
});

Deno.test("ext-ip auto asks the STUN server, and needs one", () => {
  const { sip, rtp } = buildConfig({ flags: { "ext-ip": "auto", "stun-server": "stun.example.com" } });
  assert.deepEqual([sip.advertise, rtp.advertise], [null, null]);
  assert.deepEqual(sip.stunServer, { hostname: "stun.example.com", port: 3478 });
  assert.match(
    complaint({ flags: { "ext-ip": "auto" } }),
    /^ext-ip auto needs a server to ask: set stun-server/,
  );
  for (
    const flags of [{ "stun-server": "192.0.2.1" }, { "stun-server": "192.0.2.1", "ext-ip": "203.0.113.7" }]
  ) {
    assert.match(complaint({ flags }), /^stun-server is asked only when ext-ip is auto$/);
  }
});

Deno.test("the tables of the file: where numbers go, and who shares an address", () => {
  const config = buildConfig({
    file: file(`
keep-alive = "stun"
keep-alive-period = 60
same-address = "reject"
[[dial]]
pattern = "0049(.*)"
target = "sip:+49$1@trunk.example"
[[dial]]
pattern = '[0-9][0-9][0-9]'
target = "sip:$0@pbx.example"
[[account]]
address = "reception@Example.com"
same-address = "share"
`),
  });
  assert.deepEqual(config.sip.keepAlive, { method: "stun", periodMs: 60_000 });
  assert.equal(resolveDialled(config.dialPlan, "004930", "example.com").uri.host, "trunk.example");
  assert.equal(resolveDialled(config.dialPlan, "112", "example.com").uri.host, "pbx.example");
  assert.deepEqual(config.sameAddress, {
    policy: "reject",
    accounts: [{ address: "reception@example.com", sameAddress: "share" }],
  });
  const broken = [
    [
      `[[dial]]\npattern = "(1"\ntarget = "2"`,
      /^gw\.toml, line 2, column 1: dial rule 1: pattern "\(1" has \( without \)/,
    ],
    [`dial = 1`, /^gw\.toml, line 1, column 1: dial must be written as \[\[dial\]\]/],
    [
      `[[account]]\naddress = "x"`,
      /^gw\.toml, line 2, column 1: account rule 1: address must be a SIP address/,
    ],
    [`[[accounts]]\naddress = "x@y"`, /accounts is not a setting; did you mean account\?/],
  ] as const;
  for (const [text, message] of broken) assert.match(complaint({ file: file(text) }), message);
});

Deno.test("a SIP port that was asked for is that one or none", () => {
  const table: [string | null, number, boolean][] = [[null, 5060, true], ["5060", 5060, false], [
    "0",
    0,
    false,
  ]];
  for (const [port, expected, fallback] of table) {
    const { sip } = buildConfig({ flags: port === null ? {} : { "sip-port": port } });
    assert.deepEqual([sip.port, sip.portFallback], [expected, fallback]);
  }
});

Deno.test("how much is logged", () => {
  assert.equal(buildConfig({ flags: { verbose: true } }).verbosity, "debug");
  assert.equal(buildConfig({ flags: { "verbose-all": true } }).verbosity, "trace");
  assert.equal(
    buildConfig({ file: file("verbose-all = true"), flags: { verbose: true } }).verbosity,
    "trace",
  );
});

Deno.test("wrong flags are named as flags, wrong combinations by both names", () => {
  const table: [ConfigSources, RegExp][] = [
    [{ flags: { port: "abc" } }, /^--port must be a whole number from 0 to 65535, not "abc"$/],
    [{ flags: { port: "x", host: "y" } }, /^--host must be .*; --port must be .*$/],
    [{ flags: { "int-ip": "10.0.0.5", "ext-ip": "2001:db8::1" } }, /both be IPv4 or both be IPv6$/],
    [
      { flags: { "rtmp-idle": "10", "rtmp-ping": "10" } },
      /^rtmp-ping \(10 s\) must be shorter than rtmp-idle/,
    ],
    [{ flags: { port: "5060", "sip-port": "5060" } }, /^port and sip-port cannot both be 5060/],
    [{ flags: { "rtmpt-port": "5060", "sip-port": "5060" } }, /^rtmpt-port and sip-port cannot both be 5060/],
    [{ file: file("port = x") }, /^gw\.toml, line 1, column 8: /],
  ];
  for (const [sources, message] of table) assert.match(complaint(sources), message);
  const apart = { host: "127.0.0.2", "int-ip": "127.0.0.1", port: "5060", "sip-port": "5060" };
  assert.equal(buildConfig({ flags: apart }).sip.port, 5060);
  assert.equal(buildConfig({ flags: { port: "0", "sip-port": "0" } }).sip.port, 0);
});

Deno.test("nobody can change the configuration", () => {
  const config = buildConfig({ flags: { sipd: true, "outbound-proxy": "sip:p" } });
  const parts: unknown[] = [config];
  for (const part of parts) {
    if (typeof part !== "object" || part === null) continue;
    assert.ok(Object.isFrozen(part));
    parts.push(...Object.values(part));
  }
  assert.ok(parts.length > 20);
  assert.equal(buildConfig({}).sipd, null);
});

const entranceOf = (some: PartialSettings) =>
  buildConfig({ presets: { host: "192.0.2.1", port: 1935, ...some } }).entrance;

const fromFile = (text: string): Config => buildConfig({ file: { name: "gw.toml", text } });

Deno.test("ports of the entrance are on the RTMP address", () => {
  const { tls, tunnel } = entranceOf({
    "rtmps-port": 443,
    "tls-cert": "c.pem",
    "tls-key": "k.pem",
    "rtmpt-port": 0,
  });
  assert.deepEqual(tls, {
    listen: { hostname: "192.0.2.1", port: 443 },
    tunnel: null,
    certificateFile: "c.pem",
    keyFile: "k.pem",
  });
  assert.deepEqual(tunnel, { hostname: "192.0.2.1", port: 0 });
  assert.deepEqual([entranceOf({}).tls, entranceOf({}).tunnel], [null, null]);
});

Deno.test("RTMP in HTTPS requests has the same certificate, with or without RTMPS", () => {
  const { tls, tunnel } = entranceOf({ "rtmpts-port": 8443, "tls-cert": "c.pem", "tls-key": "k.pem" });
  assert.deepEqual([tls?.listen, tls?.tunnel, tunnel], [null, { hostname: "192.0.2.1", port: 8443 }, null]);
});

Deno.test("what is wrong only in combination", () => {
  const table: [PartialSettings, RegExp][] = [
    [{ "rtmps-port": 443 }, /^rtmps-port needs a certificate: set tls-cert and tls-key$/],
    [{ "rtmps-port": 443, "tls-cert": "c" }, /^rtmps-port needs a certificate/],
    [{ "rtmpts-port": 443, "tls-key": "k" }, /^rtmpts-port needs a certificate: set tls-cert and tls-key$/],
    [
      { "rtmpt-port": 80, "rtmpts-port": 80, "tls-cert": "c", "tls-key": "k" },
      /^rtmpt-port and rtmpts-port cannot both be 80$/,
    ],
    [{ "tls-key": "k" }, /^tls-cert and tls-key are for rtmps-port and rtmpts-port, which are not set$/],
    [{ "rtmpt-port": 1935 }, /^port and rtmpt-port cannot both be 1935$/],
    [
      { "rtmps-port": 443, "tls-cert": "c", "tls-key": "k", "rtmpt-port": 443 },
      /^rtmps-port and rtmpt-port cannot both be 443$/,
    ],
  ];
  for (const [some, message] of table) assert.throws(() => entranceOf(some), { message });
  assert.ok(entranceOf({ "rtmpt-port": 0, port: 0 }).tunnel);
});

Deno.test("lists are texts in the file, and one text on the command line", () => {
  const file = fromFile(
    'allowed-domains = ["Example.com", "*.example.net"]\nallowed-dials = ["7...", "+49.*"]',
  );
  assert.deepEqual(file.entrance.domains, ["example.com", "*.example.net"]);
  assert.deepEqual(
    ["7140", "8140", "+4930", "7"].map((number) => file.entrance.dials!.some((dial) => dial.match(number))),
    [true, false, true, false],
  );
  const flags = buildConfig({ flags: { "allowed-domains": "a.example, b.example", "allowed-dials": "1.*" } });
  assert.deepEqual(flags.entrance.domains, ["a.example", "b.example"]);
  assert.equal(flags.entrance.dials?.length, 1);
});

Deno.test("a complaint about the token never shows it", () => {
  const flags = complaint({ flags: { "rtmp-token": "hunter2" } });
  assert.match(flags, /^--rtmp-token must be 16 to 256 letters/);
  const file = complaint({ file: { name: "gw.toml", text: 'rtmp-token = "hunter2"' } });
  assert.match(file, /^gw\.toml, line 1, column 1: rtmp-token must be/);
  for (const text of [flags, file]) assert.doesNotMatch(text, /hunter2/);
});
