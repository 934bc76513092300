// Answers to: lib/sip/message/message_rules.ts.

import assert from "node:assert/strict";
import { SipHeaders } from "../../../lib/sip/message/header.ts";
import { contentLengthOf, requestProblem, responseProblem } from "../../../lib/sip/message/message_rules.ts";

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
