import fc from "fast-check";
import assert from "node:assert/strict";
import { parse, stringify } from "smol-toml";
import { ConfigError } from "../../lib/base/errors.ts";
import {
  changedSettings,
  type ConfigFile,
  findTomlKeys,
  parseConfigFile as parseFile,
} from "../../lib/config/config_file.ts";
import { settings } from "../../lib/config/settings.ts";

const parseConfigFile = (file: ConfigFile) => parseFile(file, settings);

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
      "gw.toml, line 2, column 3: prot is not a setting; did you mean port?\n    prot = ...\n    ^",
    ],
    ["\tcolour = 1", "gw.toml, line 1, column 2: colour is not a setting\n   colour = ...\n   ^"],
    ["[rtmp]\nport = 1", "gw.toml, line 1, column 2: rtmp is not a setting\n  [rtmp]\n   ^"],
    [
      "[[acount]]\nuser = 1",
      "gw.toml, line 1, column 3: acount is not a setting; did you mean account?\n  [[acount]]\n    ^",
    ],
    [
      '[[account]]\naddress = "a@b"\nsame-address = "share"\n\n[[account]]\naddress = "x"\n',
      "gw.toml, line 6, column 1: account rule 2: address must be a SIP address like alice@example.com, or *@example.com" +
      '\n  address = "x"\n  ^',
    ],
    ['"a b" = 1', 'gw.toml, line 1, column 2: a b is not a setting\n  "a b" = ...\n   ^'],
  ];
  for (const [text, message] of table) assert.equal(complaint(text), message);
});

Deno.test("a value that may be a secret is not shown", () => {
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
      "gw.toml, line 1, column 42: account rule 1: key must",
    ],
    [
      'account = [{name = "x", address = "sip:a:hunter2@b"}]',
      "gw.toml, line 1, column 25: account rule 1: address must",
    ],
    [
      'outbound-proxy = "sip:alice:hunter2@h:xx"',
      "gw.toml, line 1, column 1: outbound-proxy must be a SIP address like sip:proxy.example.com",
    ],
  ];
  for (const [text, message] of table) {
    const told = complaint(text);
    assert.ok(told.startsWith(message), told);
    assert.doesNotMatch(told, /hunter2|er2/);
  }
});

const SPELLINGS = [
  ...[
    "rtmp-tokn",
    "rtmp-toke",
    "rtmptoken",
    "rtmp_token",
    "rtmp-tocken",
    "RTMP-TOKEN",
    "rtpm-token",
    "token",
    "tok",
  ],
  ...[
    "pasword",
    "passwrd",
    "pwd",
    "passwort",
    "kennwort",
    "psswd",
    "pw",
    "Password",
    "pass-word",
    "secret",
    "sercet",
  ],
  ...["keys", "kye", "ky", "stream-key", "api.key", "x", '"rtmp token"', "'pass word'", "a.b.c", '"\u00e9"'],
];

/** How a secret may stand behind a key, in a file that cannot be used. */
const WRITTEN = [
  ...[
    'KEY = "hunter2"',
    "KEY = 'hunter2'",
    "KEY = hunter2",
    'KEY = "hunter2',
    'KEY "hunter2"',
    "KEY: hunter2",
    "KEY hunter2 = 3",
  ],
  ...[
    'KEY = """\nhunter2"""',
    'KEY = """\nhunter2\nport = "hunter2"',
    'KEY = ["hunter2"]',
    'KEY = [\n  "hunter2",\n]',
  ],
  ...[
    'KEY = [\n  "hunter2"\n  "hunter2"\n]',
    'KEY = { a = "hunter2" }',
    'KEY = { a = "hunter2"',
    "KEY = =hunter2",
  ],
  ...[
    'KEY = "hunter2"\nKEY = "hunter2"',
    'KEY = "hunter2" # hunter2\n',
    'KEY = "hun\\qhunter2"',
    'KEY = "hunter2\u0001"',
  ],
  ...[
    "KEY = 1979-05-27hunter2",
    "port = 99999 # KEY hunter2",
    'port = 1 KEY = "hunter2"',
    'KEY\n= "hunter2"',
    'KEY =\n"hunter2"',
  ],
  ...[
    'KEY = "hunter2"\r',
    'KEY\t=\t"hunter2"',
    '[KEY]\nhost = "hunter2"\nx = "hunter2"',
    '[[KEY]]\nkey = "hunter2"',
  ],
];

/** Where it stands. */
const AROUND: [name: string, before: string][] = [
  ["alone", ""],
  ["behind others", 'port = 1935\nhost = "127.0.0.1"\n\n'],
  ["in an account", '[[account]]\nname = "desk"\naddress = "desk@example.com"\n'],
  [
    "in the second account",
    '[[account]]\nname = "a"\naddress = "a@b"\n[[account]]\nname = "c"\naddress = "c@d"\n',
  ],
  ["in a rule", '[[dial]]\npattern = "1"\ntarget = "2"\n'],
  ["in a table nobody knows", "[rtmp]\n"],
];

for (const [name, before] of AROUND) {
  Deno.test(`a mistyped secret is never shown: ${name}`, () => {
    for (const spelling of SPELLINGS) {
      for (const written of WRITTEN) {
        const told = complaint(`${before}${written.replaceAll("KEY", spelling)}\nnonsense = 1\n`);
        assert.doesNotMatch(told, /hunter2|er2/, written);
        assert.match(told, /^gw\.toml, line \d+, column \d+: /);
      }
    }
  });
}

Deno.test("a secret of the wrong type or form is not shown, under its right name either", () => {
  const account = '[[account]]\nname = "desk"\naddress = "desk@example.com"\n';
  for (
    const [text, message] of [
      [
        'rtmp-token = "hunter2"',
        /line 1, column 1: rtmp-token must be 16 to 256 .*\n {2}rtmp-token = \.\.\.\n {2}\^$/,
      ],
      ["rtmp-token = 4711471147", /rtmp-token must be/],
      ['account = "hunter2"', /account must be written as .*\n {2}account = \.\.\.\n {2}\^$/],
      ["dial = 4711471147", /dial must be written as .*\n {2}dial = \.\.\.\n {2}\^$/],
      ['rtmp-token = ["hunter2"]', /rtmp-token must be/],
      [`${account}password = 4711471147`, /line 4, column 1: account rule 1: password must be a text/],
      [`${account}password = ["hunter2"]`, /line 4, column 1: account rule 1: password must be a text/],
      [`${account}key = "hunter2"`, /line 4, column 1: account rule 1: key must be 16/],
      [`${account}"key" = "hunter2"`, /line 4, column 2: account rule 1: key must be 16/],
      [
        `${account}username = { password = "hunter2" }`,
        /line 4, column 1: account rule 1: username must be a text/,
      ],
      [
        `${account}registrar = "sip:bob:hunter2@host"`,
        /line 4, column 1: account rule 1: registrar must be a server/,
      ],
      ['outbound-proxy = "sip:bob:hunter2@h:xx"', /outbound-proxy must be a SIP address/],
      ['"rtmp-token=hunter2" = 1', /rtmp-token=\*{4} is not a setting/],
      ['tls-key = """-----BEGIN PRIVATE KEY-----\nhunter2"""\nx = 1', /x is not a setting/],
    ] as const
  ) {
    const told = complaint(text);
    assert.match(told, message);
    assert.doesNotMatch(told, /hunter2|4711/);
  }
});

const POINTS: [text: string, place: string][] = [
  [
    '[[account]]\nname = "a"\naddress = "a@b"\n\n  redial = "x"',
    "line 5, column 3: account rule 1: redial must be",
  ],
  [
    '[[account]]\nname = "a"\naddress = "a@b"\n[[account]]\nname = "a"\naddress = "c@d"',
    "line 5, column 1: account rule 2: name",
  ],
  [
    '[[dial]]\npattern = "1"\ntarget = "2"\n[[dial]]\npattern = "1"\n\ttarget = "$3"',
    "line 6, column 2: dial rule 2: target",
  ],
  ['[[dial]]\npattern = "("\ntarget = "2"', "line 2, column 1: dial rule 1: pattern"],
  ['[[dial]]\npattern = "1"\n', "line 1, column 3: dial rule 1: target must"],
  [
    'dial = [\n  { pattern = "1", target = "2" },\n  { pattern = "1", tagret = "2" },\n]',
    "line 3, column 20: dial rule 2: has tagret",
  ],
  ["# port = 1\nport = 99999", "line 2, column 1: port must be"],
  ['x = """\nport = 1"""\nport = 99999', "line 3, column 1: port must be"],
  ['\n[[acount]]\nname = "x"', "line 2, column 3: acount is not a setting"],
  ["dial = 3", "line 1, column 1: dial must be written as"],
];

for (const [text, place] of POINTS) {
  Deno.test(`a fault is pointed at where it is: ${place}`, () => {
    assert.ok(complaint(text).includes(`gw.toml, ${place}`), complaint(text));
  });
}

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

Deno.test("settings that a later text of the file changes, adds or leaves out", () => {
  const before =
    'port = 1935\nrtmp-token = "0123456789abcdef"\nverbose = true\n[[account]]\naddress = "a@b"\nsame-address = "share"';
  const table: [later: string, changed: string[]][] = [
    [before, []],
    [`# another comment\n${before}`, []],
    [before.replace("1935", "1936").replace("0123", "9999"), ["port", "rtmp-token"]],
    [before.replace("verbose = true\n", ""), ["verbose"]],
    [`root = "x"\n${before}`.replace('"share"', '"reject"'), ["account", "root"]],
  ];
  const file = (text: string): ConfigFile => ({ name: "gw.toml", text });
  for (const [later, changed] of table) {
    assert.deepEqual(changedSettings(file(before), file(later), settings), changed);
  }
  assert.throws(() => changedSettings(file(before), file("port = -1"), settings), ConfigError);
});

const found = (text: string): string[] =>
  findTomlKeys(text).map(({ path, line, column }) => `${line}:${column} ${path.join("/")}`);

const TABLE: [name: string, text: string, keys: string[]][] = [
  ["plain keys", "a = 1\n\tb = 2\r\n  c-d_e = 3", ["1:1 a", "2:2 b", "3:3 c-d_e"]],
  ["comments", "# a = 1\na = 1 # b = 2\n#\nc = '# d = 3' # x", ["2:1 a", "4:1 c"]],
  ["dots and quotes", '"a b" . \'c\'.d = 1\n"\\u00e9" = 2', ["1:2 a b/c/d", "2:2 é"]],
  ["tables", "[a]\nb = 1\n[ a . c ]\nd = 2", ["1:2 a", "2:1 a/b", "3:3 a/c", "4:1 a/c/d"]],
  ["lists of tables", "[[a]]\nb=1\n[[a]]\n  b=2\n[a.c]\nd=3\n[[a.e]]\nf=4", [
    ...[
      "1:3 a/0",
      "2:1 a/0/b",
      "3:3 a/1",
      "4:3 a/1/b",
      "5:2 a/1/c",
      "6:1 a/1/c/d",
      "7:3 a/1/e/0",
      "8:1 a/1/e/0/f",
    ],
  ]],
  ["inline tables", 'a = { b = "}", c = {d = 1} }\ne = 2', [
    "1:1 a",
    "1:7 a/b",
    "1:16 a/c",
    "1:21 a/c/d",
    "2:1 e",
  ]],
  ["lists", 'a = [ {b = 1},\n  # no\n  {b = "]", c = 2}, ]\nd = [[1], [2]]', [
    ...["1:1 a", "1:8 a/0/b", "3:4 a/1/b", "3:13 a/1/c", "4:1 d"],
  ]],
  ["long strings", 'a = """\nb = 1\n\\""" c = 2\n""""\nd = \'\'\'\ne = 3\'\'\'\nf = "\\"g = 4"\nh = 5', [
    ...["1:1 a", "5:1 d", "7:1 f", "8:1 h"],
  ]],
  ["nothing", "", []],
];

for (const [name, text, keys] of TABLE) {
  Deno.test(`keys of TOML are found where they are: ${name}`, () => {
    parse(text);
    assert.deepEqual(found(text), keys);
  });
}

Deno.test("every key that the parser knows is found, and every path leads to something", () => {
  const leaf = fc.oneof(fc.integer(), fc.string(), fc.boolean());
  const { table } = fc.letrec<{ table: object; value: unknown }>((tie) => ({
    table: fc.dictionary(fc.string({ minLength: 1 }), tie("value"), { maxKeys: 4 }),
    value: fc.oneof({ depthSize: "small" }, leaf, tie("table"), fc.array(tie("table"), { maxLength: 3 })),
  }));
  fc.assert(fc.property(table, (value) => {
    const text = stringify(value);
    const parsed = parse(text);
    const keys = findTomlKeys(text);
    for (const { path } of keys) {
      let here: unknown = parsed;
      for (const step of path) here = (here as Record<string, unknown>)[step];
      assert.ok(here !== undefined, `${JSON.stringify(path)} in\n${text}`);
    }
    for (const key of Object.keys(parsed)) {
      assert.ok(keys.some(({ path }) => path[0] === key), `${key} in\n${text}`);
    }
  }));
});

Deno.test("any text ends, in time in proportion", () => {
  fc.assert(
    fc.property(
      fc.string({
        unit: fc.constantFrom("[", "]", "{", "}", "=", ".", '"', "'", "\\", "#", "\n", " ", "a", ","),
      }),
      (text) => {
        findTomlKeys(text);
      },
    ),
  );
  for (const piece of ["[", "{a=", "a.", '"', "[[a]]\n", "a=[", "a={b=", "#", "a=1\n", "'''", " "]) {
    const timeMs = (length: number): number => {
      const text = piece.repeat(Math.floor(length / piece.length));
      const started = performance.now();
      findTomlKeys(text);
      return performance.now() - started;
    };
    timeMs(8192);
    const bestMs = (length: number): number => Math.min(...Array.from({ length: 7 }, () => timeMs(length)));
    const [short, long] = [bestMs(8192), bestMs(16 * 8192)];
    assert.ok(long < 50 * Math.max(short, 1), `${JSON.stringify(piece)}: ${short} ms, then ${long} ms`);
  }
});
