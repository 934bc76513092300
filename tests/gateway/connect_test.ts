import fc from "fast-check";
import assert from "node:assert/strict";
import { AmfEcmaArray, type AmfValue } from "../../lib/amf/value.ts";
import type { Credentials } from "../../lib/gateway/access/login_guard.ts";
import {
  type ClientIdentity,
  connectOptionsOf,
  credentialsOf,
  identityOf,
} from "../../lib/gateway/connect.ts";
import { formatNameAddr } from "../../lib/sip/message/name_addr.ts";
import { formatSipUri } from "../../lib/sip/message/uri.ts";
import { identityAddress } from "../../lib/sip/ua/identity.ts";

type Accepted = Extract<ClientIdentity, { type: "accepted" }>;

function accepted(address: string, ...args: AmfValue[]): Accepted {
  const identity = identityOf(address, args);
  assert.ok(identity.type === "accepted", JSON.stringify(identity));
  return identity;
}

function summary({ identity, rate }: Accepted): (string | null)[] {
  return [identity.username, identity.password, formatNameAddr(identityAddress(identity)), rate];
}

const CONNECTS: [args: AmfValue[], expected: (string | null)[]][] = [
  [[], ["alice", null, "<sip:alice@example.com>", "wideband"]],
  [[null, "", null], ["alice", null, "<sip:alice@example.com>", "wideband"]],
  [["al", "secret"], ["al", "secret", "<sip:alice@example.com>", "wideband"]],
  [["al", "secret", "Alice B"], ["al", "secret", '"Alice B" <sip:alice@example.com>', "wideband"]],
  [["al", "secret", "A", "narrowband"], ["al", "secret", '"A" <sip:alice@example.com>', "narrowband"]],
  [["al", "secret", "A", "wideband"], ["al", "secret", '"A" <sip:alice@example.com>', "wideband"]],
  [["al", "secret", "A", "something else"], ["al", "secret", '"A" <sip:alice@example.com>', "wideband"]],
  [[1001, 1234], ["1001", "1234", "<sip:alice@example.com>", "wideband"]],
  [[undefined, { a: 1 }, [1]], ["alice", null, "<sip:alice@example.com>", "wideband"]],
  [[true, NaN], ["alice", null, "<sip:alice@example.com>", "wideband"]],
];

for (const [args, expected] of CONNECTS) {
  Deno.test(`connect(${JSON.stringify(args).slice(1, -1)}) is ${expected.join(" ")}`, () => {
    assert.deepEqual(summary(accepted("alice@example.com", ...args)), expected);
  });
}

Deno.test("the address keeps its port, its transport and an IPv6 host", () => {
  for (const address of ["alice@example.com:5070", "alice@[2001:db8::1]", "a@example.com;transport=tcp"]) {
    assert.equal(formatSipUri(accepted(address).identity.aor), `sip:${address}`);
  }
});

for (const address of ["alice@", "alice@exa mple", "alice@host:99999", "alice@[::1", "@"]) {
  Deno.test(`"${address}" is rejected in plain words`, () => {
    const identity = identityOf(address, []);
    assert.ok(identity.type === "rejected");
    assert.match(identity.reason, /is not a SIP address/);
  });
}

for (const index of [0, 1, 2, 3]) {
  Deno.test(`connect argument ${index} may have 256 characters, not more`, () => {
    const args: AmfValue[] = [null, null, null, null];
    args[index] = "x".repeat(256);
    assert.equal(identityOf("alice@example.com", args).type, "accepted");
    args[index] = "x".repeat(257);
    assert.deepEqual(identityOf("alice@example.com", args), {
      type: "rejected",
      reason: "a connect argument is too long",
    });
  });
}

Deno.test("nothing a client sends makes a second header line", () => {
  const address = formatNameAddr(identityAddress(
    accepted("alice@example.com", "al", "pw", 'A"\r\nRoute: <sip:evil@x>').identity,
  ));
  assert.ok(!/[\r\n]/.test(address), address);
});

Deno.test("any arguments give an identity or a reason, never an exception", () => {
  const value = fc.oneof(fc.string(), fc.double(), fc.boolean(), fc.constant(null), fc.constant(undefined));
  fc.assert(fc.property(fc.string(), fc.array(value, { maxLength: 6 }), (address, args) => {
    const identity = identityOf(address, args);
    assert.ok(identity.type === "accepted" || identity.reason.length > 0);
  }));
});

const JS = "siprtmp-test/1";

/** What connect said, and what comes of it. */
const OPTIONS: {
  name: string;
  args?: AmfValue[];
  properties?: Record<string, AmfValue>;
  flashVer?: string;
  fields?: Record<string, unknown>;
  tells: boolean;
}[] = [
  { name: "nothing", tells: true },
  { name: "login and password", args: ["alice", "secret", "Alice", "wideband"], tells: true },
  {
    name: "headers behind the arguments",
    args: ["alice", "secret", null, null, { headers: { "X-Tenant": "7" } }],
    fields: { headers: [["X-Tenant", "7"]] },
    tells: true,
  },
  {
    name: "headers in the first argument",
    args: [{ token: "x", headers: { "X-Tenant": 7 } }],
    fields: { headers: [["X-Tenant", "7"]] },
    tells: true,
  },
  {
    name: "members of connect itself",
    properties: { app: "sip/a@b", fromUser: "4930123" },
    fields: { fromUser: "4930123" },
    tells: true,
  },
  {
    name: "an associative array",
    args: [new AmfEcmaArray({ fromUser: 4930123 })],
    fields: { fromUser: "4930123" },
    tells: true,
  },
  { name: "not wanted", args: [{ callerHeaders: false }], tells: false },
  { name: "Flash Player on Windows", flashVer: "WIN 32,0,0,465", tells: false },
  { name: "Flash Player on Linux", flashVer: "LNX 11,2,202,235", tells: false },
  {
    name: "Flash Player that asks",
    flashVer: "MAC 11,1,102,55",
    args: [{ callerHeaders: true }],
    tells: true,
  },
  { name: "an encoder", flashVer: "FMLE/3.0 (compatible; Lavf)", tells: true },
];

for (const { name, args = [], properties = {}, flashVer = JS, fields = {}, tells } of OPTIONS) {
  Deno.test(`connect: ${name}`, () => {
    assert.deepEqual(connectOptionsOf({ args, properties, flashVer }), {
      type: "options",
      fields,
      tellsCallerHeaders: tells,
    });
  });
}

/** What cannot be had. */
const REJECTED: [args: AmfValue[], words: RegExp][] = [
  [[{ headers: "X-A: 1" }], /^headers must be names and values/],
  [[{ headers: { Via: "x" } }], /^headers has "Via", which is the gateway's own/],
  [[{ headers: { "X-A": "1\r\nVia: x" } }], /^headers must give "X-A" a text of one line/],
  [[{ headers: { "X-A": { b: 1 } } }], /^headers must give "X-A"/],
  [[{ fromUser: "a@b" }], /^fromUser must be a number or name/],
  [[{ fromUser: { a: 1 } }], /^fromUser must be/],
];

for (const [args, words] of REJECTED) {
  Deno.test(`connect rejected: ${JSON.stringify(args)}`, () => {
    const outcome = connectOptionsOf({ args, properties: {}, flashVer: JS });
    assert.ok(outcome.type === "rejected");
    assert.match(outcome.reason, words);
  });
}

const NONE: Credentials = { user: null, password: null, token: null };

Deno.test("the URL counts before an object, and that before the arguments", () => {
  const table: [string, AmfValue[], Partial<Credentials>][] = [
    ["", [], {}],
    ["token=abc", [], { token: "abc" }],
    ["dial=7140&user=alice&password=a%26b+c", [], { user: "alice", password: "a&b+c" }],
    ["", ["alice", "secret", "Alice", "wideband"], { user: "alice", password: "secret" }],
    ["", [1001, 4711], { user: "1001", password: "4711" }],
    ["", ["sip", "sippass", { token: "abc" }], { token: "abc" }],
    ["", [{ user: "bob", password: "x" }, "alice"], { user: "bob", password: "x" }],
    ["token=url", ["a", "b", { token: "object" }], { token: "url" }],
    ["user=alice", ["sip", "sippass"], { user: "sip", password: "sippass" }],
    ["dial=7140", ["a", { other: 1 }], { user: "a" }],
    ["token=", ["a", "b"], { user: "a", password: "b" }],
    [`token=${"x".repeat(300)}`, ["a".repeat(300), "b"], { password: "b" }],
    ["", [null, true], {}],
  ];
  for (const [query, args, expected] of table) {
    assert.deepEqual(credentialsOf({ query, args }), { ...NONE, ...expected }, `${query} ${args.length}`);
  }
});

Deno.test("nothing a client can say throws", () => {
  const value = fc.oneof(
    fc.string(),
    fc.double(),
    fc.constant(null),
    fc.dictionary(fc.string(), fc.string()),
  );
  fc.assert(fc.property(fc.string(), fc.array(value), (query, args) => {
    const { user, password, token } = credentialsOf({ query, args });
    for (const text of [user, password, token]) assert.ok(text === null || text.length <= 256);
  }));
});
