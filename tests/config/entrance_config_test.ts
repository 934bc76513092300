import assert from "node:assert/strict";
import { ConfigError } from "../../lib/base/errors.ts";
import { buildConfig, type Config, type ConfigSources } from "../../lib/config/config.ts";
import type { PartialSettings } from "../../lib/config/settings.ts";

const entranceOf = (some: PartialSettings) =>
  buildConfig({ presets: { host: "192.0.2.1", port: 1935, ...some } }).entrance;

const fromFile = (text: string): Config => buildConfig({ file: { name: "gw.toml", text } });

function complaint(sources: ConfigSources): string {
  try {
    buildConfig(sources);
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error.message;
  }
  return assert.fail("accepted");
}

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
