import assert from "node:assert/strict";
import { parseAppPath } from "../../../lib/gateway/apps/app_path.ts";

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
