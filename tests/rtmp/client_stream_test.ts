import assert from "node:assert/strict";
import { fromHex } from "../../lib/base/bytes.ts";
import { ClientStream, RtmpRefused } from "../../lib/rtmp/client_stream.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { sinkLink } from "../support/rtmp_sink.ts";

function setUp() {
  const { sink, link } = sinkLink(new FakeClock());
  let closed = 0;
  return { sink, stream: new ClientStream(1, link, () => closed++), closedTimes: () => closed };
}

Deno.test("client stream: publish and play resolve at their start", async () => {
  const { sink, stream } = setUp();
  const codes: unknown[] = [];
  stream.onStatus = (info) => codes.push(info["code"]);
  const publishing = stream.publish("local", "record");
  stream.receiveStatus({ level: "status", code: "NetStream.Publish.Start" });
  await publishing;
  const playing = stream.play("remote");
  stream.receiveStatus({ level: "status", code: "NetStream.Play.Reset" });
  stream.receiveStatus({ level: "status", code: "NetStream.Play.Start" });
  await playing;
  void stream.play("film", 5000).catch(() => {});
  assert.deepEqual(sink.lines(), [
    'command 1 publish 0 null "local" "record"',
    'command 1 play 0 null "remote" -2000',
    'command 1 play 0 null "film" 5000',
  ]);
  assert.deepEqual(codes, ["NetStream.Publish.Start", "NetStream.Play.Reset", "NetStream.Play.Start"]);
});

Deno.test("client stream: a status of level error refuses", async () => {
  const { stream } = setUp();
  const publishing = stream.publish("local");
  stream.receiveStatus({ level: "error", code: "NetStream.Publish.BadName", description: "in use" });
  await assert.rejects(publishing, (error) => error instanceof RtmpRefused && error.description === "in use");
});

Deno.test("client stream: what waits ends with the stream, the connection or the next request", async () => {
  const { stream, sink, closedTimes } = setUp();
  const first = stream.publish("a");
  const second = stream.publish("b");
  await assert.rejects(first, /replaced/);
  stream.close();
  stream.close();
  await assert.rejects(second, /closed/);
  await assert.rejects(stream.play("c"), /closed/);
  stream.send(8, 0, fromHex("aa"));
  stream.command("pause", true, 0);
  assert.equal(closedTimes(), 1);
  assert.equal(sink.lines().at(-1), "command 0 deleteStream 0 null 1");
});

Deno.test("client stream: media both ways, times unwrapped", () => {
  const { stream, sink } = setUp();
  const times: number[] = [];
  stream.onMedia = ({ timeMs }) => times.push(timeMs);
  const body = fromHex("aa");
  for (const timestamp of [0xfffffff0, 10]) stream.receive(8, { type: 8, streamId: 1, timestamp, body });
  assert.deepEqual(times, [0xfffffff0, 2 ** 32 + 10]);
  stream.send(9, 40, fromHex("1701"));
  stream.command("seek", 100);
  assert.deepEqual(sink.lines(), ["video 1 40 1701", "command 1 seek 0 null 100"]);
});

Deno.test("a refusal speaks in the server's words", () => {
  const refused = RtmpRefused.from({ level: "error", code: "A.B", description: "401 Unauthorized" });
  assert.deepEqual([refused.code, refused.description, refused.message], [
    "A.B",
    "401 Unauthorized",
    "401 Unauthorized",
  ]);
});

Deno.test("a refusal without words still says something", () => {
  assert.equal(RtmpRefused.from({ code: "A.B" }).message, "A.B");
  assert.equal(RtmpRefused.from("no").message, "no");
  assert.equal(RtmpRefused.from(undefined).message, "refused without a reason");
});
