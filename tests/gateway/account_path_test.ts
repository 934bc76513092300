import assert from "node:assert/strict";
import fc from "fast-check";
import { parseAccountPath } from "../../lib/gateway/account_path.ts";

const NO_QUERY = { connectQuery: "", query: "" };

/** How programs cut rtmp://gw/call/desk/100 into path and name. */
const CUTS: [program: string, app: string, name: string][] = [
  ["ffmpeg and OBS", "call/desk", "100"],
  ["one that takes the first element only", "call", "desk/100"],
  ["one with slashes too many", "/call//desk/", "/100"],
  ["one that gives all of it to connect", "call/desk/100", ""],
  ["one that gives none of it to connect", "", "call/desk/100"],
  ["one that gives the whole URL as the name", "call/desk", "rtmp://gw:1935/call/desk/100"],
  ["one that gives the URL as the app", "rtmp://gw/call/desk", "100"],
];

for (const [program, app, name] of CUTS) {
  Deno.test(`${program}: "${app}" and "${name}" name the same stream`, () => {
    const found = parseAccountPath("call", { ...NO_QUERY, app, name });
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
    const found = parseAccountPath("call", { ...NO_QUERY, app: "call/desk", name });
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
    const found = parseAccountPath("call", { app: "call/desk", name: "100", connectQuery, query });
    assert.deepEqual(found, { type: "stream", account: "desk", rest: "100", key });
  });
}

const WRONG: [app: string, name: string, reason: RegExp][] = [
  ["line", "", /account is missing/],
  ["line/desk", "%zz", /percent-encoding/],
  ["line/de%sk", "100", /percent-encoding/],
  ["line/desk", "1%000", /control characters/],
  ["line/desk", "9".repeat(257), /too long/],
  ["line/desk", "9".repeat(100_000), /too long/],
  ["line/desk", "rtmp://gw/call/desk/100", /not one of rtmp:\/\/this-host\/line/],
  ["", "live/cam", /not one of rtmp:\/\/this-host\/line/],
];

for (const [app, name, reason] of WRONG) {
  Deno.test(`"${app}" and "${name.slice(0, 20)}": ${reason.source}`, () => {
    const found = parseAccountPath("line", { ...NO_QUERY, app, name });
    assert.match(found.type === "wrong" ? found.reason : "accepted", reason);
  });
}

Deno.test("whatever a client writes is a stream or wrong, never an exception; what it names is bounded", () => {
  fc.assert(fc.property(fc.string(), fc.string(), fc.string(), fc.string(), (...pieces) => {
    const [path, connectQuery, name, query] = pieces;
    const found = parseAccountPath("line", { app: `line/${path}`, connectQuery, name, query });
    if (found.type === "stream") assert.ok(found.account !== "" && found.rest.length <= 256);
  }));
});
