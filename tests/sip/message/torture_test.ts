// Runs the messages of tests/torture/sip (see its README) through the datagram parser, the stream parser and the
// receiver.

import assert from "node:assert/strict";
import { silentLog } from "../../../lib/base/log.ts";
import {
  createResponse,
  encodeSipMessage,
  type SipMessage,
  startLine,
} from "../../../lib/sip/message/message.ts";
import { decodeSipDatagram, SipParseError, SipStreamParser } from "../../../lib/sip/message/parser.ts";
import { Receiver } from "../../../lib/sip/transport/receiver.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { readTortureCases, type TortureCase } from "../../support/torture_cases.ts";

const plain = (text: string | null) => text?.replace(/\s+/g, " ") ?? null;
const noteOf = (one: TortureCase, key: string) => one.notes.find(([name]) => name === key)?.[1] ?? null;

function checkMessage(one: TortureCase, message: SipMessage): void {
  const expected = noteOf(one, "Expect")!;
  const line = startLine(message).slice(0, -2);
  if (message.kind === "request") assert.equal(`request ${line}`, `${expected} SIP/2.0`);
  else assert.equal(`response ${line.slice("SIP/2.0 ".length)}`, expected);
  for (const [key, value] of one.notes) {
    const [name, wanted] = value.split(/ = (.*)/s);
    if (key === "Header") assert.equal(plain(message.headers.get(name!)), plain(wanted!), name);
    if (key === "Count") assert.equal(message.headers.all(name!).length, Number(wanted), name);
    if (key === "Missing") assert.equal(message.headers.has(value), false, value);
    if (key === "Body") assert.equal(message.body.length, Number(value), "length of the body");
  }
}

for (const one of readTortureCases("valid")) {
  Deno.test(`torture: valid: ${one.name}`, () => {
    const { message, warnings } = decodeSipDatagram(one.bytes);
    checkMessage(one, message);
    assert.equal(warnings.length, Number(noteOf(one, "Warnings") ?? 0), warnings.join());
    const again = decodeSipDatagram(encodeSipMessage(message));
    checkMessage(one, again.message);
    assert.deepEqual(again.warnings, []);
    // As a stream, the message being as long as it says.
    const parser = new SipStreamParser();
    const found: SipMessage[] = [];
    for (const byte of encodeSipMessage(message)) parser.push(Uint8Array.of(byte), (m) => found.push(m));
    assert.equal(found.length, 1);
    checkMessage(one, found[0]!);
  });
}

function outcomeOf(error: SipParseError): string {
  return error.partial === null ? "dropped" : `${error.status} ${error.problem}`;
}

for (const one of readTortureCases("invalid")) {
  Deno.test(`torture: invalid: ${one.name}`, () => {
    const expected = noteOf(one, "Expect");
    assert.throws(() => decodeSipDatagram(one.bytes), (error) => {
      assert.ok(error instanceof SipParseError, String(error));
      assert.equal(outcomeOf(error), expected);
      return true;
    });
    assert.deepEqual(
      receivedOutcome(one.bytes),
      expected === "dropped" ? [] : [Number(expected!.split(" ")[0])],
    );
    checkStream(one.bytes);
  });
}

/** Statuses the receiver answers with. */
function receivedOutcome(bytes: Uint8Array): number[] {
  const statuses: number[] = [];
  const receiver = new Receiver({
    clock: new FakeClock(),
    log: silentLog,
    onMessage: () => assert.fail("was accepted"),
    answer: (response) => {
      encodeSipMessage(response);
      statuses.push(response.status);
    },
    answerStun: () => assert.fail("was taken for STUN"),
    onKeepAliveAnswer: () => assert.fail("was taken for an answer to a keep-alive"),
  });
  const address = { hostname: "198.51.100.9", port: 5066 };
  receiver.datagram(bytes, { transport: "udp", remote: address, local: address, connectionId: 0 });
  return statuses;
}

/** One byte at a time: reported, or fatal, or never complete; no message, no other exception. */
function checkStream(bytes: Uint8Array): void {
  const parser = new SipStreamParser();
  try {
    for (const byte of bytes) parser.push(Uint8Array.of(byte), () => assert.fail("was accepted"));
  } catch (error) {
    assert.ok(error instanceof SipParseError, String(error));
  }
}

Deno.test("torture: there are cases of both kinds", () => {
  assert.ok(readTortureCases("valid").length >= 50);
  assert.ok(readTortureCases("invalid").length >= 35);
});

Deno.test("torture: every valid request can be answered, and the answer decodes", () => {
  for (const one of readTortureCases("valid")) {
    const { message } = decodeSipDatagram(one.bytes);
    if (message.kind !== "request") continue;
    const response = createResponse(message, 200, undefined, "torture");
    const decoded = decodeSipDatagram(encodeSipMessage(response)).message;
    assert.deepEqual(decoded.headers.all("Via"), message.headers.all("Via"), one.name);
  }
});
