// Answers to: lib/sip/message/message_head.ts.

import assert from "node:assert/strict";
import { WireError } from "../../../lib/base/errors.ts";
import { SipHeaders } from "../../../lib/sip/message/header.ts";
import {
  contentLengthOf,
  MAX_HEADER_LINES,
  type MessageHead,
  parseMessageHead,
  requestProblem,
  responseProblem,
  SipParseError,
} from "../../../lib/sip/message/message_head.ts";
import { formatSipUri } from "../../../lib/sip/message/uri.ts";
import { wireRequest } from "../../support/sip_wire_messages.ts";

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

type Changes = Record<string, string | null>;

function headersWith(changes: Changes, method: string): SipHeaders {
  const all: Changes = {
    Via: "SIP/2.0/UDP h;branch=z9hG4bK1",
    From: "<sip:a@h>;tag=1",
    To: "<sip:b@h>",
    "Call-ID": "c",
    CSeq: `1 ${method}`,
    ...changes,
  };
  const present = Object.entries(all).filter((pair): pair is [string, string] => pair[1] !== null);
  return new SipHeaders(present);
}

const REQUESTS: [method: string, changes: Changes, problem: string | null][] = [
  ["OPTIONS", {}, null],
  ["OPTIONS", { Via: null }, "No Via header"],
  ["OPTIONS", { From: null }, "No From header"],
  ["OPTIONS", { To: null }, "No To header"],
  ["OPTIONS", { "Call-ID": null }, "No Call-ID header"],
  ["OPTIONS", { "Call-ID": "" }, "No Call-ID header"],
  ["OPTIONS", { CSeq: null }, "No CSeq header"],
  ["OPTIONS", { "Call-ID": "a b" }, null],
  ["OPTIONS", { CSeq: "1 INVITE" }, "Bad CSeq header"],
  ["OPTIONS", { CSeq: "4294967296 OPTIONS" }, "Bad CSeq header"],
  ["OPTIONS", { Via: "SIP/2.0/UDP" }, "Bad Via header"],
  ["OPTIONS", { Via: "SIP/2.0/UDP h;branch=z9hG4bK1;,;" }, "Bad Via header"],
  ["OPTIONS", { Via: "SIP/2.0/UDP h;;branch=z9hG4bK1; ;,, ," }, null],
  ["OPTIONS", { From: "nobody" }, null],
  ["OPTIONS", { To: "<mailto:a@h>" }, null],
  ["OPTIONS", { "Max-Forwards": "0" }, null],
  ["OPTIONS", { "Max-Forwards": "256" }, null],
  ["OPTIONS", { "Max-Forwards": "many" }, null],
  ["OPTIONS", { "Content-Type": "text" }, null],
  ["OPTIONS", { Route: "proxy" }, null],
  ["INVITE", { "Record-Route": "<sip:p;lr>, <x>" }, null],
  ["INVITE", { "Content-Length": "-1" }, "Bad Content-Length header"],
  ["OPTIONS", { Contact: "anything <" }, null],
  ["INVITE", { Contact: "anything <" }, "Bad Contact header"],
  ["INVITE", { Contact: "anything <, <sip:a@h>" }, null],
  ["INVITE", { Contact: "Bell, Alexander <sip:a@h>" }, null],
  ["REGISTER", { Contact: "*" }, null],
  ["REGISTER", { Contact: "*, <sip:a@h>" }, "Contact * beside other contacts"],
  ["INVITE", { Contact: "*" }, "Bad Contact header"],
  ["REGISTER", { Contact: "sip:a@h?Route=x" }, "Bad Contact header"],
];

/** Everything that is not needed, broken. */
const BROKEN: Changes = {
  Via: "SIP/2.0/UDP h:port;branch=z9hG4bK1,;",
  From: "<http://h>;tag=1",
  To: '"x <>;tag=2',
  "Max-Forwards": "-",
  "Content-Length": "x",
  "Content-Type": "/",
  Contact: "<",
  Route: "<",
  "Record-Route": '"',
  Reason: '"',
  Require: "",
};

Deno.test("message_rules: what belongs to a call is never refused for a header that is not needed", () => {
  for (const method of ["BYE", "ACK", "INVITE", "UPDATE", "INFO", "PRACK", "MESSAGE"]) {
    assert.equal(requestProblem(method, headersWith(BROKEN, method)), null, method);
    assert.equal(responseProblem(headersWith(BROKEN, method)), null, method);
  }
  assert.equal(requestProblem("CANCEL", headersWith({ ...BROKEN, To: "<sip:b@h" }, "CANCEL")), null);
  assert.equal(requestProblem("BYE", headersWith({ CSeq: "x BYE" }, "BYE")), "Bad CSeq header");
});

Deno.test("message_rules: requests", () => {
  for (const [method, changes, problem] of REQUESTS) {
    assert.equal(requestProblem(method, headersWith(changes, method)), problem, JSON.stringify(changes));
  }
});

Deno.test("message_rules: what may be there once, or twice with one meaning", () => {
  for (const name of ["From", "To", "Call-ID", "CSeq"]) {
    const headers = headersWith({}, "OPTIONS");
    headers.add(name, headers.get(name)!);
    assert.equal(requestProblem("OPTIONS", headers), null);
    headers.add(name, "2 OPTIONS");
    assert.equal(requestProblem("OPTIONS", headers), `More than one ${name} header`);
    assert.equal(responseProblem(headers), `More than one ${name} header`);
  }
  const headers = headersWith({ "Max-Forwards": "70" }, "OPTIONS");
  headers.add("Max-Forwards", "5");
  assert.equal(requestProblem("OPTIONS", headers), null);
});

Deno.test("message_rules: responses", () => {
  assert.equal(responseProblem(headersWith({ CSeq: "x" }, "OPTIONS")), "Bad CSeq header");
  assert.equal(responseProblem(headersWith({ From: null }, "OPTIONS")), "No From header");
  assert.equal(responseProblem(headersWith({ Contact: "<mailto:b@h>" }, "INVITE")), null);
});

Deno.test("message_rules: Content-Length", () => {
  const lengths: [values: string[], length: number | null | "bad"][] = [
    [[], null],
    [["0"], 0],
    [["0012"], 12],
    [["12", "12"], 12],
    [["12", " 012 "], 12],
    [["+12"], 12],
    [["+ 12"], 12],
    [["12", "13"], "bad"],
    [["-1"], "bad"],
    [[""], "bad"],
    [["1 2"], "bad"],
    [["0x10"], "bad"],
    [["99999999999999999999"], "bad"],
  ];
  for (const [values, length] of lengths) {
    assert.equal(contentLengthOf(new SipHeaders(values.map((value) => ["l", value]))), length, values.join());
  }
});

Deno.test("parse_error: a WireError with what an answer needs", () => {
  const partial = wireRequest();
  const error = new SipParseError(416, "Unsupported URI Scheme", partial);
  assert.ok(error instanceof WireError);
  assert.equal(error.protocol, "SIP");
  assert.equal(error.name, "SipParseError");
  assert.equal(error.status, 416);
  assert.equal(error.problem, "Unsupported URI Scheme");
  assert.equal(error.partial, partial);
  assert.match(error.message, /Unsupported URI Scheme/);
});
