import assert from "node:assert/strict";
import fc from "fast-check";
import { ConfigError } from "../../lib/base/errors.ts";
import { parseConfigFile } from "../../lib/config/config_file.ts";

function complaint(text: string): string {
  try {
    parseConfigFile({ name: "gw.toml", text });
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error.message;
  }
  return assert.fail(`accepted: ${text}`);
}

Deno.test("a file holds settings by their long option names", () => {
  const text = [
    "\uFEFF# the gateway of the example company",
    'host = "192.0.2.1"',
    "port = 1936",
    '"int-ip" = "192.0.2.1"',
    'rtp-ports = "30000-30099" # a hundred',
    "sipd = true",
    "verbose = true",
  ].join("\r\n");
  assert.deepEqual(parseConfigFile({ name: "gw.toml", text }), {
    host: "192.0.2.1",
    port: 1936,
    "int-ip": "192.0.2.1",
    "rtp-ports": { min: 30000, max: 30099 },
    sipd: { listen: { hostname: "127.0.0.1", port: 5060 }, portFallback: true },
    verbose: true,
  });
  assert.deepEqual(parseConfigFile({ name: "gw.toml", text: "" }), {});
});

Deno.test("a fault is shown with its line and a caret", () => {
  const table: [text: string, message: string][] = [
    ["port = 1935\nhost = = 2\n", "gw.toml, line 2, column 8: invalid value\n  host = = 2\n         ^"],
    [
      'port = 1935\nhost = "gw"\n',
      'gw.toml, line 2, column 1: host must be an IP address, not "gw"\n  host = "gw"\n  ^',
    ],
    [
      "\n  prot = 1935",
      "gw.toml, line 2, column 3: prot is not a setting; did you mean port?\n    prot = 1935\n    ^",
    ],
    ["\tcolour = 1", "gw.toml, line 1, column 2: colour is not a setting\n   colour = 1\n   ^"],
    ["[rtmp]\nport = 1", "gw.toml, line 1, column 2: rtmp is not a setting\n  [rtmp]\n   ^"],
    [
      "[[acount]]\nuser = 1",
      "gw.toml, line 1, column 3: acount is not a setting; did you mean account?\n  [[acount]]\n    ^",
    ],
    [
      '[[account]]\naddress = "a@b"\nsame-address = "share"\n\n[[account]]\naddress = "x"\n',
      "gw.toml, line 5, column 3: account rule 2: address must be a SIP address like alice@example.com, or *@example.com" +
      "\n  [[account]]\n    ^",
    ],
    ['"a b" = 1', 'gw.toml, line 1, column 2: a b is not a setting\n  "a b" = 1\n   ^'],
  ];
  for (const [text, message] of table) assert.equal(complaint(text), message);
});

Deno.test("a line that may hold a secret is not shown", () => {
  const table: [text: string, message: string][] = [
    ['password = "hunter2"', "gw.toml, line 1, column 1: password is not a setting"],
    [
      'Proxy-PassWord = "hunt"er2"',
      "gw.toml, line 1, column 24: each key-value declaration must be followed",
    ],
    ['token = "hunter2', "gw.toml, line 1, column 9: "],
    ['key = "hunter2', "gw.toml, line 1, column 7: "],
    ['account = [{name = "x", key = "hunter2" "}]', "gw.toml, line 1, column "],
    [
      'account = [{name = "x", address = "a@b", key = "hunter2"}]',
      "gw.toml, line 1, column 1: account rule 1: key must",
    ],
    [
      'account = [{name = "x", address = "sip:a:hunter2@b"}]',
      "gw.toml, line 1, column 1: account rule 1: address must",
    ],
    [
      'outbound-proxy = "sip:alice:hunter2@h:xx"',
      "gw.toml, line 1, column 1: outbound-proxy must be a SIP address like sip:proxy.example.com",
    ],
  ];
  for (const [text, message] of table) {
    const told = complaint(text);
    assert.ok(told.startsWith(message), told);
    assert.doesNotMatch(told, /hunter2|er2|\n/);
  }
});

Deno.test("two keys of one name are refused, and all wrong settings are told", () => {
  assert.match(complaint("port = 1\nport = 2"), /^gw\.toml, line 2, column 1: /);
  const both = complaint('port = -1\nhost = "x"');
  assert.match(both, /line 1, column 1: port must be/);
  assert.match(both, /line 2, column 1: host must be/);
});

Deno.test("long lines and long files stay out of the terminal", () => {
  assert.ok(complaint(`colour = "${"x".repeat(100_000)}"`).length < 300);
  assert.match(complaint("#".repeat((1 << 20) + 1)), /too long/);
});

Deno.test("any text is settings or one ConfigError that names the file", () => {
  const line = fc.oneof(
    fc.string(),
    fc.constantFrom("port = 1", "[a]", '"', "a.b = 1", "sipd = false", "x = 1979-05-27"),
  );
  fc.assert(fc.property(fc.array(line), (lines) => {
    try {
      parseConfigFile({ name: "gw.toml", text: lines.join("\n") });
    } catch (error) {
      assert.ok(error instanceof ConfigError, String(error));
      assert.match(error.message, /^gw\.toml/);
    }
  }));
});
