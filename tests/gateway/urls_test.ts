import fc from "fast-check";
import assert from "node:assert/strict";
import { dialledByUrl, parseAccountPath, parseAppPath, parseQuery } from "../../lib/gateway/urls.ts";

const ACCEPTED: { app: string; address: string; key: string }[] = [
  { app: "sip/alice@example.com", address: "alice@example.com", key: "sip/alice@example.com" },
  { app: "/sip/alice@example.com/", address: "alice@example.com", key: "sip/alice@example.com" },
  { app: `${"/".repeat(1_000)}sip/alice@h/`, address: "alice@h", key: "sip/alice@h" },
  { app: "sip/alice@h/a\u2028b", address: "alice@h", key: "sip/alice@h/a\u2028b" },
  { app: "sip/alice@Example.COM", address: "alice@Example.COM", key: "sip/alice@example.com" },
  { app: "sip/alice@example.com/x7", address: "alice@example.com", key: "sip/alice@example.com/x7" },
  { app: "sip/alice@127.0.0.1:5080", address: "alice@127.0.0.1:5080", key: "sip/alice@127.0.0.1:5080" },
  { app: "sip/alice:secret@h:5080/x", address: "alice@h:5080", key: "sip/alice@h:5080/x" },
  { app: "sip/alice%3Asecret@h", address: "alice@h", key: "sip/alice@h" },
  { app: "sip//alice@h", address: "alice@h", key: "sip/alice@h" },
  { app: "rtmp://gateway/sip/alice@h", address: "alice@h", key: "sip/alice@h" },
  { app: "sip/j%C3%BCrgen@h", address: "jürgen@h", key: "sip/jürgen@h" },
];

for (const row of ACCEPTED) {
  Deno.test(`app path ${row.app.slice(-40)} is accepted`, () => {
    assert.deepEqual(parseAppPath(row.app), { type: "sip", address: row.address, key: row.key });
  });
}

for (
  const app of [
    "sip",
    "sip/",
    "sip/alice",
    "sip/@h",
    "sip/a@",
    "sip/a b@h",
    "sip/%zz@h",
    "sip/:pw@h",
    "sip/alice:pw\u2028@h",
  ]
) {
  Deno.test(`app path "${app}" is rejected with a hint`, () => {
    const parsed = parseAppPath(app);
    assert.equal(parsed.type, "rejected");
    assert.match(parsed.type === "rejected" ? parsed.reason : "", /rtmp:\/\/this-host\/sip\/user@domain$/);
  });
}

Deno.test("a path longer than the limit is rejected without quoting it", () => {
  const parsed = parseAppPath("sip/" + "a".repeat(10_000) + "@h");
  assert.equal(parseAppPath("/".repeat(60_000)).type, "rejected");
  assert.ok(parsed.type === "rejected" && parsed.reason.length < 100);
});

for (const app of ["live", "live/x", "wirecast", "sips/alice@h"]) {
  Deno.test(`app path ${app} is a path of streams`, () =>
    assert.deepEqual(parseAppPath(app), { type: "live" }));
}

const OF_ACCOUNTS: [app: string, type: "call" | "line"][] = [
  ["call", "call"],
  ["/call/", "call"],
  ["//call//desk", "call"],
  ["call/desk", "call"],
  ["call/desk/+49301", "call"],
  ["rtmp://gateway/call/desk", "call"],
  ["line", "line"],
  ["line/desk", "line"],
];

for (const [app, type] of OF_ACCOUNTS) {
  Deno.test(`app path ${app} is of the ${type} application`, () => {
    assert.deepEqual(parseAppPath(app), { type });
  });
}

for (const app of ["", "/", "///", "rtmp://gateway", "rtmp://gateway/"]) {
  Deno.test(`app path "${app}" leaves the application to the name of a stream`, () => {
    assert.deepEqual(parseAppPath(app), { type: "unnamed" });
  });
}

for (const app of ["calls/alice@h", "lines", "caller/x"]) {
  Deno.test(`app path ${app} only looks like one of accounts`, () => {
    assert.deepEqual(parseAppPath(app), { type: "live" });
  });
}

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

const DIALS: [query: string, destination: string | null][] = [
  ["dial=echo", "echo"],
  ["a=1&dial=bob%40example.com", "bob@example.com"],
  ["dial=+4930123", "+4930123"],
  ["", null],
  ["dial=", null],
  ["other=1", null],
  [`dial=${"9".repeat(300)}`, null],
];

for (const [query, destination] of DIALS) {
  Deno.test(`?${query.slice(0, 30)} dials ${destination}`, () =>
    assert.equal(dialledByUrl(query)?.destination ?? null, destination));
}

const PLAYERS: [query: string, codecs: string[]][] = [
  ["dial=echo", ["pcmu", "pcma", "wideband"]],
  ["dial=echo&audio=aac", ["aac"]],
  ["audio=AAC&dial=echo", ["aac"]],
  ["dial=echo&audio=opus", ["opus"]],
  ["dial=echo&audio=speex", ["wideband", "narrowband"]],
  ["dial=echo&audio=pcma", ["pcma"]],
  ["dial=echo&video=h264", ["pcmu", "pcma", "wideband", "h264"]],
  ["dial=echo&audio=aac&video=H264", ["aac", "h264"]],
  ["dial=echo&video=vp8", ["pcmu", "pcma", "wideband"]],
  ["dial=echo&audio=constructor", ["pcmu", "pcma", "wideband"]],
];

for (const [query, codecs] of PLAYERS) {
  Deno.test(`?${query} plays ${codecs}`, () => assert.deepEqual(dialledByUrl(query)?.playerCodecs, codecs));
}

const LIMITS: [query: string, answerTimeout: number | null, maxDuration: number | null][] = [
  ["dial=echo", null, null],
  ["dial=echo&answer-timeout=30&max-duration=3600", 30, 3600],
  ["dial=echo&answer-timeout=0&max-duration=-1", null, null],
  ["dial=echo&answer-timeout=601&max-duration=1e3", null, null],
  ["dial=echo&answer-timeout= 5 ", 5, null],
];

for (const [query, answerTimeout, maxDuration] of LIMITS) {
  Deno.test(`?${query} rings ${answerTimeout} s and lasts ${maxDuration} s at most`, () => {
    const wanted = dialledByUrl(query)!;
    assert.deepEqual([wanted.answerTimeoutSeconds, wanted.maxDurationSeconds], [answerTimeout, maxDuration]);
  });
}
