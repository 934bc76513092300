// Answers to: lib/sip/message/parser.ts. One test per quirk that is forgiven, then mutations of a good message.

import assert from "node:assert/strict";
import fc from "fast-check";
import { decodeUtf8, encodeUtf8 } from "../../../lib/base/bytes.ts";
import { encodeSipMessage, type SipRequest } from "../../../lib/sip/message/message.ts";
import { decodeSipDatagram, isKeepAlive, SipParseError } from "../../../lib/sip/message/parser.ts";
import { formatSipUri } from "../../../lib/sip/message/uri.ts";

/** An OPTIONS request as text; lines can be replaced or added by name. */
function optionsText(changes: Record<string, string | null> = {}, body = ""): string {
  const lines: Record<string, string | null> = {
    Via: "SIP/2.0/UDP 192.0.2.1:5062;branch=z9hG4bKa1",
    "Max-Forwards": "70",
    From: "<sip:a@example.net>;tag=f1",
    To: "<sip:b@example.net>",
    "Call-ID": "c1@192.0.2.1",
    CSeq: "3 OPTIONS",
    "Content-Length": `${body.length}`,
    ...changes,
  };
  let text = "OPTIONS sip:b@example.net SIP/2.0\r\n";
  for (const [name, value] of Object.entries(lines)) if (value !== null) text += `${name}: ${value}\r\n`;
  return `${text}\r\n${body}`;
}

function decodeRequest(text: string): { request: SipRequest; warnings: string[] } {
  const { message, warnings } = decodeSipDatagram(encodeUtf8(text));
  assert.equal(message.kind, "request");
  return { request: message as SipRequest, warnings };
}

function problemOf(text: string): SipParseError {
  try {
    decodeSipDatagram(encodeUtf8(text));
  } catch (error) {
    assert.ok(error instanceof SipParseError, String(error));
    return error;
  }
  assert.fail("was accepted");
}

Deno.test("parser: a plain request", () => {
  const { request, warnings } = decodeRequest(optionsText({}, "hello"));
  assert.equal(request.method, "OPTIONS");
  assert.equal(formatSipUri(request.uri), "sip:b@example.net");
  assert.equal(request.headers.get("call-id"), "c1@192.0.2.1");
  assert.equal(decodeUtf8(request.body), "hello");
  assert.deepEqual(warnings, []);
});

Deno.test("parser: the body is an own copy", () => {
  const bytes = encodeUtf8(optionsText({}, "hello"));
  const { message } = decodeSipDatagram(bytes);
  bytes.fill(0);
  assert.equal(decodeUtf8(message.body), "hello");
});

Deno.test("quirk: Content-Length longer than the datagram takes what is there, with a warning", () => {
  const { request, warnings } = decodeRequest(optionsText({ "Content-Length": "999" }, "hello"));
  assert.equal(decodeUtf8(request.body), "hello");
  assert.deepEqual(warnings, ["Content-Length is 999 but the body has 5 bytes"]);
});

Deno.test("quirk: Content-Length shorter than the datagram cuts the body, with a warning", () => {
  const { request, warnings } = decodeRequest(optionsText({ "Content-Length": "2" }, "hello"));
  assert.equal(decodeUtf8(request.body), "he");
  assert.deepEqual(warnings, ["Content-Length is 2 but the body has 5 bytes"]);
});

Deno.test("quirk: no Content-Length takes the rest of the datagram", () => {
  const { request, warnings } = decodeRequest(optionsText({ "Content-Length": null }, "hello"));
  assert.equal(decodeUtf8(request.body), "hello");
  assert.deepEqual(warnings, []);
});

Deno.test("quirk: Contact, From and To without brackets", () => {
  const { request } = decodeRequest(optionsText({
    From: "sip:a@example.net;tag=f1",
    To: "sip:b@example.net",
    Contact: "sip:a@192.0.2.1:5062;expires=60",
  }));
  assert.equal(request.headers.get("From"), "sip:a@example.net;tag=f1");
});

Deno.test("quirk: compact header names", () => {
  const text = [
    "OPTIONS sip:b@example.net SIP/2.0",
    "v:SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa1",
    "f:<sip:a@example.net>;tag=1",
    "t:<sip:b@example.net>",
    "i:c1",
    "CSEQ:1 OPTIONS",
    "m:<sip:a@192.0.2.1>",
    "k:timer",
    "l:2",
    "",
    "okay",
  ].join("\r\n");
  const { request } = decodeRequest(text);
  assert.deepEqual([...request.headers.entries()].map(([name]) => name), [
    "Via",
    "From",
    "To",
    "Call-ID",
    "CSeq",
    "Contact",
    "Supported",
    "Content-Length",
  ]);
  assert.equal(decodeUtf8(request.body), "ok");
});

Deno.test("quirk: folded header lines, tabs, blanks before the colon", () => {
  const { request } = decodeRequest(
    optionsText({ "Subject ": "one\r\n two\r\n\tthree  ", "Via": "SIP / 2.0\r\n /UDP 192.0.2.1" }),
  );
  assert.equal(request.headers.get("Subject"), "one two three");
  assert.equal(request.headers.get("Via"), "SIP / 2.0 /UDP 192.0.2.1");
});

Deno.test("quirk: bare LF line ends", () => {
  const { request } = decodeRequest(optionsText({}, "hello").replaceAll("\r\n", "\n"));
  assert.equal(decodeUtf8(request.body), "hello");
});

Deno.test("quirk: line ends and NULs before the message", () => {
  const { request } = decodeRequest("\r\n\r\n\0" + optionsText());
  assert.equal(request.method, "OPTIONS");
});

Deno.test("quirk: lower-case methods are answered 400", () => {
  for (const method of ["options", "Options"]) {
    const error = problemOf(optionsText({ CSeq: `3 ${method}` }).replace("OPTIONS", method));
    assert.equal(error.status, 400);
    assert.equal(error.partial?.headers.get("Call-ID"), "c1@192.0.2.1");
  }
});

Deno.test("parser: an unknown method is not malformed", () => {
  const { request } = decodeRequest(optionsText({ CSeq: "3 DANCE" }).replace("OPTIONS", "DANCE"));
  assert.equal(request.method, "DANCE");
});

Deno.test("parser: what cannot be answered carries no partial request", () => {
  const cases = [
    optionsText({ Via: null }),
    optionsText({ CSeq: "x ACK" }).replace("OPTIONS", "ACK"),
    optionsText({ CSeq: "x" }).replace("OPTIONS sip:b@example.net SIP/2.0", "SIP/2.0 200 OK"),
    "complete nonsense",
    "",
  ];
  for (const text of cases) assert.equal(problemOf(text).partial, null, text);
});

Deno.test("parser: a head without its empty line is answered 400", () => {
  const error = problemOf(optionsText().slice(0, -2));
  assert.equal(error.problem, "No empty line after the headers");
  assert.equal(error.partial?.method, "OPTIONS");
});

Deno.test("parser: keep-alives are told from messages", () => {
  const keepAlives = [
    "",
    "\r\n\r\n",
    "\0",
    "\0\0\0\0",
    "\r\n",
    "jaK",
    " \r\n\0\t\r\n",
    "\0\x01\0\0\x21\x12\xa4\x42",
  ];
  for (const text of keepAlives) assert.equal(isKeepAlive(encodeUtf8(text)), true, JSON.stringify(text));
  assert.equal(isKeepAlive(encodeUtf8(optionsText())), false);
  assert.equal(isKeepAlive(encodeUtf8("hello")), false);
});

Deno.test("parser: what decodes re-encodes to the same message", () => {
  const { message } = decodeSipDatagram(
    encodeUtf8(optionsText({ Contact: '"x, y" <sip:a@h>, <sip:b@h>' }, "hello")),
  );
  const again = decodeSipDatagram(encodeSipMessage(message));
  message.headers.delete("Content-Length");
  again.message.headers.delete("Content-Length");
  assert.deepEqual([...again.message.headers.entries()], [...message.headers.entries()]);
  assert.deepEqual(again.message.body, message.body);
  assert.deepEqual(again.warnings, []);
});

Deno.test("parser: mutated messages decode, re-encode, or give SipParseError", () => {
  const original = encodeUtf8(optionsText({
    Contact: '"A" <sip:a@[::1]:5;lr>;q=1',
    Route: "<sip:p;lr>, <sip:q>",
    "Content-Type": "text/plain;charset=utf-8",
  }, "hello"));
  const edit = fc.tuple(
    fc.nat(original.length - 1),
    fc.oneof(fc.nat(255), fc.constantFrom(10, 13, 34, 44, 58, 59, 60, 62)),
  );
  fc.assert(
    fc.property(fc.array(edit, { minLength: 1, maxLength: 6 }), fc.nat(original.length), (edits, length) => {
      const bytes = original.slice();
      for (const [at, byte] of edits) bytes[at] = byte;
      const input = length % 5 === 0 ? bytes.subarray(0, length) : bytes;
      try {
        const { message } = decodeSipDatagram(input);
        const again = decodeSipDatagram(encodeSipMessage(message)).message;
        assert.deepEqual(again.body, message.body);
        assert.equal(again.headers.get("Call-ID"), message.headers.get("Call-ID"));
      } catch (error) {
        assert.ok(error instanceof SipParseError, String(error));
      }
    }),
    { numRuns: 2000 },
  );
});

Deno.test("parser: arbitrary bytes give SipParseError only", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
    assert.throws(() => decodeSipDatagram(bytes), SipParseError);
  }));
});

Deno.test("parser: hostile sizes stay cheap", () => {
  const many = optionsText({
    "X-Long": ",".repeat(30_000),
    Via: "SIP/2.0/UDP h" + ",SIP/2.0/UDP h".repeat(2000),
  });
  assert.equal(decodeRequest(many).request.headers.all("Via").length, 2001);
  assert.match(problemOf(optionsText({ Via: '"'.repeat(60_001) })).problem, /Via/);
  assert.match(problemOf(optionsText().replace("Max", "A: b\r\n".repeat(300) + "Max")).problem, /Too many/);
  decodeRequest(optionsText({ Subject: " \r\n".repeat(10_000) + " x" }));
});
