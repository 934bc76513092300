import assert from "node:assert/strict";
import { fromHex } from "../../lib/base/bytes.ts";
import { NetStream } from "../../lib/rtmp/net_stream.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { sinkLink } from "../support/rtmp_sink.ts";

const LIMITS = { softUnsent: 1000, hardUnsent: 3000, maxLagMs: 2000 };
const KEY = fromHex("1701aa");
const INTER = fromHex("2701aa");
const SPEEX = fromHex("b2aa");

function setUp() {
  const clock = new FakeClock();
  const { sink, link } = sinkLink(clock);
  return { clock, sink, stream: new NetStream(1, link, LIMITS) };
}

function playing() {
  const all = setUp();
  all.stream.beginPlay("remote", { recorded: false, reset: false });
  all.stream.started();
  all.sink.messages();
  return all;
}

Deno.test("stream: a live play is answered as players expect", () => {
  const { sink, stream } = setUp();
  stream.beginPlay("remote", { recorded: false, reset: true });
  assert.equal(stream.state, "playing");
  stream.started();
  stream.started();
  const status = (code: string, text: string): string =>
    `command 1 onStatus 0 null {"level":"status","code":"${code}","description":"${text}","details":"remote"}`;
  assert.deepEqual(sink.lines(), [
    "user 0 1",
    status("NetStream.Play.Reset", "Playing and resetting remote."),
    status("NetStream.Play.Start", "Started playing remote."),
    'data 1 "|RtmpSampleAccess" true true',
    'data 1 "onStatus" {"level":"status","code":"NetStream.Data.Start","description":"Started playing."}',
  ]);
});

Deno.test("stream: a recorded play without reset", () => {
  const { sink, stream } = setUp();
  stream.beginPlay("film", { recorded: true, reset: false });
  stream.started();
  const lines = sink.lines();
  assert.deepEqual(lines.slice(0, 2), ["user 0 1", "user 4 1"]);
  assert.match(lines[2]!, /NetStream\.Play\.Start/);
});

Deno.test("stream: a publish is answered, or refused", () => {
  const { sink, stream } = setUp();
  stream.beginPublish("local");
  stream.started();
  const lines = sink.lines();
  assert.equal(lines[0], "user 0 1");
  assert.match(lines[1]!, /"status","code":"NetStream\.Publish\.Start".*"details":"local"/);
  stream.failed("NetStream.Publish.BadName", "Stream name already in use");
  assert.match(
    sink.lines()[0]!,
    /"error","code":"NetStream\.Publish\.BadName","description":"Stream name already in use"/,
  );
  assert.equal(stream.state, "idle");
});

Deno.test("stream: nothing is sent before started() or when not playing", () => {
  const { sink, stream } = setUp();
  assert.equal(stream.send(8, 0, SPEEX), false);
  stream.beginPlay("remote", { recorded: false, reset: false });
  assert.equal(stream.send(8, 0, SPEEX), false);
  stream.started();
  sink.messages();
  assert.equal(stream.send(8, 20, SPEEX), true);
  assert.equal(stream.send(18, 20, fromHex("020000")), true);
  stream.end();
  assert.equal(stream.send(8, 40, SPEEX), false);
  assert.deepEqual(sink.lines(), ["audio 1 20 b2aa", 'data 1 ""']);
});

Deno.test("stream: times beyond 32 bits wrap on the wire", () => {
  const { sink, stream } = playing();
  stream.send(8, 2 ** 32 + 5, SPEEX);
  assert.deepEqual(sink.lines(), ["audio 1 5 b2aa"]);
});

Deno.test("stream: stop tells the player and ends; unpublish notify keeps it", () => {
  const { sink, stream } = playing();
  stream.stop("NetStream.Play.UnpublishNotify", "the call has ended");
  assert.match(sink.lines().join("\n"), /user 1 1\n.*UnpublishNotify","description":"the call has ended"/);
  assert.equal(stream.send(8, 0, SPEEX), true);
  sink.messages();
  stream.stop();
  assert.match(sink.lines()[1]!, /NetStream\.Play\.Stop/);
  assert.equal(stream.state, "idle");
  stream.stop();
  assert.deepEqual(sink.lines(), []);
});

Deno.test("stream: stop tells a publisher", () => {
  const { sink, stream } = setUp();
  stream.beginPublish("local");
  stream.stop();
  assert.match(sink.lines().join(), /NetStream\.Unpublish\.Success/);
});

Deno.test("stream: a full queue drops video to the next key frame, then audio", () => {
  const { sink, stream } = playing();
  assert.equal(stream.send(9, 0, KEY), true);
  sink.unsent = 1000;
  assert.equal(stream.send(9, 40, INTER), false);
  assert.equal(stream.send(8, 40, SPEEX), true);
  sink.unsent = 2000;
  assert.equal(stream.send(8, 60, SPEEX), false);
  sink.unsent = 0;
  assert.equal(stream.send(9, 80, INTER), false);
  assert.equal(stream.send(9, 120, KEY), true);
  assert.deepEqual([stream.droppedVideo, stream.droppedAudio], [2, 1]);
  assert.equal(sink.messages().length, 3);
});

Deno.test("stream: an old queue drops too, however small it is", () => {
  const { clock, sink, stream } = playing();
  stream.send(8, 0, SPEEX);
  sink.unsent = 10;
  clock.advance(1900);
  assert.equal(stream.send(8, 20, SPEEX), true);
  clock.advance(200);
  assert.equal(stream.send(8, 40, SPEEX), false);
});

Deno.test("stream: a paused player gets nothing, then video from a key frame on", () => {
  const { sink, stream } = playing();
  stream.send(9, 0, KEY);
  stream.setPaused(true);
  assert.match(sink.lines().join("\n"), /user 1 1\n.*NetStream\.Pause\.Notify/);
  assert.equal(stream.send(9, 40, INTER), true);
  assert.equal(stream.send(8, 40, SPEEX), true);
  stream.setPaused(false);
  assert.match(sink.lines().join("\n"), /^user 0 1\n.*NetStream\.Unpause\.Notify[^\n]*$/);
  assert.equal(stream.send(9, 80, INTER), false);
  assert.equal(stream.send(9, 120, KEY), true);
  assert.deepEqual(sink.lines(), ["video 1 120 1701aa"]);
});

Deno.test("stream: audio and video can be switched off and on", () => {
  const { sink, stream } = playing();
  stream.setReceives("audio", false);
  stream.setReceives("video", false);
  assert.equal(stream.send(8, 0, SPEEX), true);
  assert.equal(stream.send(9, 0, KEY), true);
  assert.deepEqual(sink.lines(), []);
  stream.setReceives("audio", true);
  assert.match(sink.lines().join("\n"), /NetStream\.Seek\.Notify.*\n.*NetStream\.Play\.Start/);
  assert.equal(stream.send(8, 20, SPEEX), true);
  assert.deepEqual(sink.lines(), ["audio 1 20 b2aa"]);
});

Deno.test("stream: a publisher's times go on beyond 32 bits, and back a little", () => {
  const { stream } = setUp();
  stream.beginPublish("local");
  const times = [0xfffffff0, 5, 0xfffffff8, 100, 0x7fffffff].map((time) => stream.unwrapTime(time));
  assert.deepEqual(times, [2 ** 32 - 16, 2 ** 32 + 5, 2 ** 32 - 8, 2 ** 32 + 100, 2 ** 32 + 0x7fffffff]);
  stream.beginPublish("again");
  assert.equal(stream.unwrapTime(7), 7);
});

Deno.test("stream: congestion and lag are those of the connection", () => {
  const { clock, sink, stream } = playing();
  assert.deepEqual([stream.congestion, stream.lagMs], [0, 0]);
  stream.send(8, 0, SPEEX);
  sink.unsent = 1000;
  clock.advance(700);
  assert.deepEqual([stream.congestion, stream.lagMs], [1, 700]);
  sink.unsent = 10;
  clock.advance(4000);
  assert.equal(stream.congestion, 2);
});

Deno.test("stream: a player that waits is told of the publisher", () => {
  const { sink, stream } = setUp();
  stream.published();
  stream.beginPlay("remote", { recorded: false, reset: false });
  stream.published();
  assert.deepEqual(sink.lines(), []);
  stream.started();
  sink.messages();
  stream.published();
  const [begin, status, ...rest] = sink.lines();
  assert.equal(begin, "user 0 1");
  assert.match(status!, /"status","code":"NetStream\.Play\.PublishNotify".*"details":"remote"/);
  assert.deepEqual(rest, []);
});

Deno.test("stream: what turns out to be recorded is told, and goes on after a pause with the next frame", () => {
  for (const recorded of [true, false]) {
    const { sink, stream } = setUp();
    stream.beginPlay("film", { recorded: false, reset: false });
    stream.started(recorded);
    assert.equal(sink.lines().includes("user 4 1"), recorded);
    stream.send(9, 0, KEY);
    stream.setPaused(true);
    stream.setPaused(false);
    sink.messages();
    assert.equal(stream.send(9, 40, INTER), recorded);
    assert.equal(sink.messages().length, recorded ? 1 : 0);
  }
});
