import assert from "node:assert/strict";
import fc from "fast-check";
import { checkSettings as check, readOptionValue } from "../../lib/config/setting.ts";
import { type SettingName, settings } from "../../lib/config/settings.ts";

const checkSettings = (values: Readonly<Record<string, unknown>>) => check(settings, values);

function valueOf(name: SettingName, value: unknown): unknown {
  const checked = checkSettings({ [name]: value });
  assert.equal(checked.type, "ok", JSON.stringify(checked));
  return checked.type === "ok" ? checked.settings[name] : assert.fail();
}

function issuesOf(values: Record<string, unknown>): string[] {
  const checked = checkSettings(values);
  assert.equal(checked.type, "wrong", JSON.stringify(values));
  return checked.type === "wrong" ? checked.issues.map(({ key, message }) => `${key} ${message}`) : [];
}

const good: [name: SettingName, value: unknown, result: unknown][] = [
  ["host", "127.0.0.1", "127.0.0.1"],
  ["host", "::1", "::1"],
  ["host", "[::1]", "::1"],
  ["host", "localhost", "127.0.0.1"],
  ["port", 0, 0],
  ["port", 65535, 65535],
  ["root", "/srv/flv/", "/srv/flv/"],
  ["ext-ip", "203.0.113.7", "203.0.113.7"],
  ["ext-ip", "auto", "auto"],
  ["stun-server", "stun.example.com", { hostname: "stun.example.com", port: 3478 }],
  ["stun-server", "[2001:db8::1]:19302", { hostname: "2001:db8::1", port: 19302 }],
  ["keep-alive", "off", "off"],
  ["keep-alive-period", 3600, 3600],
  ["same-address", "share", "share"],
  ["dtmf", "info", "info"],
  ["redirect", false, false],
  ["redirect", "false", false],
  ["redirect", "true", true],
  ["workers", 4, 4],
  ["workers", "auto", "auto"],
  ["dial", [], []],
  ["account", [{ address: "*@b.example", "same-address": "share" }], [
    { rule: { address: "*@b.example", sameAddress: "share" }, account: null },
  ]],
  ["sip-port", 5070, 5070],
  ["rtp-ports", "10000-20000", { min: 10000, max: 20000 }],
  ["rtp-ports", " 4000 - 4001 ", { min: 4000, max: 4001 }],
  ["expires", 30, 30],
  ["sipd", true, { listen: { hostname: "127.0.0.1", port: 5060 }, portFallback: true }],
  ["sipd", false, null],
  ["sipd", "192.0.2.1", { listen: { hostname: "192.0.2.1", port: 5060 }, portFallback: true }],
  ["sipd", "localhost:5070", { listen: { hostname: "127.0.0.1", port: 5070 }, portFallback: false }],
  ["sipd", "127.0.0.1:5060", { listen: { hostname: "127.0.0.1", port: 5060 }, portFallback: false }],
  ["sipd", "[::1]:5070", { listen: { hostname: "::1", port: 5070 }, portFallback: false }],
  ["sipd", "::1", { listen: { hostname: "::1", port: 5060 }, portFallback: true }],
  ["verbose", true, true],
];

Deno.test("values are accepted in every form people write them", () => {
  for (const [name, value, result] of good) {
    assert.deepEqual(valueOf(name, value), result, `${name} ${value}`);
  }
});

Deno.test("an outbound proxy is a SIP address, with or without the scheme", () => {
  for (const text of ["sip:proxy.example.com:5070;lr", "proxy.example.com:5070;lr"]) {
    const uri = valueOf("outbound-proxy", text) as { scheme: string; host: string; port: number };
    assert.deepEqual([uri.scheme, uri.host, uri.port], ["sip", "proxy.example.com", 5070]);
  }
});

const bad: [values: Record<string, unknown>, issue: RegExp][] = [
  [{ host: "gw.example.com" }, /^host must be an IP address, not "gw\.example\.com"$/],
  [{ host: 5 }, /^host must be an IP address, not 5$/],
  [{ port: "1935" }, /^port must be a whole number from 0 to 65535, not "1935"$/],
  [{ port: 65536 }, /^port must be .*, not 65536$/],
  [{ port: 1.5 }, /not 1\.5$/],
  [{ port: NaN }, /not NaN$/],
  [{ root: "" }, /^root must be a folder/],
  [{ root: "a\0b" }, /^root must be a folder/],
  [{ "ext-ip": "0.0.0.0" }, /^ext-ip must be an address that others can reach$/],
  [{ "ext-ip": "::" }, /^ext-ip must be an address that others can reach$/],
  [{ "ext-ip": "automatic" }, /^ext-ip must be an IP address or auto, not "automatic"$/],
  [{ "stun-server": "stun example" }, /^stun-server must be a STUN server like stun\.example\.com:3478/],
  [{ "stun-server": "stun.example.com:0" }, /^stun-server must be/],
  [{ "stun-server": 3478 }, /^stun-server must be/],
  [{ "keep-alive": "ping" }, /^keep-alive must be crlf, stun, options or off, not "ping"$/],
  [{ redirect: "maybe" }, /^redirect must be true or false, not "maybe"$/],
  [{ dtmf: "sip-info" }, /^dtmf must be auto, rtp, info or inband, not "sip-info"$/],
  [{ "keep-alive-period": 4 }, /^keep-alive-period must be a whole number from 5 to 3600, not 4$/],
  [{ "same-address": "kick" }, /^same-address must be replace, share or reject, not "kick"$/],
  [{ "rtp-ports": "20000-10000" }, /^rtp-ports must be a range of ports like 10000-20000/],
  [{ "rtp-ports": "10001-10002" }, /^rtp-ports must be/],
  [{ "rtp-ports": "0-100" }, /^rtp-ports must be/],
  [{ "rtp-ports": "60000-70000" }, /^rtp-ports must be/],
  [{ "rtp-ports": 10000 }, /^rtp-ports must be/],
  [{ "rtp-ports": [10000, 20000] }, /not a list$/],
  [{ "outbound-proxy": "sips:proxy" }, /^outbound-proxy must be a SIP address/],
  [{ "outbound-proxy": "tel:+1" }, /^outbound-proxy must be a SIP address/],
  [{ "outbound-proxy": "a b" }, /^outbound-proxy must be a SIP address/],
  [{ "outbound-proxy": "" }, /^outbound-proxy must be a SIP address/],
  [{ expires: 29 }, /^expires must be a whole number from 30 to 86400, not 29$/],
  [{ sipd: "sip.example.com" }, /^sipd must be true, false or an IP address/],
  [{ sipd: "127.0.0.1:99999" }, /^sipd must be/],
  [{ sipd: 5060 }, /^sipd must be/],
  [{ "max-calls": 0 }, /^max-calls must be/],
  [{ "max-lag": -1 }, /^max-lag must be a whole number from 0 to 10000, not -1$/],
  [{ "max-memory": "1G" }, /^max-memory must be a whole number/],
  [{ "max-half-open": 0 }, /^max-half-open must be/],
  [{ "max-publish-rate": 0.5 }, /^max-publish-rate must be/],
  [{ workers: 0 }, /^workers must be a whole number from 1 to 64, or auto, not 0/],
  [{ workers: 65 }, /^workers must be/],
  [{ workers: Object.create(null) }, /^workers must be .* not a table$/],
  [{ workers: "many" }, /^workers must be .* not "many"/],
  [{ verbose: "yes" }, /^verbose must be true or false, not "yes"$/],
  [{ verbose: {} }, /not a table$/],
  [{ prot: 1935 }, /^prot is not a setting; did you mean port\?$/],
  [{ sip_port: 5060 }, /^sip_port is not a setting; did you mean sip-port\?$/],
  [{ colour: "red" }, /^colour is not a setting$/],
  [{ host: "x".repeat(5000) }, /^host must be an IP address, not "x{60}\.\.\."$/],
];

Deno.test("a wrong value is explained with what would be right", () => {
  for (const [values, issue] of bad) {
    const issues = issuesOf(values);
    assert.equal(issues.length, 1, issues.join());
    assert.match(issues[0] ?? "", issue);
  }
});

Deno.test("everything wrong is told at once", () => {
  assert.equal(issuesOf({ port: -1, host: "x", colour: 1 }).length, 3);
});

Deno.test("the command line's text becomes numbers only where numbers are wanted", () => {
  const table: [SettingName, string | boolean, unknown][] = [
    ["port", "1935", 1935],
    ["port", "-1", -1],
    ["port", "19 35", "19 35"],
    ["port", "0x10", "0x10"],
    ["port", "1e3", "1e3"],
    ["port", "", ""],
    ["root", "1935", "1935"],
    ["sipd", true, true],
    ["rtp-ports", "10000-20000", "10000-20000"],
  ];
  for (const [name, text, value] of table) assert.equal(readOptionValue(settings[name], text), value);
});

Deno.test("nothing a file can hold makes the check throw", () => {
  const key = fc.oneof(
    fc.string(),
    fc.constantFrom(...Object.keys(settings).filter((name) => !["dial", "account"].includes(name))),
  );
  fc.assert(
    fc.property(
      fc.dictionary(key, fc.anything({ withNullPrototype: true }).filter((value) => value !== undefined)),
      (values) => {
        const checked = checkSettings(values);
        if (checked.type === "wrong") assert.ok(checked.issues.length > 0);
        else assert.deepEqual(Object.keys(checked.settings).sort(), Object.keys(values).sort());
      },
    ),
  );
});
