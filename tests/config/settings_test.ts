import assert from "node:assert/strict";
import { parseArguments } from "../../lib/app/options.ts";
import { ConfigError } from "../../lib/base/errors.ts";
import { maskSecrets } from "../../lib/base/mask_secrets.ts";
import { accountKeys, parseAccounts, sipAccountKeys } from "../../lib/config/accounts.ts";
import { dialKeys } from "../../lib/config/dial_plan.ts";
import { parseConfigFile } from "../../lib/config/config_file.ts";
import { buildConfig } from "../../lib/config/config.ts";
import {
  converted,
  defaultText,
  formatKeysTable,
  formatSettingsTable,
  reloadedSettings,
  type Rows,
  setting,
  table,
  wholeNumber,
} from "../../lib/config/setting.ts";
import { settings } from "../../lib/config/settings.ts";

Deno.test("every setting has one line of help", () => {
  for (const [name, { help }] of Object.entries(settings)) {
    assert.match(help, /^\S.*\S$/, name);
    assert.doesNotMatch(help, /[.]$|^[A-Z][a-z]/, name);
  }
});

Deno.test("siprtmp's letters are all there (behaviour 1.1)", () => {
  const letters = Object.entries(settings).filter(([, { short }]) => short !== null);
  assert.deepEqual(Object.fromEntries(letters.map(([name, { short }]) => [short, name])), {
    i: "host",
    p: "port",
    r: "root",
    l: "int-ip",
    e: "ext-ip",
    d: "verbose",
    D: "verbose-all",
  });
  const { host, port, root, "int-ip": bind, "ext-ip": advertise } = settings;
  assert.deepEqual(
    [host, port, root, bind, advertise].map((row) => row.default),
    ["0.0.0.0", 1935, "./", "0.0.0.0", null],
  );
});

/** The table with two more rows: all that a new setting takes. */
const MORE: Rows = {
  ...settings,
  "answer-beep": setting(wholeNumber(1, 9, "<count>"), {
    at: "limit.answerBeep",
    default: 3,
    to: (count) => count * 100,
    reload: true,
    help: "beeps after the answer",
  }),
  "trunk-pin": setting(
    converted("4 digits", "<pin>", (value) => /^\d{4}$/.test(String(value)) ? value : undefined),
    {
      at: "trunkPin",
      default: null,
      absent: "none",
      secret: true,
      help: "PIN of the trunk",
    },
  ),
};

const file = (text: string) => ({ name: "gw.toml", text });

function complaint(text: string, rows: Rows = MORE): string {
  try {
    parseConfigFile(file(text), rows);
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error.message;
  }
  return assert.fail("accepted");
}

Deno.test("a row is all a new setting needs: command line, file, configuration", () => {
  const parsed = parseArguments(["--answer-beep", "5", "--trunk-pin", "1234"], () => "", MORE);
  assert.ok(parsed.type === "start", JSON.stringify(parsed));
  const config = parsed.config as unknown as { limit: Record<string, unknown>; trunkPin: unknown };
  assert.deepEqual([config.limit.answerBeep, config.limit.calls, config.trunkPin], [500, 500, "1234"]);
  const fromFile = buildConfig({ file: file('answer-beep = 7\ntrunk-pin = "0000"') }, MORE);
  assert.equal((fromFile.limit as unknown as Record<string, unknown>).answerBeep, 700);
  assert.equal((buildConfig({}, MORE).limit as unknown as Record<string, unknown>).answerBeep, 300);
  const wrong = parseArguments(["--answer-beep", "12"], () => "", MORE);
  assert.ok(wrong.type === "print" && wrong.exitCode === 2);
  assert.match(wrong.text, /--answer-beep must be a whole number from 1 to 9, not 12/);
});

Deno.test("a row is all a new setting needs: help, document, what SIGHUP reads, did you mean", () => {
  const help = parseArguments(["--help"], () => "", MORE);
  assert.ok(help.type === "print");
  assert.match(
    help.text.replace(/\s+/g, " "),
    /--answer-beep <count> beeps after the answer; read again on SIGHUP \(default: 3\)/,
  );
  assert.match(help.text, /--trunk-pin <pin> +PIN of the trunk \(default: none\)/);
  const table = formatSettingsTable(MORE);
  assert.match(
    table,
    /\| `--answer-beep <count>` +\| 3 +\| beeps after the answer; read again on SIGHUP +\|/,
  );
  assert.match(table, /\| `--trunk-pin <pin>` +\| none +\| PIN of the trunk; never shown +\|/);
  assert.deepEqual(reloadedSettings(MORE), ["tls-cert", "tls-key", "rtmp-users", "answer-beep"]);
  assert.match(complaint("answer-beeb = 2"), /answer-beeb is not a setting; did you mean answer-beep\?/);
});

Deno.test("a secret row is never shown, another one is", () => {
  const secret = complaint('trunk-pin = "hunter2"');
  assert.match(secret, /^gw\.toml, line 1, column 1: trunk-pin must be 4 digits/);
  assert.doesNotMatch(secret, /hunter2/);
  assert.match(complaint('answer-beep = "many"'), /answer-beep = "many"/);
  const flag = parseArguments(["--trunk-pin", "hunter2"], () => "", MORE);
  assert.ok(flag.type === "print");
  assert.doesNotMatch(flag.text, /hunter2/);
});

Deno.test("the log knows every password by the name of its setting", () => {
  const rows: Rows = { ...settings, ...accountKeys };
  for (const name of ["rtmp-token", "password", "key"]) {
    assert.equal(rows[name]?.secret, true);
    assert.doesNotMatch(maskSecrets(`${name} = "0123456789abcdef"`), /0123/);
  }
});

const MORE_KEYS = {
  ...sipAccountKeys,
  "ring-volume": setting(wholeNumber(0, 9, ""), {
    at: "ringVolume",
    default: 4,
    help: "volume of the waiting tone",
  }),
  "voice-mail": setting(converted("a text", "", (value) => typeof value === "string" ? value : undefined), {
    at: "identity.voiceMail",
    default: null,
    absent: "nobody",
    secret: true,
    help: "who takes messages",
  }),
};

const WITH_KEYS: Rows = {
  ...settings,
  account: setting(table(MORE_KEYS, (value) => parseAccounts(value, MORE_KEYS)), {
    at: null,
    default: [],
    help: "accounts",
  }),
};

Deno.test("a row is all a new key of an account needs: file, account, document, did you mean", () => {
  const desk = '[[account]]\nname = "desk"\naddress = "desk@example.com"\n';
  const read = (text: string) =>
    buildConfig({ file: file(desk + text) }, WITH_KEYS).accounts[0] as unknown as {
      ringVolume: unknown;
      identity: { voiceMail: unknown };
    };
  const given = read('ring-volume = 9\nvoice-mail = "carol"');
  assert.deepEqual([given.ringVolume, given.identity.voiceMail], [9, "carol"]);
  assert.deepEqual([read("").ringVolume, read("").identity.voiceMail], [4, null]);
  const documented = formatKeysTable(MORE_KEYS);
  assert.match(documented, /\| `ring-volume` +\| 4 +\| volume of the waiting tone +\|/);
  assert.match(documented, /\| `voice-mail` +\| nobody +\| who takes messages +\|/);
  assert.match(
    complaint(`${desk}ring-volumn = 3`, WITH_KEYS),
    /line 4, column 1: account rule 1: has ring-volumn, .* did you mean ring-volume\?/,
  );
  assert.match(
    complaint(`${desk}ring-volume = 10`, WITH_KEYS),
    /ring-volume must be a whole number from 0 to 9\n {2}ring-volume = 10\n/,
  );
  assert.match(
    complaint(`${desk}voice-mail = 4711`, WITH_KEYS),
    /voice-mail must be a text\n {2}voice-mail = \.\.\./,
  );
  assert.match(
    complaint('[[account]]\naddress = "a@b"\nring-volume = 3', WITH_KEYS),
    /it has ring-volume, which is for accounts with a name/,
  );
});

Deno.test("bounds in the units of the machine", () => {
  const flags = { "max-memory": "3", "max-lag": "70", "max-publish-rate": "800" };
  const { limit, rtmp } = buildConfig({ flags });
  assert.deepEqual(limit, {
    connections: 1000,
    calls: 500,
    lagMs: 70,
    memoryBytes: 3 * 1024 * 1024,
    halfOpen: 256,
  });
  assert.equal(rtmp.options.readBytesPerSecond, 100_000);
});

Deno.test("bounds come from the command line", () => {
  const flags = { "max-lag": "0", "max-memory": "1024", "max-half-open": "5", "max-publish-rate": "0" };
  const { limit, rtmp } = buildConfig({ flags });
  assert.deepEqual([limit.lagMs, limit.memoryBytes, limit.halfOpen], [0, 1024 * 1024 * 1024, 5]);
  assert.equal(rtmp.options.readBytesPerSecond, 0);
  assert.equal(buildConfig({}).rtmp.options.readBytesPerSecond, 2_500_000);
});

Deno.test("media: whose first packet counts", () => {
  assert.equal(buildConfig({ flags: {} }).rtp.sourceRule, "nat");
  for (const rule of ["nat", "strict", "any"]) {
    assert.equal(buildConfig({ flags: { "rtp-source": rule } }).rtp.sourceRule, rule);
  }
  assert.throws(
    () => buildConfig({ flags: { "rtp-source": "anybody" } }),
    /rtp-source must be nat, strict or any/,
  );
});

Deno.test("media: for how long a peer's media may be missing", () => {
  assert.deepEqual(buildConfig({ flags: {} }).rtp.timeouts, { initialMs: 30_000, silenceMs: 60_000 });
  const flags = { "media-timeout-initial": "0", "media-timeout": "7" };
  assert.deepEqual(buildConfig({ flags }).rtp.timeouts, { initialMs: 0, silenceMs: 7_000 });
  assert.throws(() => buildConfig({ flags: { "media-timeout": "-1" } }), /media-timeout must be/);
});

Deno.test("defaults in words", () => {
  const rows: [row: Parameters<typeof defaultText>[0], text: string | null][] = [
    [settings.port, "1935"],
    [settings["rtp-ports"], "10000-20000"],
    [settings["ext-ip"], "local address of the route"],
    [settings["allowed-targets"], "none"],
    [settings.redirect, "true"],
    [settings["tls-cert"], null],
    [setting(wholeNumber(0, 9, "<n>"), { at: null, default: 0, absent: "off", help: "x" }), "0"],
    [setting(table({}, () => ({ type: "rules", rules: [] })), { at: null, default: [], help: "x" }), null],
  ];
  for (const [row, text] of rows) assert.equal(defaultText(row), text);
});

Deno.test("docs/configuration.md has the tables that the rows give (else: deno task docs:configuration)", async () => {
  const text = await Deno.readTextFile(new URL("../../docs/configuration.md", import.meta.url));
  assert.ok(text.includes(formatSettingsTable(settings)), "options");
  assert.ok(text.includes(formatKeysTable(accountKeys)), "accounts");
  assert.ok(text.includes(formatKeysTable(dialKeys)), "dial plan");
  for (const key of Object.keys(accountKeys)) {
    assert.ok(formatKeysTable(accountKeys).includes(`\`${key}\``), key);
  }
});
