// Answers to: lib/config/accounts.ts.

import assert from "node:assert/strict";
import {
  type AccountRule,
  MAX_ACCOUNT_RULES,
  mayPublishCalls,
  parseAccounts,
  sameAddressPolicies,
  type SameAddressPolicy,
  sameAddressPolicyOf,
} from "../../lib/config/accounts.ts";

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
