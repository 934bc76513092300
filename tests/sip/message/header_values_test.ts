// Answers to: lib/sip/message/header_values.ts.

import assert from "node:assert/strict";
import { WireError } from "../../../lib/base/errors.ts";
import {
  branchOf,
  formatCSeq,
  formatRAck,
  formatSessionExpires,
  formatVia,
  formatWarning,
  parseContentType,
  parseCSeq,
  parseDeltaSeconds,
  parseRAck,
  parseSessionExpires,
  parseVia,
  readVia,
  type Via,
  warningText,
} from "../../../lib/sip/message/header_values.ts";

Deno.test("header_values: CSeq", () => {
  assert.deepEqual(parseCSeq(" 0009\tINVITE "), { sequence: 9, method: "INVITE" });
  assert.deepEqual(parseCSeq("\t4294967295 \t ACK\t"), { sequence: 4294967295, method: "ACK" });
  assert.equal(formatCSeq({ sequence: 2147483647, method: "ACK" }), "2147483647 ACK");
  for (
    const text of ["", "1", "INVITE 1", "4294967296 INVITE", "-1 INVITE", "1 IN VITE", "1 IN@VITE", "1INVITE"]
  ) {
    assert.throws(() => parseCSeq(text), WireError, text);
  }
});

Deno.test("header_values: RAck", () => {
  const rack = { responseSequence: 776656, cseq: { sequence: 1, method: "INVITE" } };
  assert.deepEqual(parseRAck("776656 1 INVITE"), rack);
  assert.equal(formatRAck(rack), "776656 1 INVITE");
  for (const text of ["", "1 INVITE", "x 1 INVITE", "4294967296 1 INVITE"]) {
    assert.throws(() => parseRAck(text), WireError);
  }
});

Deno.test("header_values: seconds", () => {
  const values: [text: string | null, seconds: number | null][] = [
    ["180", 180],
    ["0", 0],
    [" 60 ;duration=20", 60],
    ["120 (I am busy)", 120],
    ["4294967296", 4294967295],
    ["9".repeat(80), 4294967295],
    ["60.5", 60],
    ["3600 seconds", 3600],
    ["1800;", 1800],
    ["60 , x", 60],
    ["60\u2028", null],
    ["60x", null],
    [".5", null],
    ["1e9", null],
    ["-1", null],
    ["soon", null],
    ["", null],
    [null, null],
  ];
  for (const [text, seconds] of values) assert.equal(parseDeltaSeconds(text), seconds, String(text));
});

Deno.test("header_values: Content-Type", () => {
  assert.deepEqual(parseContentType("Application / SDP"), { type: "application/sdp", params: new Map() });
  assert.deepEqual(parseContentType("a/b;;=; ").params, new Map());
  assert.deepEqual(parseContentType('multipart/mixed;boundary="a;b"').params.get("boundary"), "a;b");
  for (const text of ["", "text", "text/", "a/b/c", "/b", "a;b/c"]) {
    assert.throws(() => parseContentType(text), WireError, text);
  }
});

Deno.test("header_values: Session-Expires", () => {
  for (const text of ["1800;refresher=uas", "90;refresher=uac", "90"]) {
    assert.equal(formatSessionExpires(parseSessionExpires(text)), text);
  }
  assert.deepEqual(parseSessionExpires("90 ;Refresher=UAC"), { seconds: 90, refresher: "uac" });
  assert.equal(parseSessionExpires("90;refresher=me").refresher, null);
  for (
    const text of ["1800;", "1800 ; ;", "1800;;refresher", '1800;refresher="uac', '1800;refresher="me"x']
  ) {
    assert.equal(parseSessionExpires(text).seconds, 1800, text);
  }
  assert.equal(parseSessionExpires('90; refresher = "uas"').refresher, "uas");
  assert.throws(() => parseSessionExpires("x"), WireError);
});

Deno.test("header_values: Warning", () => {
  const value = formatWarning(304, "gw.example.net", 'no "speex" here');
  assert.equal(value, '304 gw.example.net "no \\"speex\\" here"');
  assert.equal(warningText(value), 'no "speex" here');
  const odd: [value: string, text: string][] = [
    ["something else", "something else"],
    ['399 h "it is odd', "it is odd"],
    ['399 h "a" b', "a"],
    ['399 "no agent"', '399 "no agent"'],
    ['1000 h "x"', '1000 h "x"'],
    ['399  h\t"a\u2028b"', "a\u2028b"],
  ];
  for (const [value, text] of odd) assert.equal(warningText(value), text);
});

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
