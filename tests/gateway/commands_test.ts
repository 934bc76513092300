import fc from "fast-check";
import assert from "node:assert/strict";
import { AmfEcmaArray, type AmfValue } from "../../lib/amf/value.ts";
import type { Credentials } from "../../lib/gateway/access/login_guard.ts";
import {
  type ClientCommand,
  type ClientIdentity,
  connectOptionsOf,
  credentialsOf,
  identityOf,
  parseCommand,
} from "../../lib/gateway/commands.ts";
import { formatNameAddr } from "../../lib/sip/message/name_addr.ts";
import { formatSipUri } from "../../lib/sip/message/uri.ts";
import { identityAddress } from "../../lib/sip/ua/identity.ts";

function commandOf(name: string, ...args: unknown[]): ClientCommand {
  const parsed = parseCommand(name, args);
  assert.equal(parsed.type, "command", JSON.stringify(parsed));
  return parsed.type === "command" ? parsed.command : assert.fail();
}

function refusalOf(name: string, ...args: unknown[]): string {
  const parsed = parseCommand(name, args);
  assert.equal(parsed.type, "refused", JSON.stringify(parsed));
  return parsed.type === "refused" ? parsed.reason : assert.fail();
}

const accepted: [name: string, args: unknown[], command: ClientCommand][] = [
  ["invite", ["bob@example.com"], { name: "invite", destination: "bob@example.com", codecs: [] }],
  ["invite", [' "Bob" <sip:bob@h:5070> ', "wideband", "h264"], {
    name: "invite",
    destination: '"Bob" <sip:bob@h:5070>',
    codecs: ["wideband", "h264"],
  }],
  ["invite", ["7140", null, undefined], { name: "invite", destination: "7140", codecs: [] }],
  ["accept", [], { name: "accept", codecs: [] }],
  ["accept", ["pcmu", null, "dtmf"], { name: "accept", codecs: ["pcmu", "dtmf"] }],
  ["reject", [], { name: "reject", status: 603, reason: "Decline" }],
  ["reject", [null], { name: "reject", status: 603, reason: "Decline" }],
  ["reject", [""], { name: "reject", status: 603, reason: "Decline" }],
  ["reject", ["486 Busy Here"], { name: "reject", status: 486, reason: "Busy Here" }],
  ["reject", ["486 Busy\u2028Here"], { name: "reject", status: 486, reason: "Busy\u2028Here" }],
  ["reject", ["486   Busy"], { name: "reject", status: 486, reason: "Busy" }],
  ["reject", ["4860"], { name: "reject", status: 603, reason: "4860" }],
  ["reject", ["480"], { name: "reject", status: 480, reason: "" }],
  ["reject", ["not now"], { name: "reject", status: 603, reason: "not now" }],
  ["reject", ["200 OK"], { name: "reject", status: 603, reason: "200 OK" }],
  ["reject", ["302 Moved"], { name: "reject", status: 603, reason: "302 Moved" }],
  ["reject", ["486 Busy\r\nEvil: 1"], { name: "reject", status: 486, reason: "Busy Evil: 1" }],
  ["bye", [], { name: "bye" }],
  ["bye", ["whatever"], { name: "bye" }],
  ["sendDTMF", ["5"], { name: "sendDTMF", digits: "5", durationMs: 160 }],
  ["sendDTMF", [5], { name: "sendDTMF", digits: "5", durationMs: 160 }],
  ["sendDTMF", ["12*#ad", 100], { name: "sendDTMF", digits: "12*#AD", durationMs: 100 }],
  ["sendDTMF", ["0", 8000], { name: "sendDTMF", digits: "0", durationMs: 8000 }],
  ["hold", [true], { name: "hold", on: true }],
  ["hold", [false], { name: "hold", on: false }],
  ["sendMessage", ["a\nb \u00e9"], { name: "sendMessage", text: "a\nb \u00e9" }],
  ["sendPagingMessage", ["sip:bob@h", "hi"], {
    name: "sendPagingMessage",
    destination: "sip:bob@h",
    text: "hi",
  }],
];

Deno.test("every command of the API is read with its arguments", () => {
  for (const [name, args, command] of accepted) assert.deepEqual(commandOf(name, ...args), command);
});

const refused: [name: string, args: unknown[], reason: RegExp][] = [
  ["invite", [], /^invite: the destination is missing$/],
  ["invite", [null, "wideband"], /destination is missing/],
  ["invite", ["  "], /destination is missing/],
  ["invite", [7140], /destination must be text/],
  ["invite", ["bob@h\r\nEvil: 1"], /control characters/],
  ["invite", ["x".repeat(1025)], /longer than 1024/],
  ["invite", ["bob@h", 8], /a codec must be text/],
  ["invite", ["bob@h", ""], /a codec has no name/],
  ["accept", Array(33).fill("pcmu"), /more than 32 codecs/],
  ["reject", [486], /reason must be text/],
  ["sendDTMF", [], /the digits must be/],
  ["sendDTMF", [""], /the digits must be/],
  ["sendDTMF", ["5x"], /the digits must be/],
  ["sendDTMF", [-1], /the digits must be/],
  ["sendDTMF", ["1".repeat(65)], /1 to 64/],
  ["sendDTMF", ["1", 10], /duration must be 40 to 8000 ms/],
  ["sendDTMF", ["1", NaN], /duration/],
  ["sendDTMF", ["1", "100"], /duration/],
  ["hold", [], /must be true or false/],
  ["hold", [1], /must be true or false/],
  ["sendMessage", [], /text is missing/],
  ["sendMessage", ["x".repeat(16385)], /longer than 16384/],
  ["sendPagingMessage", ["bob@h"], /text is missing/],
  ["sendPagingMessage", [null, "hi"], /destination is missing/],
];

Deno.test("a bad argument is refused with the command and the argument named", () => {
  for (const [name, args, reason] of refused) assert.match(refusalOf(name, ...args), reason);
});

Deno.test("only the whitelist can be called (behaviour 1.11, defect 15)", () => {
  const others = [
    "register",
    "unregister",
    "data",
    "handle",
    "constructor",
    "__proto__",
    "toString",
    "Invite",
    "",
  ];
  for (const name of others) assert.match(refusalOf(name, "x"), /^there is no command/);
  assert.equal(refusalOf("evil\r\nname").includes("\n"), false);
  assert.ok(refusalOf("x".repeat(100_000)).length < 200);
});

Deno.test("whatever a client sends is answered by a value, never an exception", () => {
  const names = fc.oneof(fc.string(), fc.constantFrom(...accepted.map(([name]) => name)));
  fc.assert(fc.property(names, fc.array(fc.anything()), (name, args) => {
    const parsed = parseCommand(name, args);
    if (parsed.type === "refused") assert.doesNotMatch(parsed.reason, /[\r\n]/);
    else if (parsed.command.name === "reject") {
      assert.ok(parsed.command.status >= 400 && parsed.command.status <= 699);
      assert.doesNotMatch(parsed.command.reason, /\p{Cc}/u);
    }
  }));
});

type Accepted = Extract<ClientIdentity, { type: "accepted" }>;

function acceptedIdentity(address: string, ...args: AmfValue[]): Accepted {
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
    assert.deepEqual(summary(acceptedIdentity("alice@example.com", ...args)), expected);
  });
}

Deno.test("the address keeps its port, its transport and an IPv6 host", () => {
  for (const address of ["alice@example.com:5070", "alice@[2001:db8::1]", "a@example.com;transport=tcp"]) {
    assert.equal(formatSipUri(acceptedIdentity(address).identity.aor), `sip:${address}`);
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
    acceptedIdentity("alice@example.com", "al", "pw", 'A"\r\nRoute: <sip:evil@x>').identity,
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
