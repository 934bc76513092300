// Answers to: lib/sip/message/message_head.ts.

import assert from "node:assert/strict";
import {
  MAX_HEADER_LINES,
  type MessageHead,
  parseMessageHead,
} from "../../../lib/sip/message/message_head.ts";
import { formatSipUri } from "../../../lib/sip/message/uri.ts";

const HEADERS =
  "Via: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\nCall-ID: c\r\n";

function head(startLine: string, more = ""): MessageHead {
  const method = /^SIP\//i.test(startLine) ? "OPTIONS" : startLine.split(" ")[0]!;
  return parseMessageHead(`${startLine}\r\n${HEADERS}CSeq: 1 ${method}${more}`);
}

const GOOD: [startLine: string, summary: string][] = [
  ["OPTIONS sip:b@h SIP/2.0", "OPTIONS sip:b@h"],
  ["OPTIONS SIP:h;x=1 sip/2.0", "OPTIONS sip:h;x=1"],
  ["X.y-z! tel:+1 SIP/2.0", "X.y-z! tel:+1"],
  ["SIP/2.0 200 OK", "200 OK"],
  ["sip/2.0 100 ", "100 "],
  ["SIP/2.0 486", "486 "],
  ["SIP/2.0 699 two  words \u00fc", "699 two  words \u00fc"],
];

Deno.test("message_head: start lines", () => {
  for (const [startLine, summary] of GOOD) {
    const result = head(startLine);
    assert.equal(result.type, "message", startLine);
    const { message } = result;
    const seen = message.kind === "request"
      ? `${message.method} ${formatSipUri(message.uri)}`
      : `${message.status} ${message.reason}`;
    assert.equal(seen, summary);
  }
});

const BAD: [startLine: string, status: number, answerable: boolean][] = [
  ["OPTIONS  sip:b@h SIP/2.0", 400, true],
  ["OPTIONS sip:b@h SIP/2.0 ", 400, true],
  ["OPTIONS sip:b@h; lr SIP/2.0", 400, true],
  ["OPTIONS <sip:b@h> SIP/2.0", 400, true],
  ["OPTIONS sip:b@h", 400, true],
  ["OPTIONS sip:b@h HTTP/1.1", 400, true],
  ["OPTIONS sip:b@h SIP/3.0", 505, true],
  ["OPTIONS sip:b@h SIP/2.1", 505, true],
  ["OPTIONS sip:b@h SIP/20.0", 505, true],
  ["OPTIONS sip:b@h sip/7", 505, true],
  ["OPTIONS and something new SIP/7.0", 505, true],
  ["ACK sip:b@h SIP/3.0", 505, false],
  ["OPTIONS http://h/ SIP/2.0", 416, true],
  ["OPTIONS sip:b@h?Route=x SIP/2.0", 400, true],
  ["OPTIONS b@h SIP/2.0", 400, true],
  ["Invite sip:b@h SIP/2.0", 400, true],
  ["(OPTIONS) sip:b@h SIP/2.0", 400, false],
  ["ACK sip:b@h", 400, false],
  ["", 400, false],
  ["SIP/2.0 99 Low", 400, false],
  ["SIP/2.0 700 High", 400, false],
  ["SIP/2.0 4294967496 Big", 400, false],
  ["SIP/2.0  200 OK", 400, false],
  ["SIP/1.0 200 OK", 400, false],
];

Deno.test("message_head: start lines that are refused", () => {
  for (const [startLine, status, answerable] of BAD) {
    const result = head(startLine);
    assert.equal(result.type, "malformed", startLine);
    assert.equal(result.error.status, status, startLine);
    assert.equal(result.error.partial !== null, answerable, startLine);
  }
});

Deno.test("message_head: the length is known even when the message is bad", () => {
  const result = head("OPTIONS sip:b@h SIP/9.0", "\r\nContent-Length: 7");
  assert.deepEqual([result.type, result.contentLength], ["malformed", 7]);
  assert.equal(head("OPTIONS sip:b@h SIP/2.0", "\r\nContent-Length: x").contentLength, null);
});

Deno.test("message_head: header lines", () => {
  const result = head("OPTIONS sip:b@h SIP/2.0", "\r\nSubject : a\r\n\t b\r\nx-Empty:\r\nAllow:a,b\n  ,c");
  assert.equal(result.type, "message");
  const { headers } = result.message;
  assert.equal(headers.get("Subject"), "a b");
  assert.equal(headers.get("X-Empty"), "");
  assert.deepEqual(headers.all("Allow"), ["a", "b", "c"]);
  for (const line of ["no colon", ": no name", "a b: x", "\u00fc: x", "X[1]: x", "", "\r: x"]) {
    const odd = head("OPTIONS sip:b@h SIP/2.0", `\r\n${line}\r\nSubject: a`);
    assert.equal(odd.type, "message", line);
    assert.deepEqual([...odd.message.headers.entries()].slice(5), [["Subject", "a"]], line);
  }
  assert.equal(head("OPTIONS sip:b@h SIP/2.0", `\r\nRequire: ${"a,".repeat(5000)}`).type, "malformed");
  assert.equal(head("OPTIONS sip:b@h SIP/2.0", "\r\nX: y".repeat(MAX_HEADER_LINES)).type, "malformed");
});
