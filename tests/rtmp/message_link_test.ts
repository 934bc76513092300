import assert from "node:assert/strict";
import { encodeAmf0 } from "../../lib/amf/amf0.ts";
import { concatBytes, fromHex, toHex } from "../../lib/base/bytes.ts";
import { WireError } from "../../lib/base/errors.ts";
import type { Logger } from "../../lib/base/log.ts";
import { encodeControlValue, encodePeerBandwidth, encodeUserControl } from "../../lib/rtmp/message.ts";
import { MessageLink } from "../../lib/rtmp/message_link.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { RecordLog } from "../support/record_log.ts";
import { keep, type KeptMessage, writeChunks } from "../support/rtmp_bytes.ts";
import { Sink } from "../support/rtmp_sink.ts";

function setUp(log: Logger = new RecordLog("info")) {
  const sink = new Sink();
  const clock = new FakeClock(5000);
  const received: KeptMessage[] = [];
  const controls: string[] = [];
  const link = new MessageLink({
    stream: sink,
    clock,
    log,
    sink: { receive: (message) => void received.push(keep(message)) },
    onUserControl: ({ event, value, second }) => controls.push(`${event} ${value} ${second}`),
  });
  const push = (type: number, body: Uint8Array, timestamp = 0): void => {
    link.push(writeChunks([{ id: 2, type, streamId: 1, timestamp, body }]));
  };
  return { sink, clock, link, received, controls, push };
}

Deno.test("link: control messages are answered here and not handed on", () => {
  const { sink, link, received, controls, push } = setUp();
  push(4, encodeUserControl(6, 1234));
  push(6, encodePeerBandwidth({ windowSize: 5000, limit: 2 }));
  push(6, encodePeerBandwidth({ windowSize: 5000, limit: 2 }));
  push(3, encodeControlValue(77));
  push(4, encodeUserControl(3, 1, 800));
  assert.deepEqual(sink.lines(), ["user 7 1234", "window 5000"]);
  assert.deepEqual(received, []);
  assert.deepEqual(controls, ["3 1 800"]);
  assert.equal(link.bytesIn > 0, true);
});

Deno.test("link: the peer's chunk size counts at once, ours is announced once", () => {
  const { sink, link, received, push } = setUp();
  push(1, encodeControlValue(300));
  link.push(writeChunks([{ id: 4, type: 8, streamId: 1, timestamp: 0, body: new Uint8Array(300) }], 300));
  assert.equal(received[0]?.body.length, 600);
  link.setChunkSize(4096);
  link.setChunkSize(4096);
  link.sendMedia(9, 1, 0, new Uint8Array(4096));
  assert.deepEqual(sink.messages().map(({ type, body }) => [type, body.length / 2]), [[1, 4], [9, 4096]]);
});

Deno.test("link: abort drops a message that is not complete", () => {
  const { link, received, push } = setUp();
  const chunks = writeChunks([{ id: 6, type: 8, streamId: 1, timestamp: 0, body: new Uint8Array(200) }]);
  link.push(chunks.subarray(0, 12 + 128));
  push(2, encodeControlValue(6));
  link.push(fromHex("46 000001 000001 08 aa"));
  assert.deepEqual(received, [{ type: 8, streamId: 1, timestamp: 1, body: "aa" }]);
});

Deno.test("link: received bytes are acknowledged at the window the peer asks for", () => {
  const { sink, link, push } = setUp();
  push(5, encodeControlValue(1000));
  assert.deepEqual(sink.lines(), []);
  const chunks = writeChunks([{ id: 4, type: 8, streamId: 1, timestamp: 0, body: new Uint8Array(990) }]);
  link.push(chunks);
  assert.deepEqual(sink.lines(), [`acknowledge ${16 + chunks.length}`]);
  link.push(fromHex("c4 00"));
  assert.deepEqual(sink.lines(), []);
});

Deno.test("link: without a word from the peer every million bytes are acknowledged", () => {
  const { sink, link } = setUp();
  link.raiseLimits();
  link.push(writeChunks([{ id: 4, type: 9, streamId: 1, timestamp: 0, body: new Uint8Array(999_000) }]));
  assert.equal(sink.lines().length, 1);
});

Deno.test("link: aggregates come in parts, AMF3 data as AMF0 data", () => {
  const { received, push } = setUp();
  push(22, fromHex("08 000001 000064 00 000001 aa 0000000c 09 000001 000078 00 000001 bb 0000000c"), 500);
  const data = encodeAmf0(["onMetaData"]);
  push(15, concatBytes([Uint8Array.of(0), data]));
  assert.deepEqual(received, [
    { type: 8, streamId: 1, timestamp: 500, body: "aa" },
    { type: 9, streamId: 1, timestamp: 520, body: "bb" },
    { type: 18, streamId: 1, timestamp: 0, body: toHex(data) },
  ]);
});

Deno.test("link: pings measure the round trip, and their age is lag once one was answered", () => {
  const { sink, clock, link, push } = setUp();
  link.ping();
  assert.deepEqual(sink.lines(), ["user 6 5000"]);
  clock.advance(3000);
  assert.equal(link.lagMs, 0); // nobody knows yet whether this peer answers pings
  push(4, encodeUserControl(7, 5000));
  assert.equal(link.roundTripMs, 3000);
  link.ping();
  clock.advance(1500);
  link.ping();
  clock.advance(500);
  assert.equal(link.lagMs, 2000);
  push(4, encodeUserControl(7, 8000));
  assert.deepEqual([link.roundTripMs, link.lagMs], [2000, 0]);
  push(4, encodeUserControl(7, 1));
  assert.equal(link.roundTripMs, 2000); // unasked
});

Deno.test("link: a ping answered with another value is still answered", () => {
  const { link, push } = setUp();
  link.ping();
  push(4, encodeUserControl(7, 0x7fffffff));
  assert.equal(link.roundTripMs, 0);
});

Deno.test("link: lag is the age of the oldest unsent byte", () => {
  const { sink, clock, link } = setUp();
  link.sendMedia(8, 1, 0, new Uint8Array(100));
  sink.unsent = link.bytesOut;
  clock.advance(700);
  assert.equal(link.lagMs, 700);
  sink.unsent = 0;
  assert.equal(link.lagMs, 0);
});

Deno.test("link: kinds and streams travel on chunk streams of their own", () => {
  const { sink, link } = setUp();
  for (const stream of [1, 2, 16, 17]) {
    for (const type of [8, 9] as const) link.sendMedia(type, stream, stream, Uint8Array.of(type));
    link.sendData(stream, ["onMetaData"]);
    link.sendCommand(stream, { name: "onStatus", transactionId: 0, object: null, args: [] });
  }
  link.sendCommand(0, { name: "bye", transactionId: 2, object: null, args: [] });
  const lines = sink.lines();
  assert.equal(lines.length, 17);
  assert.deepEqual(lines.slice(0, 2), ["audio 1 1 08", "video 1 1 09"]);
  assert.equal(lines[16], "command 0 bye 2 null");
});

Deno.test("link: commands in AMF3 connections have type 17", () => {
  const { sink, link } = setUp();
  link.amf3 = true;
  link.sendCommand(0, { name: "bye", transactionId: 2, object: null, args: [] });
  assert.deepEqual(sink.lines(), ["command3 0 bye 2 null"]);
});

Deno.test("link: before connect only short messages are taken", () => {
  const long = writeChunks([{ id: 4, type: 20, streamId: 0, timestamp: 0, body: new Uint8Array(70_000) }]);
  const { link } = setUp();
  assert.throws(() => link.push(long), WireError);
  const { link: raised } = setUp();
  raised.raiseLimits();
  assert.equal(raised.push(long), long.length);
});

Deno.test("link: a chunk size that cannot be is a wire error: nothing behind it can be framed", () => {
  for (const body of ["", "0000", "00000000", "80000000"]) {
    const { push } = setUp();
    assert.throws(() => push(1, fromHex(body)), WireError);
  }
});

Deno.test("link: other control messages that make no sense are told once and ignored", () => {
  const log = new RecordLog("info");
  const { sink, push } = setUp(log);
  const odd = [
    "2 00",
    "4 ",
    "4 00",
    "5 0000",
    "6 00",
    "6 000000",
    "22 08000005",
    "22 0800000500006400000001af01",
  ];
  for (const row of odd) {
    const [type, body = ""] = row.split(" ");
    push(Number(type), fromHex(body));
  }
  push(4, fromHex("0006 0000 0007"));
  assert.deepEqual(sink.lines(), ["user 7 7"]);
  assert.equal(log.at("info").length, 1, log.lines.join("\n"));
  assert.match(log.at("info")[0]!, /ignored, as will be others: /);
});

Deno.test("link: control messages that are longer than they need be, or have odd bits, are read", () => {
  const { sink, push } = setUp();
  push(1, fromHex("80000100 ffff")); // the first bit says nothing, what is behind is ignored
  push(5, fromHex("00100000 00"));
  push(6, fromHex("00000100")); // without its limit
  push(4, fromHex("0006 00000007 00000000"));
  push(4, fromHex("001f 00")); // no event that we know
  assert.deepEqual(sink.lines(), ["window 256", "user 7 7"]);
});

Deno.test("link: messages are logged at level trace only", () => {
  const log = new RecordLog("trace");
  const { link, push } = setUp(log);
  push(8, fromHex("aa"));
  link.sendMedia(8, 1, 20, fromHex("bb"));
  assert.deepEqual(log.lines, [
    "trace rtmp.wire <- type 8 stream 1 time 0 1 bytes",
    "trace rtmp.wire -> type 8 stream 1 time 20 1 bytes",
  ]);
});
