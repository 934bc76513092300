// Answers to: lib/sip/transport/receiver.ts.

import assert from "node:assert/strict";
import fc from "fast-check";
import { decodeUtf8, encodeUtf8 } from "../../../lib/base/bytes.ts";
import { encodeSipMessage, type SipMessage, type SipResponse } from "../../../lib/sip/message/message.ts";
import { type DatagramFilter, type KeepAliveAnswer, Receiver } from "../../../lib/sip/transport/receiver.ts";
import { decodeStun, encodeStun } from "../../../lib/net/stun.ts";
import type { Flow } from "../../../lib/sip/message/target.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { RecordLog } from "../../support/record_log.ts";
import { wireRequest } from "../../support/sip_wire_messages.ts";

const FLOW: Flow = {
  transport: "udp",
  remote: { hostname: "192.0.2.1", port: 5099 },
  local: { hostname: "0.0.0.0", port: 5060 },
  connectionId: 0,
};

const NO_STUN = { answerStun: () => {}, onKeepAliveAnswer: () => {} };

class Bench {
  readonly clock = new FakeClock();
  readonly log = new RecordLog("info");
  readonly messages: SipMessage[] = [];
  readonly answers: SipResponse[] = [];
  readonly stun: Uint8Array[] = [];
  readonly keepAliveAnswers: KeepAliveAnswer[] = [];
  filter: DatagramFilter | null = null;
  readonly receiver = new Receiver({
    clock: this.clock,
    log: this.log,
    filter: () => this.filter,
    onMessage: (message) => void this.messages.push(message),
    answer: (response) => void this.answers.push(response),
    answerStun: (bytes) => void this.stun.push(bytes.slice()),
    onKeepAliveAnswer: (answer) => void this.keepAliveAnswers.push(answer),
  });

  datagram(text: string): void {
    this.receiver.datagram(encodeUtf8(text), FLOW);
  }
}

const TEXT = decodeUtf8(encodeSipMessage(wireRequest()));

Deno.test("receiver: a request arrives with its source noted", () => {
  const bench = new Bench();
  bench.datagram(TEXT);
  assert.equal(
    bench.messages[0]!.headers.get("Via"),
    "SIP/2.0/UDP 127.0.0.1:5060;rport=5099;branch=z9hG4bKtest1;received=192.0.2.1",
  );
  assert.equal(bench.receiver.stats.received, 1);
});

Deno.test("receiver: a response is left as it is", () => {
  const bench = new Bench();
  bench.datagram(TEXT.replace(/^.*/, "SIP/2.0 200 OK"));
  assert.equal(bench.messages[0]!.headers.get("Via"), "SIP/2.0/UDP 127.0.0.1:5060;rport;branch=z9hG4bKtest1");
});

Deno.test("receiver: STUN requests are answered, STUN answers handed on, damaged ones only counted", () => {
  const bench = new Bench();
  const id = "000102030405060708090a0b";
  const mapped = { hostname: "203.0.113.7", port: 5099 };
  bench.receiver.datagram(encodeStun({ type: "request", id, unknown: [] }), FLOW);
  assert.deepEqual(bench.stun.map(decodeStun), [{ type: "success", id, mapped: FLOW.remote }]);
  bench.receiver.datagram(encodeStun({ type: "success", id, mapped }), FLOW);
  assert.deepEqual(bench.keepAliveAnswers, [{ type: "stun", message: { type: "success", id, mapped } }]);
  const damaged = encodeStun({ type: "success", id, mapped });
  damaged[25] = 9;
  bench.receiver.datagram(damaged, FLOW);
  bench.receiver.datagram(encodeStun({ type: "request", id, unknown: [6] }), FLOW);
  assert.equal(decodeStun(bench.stun[1]!).type, "error");
  assert.equal(bench.keepAliveAnswers.length, 1);
  assert.equal(bench.receiver.stats.keepAlives, 4);
  assert.deepEqual(bench.log.lines, []);
});

Deno.test("receiver: keep-alives are counted and nothing else", () => {
  const bench = new Bench();
  for (const text of ["\r\n\r\n", "\0", "", "jaK"]) bench.datagram(text);
  assert.deepEqual(bench.receiver.stats, { received: 0, refused: 0, dropped: 0, keepAlives: 4, sent: 0 });
  assert.deepEqual(bench.log.lines, []);
});

Deno.test("receiver: what can be answered is refused, along its Via, the same tag each time", () => {
  const bench = new Bench();
  const cases: [change: (text: string) => string, status: number, reason: string][] = [
    [(t) => t.replace("CSeq: 1", "CSeq: one"), 400, "Bad Request: Bad CSeq header"],
    [(t) => t.replace("SIP/2.0\r\n", "SIP/7.0\r\n"), 505, "Version Not Supported"],
    [(t) => t.replace("sip:bob@example.net SIP", "isbn:123 SIP"), 416, "Unsupported URI Scheme"],
    [(t) => t.replace("sip:bob@", `sip:${"b".repeat(5000)}@`), 414, "Request-URI Too Long"],
    [(t) => t.replace("OPTIONS", "options"), 400, "Bad Request: Methods are written in capitals"],
  ];
  for (const [change, status, reason] of cases) {
    bench.datagram(change(TEXT));
    const answer = bench.answers.at(-1)!;
    assert.deepEqual([answer.status, answer.reason], [status, reason]);
    assert.equal(answer.headers.get("To"), "<sip:bob@example.net>;tag=malformed");
    assert.match(answer.headers.get("Via")!, /;rport=5099;.*received=192\.0\.2\.1$/);
    assert.equal(answer.headers.get("Call-ID"), "call-1");
  }
  assert.equal(bench.receiver.stats.refused, cases.length);
  assert.equal(bench.messages.length, 0);
});

Deno.test("receiver: what has a Via that cannot be read is answered with it as it came", () => {
  const odd = ["SIP/2.0/UDP", "SIP/7.0/UDP h;branch=z9hG4bKx", "SIP/2.0/UDP h:port;branch=b"];
  for (const via of odd) {
    const bench = new Bench();
    bench.datagram(TEXT.replace(/^Via: .*$/m, `Via: ${via}\r`));
    assert.deepEqual(bench.answers.map(({ status }) => status), [400], via);
    assert.equal(bench.answers[0]!.headers.get("Via"), via);
    bench.datagram(TEXT.replace(/^Via: .*$/m, `Via: ${via}\r`).replace("SIP/2.0\r", "SIP/7.0\r"));
    assert.equal(bench.answers[1]?.status, 505, via);
    bench.datagram(
      TEXT.replace(/^Via: .*$/m, `Via: ${via}\r`).replaceAll("OPTIONS", "ACK").replace("CSeq: 1", "CSeq: x"),
    );
    bench.datagram(TEXT.replace(/^Via: .*$/m, `Via: ${via}\r`).replace(/^.*/, "SIP/7.0 200 OK\r"));
    assert.equal(bench.answers.length, 2, via);
  }
});

Deno.test("receiver: what cannot be answered is dropped and counted", () => {
  const bench = new Bench();
  bench.datagram("not SIP at all");
  bench.datagram(TEXT.replace(/^.*/, "SIP/2.0 99 What"));
  bench.datagram(TEXT.replaceAll("OPTIONS", "ACK").replace("CSeq: 1", "CSeq: x"));
  assert.equal(bench.receiver.stats.dropped, 3);
  assert.deepEqual(bench.answers, []);
});

Deno.test("receiver: complaints are limited, the rest is counted", () => {
  const bench = new Bench();
  for (let i = 0; i < 1000; i++) bench.datagram("not SIP at all");
  assert.deepEqual(bench.log.lines, ["warn main 192.0.2.1:5099 sent a bad SIP message: Bad request line"]);
  bench.clock.advance(10_000);
  bench.datagram("not SIP at all");
  assert.match(bench.log.lines[1]!, /\(and 999 more oddities before\)$/);
});

Deno.test("receiver: quirks are told", () => {
  const bench = new Bench();
  bench.datagram(TEXT.replace("Content-Length: 0", "Content-Length: 9"));
  assert.deepEqual(bench.log.lines, [
    "warn main 192.0.2.1:5099: Content-Length is 9 but the body has 0 bytes",
  ]);
  assert.equal(bench.messages.length, 1);
});

Deno.test("receiver: a handler that throws is reported, and the next message handled", () => {
  const log = new RecordLog("error");
  let calls = 0;
  const onMessage = () => {
    if (++calls === 1) throw new Error("our own bug");
  };
  const receiver = new Receiver({ clock: new FakeClock(), log, onMessage, answer: () => {}, ...NO_STUN });
  receiver.datagram(encodeUtf8(TEXT), FLOW);
  receiver.datagram(encodeUtf8(TEXT), FLOW);
  assert.equal(calls, 2);
  assert.deepEqual(log.lines, ["error main internal error: SIP message from 192.0.2.1:5099: our own bug"]);
});

Deno.test("receiver: messages are logged as text, secrets masked by the log", () => {
  const log = new RecordLog("debug");
  const receiver = new Receiver({
    clock: new FakeClock(),
    log,
    onMessage: () => {},
    answer: () => {},
    ...NO_STUN,
  });
  receiver.datagram(
    encodeUtf8(TEXT.replace("CSeq", 'Authorization: Digest response="0123456789abcdef"\r\nCSeq')),
    FLOW,
  );
  assert.match(
    log.lines[0]!,
    /^debug sip\.wire received from udp 192\.0\.2\.1:5099: OPTIONS, Call-ID \S+\nOPTIONS sip:bob@example\.net SIP\/2\.0\nVia/,
  );
  assert.doesNotMatch(log.lines[0]!, /0123456789abcdef|\r/);
  receiver.datagram(encodeUtf8("not SIP at all"), FLOW);
  assert.equal(log.lines[1], "debug sip.wire udp 192.0.2.1:5099 sent:\nnot SIP at all");
});

Deno.test("receiver: no bytes whatever make it throw", () => {
  const original = encodeUtf8(TEXT);
  const edits = fc.array(fc.tuple(fc.nat(original.length - 1), fc.nat(255)), { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(edits, (list) => {
      const bench = new Bench();
      const bytes = original.slice();
      for (const [at, byte] of list) bytes[at] = byte;
      bench.receiver.datagram(bytes, FLOW);
      const { received, refused, dropped, keepAlives } = bench.receiver.stats;
      assert.equal(received + refused + dropped + keepAlives, 1);
    }),
    { numRuns: 1000 },
  );
});

Deno.test("receiver: what the request filter condemns is neither parsed, answered nor told, only counted", () => {
  const bench = new Bench();
  const malformed = TEXT.replace(/^CSeq:.*\r\n/m, "");
  bench.filter = { dropsUnread: (bytes) => bytes.length > 2000, malformed: () => false };
  bench.datagram(malformed);
  bench.datagram(TEXT + "x".repeat(2000));
  bench.datagram(TEXT);
  assert.deepEqual([bench.messages.length, bench.answers.length, bench.log.lines], [1, 0, []]);
  assert.deepEqual([bench.receiver.stats.received, bench.receiver.stats.dropped], [1, 2]);
  bench.filter = { dropsUnread: () => false, malformed: () => true };
  bench.datagram(malformed);
  assert.deepEqual([bench.answers.length, bench.log.lines.length], [1, 1]);
});

const RESPONSE = TEXT.replace(/^.*/, "SIP/2.0 200 OK");

/** What is odd about a response and does not matter. */
const ODD_RESPONSES: [name: string, text: string][] = [
  ["a To without its bracket", RESPONSE.replace(/^To:.*$/m, "To: <sip:bob@192.0.2.1;tag=x")],
  ["a From that is none", RESPONSE.replace(/^From:.*$/m, "From: <>;tag=x")],
  [
    "a Content-Length that is no number",
    `${RESPONSE.trimEnd().replace(/^Content-Length:.*$/m, "Content-Length: x")}\r\n\r\n`,
  ],
  [
    "a Via that cannot be read but for its branch",
    RESPONSE.replace(/^Via:.*$/m, "Via: SIP/2.0/UDP ;branch=b\r"),
  ],
  ["a line that is no header", RESPONSE.replace(/^Via:/m, "no header\r\nX[1]: y\r\nVia:")],
];

for (const [name, text] of ODD_RESPONSES) {
  Deno.test(`receiver: a response with ${name} is as good as any`, () => {
    const bench = new Bench();
    bench.datagram(text);
    assert.deepEqual([bench.messages.length, bench.answers.length, bench.log.at("warn")], [1, 0, []]);
  });
}

/** A response that breaks a rule, and whether whatever waits for it is told. */
const BROKEN_RESPONSES: [name: string, text: string, told: boolean][] = [
  ["two Call-IDs", RESPONSE.replace(/^(Call-ID:.*)$/m, "$1\r\nCall-ID: other"), true],
  ["no empty line after the headers", RESPONSE.trimEnd(), true],
  ["no Via", RESPONSE.replace(/^Via:.*\r\n/m, ""), false],
  ["no CSeq", RESPONSE.replace(/^CSeq:.*\r\n/m, ""), false],
  ["a status that is none", RESPONSE.replace("200 OK", "2OO OK"), false],
];

for (const [name, text, told] of BROKEN_RESPONSES) {
  Deno.test(`receiver: a response with ${name} ${told ? "reaches what waits for it" : "is dropped"}`, () => {
    const bench = new Bench();
    bench.datagram(text);
    assert.equal(bench.messages.length, told ? 1 : 0);
    assert.equal(bench.answers.length, 0);
    assert.equal(bench.log.at("warn").length, 1);
  });
}
