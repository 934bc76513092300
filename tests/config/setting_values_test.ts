import assert from "node:assert/strict";
import { parseDialMatcher, parseDomain, parseList, parseToken } from "../../lib/config/setting_values.ts";

Deno.test("lists with a wrong part are wrong", () => {
  const upper = (text: string): string | undefined => text === "bad" ? undefined : text.toUpperCase();
  const table: [unknown, string[] | undefined][] = [
    ["a", ["A"]],
    ["a,b c", ["A", "B", "C"]],
    [["a b"], ["A B"]],
    ["", undefined],
    [[], undefined],
    ["a,bad", undefined],
    [["a", 1], undefined],
    [7, undefined],
    [["x".repeat(2000)], undefined],
    [new Array(2000).fill("a"), undefined],
  ];
  for (const [value, expected] of table) assert.deepEqual(parseList(value, upper), expected);
});

Deno.test("domains, patterns and tokens", () => {
  const domains: [string, string | undefined][] = [
    ["Example.COM.", "example.com"],
    ["*.example.com", "*.example.com"],
    ["[2001:db8::1]", "2001:db8::1"],
    ["192.0.2.1", "192.0.2.1"],
    ["localhost", "localhost"],
    ["*", undefined],
    ["a.*.com", undefined],
    ["alice@example.com", undefined],
    ["-a.com", undefined],
  ];
  for (const [text, expected] of domains) assert.equal(parseDomain(text), expected, text);
  assert.ok(parseDialMatcher("7[0-9]+"));
  assert.equal(parseDialMatcher("7|8"), undefined);
  assert.equal(parseToken("0123456789abcdef"), "0123456789abcdef");
  for (const wrong of ["short", "0123456789abcde&", "0123456789 abcdef", 1234567890123456, "ä".repeat(16)]) {
    assert.equal(parseToken(wrong), undefined);
  }
});
