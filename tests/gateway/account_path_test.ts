import assert from "node:assert/strict";
import fc from "fast-check";
import { parseAccountPath } from "../../lib/gateway/account_path.ts";

const NO_QUERY = { connectQuery: "", query: "" };

/** How programs cut rtmp://gw/call/desk/100 into path and name. */
const CUTS: [program: string, path: string, name: string][] = [
  ["ffmpeg and OBS", "desk", "100"],
  ["one that takes the first element only", "", "desk/100"],
  ["one with slashes too many", "/desk/", "/100"],
  ["one with ever more of them", `${"/".repeat(9000)}desk`, `100${"/".repeat(9000)}`],
];

for (const [program, path, name] of CUTS) {
  Deno.test(`${program}: "${path.slice(-9)}" and "${name.slice(0, 9)}" name the same stream`, () => {
    const found = parseAccountPath({ ...NO_QUERY, path, name });
    assert.deepEqual(found, { type: "stream", account: "desk", rest: "100", key: null });
  });
}

const RESTS: [name: string, rest: string][] = [
  ["+4930123", "+4930123"],
  ["%2B4930123", "+4930123"],
  ["bob@example.com", "bob@example.com"],
  ["bob%40example.com:5070", "bob@example.com:5070"],
  ["sip:bob@example.com;transport=tcp", "sip:bob@example.com;transport=tcp"],
  ["%E9%9B%BB", "電"],
  ["a/b", "a/b"],
  ["a\u2028b", "a\u2028b"],
  ["", ""],
];

for (const [name, rest] of RESTS) {
  Deno.test(`"${name}" behind an account is "${rest}"`, () => {
    const found = parseAccountPath({ ...NO_QUERY, path: "desk", name });
    assert.deepEqual(found, { type: "stream", account: "desk", rest, key: null });
  });
}

const KEYS: [connectQuery: string, query: string, key: string | null][] = [
  ["", "key=abc", "abc"],
  ["key=abc", "", "abc"],
  ["key=old", "key=new", "new"],
  ["token=t&key=a+b%2Fc", "x=1", "a+b/c"],
  ["keys=abc", "", null],
  ["", "key=", ""],
];

for (const [connectQuery, query, key] of KEYS) {
  Deno.test(`the key of "?${connectQuery}" and "?${query}" is ${key}`, () => {
    const found = parseAccountPath({ path: "desk", name: "100", connectQuery, query });
    assert.deepEqual(found, { type: "stream", account: "desk", rest: "100", key });
  });
}

const WRONG: [path: string, name: string, reason: RegExp][] = [
  ["", "", /account is missing/],
  ["desk", "%zz", /percent-encoding/],
  ["de%sk", "100", /percent-encoding/],
  ["desk", "1%000", /control characters/],
  ["desk", "9".repeat(257), /too long/],
];

for (const [path, name, reason] of WRONG) {
  Deno.test(`"${path}" and "${name.slice(0, 20)}": ${reason.source}`, () => {
    const found = parseAccountPath({ ...NO_QUERY, path, name });
    assert.match(found.type === "wrong" ? found.reason : "accepted", reason);
  });
}

Deno.test("whatever a client writes is a stream or wrong, never an exception; what it names is bounded", () => {
  fc.assert(fc.property(fc.string(), fc.string(), fc.string(), fc.string(), (...pieces) => {
    const [path, connectQuery, name, query] = pieces;
    const found = parseAccountPath({ path, connectQuery, name, query });
    if (found.type === "stream") assert.ok(found.account !== "" && found.rest.length <= 256);
  }));
});
