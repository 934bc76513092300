import assert from "node:assert/strict";
import fc from "fast-check";
import { ConfigError } from "../../lib/base/errors.ts";
import {
  type AccountRule,
  MAX_ACCOUNT_RULES,
  mayPublishCalls,
  namedKeys,
  parseAccounts,
  readSipAccount,
  sameAddressPolicies,
  type SameAddressPolicy,
  sameAddressPolicyOf,
  type SipAccount,
} from "../../lib/config/accounts.ts";
import { buildConfig } from "../../lib/config/config.ts";
import { builtInCodecs } from "../../lib/codecs/registry.ts";
import { formatSipUri } from "../../lib/sip/message/uri.ts";

function accountsOf(value: unknown): readonly AccountRule[] {
  const parsed = parseAccounts(value);
  return parsed.type === "rules"
    ? parsed.rules.flatMap(({ rule }) => rule ?? [])
    : assert.fail(parsed.problem);
}

Deno.test("accounts: the default is siprtmp's", () => assert.equal(sameAddressPolicies[0], "replace"));

Deno.test("accounts: the first rule that fits an address counts, else the general policy", () => {
  const accounts = accountsOf([
    { address: "alice@Example.com", "same-address": "reject" },
    { address: "*@example.com", "same-address": "share" },
    { address: "Bob@other.example", "same-address": "reject" },
    { address: "bob@example.com", "same-address": "reject" },
  ]);
  const table: [address: string, policy: SameAddressPolicy][] = [
    ["alice@example.com", "reject"],
    ["alice@EXAMPLE.COM", "reject"],
    ["Alice@example.com", "share"],
    ["bob@example.com", "share"],
    ["bob@other.example", "replace"],
    ["Bob@other.example", "reject"],
    ["carol@sub.example.com", "replace"],
  ];
  for (const [address, policy] of table) {
    assert.equal(sameAddressPolicyOf({ policy: "replace", accounts }, address), policy, address);
  }
});

const WRONG: [value: unknown, problem: RegExp][] = [
  [{}, /^must be written as \[\[account\]\]/],
  [["alice@example.com"], /^rule 1: must be written as \[\[account\]\]/],
  [[{ "same-address": "share" }], /^rule 1: address must be a SIP address/],
  [[{ address: "alice", "same-address": "share" }], /^rule 1: address must be/],
  [[{ address: "a b@c", "same-address": "share" }], /^rule 1: address must be/],
  [[{ address: "a@b" }], /^rule 1: it needs name, same-address or publish-calls$/],
  [[{ address: "a@b", "same-address": "x" }], /^rule 1: same-address must be one of replace, share, reject$/],
  [
    [{ address: "a@b", "same-address": "share" }, { address: "a@b", policy: "share" }],
    /^rule 2: has policy, which is/,
  ],
  [[{ address: "a@b", answer: "auto" }], /^rule 1: it has answer, .* needs name = "\.\.\."$/],
  [
    [{ address: "a@b", "same-address": "share", password: "p" }],
    /^rule 1: it has password, which is for accounts/,
  ],
  [[{ address: "a@b", name: "x", pasword: "p" }], /^rule 1: has pasword, .*; did you mean password\?$/],
  [[{ address: "a@b", name: "x" }, { address: "c@d", name: "x" }], /^rule 2: name "x" is taken already$/],
  [[{ address: "*@b", name: "x" }], /^rule 1: address must be one SIP address/],
  [[{ address: "a@b", name: "x", "publish-calls": 1 }], /^rule 1: publish-calls must be true or false$/],
  [Array.from({ length: MAX_ACCOUNT_RULES + 1 }, () => ({})), /^has more than 10000 rules$/],
];

for (const [value, problem] of WRONG) {
  Deno.test(`accounts: refused: ${problem.source}`, () => {
    const parsed = parseAccounts(value);
    assert.match(parsed.type === "wrong" ? parsed.problem : assert.fail("accepted"), problem);
  });
}

Deno.test("accounts: a name makes an account of the gateway's own, and may have exceptions too", () => {
  const parsed = parseAccounts([
    { address: "sip:Desk@Example.com", name: "desk", "same-address": "reject" },
    { address: "door@example.com", name: "door", password: "pw" },
    { address: "*@example.com", "same-address": "share" },
  ]);
  if (parsed.type === "wrong") return assert.fail(parsed.problem);
  assert.deepEqual(parsed.rules.map(({ rule }) => rule?.address ?? null), [
    "Desk@example.com",
    null,
    "*@example.com",
  ]);
  assert.deepEqual(parsed.rules.map(({ account }) => account?.name ?? null), ["desk", "door", null]);
  const accounts = parsed.rules.flatMap(({ rule }) => rule ?? []);
  assert.equal(sameAddressPolicyOf({ policy: "replace", accounts }, "Desk@example.com"), "reject");
});

Deno.test("publishing calls: the first rule that says something counts, else what holds everywhere", () => {
  const accounts = accountsOf([
    { address: "alice@example.com", "same-address": "share" },
    { address: "alice@example.com", "publish-calls": true },
    { address: "*@example.com", "publish-calls": false },
  ]);
  assert.equal(
    mayPublishCalls({ publishCalls: false, sameAddress: { accounts } }, "alice@Example.com"),
    true,
  );
  assert.equal(mayPublishCalls({ publishCalls: true, sameAddress: { accounts } }, "bob@example.com"), false);
  assert.equal(
    mayPublishCalls({ publishCalls: true, sameAddress: { accounts } }, "bob@elsewhere.example"),
    true,
  );
  for (const wrong of [{ "publish-calls": "yes" }, {}]) {
    assert.equal(parseAccounts([{ address: "a@b", ...wrong }]).type, "wrong");
  }
});

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
  const tokens = builtInCodecs.tokens.map(({ token }) => token);
  assert.deepEqual(accountOf({ codecs: tokens }).codecs, tokens);
  assert.deepEqual(accountOf({ codecs: "pcma, aac" }).codecs, ["pcma", "aac"]);
});

const WRONG_ACCOUNTS: [entry: Record<string, unknown>, problem: RegExp][] = [
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
  for (const [entry, problem] of WRONG_ACCOUNTS) {
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
  const key = fc.constantFrom("address", ...namedKeys());
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
