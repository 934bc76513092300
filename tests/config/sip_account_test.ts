// Answers to: lib/config/sip_account.ts.

import assert from "node:assert/strict";
import fc from "fast-check";
import { parseAccounts } from "../../lib/config/accounts.ts";
import { buildConfig } from "../../lib/config/config.ts";
import { ConfigError } from "../../lib/base/errors.ts";
import {
  ACCOUNT_CODECS,
  readSipAccount,
  SIP_ACCOUNT_KEYS,
  type SipAccount,
} from "../../lib/config/sip_account.ts";
import { builtInCodecs } from "../../lib/codecs/registry.ts";
import { formatSipUri } from "../../lib/sip/message/uri.ts";

const SECRET = "hunter2hunter2hunter2";
const DESK = { name: "desk", address: "desk@Example.com" };

function accountOf(entry: Record<string, unknown>): SipAccount {
  const account = readSipAccount({ ...DESK, ...entry });
  return typeof account === "string" ? assert.fail(account) : account;
}

Deno.test("sip account: what is left out has a default", () => {
  const { identity, ...rest } = accountOf({});
  assert.equal(formatSipUri(identity.aor), "sip:desk@example.com");
  assert.deepEqual([identity.displayName, identity.username, identity.password], [null, null, null]);
  assert.deepEqual([identity.registrar, identity.proxy, identity.transport], [
    undefined,
    undefined,
    undefined,
  ]);
  assert.deepEqual(rest, {
    name: "desk",
    register: false,
    codecs: [],
    key: null,
    answer: "no",
    waiting: "silence",
    onBusy: null,
    answerTimeoutSeconds: 60,
    redial: { attempts: 0, firstDelaySeconds: 5 },
    maxDurationSeconds: 0,
  });
});

Deno.test("sip account: every key counts", () => {
  const { identity, ...rest } = accountOf({
    address: "sip:desk@[2001:db8::1]:5080",
    "display-name": "Front desk",
    username: "u7140",
    password: "p w",
    registrar: "sip:pbx.example.com",
    proxy: "192.0.2.1:5062;transport=tcp",
    transport: "tcp",
    "md5-without-qop": true,
    register: false,
    codecs: ["PCMU", "dtmf"],
    key: SECRET,
    answer: "on-publish",
    waiting: "tone",
    "on-busy": "reject",
    "answer-timeout": 20,
    redial: 3,
    "redial-delay": 7,
    "max-duration": 3600,
  });
  assert.equal(formatSipUri(identity.aor), "sip:desk@[2001:db8::1]:5080");
  assert.equal(formatSipUri(identity.registrar!), "sip:pbx.example.com");
  assert.equal(formatSipUri(identity.proxy!), "sip:192.0.2.1:5062;transport=tcp");
  assert.equal(identity.md5WithoutQop, true);
  assert.deepEqual(
    [identity.displayName, identity.username, identity.password, identity.transport],
    ["Front desk", "u7140", "p w", "tcp"],
  );
  assert.deepEqual(rest, {
    name: "desk",
    register: false,
    codecs: ["pcmu", "dtmf"],
    key: SECRET,
    answer: "on-publish",
    waiting: "tone",
    onBusy: "reject",
    answerTimeoutSeconds: 20,
    redial: { attempts: 3, firstDelaySeconds: 7 },
    maxDurationSeconds: 3600,
  });
});

Deno.test("sip account: it registers when there is a password or a registrar, unless told otherwise", () => {
  assert.equal(accountOf({ password: "p" }).register, true);
  assert.equal(accountOf({ registrar: "pbx" }).register, true);
  assert.equal(accountOf({ password: "p", register: false }).register, false);
  assert.equal(accountOf({ register: true }).register, true);
});

Deno.test("sip account: codecs may name every token of the client API", () => {
  assert.deepEqual([...ACCOUNT_CODECS].sort(), builtInCodecs.tokens.map(({ token }) => token).sort());
  assert.deepEqual(accountOf({ codecs: "pcma, aac" }).codecs, ["pcma", "aac"]);
});

const WRONG: [entry: Record<string, unknown>, problem: RegExp][] = [
  [{ name: "" }, /^name must be 1 to 64/],
  [{ name: "a/b" }, /^name must be/],
  [{ name: ".." }, /^name must be/],
  [{ name: 7 }, /^name must be/],
  [{ name: "x".repeat(65) }, /^name must be/],
  [{ address: undefined }, /^address must be one SIP address like/],
  [{ address: "example.com" }, /^address must be one/],
  [{ address: "*@example.com" }, /^address must be one/],
  [{ address: "a b@example.com" }, /^address must be one/],
  [{ address: "sips:a@example.com" }, /^address must begin with sip: TLS/],
  [{ address: `a:${SECRET}@example.com` }, /^address must be without a password/],
  [{ address: "a@example.com;transport=tcp" }, /^address must be user@host and no more/],
  [{ "display-name": "a\nb" }, /^display-name must be a text in quotes/],
  [{ username: 7140 }, /^username must be a text in quotes/],
  [{ password: 1234 }, /^password must be a text in quotes/],
  [{ password: `${SECRET}\r\nX: y` }, /^password must be a text/],
  [{ registrar: "a@example.com" }, /^registrar must be a server like/],
  [{ registrar: `sip:a:${SECRET}@h` }, /^registrar must be a server like/],
  [{ registrar: "sips:pbx" }, /^registrar must begin with sip: TLS/],
  [{ registrar: "pbx;transport=tls" }, /^registrar must have udp or tcp/],
  [{ proxy: "sip:pbx:99999" }, /^proxy must be a server like/],
  [{ proxy: true }, /^proxy must be a server like/],
  [{ transport: "tls" }, /^transport must be udp or tcp$/],
  [{ register: "yes" }, /^register must be true or false$/],
  [{ codecs: [] }, /^codecs must be a list of wideband/],
  [{ codecs: ["pcmu", "mp3"] }, /^codecs must be a list of/],
  [{ codecs: { a: 1 } }, /^codecs must be a list of/],
  [{ key: "short" }, /^key must be 16 to 256/],
  [{ key: `${SECRET}&` }, /^key must be 16 to 256/],
  [{ answer: "later" }, /^answer must be no, auto or on-publish$/],
  [{ waiting: "music" }, /^waiting must be silence or tone$/],
  [{ "answer-timeout": 0 }, /^answer-timeout must be a whole number from 1 to 600$/],
  [{ redial: 1.5 }, /^redial must be a whole number from 0 to 100$/],
  [{ "redial-delay": "5" }, /^redial-delay must be a whole number from 1 to 300$/],
  [{ "md5-without-qop": "yes" }, /^md5-without-qop must be true or false$/],
  [{ "max-duration": -1 }, /^max-duration must be a whole number from 0 to 604800$/],
];

Deno.test("sip account: what is wrong is said in words, without what was written", () => {
  for (const [entry, problem] of WRONG) {
    const account = readSipAccount({ ...DESK, ...entry });
    assert.ok(typeof account === "string", `accepted ${JSON.stringify(entry)}`);
    assert.match(account, problem);
    assert.ok(!account.includes(SECRET), account);
  }
});

Deno.test("sip account: in the configuration, beside exceptions; duplicate names and secrets", () => {
  const file = (text: string) => buildConfig({ file: { name: "gw.toml", text } });
  const config = file(`
[[account]]
name = "desk"
address = "desk@example.com"
password = "${SECRET}"
same-address = "share"

[[account]]
address = "*@example.com"
same-address = "reject"
`);
  assert.deepEqual(config.accounts.map(({ name }) => name), ["desk"]);
  assert.ok(Object.isFrozen(config.accounts[0]?.identity));
  assert.deepEqual(config.sameAddress.accounts.map(({ address }) => address), [
    "desk@example.com",
    "*@example.com",
  ]);
  const broken =
    `[[account]]\nname = "desk"\naddress = "desk@example.com"\npassword = "${SECRET}"\nkey = "${SECRET}&"\n`;
  assert.throws(
    () => file(broken),
    (error) =>
      error instanceof ConfigError && !error.message.includes(SECRET) && /key must be/.test(error.message),
  );
  assert.throws(
    () => file(broken.replace(`${SECRET}&`, SECRET).repeat(2)),
    /rule 2: name "desk" is taken already/,
  );
});

Deno.test("sip account: anything may be written; nothing throws", () => {
  const key = fc.constantFrom("address", ...SIP_ACCOUNT_KEYS);
  const value = fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.array(fc.string()), fc.anything());
  fc.assert(fc.property(fc.dictionary(key, value), (entry) => {
    const parsed = parseAccounts([{ ...DESK, ...entry }]);
    if (parsed.type === "wrong") assert.match(parsed.problem, /^rule 1: /);
  }));
});

/** What stands in [account.headers] or from-user, and the line and words of the complaint; null: it is taken. */
const FIELDS: [text: string, complaint: RegExp | null][] = [
  ['from-user = "4930123"\n[account.headers]\nX-Tenant = "7"\nPrivacy = "id"', null],
  ["from-user = 4930123", null],
  ['from-user = "a@b"', /x\.toml, line 4, column \d+: .*from-user must be a number or name/],
  [
    '[account.headers]\nX-A = "1"\nVia = "x"',
    /x\.toml, line 6, column \d+: .*headers has "Via", which is the gateway's own/,
  ],
  ['[account.headers]\n"content-type" = "x"', /x\.toml, line 5, column \d+: .*headers has "content-type"/],
  ['[account.headers]\nX-A = "1\\r\\nVia: x"', /x\.toml, line 5, column \d+: .*"X-A" a text of one line/],
  ['[account.headers]\n"X A" = "1"', /x\.toml, line 4, column \d+: .*a name that is none of a SIP header/],
  ["headers = 7", /x\.toml, line 4, column \d+: .*headers must be names and values/],
];

for (const [text, complaint] of FIELDS) {
  Deno.test(`sip account: ${text.replaceAll("\n", " ")}: ${complaint === null ? "taken" : "refused"}`, () => {
    const head = '[[account]]\nname = "desk"\naddress = "desk@example.com"\n';
    const read = () => buildConfig({ file: { name: "x.toml", text: head + text } });
    if (complaint !== null) return assert.throws(read, complaint);
    const [account] = read().accounts;
    assert.equal(account?.fields?.fromUser, "4930123");
  });
}
