import assert from "node:assert/strict";
import fc from "fast-check";
import type { Credentials } from "../../lib/gateway/access/login_guard.ts";
import type { AmfValue } from "../../lib/amf/value.ts";
import { credentialsOf } from "../../lib/gateway/rtmp_credentials.ts";

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
