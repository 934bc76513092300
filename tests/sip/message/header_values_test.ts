// Answers to: lib/sip/message/header_values.ts.

import assert from "node:assert/strict";
import { WireError } from "../../../lib/base/errors.ts";
import {
  formatCSeq,
  formatRAck,
  formatSessionExpires,
  formatWarning,
  parseContentType,
  parseCSeq,
  parseDeltaSeconds,
  parseRAck,
  parseSessionExpires,
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
