// Answers to: lib/sip/message/stream_parser.ts. Everything is fed whole, one byte at a time and at every split.

import assert from "node:assert/strict";
import fc from "fast-check";
import { decodeUtf8, encodeUtf8 } from "../../../lib/base/bytes.ts";
import { SipParseError } from "../../../lib/sip/message/parser.ts";
import { MAX_BODY_BYTES, MAX_HEAD_BYTES, SipStreamParser } from "../../../lib/sip/message/stream_parser.ts";

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
