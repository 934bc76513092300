import assert from "node:assert/strict";
import type { AmfValue } from "../../lib/amf/value.ts";
import { defaultRtmpOptions } from "../../lib/rtmp/options.ts";
import { CommandReply, type RtmpEvent, StreamCommands } from "../../lib/rtmp/stream_commands.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { sinkLink } from "../support/rtmp_sink.ts";

function setUp() {
  const { sink, link } = sinkLink(new FakeClock());
  const events: RtmpEvent[] = [];
  const commands = new StreamCommands({
    link,
    limits: { ...defaultRtmpOptions, maxStreams: 3 },
    emit: (event) => events.push(event),
    streamLength: (name) => name === "disk" ? Promise.resolve(60) : name === "film" ? 12.5 : 0,
  });
  let id = 1;
  const send = (streamId: number, name: string, ...args: AmfValue[]): string[] => {
    commands.handle({ name, transactionId: ++id, object: null, args }, streamId);
    return sink.lines();
  };
  return { sink, commands, events, send };
}

/** An event without the objects in it. */
function plain(event: RtmpEvent | undefined): unknown {
  if (event === undefined) return undefined;
  if (event.type === "command") return { ...event, reply: null };
  return { ...event, stream: event.stream.id };
}

Deno.test("streams are numbered from 1, up to the limit", () => {
  const { send } = setUp();
  assert.deepEqual(send(0, "createStream"), ["command 0 _result 2 null 1"]);
  assert.deepEqual(send(0, "createStream"), ["command 0 _result 3 null 2"]);
  send(0, "createStream");
  assert.match(send(0, "createStream")[0]!, /_error 5 .*no more than 3 streams/);
  send(0, "deleteStream", 2);
  assert.deepEqual(send(0, "createStream"), ["command 0 _result 7 null 4"]);
});

Deno.test("what FMLE, ffmpeg and OBS say around a publish is answered", () => {
  const { send, events } = setUp();
  send(0, "createStream");
  assert.deepEqual(send(0, "releaseStream", "local"), ["command 0 _result 3 null"]);
  assert.deepEqual(send(0, "FCPublish", "local"), [
    "command 0 _result 4 null",
    'command 0 onFCPublish 0 null {"level":"status","code":"NetStream.Publish.Start","description":"local"}',
  ]);
  assert.deepEqual(send(1, "publish", "local?key=1", "live"), []);
  assert.deepEqual(plain(events[0]), {
    type: "publish",
    stream: 1,
    name: "local",
    query: "key=1",
    mode: "live",
  });
  assert.match(
    send(0, "FCUnpublish", "local").join("\n"),
    /_result 6 null\n.*onFCUnpublish.*Unpublish\.Success/,
  );
  assert.deepEqual(plain(events[1]), { type: "ended", stream: 1, was: "publish" });
  assert.deepEqual(send(0, "deleteStream", 1), ["command 0 _result 7 null"]);
  assert.equal(events.length, 2);
});

Deno.test("publish modes: live, record, append; anything else is live", () => {
  const { send, events } = setUp();
  send(0, "createStream");
  for (const mode of ["live", "record", "append", "LIVE", undefined, 5]) send(1, "publish", "x", mode);
  const modes = events.map((event) => event.type === "publish" ? event.mode : event.type);
  assert.deepEqual(modes, [
    "live",
    "ended",
    "record",
    "ended",
    "append",
    "ended",
    "live",
    "ended",
    "live",
    "ended",
    "live",
  ]);
});

const PLAYS: [AmfValue[], { start: number; duration: number; reset: boolean }][] = [
  [[], { start: -2, duration: -1, reset: true }],
  [[-2000], { start: -2, duration: -1, reset: true }],
  [[-1000], { start: -1, duration: -1, reset: true }],
  [[-1], { start: -1, duration: -1, reset: true }],
  [[0, -1000, false], { start: 0, duration: -1, reset: false }],
  [[5000, 3000, 1], { start: 5000, duration: 3000, reset: true }],
  [[5000, 3000, 2], { start: 5000, duration: 3000, reset: false }],
];

for (const [args, expected] of PLAYS) {
  Deno.test(`play with ${JSON.stringify(args)}`, () => {
    const { send, events } = setUp();
    send(0, "createStream");
    send(1, "play", "remote?a=b", ...args);
    assert.deepEqual(plain(events[0]), {
      type: "play",
      stream: 1,
      name: "remote",
      query: "a=b",
      ...expected,
    });
  });
}

Deno.test("play2 is a play with options", () => {
  const { send, events } = setUp();
  send(0, "createStream");
  send(1, "play2", { streamName: "film", start: 1000, len: -1 });
  assert.deepEqual(plain(events[0]), {
    type: "play",
    stream: 1,
    name: "film",
    query: "",
    start: 1000,
    duration: -1,
    reset: true,
  });
});

Deno.test("a second play or publish on a stream ends the first", () => {
  const { send, events } = setUp();
  send(0, "createStream");
  send(1, "publish", "local");
  send(1, "play", "remote");
  assert.deepEqual(events.map((event) => event.type), ["publish", "ended", "play"]);
  assert.deepEqual(plain(events[1]), { type: "ended", stream: 1, was: "publish" });
});

Deno.test("closeStream tells a publisher; deleteStream really closes", () => {
  const { send, events, commands } = setUp();
  send(0, "createStream");
  send(1, "publish", "local");
  assert.match(send(1, "closeStream").join("\n"), /NetStream\.Unpublish\.Success.*\n.*_result 4 null/);
  send(1, "play", "remote");
  assert.deepEqual(send(1, "closeStream"), ["command 0 _result 6 null"]);
  send(1, "publish", "local");
  send(0, "deleteStream", 1);
  assert.deepEqual(events.map((event) => event.type), [
    "publish",
    "ended",
    "play",
    "ended",
    "publish",
    "ended",
  ]);
  assert.equal(commands.stream(1), undefined);
  assert.deepEqual(send(0, "deleteStream", 99), ["command 0 _result 9 null"]);
});

Deno.test("publish(false) and play(false) close the stream", () => {
  const { send, events } = setUp();
  send(0, "createStream");
  send(1, "publish", "local");
  assert.match(send(1, "publish", false).join(), /Unpublish\.Success/);
  send(1, "play", "remote");
  send(1, "play", false);
  assert.deepEqual(events.map((event) => event.type), ["publish", "ended", "play", "ended"]);
});

Deno.test("a stream without a name may have it in the path of connect: its owner decides", () => {
  const { send, events } = setUp();
  send(0, "createStream");
  send(1, "publish");
  send(1, "play", "?key=x");
  assert.deepEqual(
    events.map((event) => event.type === "publish" || event.type === "play" ? [event.name, event.query] : []),
    [["", ""], [], ["", "key=x"]],
  );
});

Deno.test("who publishes or plays on a stream never made hears it in a status event of that stream", () => {
  const { commands, sink } = setUp();
  const table: [name: string, streamId: number, code: string][] = [
    ["publish", 0, "NetStream.Publish.BadName"],
    ["publish", 5, "NetStream.Publish.BadName"],
    ["play", 1, "NetStream.Play.Failed"],
    ["play2", 9, "NetStream.Play.Failed"],
  ];
  for (const [name, streamId, code] of table) {
    commands.handle({ name, transactionId: 0, object: null, args: ["x"] }, streamId);
    const [line, ...more] = sink.lines();
    assert.match(
      line!,
      new RegExp(`^command ${streamId} onStatus 0 null .*"level":"error","code":"${code}"`),
    );
    assert.deepEqual(more, []);
  }
});

Deno.test("commands of streams that do not exist are refused", () => {
  const { send, events } = setUp();
  for (const name of ["publish", "play", "closeStream", "pause", "seek", "receiveAudio"]) {
    assert.match(send(5, name, "x").join(), new RegExp(`_error .*${name}: there is no stream 5`));
  }
  assert.deepEqual(events, []);
});

Deno.test("pause, seek and receive are answered or passed on", () => {
  const { send, events } = setUp();
  send(0, "createStream");
  assert.deepEqual(send(1, "pause", true, 100), []); // nothing is being played
  send(1, "play", "remote");
  assert.match(send(1, "pause", true, 100).join(), /Pause\.Notify/);
  assert.match(send(1, "pauseRaw", false, 200).join(), /Unpause\.Notify/);
  send(1, "seek", 3000);
  send(1, "seek", -5);
  send(1, "receiveAudio", false);
  send(1, "receiveVideo", true);
  assert.deepEqual(events.slice(1).map(plain), [
    { type: "pause", stream: 1, paused: true, timeMs: 100 },
    { type: "pause", stream: 1, paused: false, timeMs: 200 },
    { type: "seek", stream: 1, timeMs: 3000 },
    { type: "seek", stream: 1, timeMs: 0 },
    { type: "receive", stream: 1, kind: "audio", on: false },
    { type: "receive", stream: 1, kind: "video", on: true },
  ]);
});

Deno.test("the small questions of players are answered", () => {
  const { send } = setUp();
  assert.deepEqual(send(0, "getStreamLength", "film?x"), ["command 0 _result 2 null 12.5"]);
  assert.deepEqual(send(0, "getStreamLength", "live"), ["command 0 _result 3 null 0"]);
  assert.deepEqual(send(0, "_checkbw"), ["command 0 _result 4 null"]);
  assert.match(send(0, "FCSubscribe", "live").join(), /onFCSubscribe .*NetStream\.Play\.Start/);
  assert.match(send(0, "FCUnsubscribe", "live").join(), /onFCUnsubscribe .*NetStream\.Play\.Stop/);
});

Deno.test("a length that has to be looked up is answered when it is known", async () => {
  const { send, sink } = setUp();
  assert.deepEqual(send(0, "getStreamLength", "disk?x"), []);
  await Promise.resolve();
  assert.deepEqual(sink.lines(), ["command 0 _result 2 null 60"]);
});

Deno.test("everything else is the owner's, with a reply", () => {
  const { send, events } = setUp();
  assert.deepEqual(send(0, "invite", "sip:bob@host", "pcmu"), []);
  assert.deepEqual(plain(events[0]), {
    type: "command",
    name: "invite",
    args: ["sip:bob@host", "pcmu"],
    streamId: 0,
    reply: null,
  });
  const event = events[0]!;
  if (event.type === "command") event.reply.result(null);
  assert.deepEqual(send(0, "releaseStream"), ["command 0 _result 2 null null", "command 0 _result 3 null"]);
});

Deno.test("drops are counted over all streams, also those that are gone", () => {
  const { sink, send, events, commands } = setUp();
  for (const id of [1, 2]) {
    send(0, "createStream");
    send(id, "play", "remote");
  }
  sink.unsent = defaultRtmpOptions.hardUnsent;
  for (const event of events) {
    assert.ok(event.type === "play");
    event.stream.started();
    assert.equal(event.stream.send(9, 0, Uint8Array.of(0x27, 1)), false);
    assert.equal(event.stream.send(8, 0, Uint8Array.of(0xb2)), false);
  }
  send(0, "deleteStream", 1);
  assert.deepEqual([commands.droppedVideo, commands.droppedAudio], [2, 2]);
});

Deno.test("a command is answered once, with its own number", () => {
  const { sink, link } = sinkLink(new FakeClock());
  const reply = new CommandReply(link, 7);
  reply.result("a", 1);
  reply.result();
  reply.error("A.B", "late");
  assert.deepEqual(sink.lines(), ['command 0 _result 7 null "a" 1']);
});

Deno.test("an empty result has nothing behind the null", () => {
  const { sink, link } = sinkLink(new FakeClock());
  new CommandReply(link, 3).result();
  assert.deepEqual(sink.lines(), ["command 0 _result 3 null"]);
});

Deno.test("an error carries level, code and description", () => {
  const { sink, link } = sinkLink(new FakeClock());
  new CommandReply(link, 3).error("NetConnection.Call.Failed", "no such number");
  assert.deepEqual(sink.lines(), [
    'command 0 _error 3 null {"level":"error","code":"NetConnection.Call.Failed","description":"no such number"}',
  ]);
});

Deno.test("a command with number 0 is not answered", () => {
  const { sink, link } = sinkLink(new FakeClock());
  new CommandReply(link, 0).result();
  new CommandReply(link, 0).error("A.B", "text");
  assert.deepEqual(sink.lines(), []);
});
