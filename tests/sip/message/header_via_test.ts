// Answers to: lib/sip/message/header_via.ts.

import assert from "node:assert/strict";
import { WireError } from "../../../lib/base/errors.ts";
import { branchOf, formatVia, parseVia, readVia, type Via } from "../../../lib/sip/message/header_via.ts";

const via = (
  transport: string,
  host: string,
  port: number | null,
  ...params: [string, string | null][]
): Via => ({
  transport,
  host,
  port,
  params: new Map(params),
});

const CASES: [text: string, value: Via, formatted?: string][] = [
  ["SIP/2.0/UDP 192.0.2.1", via("UDP", "192.0.2.1", null)],
  ["SIP/2.0/TCP h.net:5070;branch=z9hG4bKx", via("TCP", "h.net", 5070, ["branch", "z9hG4bKx"])],
  ["SIP/2.0/UDP [::1]:5060;rport;branch=b", via("UDP", "::1", 5060, ["rport", null], ["branch", "b"])],
  [
    "sip / 2.0 / udp  h : 5060 ; branch = b",
    via("UDP", "h", 5060, ["branch", "b"]),
    "SIP/2.0/UDP h:5060;branch=b",
  ],
  ["SIP/2.0/UDP h:;;branch=b; ;", via("UDP", "h", null, ["branch", "b"]), "SIP/2.0/UDP h;branch=b"],
  ["SIP/2.0/UDP\th\t;x=\u2028", via("UDP", "h", null, ["x", "\u2028"]), 'SIP/2.0/UDP h;x="\u2028"'],
  ["SIP/2.0/TLS-SCTP h;received=2001:db8::1", via("TLS-SCTP", "h", null, ["received", "2001:db8::1"])],
];

Deno.test("header_via: both ways", () => {
  for (const [text, value, formatted] of CASES) {
    assert.deepEqual(parseVia(text), value, text);
    assert.equal(formatVia(value), formatted ?? text);
  }
});

Deno.test("header_via: refused", () => {
  const bad = [
    "",
    "SIP/2.0/UDP",
    "SIP/2.0 h",
    "SIP/3.0/UDP h",
    "HTTP/2.0/UDP h",
    "SIP/2.0/UDP h\u2028",
    "SIP/2.0/UDP h x",
    `SIP/2.0/UDP ${"h".repeat(700)}`,
    "SIP/2.0/UDP h:x",
    "SIP/2.0/U@P h",
  ];
  for (const text of bad) assert.throws(() => parseVia(text), WireError, text);
});

Deno.test("header_via: of one that cannot be read the parameters are", () => {
  for (const text of ["SIP/2.0/UDP ;branch=b", "nonsense;x;branch=b", 'SIP/7.0/UDP h;y="z;branch=b']) {
    assert.equal(readVia(text).params.get("branch"), "b", text);
  }
  assert.deepEqual(readVia(CASES[1]![0]), CASES[1]![1]);
});

Deno.test("header_via: only a branch with the cookie and more is unique", () => {
  const branches: [branch: string | null, unique: boolean][] = [
    ["z9hG4bKabc", true],
    ["Z9HG4BKabc", true],
    ["z9hG4bK", false],
    ["abc", false],
    [null, false],
  ];
  for (const [branch, unique] of branches) {
    const value = branch === null ? via("UDP", "h", null) : via("UDP", "h", null, ["branch", branch]);
    assert.equal(branchOf(value), unique ? branch : null);
  }
});
