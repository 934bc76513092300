// Other protocols on the RTMP port, by their first bytes: what is answered, and what the log is told.

import assert from "node:assert/strict";
import fc from "fast-check";
import { decodeUtf8, encodeUtf8 } from "../../lib/base/bytes.ts";
import { recognise } from "../../lib/rtmp/other_protocol.ts";

const SIP = "OPTIONS sip:a@h SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK1\r\nf: <sip:b@h>;tag=1\r\n" +
  "To: <sip:a@h>\r\nSubject: x\r\nCall-ID: c1\r\nCSeq: 7 OPTIONS\r\nContent-Length: 0\r\n\r\n";
const SENTENCE = /\r\n\r\nThis is an RTMP port: connect to it with an rtmp:\/\/ address\.\n$/;

const TABLE: [text: string, what: RegExp, reply: RegExp | null][] = [
  [
    "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
    /^not RTMP but HTTP \(GET \/ HTTP\/1\.1\), answered with 400$/,
    SENTENCE,
  ],
  ["POST /open/1 HTTP/1.0\r\nContent-Length: 1\r\n\r\nx", /HTTP \(POST/, SENTENCE],
  ["PUT /a HTTP/1.1\nHost: h\n\n", /HTTP \(PUT/, SENTENCE],
  ["OPTIONS * HTTP/1.1\r\n\r\n", /HTTP \(OPTIONS/, SENTENCE],
  ["PROPFIND /a HTTP/1.1\r\n\r\n", /HTTP \(PROPFIND/, SENTENCE],
  ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", /HTTP \(PRI/, SENTENCE],
  ["GET /\r\n\r\n", /HTTP \(GET \/\)/, SENTENCE],
  [
    "HEAD / HTTP/1.1\r\n\r\n",
    /HTTP \(HEAD/,
    /^HTTP\/1\.1 400 Bad Request\r\n[^]*Content-Length: [1-9]\d*\r\n[^]*\r\n\r\n$/,
  ],
  [
    SIP,
    /^not RTMP but SIP \(OPTIONS sip:a@h SIP\/2\.0\)/,
    /^SIP\/2\.0 400 .*\r\nVia: .*\r\nf: .*\r\nTo: .*\r\nCall-ID: c1\r\nCSeq: 7 OPTIONS\r\nContent-Length: 0\r\n\r\n$/,
  ],
  ["OPTIONS rtsp://h/ RTSP/1.0\r\nCSeq: 3\r\n\r\n", /RTSP/, /^RTSP\/1\.0 400 Bad Request\r\nCSeq: 3\r\n/],
  ["EHLO there\r\n\r\n", /^not RTMP but text of another protocol \(EHLO there\)$/, null],
  ["\x16\x03\x01\x02\x00\x01", /TLS, which this port does not speak/, /^.{7}$/s],
  ["\x06", /RTMPE/, null],
  ["\x08", /RTMPE/, null],
  ["\x00", /version 0: not RTMP/, null],
  ["\r\n\r\n", /version 13: not RTMP/, null],
];

for (const [text, what, reply] of TABLE) {
  Deno.test(`on the RTMP port: ${JSON.stringify(text.slice(0, 30))}`, () => {
    const found = recognise(encodeUtf8(text), false);
    assert.ok(found !== null);
    assert.match(found.what, what);
    if (reply === null) assert.equal(found.reply, null);
    else assert.match(decodeUtf8(found.reply ?? new Uint8Array()), reply);
  });
}

Deno.test("a request comes in pieces: nothing is said before its head is whole, or it ends, or is too long", () => {
  for (const text of ["GET / HTTP/1.1\r\nHost: h\r\n\r\n", SIP]) {
    for (let length = 1; length < text.length; length++) {
      const found = recognise(encodeUtf8(text.slice(0, length)), false);
      assert.equal(found === null, length < text.length, `${length}`);
    }
    assert.equal(recognise(encodeUtf8(text), false)?.more, false);
  }
  assert.ok(recognise(encodeUtf8("POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\n"), false)?.more);
  assert.ok(recognise(encodeUtf8("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"), false)?.more);
  assert.match(recognise(encodeUtf8("GET / HT"), true)?.what ?? "", /HTTP/);
  assert.ok(recognise(encodeUtf8(`GET /${"x".repeat(5000)}`), false)?.more);
});

Deno.test("whatever comes, the log gets one short line and the answer is bounded", () => {
  fc.assert(fc.property(fc.uint8Array({ minLength: 1, maxLength: 5000 }), fc.boolean(), (bytes, ended) => {
    const found = recognise(bytes, ended);
    assert.ok(found === null || found.what.length < 150 && (found.reply?.length ?? 0) < 8192);
  }));
});
