// Tests of lib/sip/message/body.ts: which body counts, multipart splitting, bodies that cannot be used.

import assert from "node:assert/strict";
import fc from "fast-check";
import { encodeUtf8 } from "../../../lib/base/bytes.ts";
import {
  bodyOf,
  bodyText,
  MAX_BODY_PARTS,
  mediaType,
  multipartParts,
  sessionBodyOf,
  setBody,
  textBody,
} from "../../../lib/sip/message/body.ts";
import { type SipRequest } from "../../../lib/sip/message/message.ts";
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
