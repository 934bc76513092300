// Tests of lib/sip/message/body.ts: which body counts, multipart splitting, bodies that cannot be used.

import fc from "fast-check";
import assert from "node:assert/strict";
import { encodeUtf8 } from "../../../lib/base/bytes.ts";
import {
  bodyOf,
  bodyText,
  MAX_BODY_PARTS,
  mediaType,
  multipartParts,
  sessionBodyOf,
  setBody,
  signallingHosts,
  textBody,
} from "../../../lib/sip/message/body.ts";
import { SipHeaders } from "../../../lib/sip/message/header.ts";
import type { SipMessage, SipRequest, SipResponse } from "../../../lib/sip/message/message.ts";
import { sipUri } from "../../../lib/sip/message/uri.ts";
import { sipRequest } from "../../support/sip_messages.ts";

function withBody(text: string, headers: Record<string, string>): SipRequest {
  const request = sipRequest("INVITE", headers);
  request.body = encodeUtf8(text);
  return request;
}

const SDP = "v=0\r\ns=-\r\n";
const MULTIPART = [
  "preamble that nobody reads",
  "--frontier",
  "Content-Type: text/plain",
  "",
  "hello",
  "--frontier",
  "content-type: application/SDP",
  "Content-Disposition: session",
  "",
  "v=0",
  "s=-",
  "",
  "--frontier--",
  "",
].join("\r\n");

Deno.test("a body is set, read and taken out again", () => {
  const request = sipRequest("MESSAGE");
  assert.equal(bodyOf(request), null);
  setBody(request, textBody("žluťoučký"));
  const body = bodyOf(request);
  assert.ok(body);
  assert.equal(mediaType(body.type), "text/plain");
  assert.equal(bodyText(body), "žluťoučký");
  setBody(request, null);
  assert.equal(bodyOf(request), null);
  assert.equal(request.headers.has("Content-Type"), false);
});

Deno.test("the session description is found, missing or unacceptable", () => {
  const table: [string, Record<string, string>, string][] = [
    ["", {}, "none"],
    [SDP, { "Content-Type": "application/sdp" }, "session"],
    [SDP, { "Content-Type": "Application/SDP; charset=utf-8" }, "session"],
    [SDP, {}, "session"],
    [SDP, { "Content-Type": "application/sdp", "Content-Encoding": "identity" }, "session"],
    [SDP, { "Content-Type": "application/sdp", "Content-Encoding": "gzip" }, "unacceptable"],
    ["x", { "Content-Type": "application/isup" }, "unacceptable"],
    [
      "x",
      { "Content-Type": "application/isup", "Content-Disposition": "signal;handling=optional" },
      "none",
    ],
    [MULTIPART, { "Content-Type": 'multipart/mixed;boundary="frontier"' }, "session"],
    [MULTIPART, { "Content-Type": "multipart/mixed;boundary=other" }, "unacceptable"],
  ];
  for (const [text, headers, type] of table) {
    assert.equal(sessionBodyOf(withBody(text, headers)).type, type, JSON.stringify(headers));
  }
});

Deno.test("the parts of a multipart body are cut where they should be", () => {
  const bytes = encodeUtf8(MULTIPART);
  const parts = multipartParts({ type: "multipart/mixed; boundary=frontier", bytes });
  assert.deepEqual(parts.map((part) => [part.type, bodyText(part)]), [
    ["text/plain", "hello"],
    ["application/SDP", "v=0\r\ns=-\r\n"],
  ]);
  const withLf = { type: "multipart/mixed;boundary=b", bytes: encodeUtf8("--b\n\nonly\n--b--") };
  assert.deepEqual(multipartParts(withLf).map(bodyText), ["only"]);
});

Deno.test("multipart bodies without end, without boundary or with too many parts do no harm", () => {
  const read = (type: string, text: string) => multipartParts({ type, bytes: encodeUtf8(text) });
  assert.deepEqual(read("multipart/mixed", "--b\r\n\r\nx\r\n--b--"), []);
  assert.deepEqual(read("multipart/mixed;boundary=b", "--b\r\n\r\nno end"), []);
  assert.deepEqual(read("multipart/mixed;boundary=b", ""), []);
  const many = "--b\r\n\r\nx\r\n".repeat(MAX_BODY_PARTS + 5) + "--b--";
  assert.equal(read("multipart/mixed;boundary=b", many).length, MAX_BODY_PARTS);
});

Deno.test("any bytes can be split without an error", () => {
  const piece = fc.constantFrom("--b", "\r\n", "\n", "--", "Content-Type: x/y", "z", "");
  fc.assert(fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
    const bytes = encodeUtf8(pieces.join(""));
    for (const part of multipartParts({ type: "multipart/mixed;boundary=b", bytes })) {
      assert.ok(part.bytes.length <= bytes.length);
    }
  }));
});

function headersOf(fields: readonly (readonly [string, string])[]): SipHeaders {
  const headers = new SipHeaders();
  for (const [name, value] of fields) headers.add(name, value);
  return headers;
}

function invite(...fields: (readonly [string, string])[]): SipRequest {
  const uri = sipUri("gw.example.com", {});
  return { kind: "request", method: "INVITE", uri, headers: headersOf(fields), body: new Uint8Array(0) };
}

function ok(...fields: (readonly [string, string])[]): SipResponse {
  const headers = headersOf(fields);
  return { kind: "response", status: 200, reason: "OK", headers, body: new Uint8Array(0) };
}

const via = (text: string) => ["Via", `SIP/2.0/UDP ${text};branch=z9hG4bK1`] as const;

const TABLE: readonly (readonly [
  what: string,
  message: SipMessage,
  answered: string | null,
  hosts: readonly string[],
])[] = [
  ["a phone", invite(via("192.0.2.5:5060"), ["Contact", "<sip:a@192.0.2.5>"]), null, ["192.0.2.5"]],
  ["behind a NAT", invite(via("10.0.0.5;received=198.51.100.9;rport=5")), null, ["198.51.100.9"]],
  [
    "through a proxy that saw its source",
    invite(via("203.0.113.1"), via("10.0.0.5;received=198.51.100.9"), ["Contact", "<sip:a@10.0.0.5:5060>"]),
    null,
    ["203.0.113.1", "198.51.100.9", "10.0.0.5"],
  ],
  ["names tell nothing", invite(via("pbx.example.com"), ["Contact", "<sip:a@pbx.example.com>"]), null, []],
  ["IPv6, bracketed", invite(via("[2001:db8::5];received=[2001:db8::9]")), null, ["2001:db8::9"]],
  ["IPv4 in IPv6", invite(via("x;received=::ffff:192.0.2.5")), null, ["192.0.2.5"]],
  ["nowhere", invite(via("0.0.0.0"), ["Contact", "<sip:a@0.0.0.0>"]), null, []],
  ["broken headers", invite(["Via", "nonsense"], ["Contact", "<sip:"]), null, []],
  ["a star", invite(via("192.0.2.5"), ["Contact", "*"]), null, ["192.0.2.5"]],
  [
    "an answer: whom we asked, and its Contact; not our own Via",
    ok(via("192.0.2.1"), ["Contact", "<sip:b@198.51.100.9:1024>"]),
    "203.0.113.1",
    ["203.0.113.1", "198.51.100.9"],
  ],
  ["an answer without Contact", ok(via("192.0.2.1")), "203.0.113.1", ["203.0.113.1"]],
];

for (const [what, message, answered, hosts] of TABLE) {
  Deno.test(`signalling hosts: ${what}`, () => {
    assert.deepEqual(signallingHosts(message, answered), hosts);
  });
}

Deno.test("signalling hosts: a hundred Vias are eight", () => {
  const many = invite(...Array.from({ length: 100 }, (_, i) => via(`192.0.2.${i + 1}`)));
  assert.equal(signallingHosts(many, null).length, 8);
});
