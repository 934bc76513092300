// Answers to: lib/sip/message_rules.ts.

import assert from "node:assert/strict";
import { SipHeaders } from "../../lib/sip/header.ts";
import { contentLengthOf, requestProblem, responseProblem } from "../../lib/sip/message_rules.ts";

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
  ["OPTIONS", { "Call-ID": "a b" }, "Bad Call-ID header"],
  ["OPTIONS", { CSeq: "1 INVITE" }, "Bad CSeq header"],
  ["OPTIONS", { CSeq: "4294967296 OPTIONS" }, "Bad CSeq header"],
  ["OPTIONS", { Via: "SIP/2.0/UDP" }, "Bad Via header"],
  ["OPTIONS", { From: "nobody" }, "Bad From header"],
  ["OPTIONS", { To: "<mailto:a@h>" }, "Bad To header"],
  ["OPTIONS", { "Max-Forwards": "0" }, null],
  ["OPTIONS", { "Max-Forwards": "256" }, "Bad Max-Forwards header"],
  ["OPTIONS", { "Content-Type": "text" }, "Bad Content-Type header"],
  ["OPTIONS", { Route: "proxy" }, "Bad Route header"],
  ["OPTIONS", { "Record-Route": "<sip:p;lr>, <x>" }, "Bad Record-Route header"],
  ["OPTIONS", { Contact: "anything <" }, null],
  ["INVITE", { Contact: "anything <" }, "Bad Contact header"],
  ["REGISTER", { Contact: "*" }, null],
  ["REGISTER", { Contact: "*, <sip:a@h>" }, "Contact * beside other contacts"],
  ["INVITE", { Contact: "*" }, "Bad Contact header"],
  ["REGISTER", { Contact: "sip:a@h?Route=x" }, "Bad Contact header"],
];

Deno.test("message_rules: requests", () => {
  for (const [method, changes, problem] of REQUESTS) {
    assert.equal(requestProblem(method, headersWith(changes, method)), problem, JSON.stringify(changes));
  }
});

Deno.test("message_rules: what may be there once", () => {
  for (const name of ["From", "To", "Call-ID", "CSeq", "Max-Forwards"]) {
    const headers = headersWith({ "Max-Forwards": "70" }, "OPTIONS");
    headers.add(name, headers.get(name)!);
    assert.equal(requestProblem("OPTIONS", headers), `More than one ${name} header`);
  }
});

const RESPONSES: [status: number, method: string, changes: Changes, problem: string | null][] = [
  [200, "INVITE", { Contact: "<sip:b@h>" }, null],
  [200, "INVITE", { Contact: "<mailto:b@h>" }, "Bad Contact header"],
  [180, "INVITE", { "Record-Route": "<sip:p" }, "Bad Record-Route header"],
  [100, "INVITE", { Contact: "<mailto:b@h>" }, null],
  [302, "INVITE", { Contact: "<mailto:b@h>" }, null],
  [200, "REGISTER", { Contact: "<mailto:b@h>, *" }, null],
  [200, "OPTIONS", { CSeq: "x" }, "Bad CSeq header"],
  [404, "OPTIONS", { From: null }, "No From header"],
  [200, "BYE", { Route: "nonsense", "Content-Type": "nonsense", "Max-Forwards": "nonsense" }, null],
];

Deno.test("message_rules: responses, whose other headers are somebody else's matter", () => {
  for (const [status, method, changes, problem] of RESPONSES) {
    assert.equal(responseProblem(status, headersWith(changes, method)), problem, JSON.stringify(changes));
  }
});

Deno.test("message_rules: Content-Length", () => {
  const lengths: [values: string[], length: number | null | "bad"][] = [
    [[], null],
    [["0"], 0],
    [["0012"], 12],
    [["12", "12"], 12],
    [["12", "13"], "bad"],
    [["-1"], "bad"],
    [[""], "bad"],
    [["1 2"], "bad"],
    [["99999999999999999999"], "bad"],
  ];
  for (const [values, length] of lengths) {
    assert.equal(contentLengthOf(new SipHeaders(values.map((value) => ["l", value]))), length, values.join());
  }
});
