// Answers to: lib/sip/message/parser.ts. One test per quirk that is forgiven, then mutations of a good message.

import fc from "fast-check";
import assert from "node:assert/strict";
import { decodeUtf8, encodeUtf8 } from "../../../lib/base/bytes.ts";
import { encodeSipMessage, type SipRequest, tagOf } from "../../../lib/sip/message/message.ts";
import {
  decodeSipDatagram,
  findHeadEnd,
  isFiller,
  isKeepAlive,
  MAX_BODY_BYTES,
  MAX_HEAD_BYTES,
  peekMessage,
  SipParseError,
  SipStreamParser,
} from "../../../lib/sip/message/parser.ts";
import { formatSipUri } from "../../../lib/sip/message/uri.ts";
import { mutate } from "../../support/mutate.ts";

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

function message(callId: string, body: string, more = ""): string {
  return "MESSAGE sip:b@example.net SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.1;branch=z9hG4bKa1\r\n" +
    `From: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\nCall-ID: ${callId}\r\nCSeq: 1 MESSAGE\r\n${more}` +
    `Content-Length: ${encodeUtf8(body).length}\r\n\r\n${body}`;
}

/** What a parser reports, as short lines. */
function record(parser: SipStreamParser): { seen: string[]; push: (bytes: Uint8Array) => void } {
  const seen: string[] = [];
  const push = (bytes: Uint8Array) =>
    parser.push(
      bytes,
      (m, warnings) =>
        seen.push(`${m.headers.get("Call-ID")} ${decodeUtf8(m.body)}${warnings.length > 0 ? " !" : ""}`),
      () => seen.push("ping"),
      (error) => seen.push(`bad: ${error.problem}`),
    );
  return { seen, push };
}

const STREAM = "\r\n\r\n" + message("one", "héllo") + "\r\n" + message("two", "") + "\r\n\r\n\r\n\r\n\0" +
  message("bad", "skipped", "From: <sip:b@h>\r\n") +
  message("three", "a\r\n\r\nb").replaceAll("Via:", "v :") +
  message("none", "").replace("Content-Length: 0\r\n", "");
const EXPECTED = [
  "ping",
  "one héllo",
  "two ",
  "ping",
  "ping",
  "bad: More than one From header",
  "three a\r\n\r\nb",
  "none  !",
];

Deno.test("stream_parser: one piece, one byte at a time", () => {
  const bytes = encodeUtf8(STREAM);
  for (const step of [bytes.length, 1, 2, 3, 7, 100]) {
    const { seen, push } = record(new SipStreamParser());
    for (let at = 0; at < bytes.length; at += step) push(bytes.subarray(at, at + step));
    assert.deepEqual(seen, EXPECTED, `pieces of ${step}`);
  }
});

Deno.test("stream_parser: every split of the stream in two", () => {
  const bytes = encodeUtf8(STREAM);
  for (let at = 1; at < bytes.length; at++) {
    const { seen, push } = record(new SipStreamParser());
    push(bytes.subarray(0, at));
    push(bytes.subarray(at));
    assert.deepEqual(seen, EXPECTED, `split at ${at}`);
  }
});

Deno.test("stream_parser: bodies are copies and bytes are borrowed", () => {
  const bodies: Uint8Array[] = [];
  const parser = new SipStreamParser();
  const bytes = encodeUtf8(message("one", "first") + message("two", "second"));
  parser.push(bytes, (m) => bodies.push(m.body));
  bytes.fill(0);
  parser.push(encodeUtf8(message("three", "third")), (m) => bodies.push(m.body));
  assert.deepEqual(bodies.map(decodeUtf8), ["first", "second", "third"]);
});

Deno.test("stream_parser: pendingBytes tells whether a message has begun", () => {
  const { push } = record(new SipStreamParser());
  const parser = new SipStreamParser();
  push(encodeUtf8("x"));
  assert.equal(parser.pendingBytes, 0);
  parser.push(encodeUtf8("\r\n\r\n"), () => assert.fail("no message"));
  assert.equal(parser.pendingBytes, 0);
  const bytes = encodeUtf8(message("one", "body"));
  parser.push(bytes.subarray(0, bytes.length - 4), () => assert.fail("no message yet"));
  assert.ok(parser.pendingBytes > 0, "the head is complete, the body is not");
  parser.push(bytes.subarray(bytes.length - 4), () => {});
  assert.equal(parser.pendingBytes, 0);
});

const FATAL: [name: string, text: string, status: number, answerable: boolean][] = [
  ["negative length", message("x", "").replace("Content-Length: 0", "Content-Length: -5"), 400, true],
  ["two lengths", message("x", "", "Content-Length: 7\r\n"), 400, true],
  ["endless head", `INVITE sip:b@h SIP/2.0\r\nSubject: ${"x".repeat(MAX_HEAD_BYTES)}`, 513, false],
  ["huge body", message("x", "").replace("Length: 0", `Length: ${MAX_BODY_BYTES + 1}`), 513, true],
  ["no SIP at all", "GET / HTTP/1.1\r\nHost: h\r\n\r\n", 400, false],
  ["RTMP, at its first octet", "\x03", 400, false],
  ["TLS, at its first octet", "\x16", 400, false],
  ["a control character behind line ends", "\r\n\x07", 400, false],
];

for (const [name, text, status, answerable] of FATAL) {
  // Without any Content-Length a malformed message has no end that could be trusted.
  Deno.test(`stream_parser: framing lost: ${name}`, () => {
    const { seen, push } = record(new SipStreamParser());
    assert.throws(() => push(encodeUtf8(text)), (error) => {
      assert.ok(error instanceof SipParseError);
      assert.equal(error.status, status);
      assert.equal(error.partial !== null, answerable);
      return true;
    });
    assert.deepEqual(seen, []);
  });
}

Deno.test("stream_parser: a head as long as allowed passes, byte by byte, in linear time", () => {
  const filler = "x".repeat(MAX_HEAD_BYTES - message("one", "").length - 20);
  const bytes = encodeUtf8(message("one", "", `Subject: ${filler}\r\n`));
  const { seen, push } = record(new SipStreamParser());
  for (let at = 0; at < bytes.length; at++) push(bytes.subarray(at, at + 1));
  assert.deepEqual(seen, ["one "]);
});

Deno.test("stream_parser: arbitrary bytes end in reports or SipParseError, however they are cut", () => {
  const noise = fc.oneof(
    fc.uint8Array({ maxLength: 60 }),
    fc.constantFrom(message("m", "body"), "\r\n", "\r\n\r\n", "INVITE ", ":", "l: 3\r\n\r\n").map((t) =>
      encodeUtf8(t)
    ),
  );
  fc.assert(fc.property(fc.array(noise, { maxLength: 8 }), fc.integer({ min: 1, max: 50 }), (parts, step) => {
    const outcome = (size: number): string[] => {
      const { seen, push } = record(new SipStreamParser());
      const bytes = parts.flatMap((part) => [...part]);
      try {
        for (let at = 0; at < bytes.length; at += size) push(Uint8Array.from(bytes.slice(at, at + size)));
      } catch (error) {
        assert.ok(error instanceof SipParseError, String(error));
        seen.push(`closed: ${error.problem}`);
      }
      return seen;
    };
    assert.deepEqual(outcome(step), outcome(100_000));
  }));
});

const ENDS: [text: string, from: number, head: number | null, body: number][] = [
  ["a\r\n\r\nb", 0, 1, 5],
  ["a\n\nb", 0, 1, 3],
  ["a\r\n\nb", 0, 1, 4],
  ["a\n\r\nb", 0, 1, 4],
  ["a\r\nb\r\n\r\n", 0, 4, 8],
  ["a\r\nb\r\n\r\n", 5, 4, 8],
  ["a\r\nb\r\n\r", 0, null, 0],
  ["", 0, null, 0],
];

Deno.test("framing: the end of the head", () => {
  for (const [text, from, head, body] of ENDS) {
    assert.deepEqual(
      findHeadEnd(encodeUtf8(text), from),
      head === null ? null : { head, body },
      JSON.stringify(text),
    );
  }
});

Deno.test("framing: fillers and keep-alives", () => {
  assert.deepEqual([0, 10, 13, 32, 65].map(isFiller), [true, true, true, false, false]);
  assert.equal(isKeepAlive(new Uint8Array(2000)), true);
  assert.equal(isKeepAlive(encodeUtf8("\r\n\r\n\r\nx")), false);
});

const HEAD = "Via: SIP/2.0/UDP h;branch=z9hG4bKx\r\nFrom: <sip:a@h>;tag=f\r\nTo: <sip:b@h>\r\n" +
  "Call-ID: c\r\nCSeq: 1 OPTIONS\r\n\r\n";

function look(text: string): string {
  const seen = peekMessage(encodeUtf8(text));
  if (seen.type !== "request") return seen.type;
  return `${seen.method} ${seen.uri.user ?? ""}@${seen.uri.host}${seen.inDialog ? " in dialog" : ""}`;
}

Deno.test("peekMessage: what a datagram is", () => {
  const table: [text: string, seen: string][] = [
    [`OPTIONS sip:bob@host SIP/2.0\r\n${HEAD}`, "OPTIONS bob@host"],
    [`OPTIONS sip:host SIP/2.0\r\n${HEAD}`, "OPTIONS @host"],
    [`\r\n\r\nOPTIONS sip:bob@host sip/2.0\r\n${HEAD}`, "OPTIONS bob@host"],
    [`OPTIONS sip:bob@host SIP/2.0\r\n${HEAD}`.replaceAll("\r", ""), "OPTIONS bob@host"],
    [`BYE sip:bob@host SIP/2.0\r\n${HEAD}`.replace("<sip:b@h>", "<sip:b@h>;tag=x"), "BYE bob@host in dialog"],
    [
      `BYE sip:bob@host SIP/2.0\r\n${HEAD}`.replace("To: <sip:b@h>", "t: <sip:b@h>\r\n ; Tag = x"),
      "BYE bob@host in dialog",
    ],
    [
      `OPTIONS sip:b@h SIP/2.0\r\n${HEAD}`.replace("Via", "v").replace("Call-ID", "i").replace("From", "f"),
      "OPTIONS b@h",
    ],
    [`SIP/2.0 200 OK\r\n${HEAD}`, "response"],
    [`OPTIONS sip:bob@host SIP/2.0\r\n${HEAD}`.replace(/CSeq.*\r\n/, ""), "rubbish"],
    [`OPTIONS sip:bob@host SIP/2.0\r\n${HEAD}`.trimEnd(), "rubbish"],
    [`OPTIONS bob SIP/2.0\r\n${HEAD}`, "rubbish"],
    [`OPTIONS sip:bob@host SIP/3.0\r\n${HEAD}`, "rubbish"],
    [`GET / HTTP/1.1\r\nHost: h\r\n\r\n`, "rubbish"],
    ["x".repeat(1000), "rubbish"],
    ["", "rubbish"],
  ];
  for (const [text, seen] of table) assert.equal(look(text), seen, text);
});

Deno.test("peekMessage: never throws, and whatever the parser takes is seen as what it is", () => {
  const good = encodeUtf8(`INVITE sip:bob@host;line=1 SIP/2.0\r\n${HEAD.replace("OPTIONS", "INVITE")}`);
  const inCall = encodeUtf8(`SIP/2.0 200 OK\r\n${HEAD}`);
  fc.assert(
    fc.property(fc.constantFrom(good, inCall), fc.nat(), (message, seed) => {
      const bytes = mutate(message, seed);
      const seen = peekMessage(bytes);
      const parsed = isKeepAlive(bytes) ? null : parse(bytes);
      if (parsed === null) return;
      if (parsed.kind === "response") return assert.equal(seen.type, "response");
      assert.ok(seen.type === "request", JSON.stringify(seen));
      assert.equal(seen.method, parsed.method);
      assert.deepEqual(seen.uri, parsed.uri);
      if (tagOf(parsed.headers.get("To")) !== null) assert.ok(seen.inDialog);
    }),
    { numRuns: 3000 },
  );
});

function parse(bytes: Uint8Array) {
  try {
    return decodeSipDatagram(bytes).message;
  } catch (error) {
    if (error instanceof SipParseError) return null;
    throw error;
  }
}
