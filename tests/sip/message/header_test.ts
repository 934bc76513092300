// Answers to: lib/sip/message/header.ts.

import assert from "node:assert/strict";
import { headerKey, headerKind, headerName, SipHeaders } from "../../../lib/sip/message/header.ts";

const lines = (headers: SipHeaders) => [...headers.entries()].map(([name, value]) => `${name}: ${value}`);

Deno.test("header: names in any case and compact are the same header", () => {
  const headers = new SipHeaders([["v", "SIP/2.0/UDP a"], ["CALL-ID", "x"], ["x-own-thing", "1"], [
    "www-authenticate",
    "Digest",
  ]]);
  assert.equal(headers.get("Via"), "SIP/2.0/UDP a");
  assert.equal(headers.get("i"), "x");
  assert.equal(headers.has("call-id"), true);
  assert.equal(headers.has("Contact"), false);
  assert.deepEqual(lines(headers), [
    "Via: SIP/2.0/UDP a",
    "Call-ID: x",
    "X-Own-Thing: 1",
    "WWW-Authenticate: Digest",
  ]);
});

Deno.test("header: lists of addresses are cut, get gives the first", () => {
  const headers = new SipHeaders([["Route", '<sip:a;lr>, "x, y" <sip:b>'], ["Route", "<sip:c>"]]);
  assert.equal(headers.get("Route"), "<sip:a;lr>");
  assert.deepEqual(headers.all("Route"), ["<sip:a;lr>", '"x, y" <sip:b>', "<sip:c>"]);
  assert.equal(headers.removeFirst("route"), "<sip:a;lr>");
  assert.deepEqual(headers.all("Route"), ['"x, y" <sip:b>', "<sip:c>"]);
  assert.equal(headers.removeFirst("Via"), null);
});

Deno.test("header: lists of tokens are cut, get gives them all", () => {
  const headers = new SipHeaders([["k", "100rel,timer"], ["Supported", "path"]]);
  assert.equal(headers.get("Supported"), "100rel, timer, path");
  assert.deepEqual(headers.all("Supported"), ["100rel", "timer", "path"]);
  assert.equal(headers.includes("Supported", "TIMER"), true);
  assert.equal(headers.includes("Supported", "time"), false);
  assert.equal(headers.get("Allow"), null);
});

Deno.test("header: challenges and credentials are never cut", () => {
  const value = 'Digest realm="a", nonce="b", qop="auth,auth-int"';
  const headers = new SipHeaders([["WWW-Authenticate", value], ["WWW-Authenticate", "Basic realm=x, y=z"]]);
  assert.equal(headers.get("www-authenticate"), value);
  assert.deepEqual(headers.all("WWW-Authenticate"), [value, "Basic realm=x, y=z"]);
});

Deno.test("header: an empty list has no elements", () => {
  const headers = new SipHeaders([["Supported", ""], ["Subject", ""], ["Contact", " , <sip:a>,"]]);
  assert.equal(headers.has("Supported"), false);
  assert.equal(headers.get("Subject"), "");
  assert.deepEqual(headers.all("Contact"), ["<sip:a>"]);
});

Deno.test("header: set replaces all values in the place of the first", () => {
  const headers = new SipHeaders([["Via", "a"], ["To", "t"], ["Via", "b"], ["From", "f"]]);
  headers.set("v", "c, d");
  assert.deepEqual(lines(headers), ["Via: c", "Via: d", "To: t", "From: f"]);
  headers.set("CSeq", "1 ACK");
  assert.equal(lines(headers).at(-1), "CSeq: 1 ACK");
});

Deno.test("header: prepend, setFirst, delete, size", () => {
  const headers = new SipHeaders([["Via", "a, b"], ["To", "t"]]);
  headers.prepend("Via", "top");
  headers.setFirst("Via", "top;received=1");
  assert.deepEqual(lines(headers), ["Via: top;received=1", "Via: a", "Via: b", "To: t"]);
  headers.setFirst("From", "f");
  assert.equal(headers.size, 5);
  headers.delete("v");
  assert.deepEqual(lines(headers), ["To: t", "From: f"]);
});

Deno.test("header: a copy is independent", () => {
  const headers = new SipHeaders([["Via", "a"]]);
  const copy = headers.clone();
  copy.add("Via", "b");
  copy.removeFirst("Via");
  assert.deepEqual(headers.all("Via"), ["a"]);
  assert.deepEqual(copy.all("Via"), ["b"]);
});

Deno.test("header: no value makes a second line", () => {
  const headers = new SipHeaders();
  headers.set("Subject", "one\r\nVia: evil");
  headers.add("Contact", "<sip:a>\r\n ;x=1");
  assert.deepEqual(lines(headers), ["Subject: one Via: evil", "Contact: <sip:a> ;x=1"]);
});

Deno.test("header: a quote that is never closed hides nothing", () => {
  const headers = new SipHeaders();
  headers.add("Contact", '"a <sip:b>, <sip:c>');
  assert.deepEqual(headers.all("Contact"), ['"a <sip:b>', "<sip:c>"]);
});

Deno.test("header_names: compact forms", () => {
  const forms: [compact: string, name: string][] = [
    ["a", "Accept-Contact"],
    ["b", "Referred-By"],
    ["c", "Content-Type"],
    ["d", "Request-Disposition"],
    ["e", "Content-Encoding"],
    ["f", "From"],
    ["i", "Call-ID"],
    ["j", "Reject-Contact"],
    ["k", "Supported"],
    ["l", "Content-Length"],
    ["m", "Contact"],
    ["n", "Identity-Info"],
    ["o", "Event"],
    ["r", "Refer-To"],
    ["s", "Subject"],
    ["t", "To"],
    ["u", "Allow-Events"],
    ["v", "Via"],
    ["x", "Session-Expires"],
    ["y", "Identity"],
  ];
  for (const [compact, name] of forms) {
    assert.equal(headerName(compact), name);
    assert.equal(headerName(compact.toUpperCase()), name);
    assert.equal(headerKey(name), headerKey(compact));
  }
  assert.equal(headerName("q"), "Q", "no compact form");
});

Deno.test("header_names: spelling", () => {
  const names = [
    "CSeq",
    "RAck",
    "RSeq",
    "WWW-Authenticate",
    "MIME-Version",
    "Min-SE",
    "Min-Expires",
    "P-Asserted-Identity",
  ];
  for (const name of names) assert.equal(headerName(name.toLowerCase()), name);
});

Deno.test("header_names: how headers repeat", () => {
  for (const key of ["via", "route", "contact", "warning"]) assert.equal(headerKind(key), "elements");
  for (const key of ["allow", "supported", "require"]) assert.equal(headerKind(key), "tokens");
  for (const key of ["www-authenticate", "subject", "date", "user-agent"]) {
    assert.equal(headerKind(key), "single");
  }
});
