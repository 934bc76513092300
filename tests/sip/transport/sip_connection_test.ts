// Answers to: lib/sip/transport/sip_connection.ts. The other end is a pipe.

import assert from "node:assert/strict";
import { decodeUtf8, encodeUtf8 } from "../../../lib/base/bytes.ts";
import { createResponse, encodeSipMessage } from "../../../lib/sip/message/message.ts";
import { SipConnection } from "../../../lib/sip/transport/sip_connection.ts";
import { FakeClock, settle } from "../../support/fake_clock.ts";
import { type PipeEnd, type PipeOptions, pipePair, readBytes } from "../../support/pipe.ts";
import { wireRequest } from "../../support/sip_wire_messages.ts";

class Bench {
  readonly clock = new FakeClock();
  readonly seen: string[] = [];
  readonly far: PipeEnd;
  readonly connection: SipConnection;
  readonly ended: Promise<string>;

  constructor(options: PipeOptions = {}) {
    const [near, far] = pipePair(options);
    this.far = far;
    const outlets = {
      message: (m: { headers: { get(name: string): string | null } }) =>
        void this.seen.push(m.headers.get("Call-ID")!),
      malformed: (error: { problem: string }) => void this.seen.push(`bad: ${error.problem}`),
      keepAlive: () => void this.seen.push("ping"),
      pong: () => void this.seen.push("pong"),
    };
    this.connection = new SipConnection(near, 7, outlets, () => this.clock.now());
    this.ended = this.connection.run();
  }

  async farPuts(text: string | Uint8Array): Promise<void> {
    this.far.put(typeof text === "string" ? encodeUtf8(text) : text);
    await settle();
  }
}

const bytesOf = (callId: string) => encodeSipMessage(wireRequest({ callId, body: "body" }));

Deno.test("sip_connection: messages in and out, pings answered, a normal end", async () => {
  const bench = new Bench();
  await bench.farPuts(bytesOf("one"));
  await bench.farPuts("\r\n\r\n");
  await bench.farPuts(bytesOf("two"));
  assert.deepEqual(bench.seen, ["one", "ping", "two"]);
  assert.equal(decodeUtf8(await readBytes(bench.far, 2)), "\r\n");
  assert.equal(bench.connection.send(encodeUtf8("reply")), true);
  assert.equal(decodeUtf8(await readBytes(bench.far, 5)), "reply");
  bench.far.close();
  assert.equal(await bench.ended, "closed");
  assert.equal(bench.connection.isOpen, false);
  assert.equal(bench.connection.send(encodeUtf8("late")), false);
});

Deno.test("sip_connection: a CRLF answers our ping and is never answered itself; a peer's ping still is", async () => {
  const bench = new Bench();
  await bench.farPuts("\r\n");
  await bench.farPuts("\r\n");
  assert.deepEqual(bench.seen.splice(0), ["ping"], "a ping in two pieces");
  assert.equal(decodeUtf8(await readBytes(bench.far, 2)), "\r\n");
  for (let i = 0; i < 3; i++) {
    assert.equal(bench.connection.ping(), true);
    assert.equal(decodeUtf8(await readBytes(bench.far, 4)), "\r\n\r\n");
    await bench.farPuts("\r\n");
    assert.deepEqual(bench.seen.splice(0), ["pong"]);
  }
  bench.connection.ping();
  await bench.farPuts("\r\n\r\n");
  await bench.farPuts(bytesOf("one"));
  assert.deepEqual(bench.seen, ["ping", "one"]);
  assert.equal(
    decodeUtf8(await readBytes(bench.far, 6)),
    "\r\n\r\n\r\n",
    "our ping and our answer, nothing else",
  );
  bench.far.close();
  await bench.ended;
  assert.equal(bench.connection.ping(), false);
});

Deno.test("sip_connection: one byte at a time", async () => {
  const bench = new Bench({ maxRead: 1 });
  for (const byte of bytesOf("one")) await bench.farPuts(Uint8Array.of(byte));
  assert.deepEqual(bench.seen, ["one"]);
  bench.far.close();
  await bench.ended;
});

Deno.test("sip_connection: a bad message with a known length is reported and the next one read", async () => {
  const bench = new Bench();
  await bench.farPuts(decodeUtf8(bytesOf("one")).replace(/CSeq: \d+/, "CSeq: x"));
  await bench.farPuts(bytesOf("two"));
  assert.deepEqual(bench.seen, ["bad: Bad CSeq header", "two"]);
  bench.far.close();
  await bench.ended;
});

Deno.test("sip_connection: lost framing is reported and ends the connection, what was answered still leaves", async () => {
  const bench = new Bench();
  bench.connection.send(encodeUtf8("answer"));
  await bench.farPuts(decodeUtf8(bytesOf("one")).replace(/Content-Length: \d+/, "Content-Length: -1"));
  assert.match(await bench.ended, /Content-Length/);
  assert.deepEqual(bench.seen, ["bad: Bad Content-Length header"]);
  assert.equal(decodeUtf8(await readBytes(bench.far)), "answer");
});

Deno.test("sip_connection: a broken connection ends with its reason, never an exception", async () => {
  const [near, far] = pipePair();
  near.readsUntilFailure = 0;
  const outlets = { message: () => {}, malformed: () => {}, keepAlive: () => {}, pong: () => {} };
  const connection = new SipConnection(near, 1, outlets, () => 0);
  assert.notEqual(await connection.run(), "closed");
  assert.equal(connection.isOpen, false);
  far.close();
});

Deno.test("sip_connection: it knows when it was used and since when a message is incomplete", async () => {
  const bench = new Bench();
  bench.clock.advance(1000);
  const bytes = bytesOf("one");
  await bench.farPuts(bytes.subarray(0, 50));
  assert.equal(bench.connection.lastUsedMs, 1000);
  assert.equal(bench.connection.incompleteSinceMs, 1000);
  bench.clock.advance(1000);
  await bench.farPuts(bytes.subarray(50, 60));
  assert.equal(bench.connection.lastUsedMs, 2000);
  assert.equal(bench.connection.incompleteSinceMs, 1000);
  await bench.farPuts(bytes.subarray(60));
  assert.equal(bench.connection.incompleteSinceMs, null);
  bench.clock.advance(1000);
  bench.connection.send(bytes);
  assert.equal(bench.connection.lastUsedMs, 3000);
  bench.connection.close();
  assert.equal(await bench.ended, "closed");
});

Deno.test("sip_connection: a peer that does not read is closed by its queue, others are not kept waiting", async () => {
  const bench = new Bench({ softUnsent: 1000, hardUnsent: 10_000, window: 10 });
  const big = encodeSipMessage(createResponse(wireRequest({ body: "" }), 200));
  let sent = 0;
  while (bench.connection.send(big) && sent < 1000) {
    sent++;
    await settle();
  }
  assert.ok(sent > 10 && sent < 1000, `${sent} messages`);
  assert.notEqual(await bench.ended, "closed");
});
