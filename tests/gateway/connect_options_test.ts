import assert from "node:assert/strict";
import { AmfEcmaArray, type AmfValue } from "../../lib/amf/value.ts";
import { connectOptionsOf } from "../../lib/gateway/connect_options.ts";

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
