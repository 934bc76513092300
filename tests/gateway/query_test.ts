import assert from "node:assert/strict";
import { parseQuery } from "../../lib/gateway/query.ts";

const QUERIES: readonly [query: string, pairs: [name: string, value: string][]][] = [
  ["", []],
  ["key=abc", [["key", "abc"]]],
  ["dial=+49%2030&key=a+b", [["dial", "+49 30"], ["key", "a+b"]]],
  ["key=%zz", [["key", "%zz"]]],
  ["key=a\u2028b&&x", [["key", "a\u2028b"], ["x", ""]]],
  [`key=${"a".repeat(4092)}`, [["key", "a".repeat(4092)]]],
  [`key=${"a".repeat(4093)}`, []],
  ["&".repeat(1_000_000), []],
];

Deno.test("queries: plus signs are kept, longer ones than anybody writes have nothing in them", () => {
  for (const [query, pairs] of QUERIES) {
    assert.deepEqual([...parseQuery(query)], pairs, query.slice(0, 40));
  }
});
