import assert from "node:assert/strict";
import { decodeAmf0, encodeAmf0 } from "../../lib/amf/amf0.ts";
import type { AmfObject, AmfValue } from "../../lib/amf/value.ts";
import { concatBytes, fromHex, toHex } from "../../lib/base/bytes.ts";
import { WireError } from "../../lib/base/errors.ts";
import { maskSecrets } from "../../lib/base/mask_secrets.ts";
import { ChunkWriter } from "../../lib/rtmp/chunk_stream.ts";
import { encodeCommand } from "../../lib/rtmp/command.ts";
import { encodeUserControl } from "../../lib/rtmp/message.ts";
import { defaultRtmpOptions } from "../../lib/rtmp/options.ts";
import {
  ENHANCED_RTMP,
  ServerSession,
  understandsReconnect,
  withoutSetDataFrame,
} from "../../lib/rtmp/server_session.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { mutate } from "../support/mutate.ts";
import { RecordLog } from "../support/record_log.ts";
import { Sink } from "../support/rtmp_sink.ts";

const CONNECT: AmfObject = { app: "sip/alice@example.net", tcUrl: "rtmp://gw/sip/alice@example.net" };

function setUp() {
  const sink = new Sink();
  const log = new RecordLog("debug", "rtmp");
  const session = new ServerSession({
    stream: sink,
    clock: new FakeClock(),
    log,
    limits: defaultRtmpOptions,
  });
  const writer = new ChunkWriter();
  const command = (
    streamId: number,
    name: string,
    id: number,
    object: AmfValue,
    ...args: AmfValue[]
  ): Uint8Array =>
    writer.encode(3, 20, streamId, 0, encodeCommand({ name, transactionId: id, object, args }, false))
      .slice();
  const media = (type: number, timestamp: number, body: Uint8Array): Uint8Array =>
    writer.encode(type, type, 1, timestamp, body).slice();
  const wire = (type: number, streamId: number, body: Uint8Array): Uint8Array =>
    writer.encode(5, type, streamId, 0, body).slice();
  return { sink, log, session, command, media, wire };
}

/** A session that is connected, with stream 1 made. */
function connected() {
  const all = setUp();
  all.session.link.push(all.command(0, "connect", 1, CONNECT));
  all.session.connectRequest();
  all.session.admit({});
  all.session.link.push(all.command(0, "createStream", 2, null));
  all.sink.messages();
  return all;
}

Deno.test("session: the connect reply is the one siprtmp gave, and says what there is of Enhanced RTMP", () => {
  const { sink, session, command } = setUp();
  session.link.push(command(0, "connect", 1, CONNECT, "alice", "secret"));
  assert.equal(session.hasConnect, true);
  assert.equal(session.connectRequest()?.app, "sip/alice@example.net");
  session.admit({});
  assert.deepEqual(sink.lines(), [
    "window 2500000",
    "bandwidth 2500000",
    "chunk size 4096",
    "user 0 0",
    'command 0 _result 1 null {"level":"status","code":"NetConnection.Connect.Success",' +
    '"description":"Connection succeeded.","fmsVer":"rtmplite/8,2","objectEncoding":0,"details":null,' +
    '"fourCcList":["avc1","hvc1","vvc1","av01","vp09","vp08","Opus","mp4a",".mp3","fLaC","ac-3","ec-3"],' +
    '"videoFourCcInfoMap":{"avc1":4,"hvc1":4,"vvc1":4,"av01":4,"vp09":4,"vp08":4},' +
    '"audioFourCcInfoMap":{"Opus":4,"mp4a":4,".mp3":4,"fLaC":4,"ac-3":4,"ec-3":4},"capsEx":7}',
  ]);
});

Deno.test("session: an AMF3 client is answered in AMF3 messages", () => {
  const { sink, session, command } = setUp();
  session.link.push(command(0, "connect", 1, { ...CONNECT, objectEncoding: 3 }));
  assert.equal(session.connectRequest()?.objectEncoding, 3);
  session.admit({ extra: 1 });
  session.call("ringing", ["180 Ringing"]);
  const lines = sink.lines();
  assert.match(
    lines[4]!,
    /^command3 0 _result 1 null .*"objectEncoding":3,"details":null,.*"capsEx":7,"extra":1}$/,
  );
  assert.equal(lines[5], 'command3 0 ringing 2 null "180 Ringing"');
});

Deno.test("session: other encodings are not understood", () => {
  const { session, command } = setUp();
  session.link.push(command(0, "connect", 1, { ...CONNECT, objectEncoding: 1 }));
  assert.equal(session.connectRequest(), null);
});

Deno.test("session: a refusal is one _error", () => {
  const { sink, session, command } = setUp();
  session.link.push(command(0, "connect", 1, CONNECT));
  session.refuse("401 Unauthorized");
  assert.equal(
    sink.lines().at(-1),
    'command 0 _error 1 null {"level":"error","code":"NetConnection.Connect.Rejected","description":"401 Unauthorized"}',
  );
});

Deno.test("session: callbacks are numbered 2, 3, ... and carry a null object", () => {
  const { sink, session } = connected();
  session.call("invited", ['"Bob" <sip:bob@h>', "sip:alice@example.net"]);
  session.call("byed", []);
  session.status("NetConnection.Connect.Closed", "replaced");
  session.status("NetConnection.Connect.AppShutdown", "stopping");
  assert.deepEqual(sink.lines(), [
    'command 0 invited 2 null "\\"Bob\\" <sip:bob@h>" "sip:alice@example.net"',
    "command 0 byed 3 null",
    'command 0 onStatus 0 null {"level":"status","code":"NetConnection.Connect.Closed","description":"replaced"}',
    'command 0 onStatus 0 null {"level":"error","code":"NetConnection.Connect.AppShutdown","description":"stopping"}',
  ]);
});

Deno.test("session: nothing but connect may come first", () => {
  const { session, command } = setUp();
  assert.throws(() => session.link.push(command(0, "createStream", 1, null)), WireError);
  const { session: other, command: say } = setUp();
  other.link.push(say(0, "connect", 1, null));
  assert.throws(() => other.connectRequest(), WireError);
});

Deno.test("session: connect twice is an error to the client only", () => {
  const { sink, session, command } = connected();
  session.link.push(command(0, "connect", 9, CONNECT));
  assert.match(sink.lines()[0]!, /_error 9 .*already connected/);
  assert.equal(session.next(), undefined);
});

Deno.test("session: answers to our calls are no commands", () => {
  const { session, command } = connected();
  for (const name of ["_result", "_error", "onStatus"]) session.link.push(command(0, name, 2, null, "x"));
  assert.equal(session.next(), undefined);
});

Deno.test("session: the order of the wire holds between events and media", () => {
  const { session, command, media } = connected();
  const seen: string[] = [];
  session.onMedia = (stream, { type, timeMs, body }) =>
    seen.push(`${stream.name} ${type} ${timeMs} ${toHex(body)}`);
  let bytes = concatBytes([
    media(8, 0, Uint8Array.of(1)), // before publish: nobody's
    command(1, "publish", 0, null, "local"),
    media(8, 20, Uint8Array.of(2)),
    command(0, "invite", 3, null, "bob"),
    media(9, 40, Uint8Array.of(3)),
    command(1, "closeStream", 0, null),
    media(8, 60, Uint8Array.of(4)),
  ]);
  while (bytes.length > 0) {
    bytes = bytes.subarray(session.link.push(bytes));
    for (let event = session.next(); event !== undefined; event = session.next()) seen.push(event.type);
  }
  assert.deepEqual(seen, ["publish", "local 8 20 02", "command", "local 9 40 03", "ended"]);
});

Deno.test("session: metadata comes without @setDataFrame", () => {
  const { session, command, media } = connected();
  session.link.push(command(1, "publish", 0, null, "local"));
  const bodies: string[] = [];
  session.onMedia = (_stream, message) => bodies.push(toHex(message.body));
  session.link.push(media(18, 0, encodeAmf0(["@setDataFrame", "onMetaData", { width: 320 }])));
  assert.deepEqual(bodies, [toHex(encodeAmf0(["onMetaData", { width: 320 }]))]);
});

Deno.test("session: the player's buffer length is kept with its stream", () => {
  const { session } = connected();
  const writer = new ChunkWriter();
  session.link.push(writer.encode(2, 4, 0, 0, encodeUserControl(3, 1, 3000)));
  session.link.push(writer.encode(2, 4, 0, 0, encodeUserControl(3, 99, 3000)));
  assert.equal(session.commands.stream(1)?.bufferLengthMs, 3000);
});

Deno.test("session: shared objects and unknown messages are passed over", () => {
  const { session } = connected();
  const writer = new ChunkWriter();
  for (const type of [0, 7, 16, 19, 200]) {
    session.link.push(writer.encode(4, type, 0, 0, Uint8Array.of(1, 2)));
  }
  assert.equal(session.next(), undefined);
});

Deno.test("session: the log shows commands, never what connect was given", () => {
  const { log, session, command } = setUp();
  session.link.push(command(0, "connect", 1, CONNECT, "alice", "secret"));
  session.connectRequest();
  session.admit({});
  session.link.push(command(0, "invite", 2, null, "sip:bob@host", "pcmu"));
  session.link.push(command(0, "createStream", 3, null));
  session.link.push(command(1, "publish", 4, null, "local?key=secret", "live"));
  const text = log.lines.join("\n");
  assert.match(text, /<- connect to "sip\/alice@example\.net" by "", 2 arguments/);
  assert.match(text, /<- invite \["sip:bob@host", "pcmu"\]/);
  assert.match(text, /<- publish \["local\?\.\.\.", "live"\]/);
  assert.match(text, /-> _result .*Connect\.Success/);
  assert.doesNotMatch(text, /secret/);
});

const SECRET_ARGUMENTS: [name: string, args: AmfValue[]][] = [
  ["someCommand", ["x?key=hunter2"]],
  ["someCommand", ["x?hunter2"]],
  ["someCommand", [{ key: "hunter2", token: "hunter2", streamKey: "hunter2" }]],
  ["someCommand", [["rtmp://bob:hunter2@host/live"], { deep: { password: "hunter2" } }]],
  ["someCommand", ['{"password":"hunter2"}', "Authorization: Basic aHVudGVyMg", "Bearer Hunter2hunter2"]],
  ["login", ["bob", "hunter2"]],
  ["authenticate", ["hunter2"]],
  ["setStreamKey", ["hunter2"]],
  ["@setToken", ["hunter2"]],
  ["releaseStream", ["film?auth=hunter2"]],
  ["invite", ["sip:bob:hunter2@host", "pcmu"]],
  ["play?key=hunter2", []],
];

for (const [name, args] of SECRET_ARGUMENTS) {
  Deno.test(`session: the log does not show the secret of ${name} ${JSON.stringify(args)}`, () => {
    const { log, session, command } = setUp();
    session.link.push(command(0, "connect", 1, { ...CONNECT, app: "live?hunter2" }, "alice", "hunter2"));
    session.connectRequest();
    session.admit({});
    session.link.push(command(0, name, 2, null, ...args));
    session.status("NetConnection.Call.Failed", "there is no sip:bob:hunter2@host, password=hunter2");
    const text = log.lines.map(maskSecrets).join("\n"); // as the log does with every line
    assert.match(text, new RegExp(`<- ${name.split("?")[0]}`));
    assert.doesNotMatch(text, /hunter2/i);
  });
}

Deno.test("session: the length of a stream is the owner's to say", () => {
  const { sink, session, command } = connected();
  session.link.push(command(0, "getStreamLength", 5, null, "film"));
  session.streamLength = (name) => name.length;
  session.link.push(command(0, "getStreamLength", 6, null, "film"));
  assert.deepEqual(sink.lines(), ["command 0 _result 5 null 0", "command 0 _result 6 null 4"]);
});

Deno.test("session: what stands behind a command and is no value costs nothing", () => {
  const call = encodeCommand(
    { name: "invite", transactionId: 4, object: null, args: ["sip:bob@host"] },
    false,
  );
  for (const behind of ["00", "000000", "ff", "02 ffff 61", "03", "0a ffffffff", "11", "0d 09 00"]) {
    const { session, wire } = connected();
    session.link.push(wire(20, 0, concatBytes([call, fromHex(behind)])));
    const event = session.next();
    assert.ok(event?.type === "command", behind);
    assert.deepEqual([event.name, event.args[0]], ["invite", "sip:bob@host"], behind);
  }
});

Deno.test("session: commands that make no sense are ignored, the next one is taken", () => {
  const { session, wire, command } = connected();
  for (const body of ["", "05", "00 3ff0000000000000", "02 0005 61", "03 0001 61"]) {
    session.link.push(wire(20, 0, fromHex(body)));
  }
  session.link.push(command(0, "bye", 4, null));
  assert.equal(session.next()?.type, "command");
});

Deno.test("session: media on stream 0, or on one never made, is that of the only publisher", () => {
  const table: [publishing: number[], on: number, heard: number | null][] = [
    [[1], 0, 1],
    [[1], 7, 1],
    [[2], 0, 2],
    [[1, 2], 0, null],
    [[1, 2], 2, 2],
    [[], 0, null],
    [[1], 2, null], // it is there, and does not publish
  ];
  for (const [publishing, on, heard] of table) {
    const { session, wire, command } = connected();
    session.link.push(command(0, "createStream", 3, null));
    for (const id of publishing) session.link.push(command(id, "publish", 0, null, `cam${id}`));
    const from: number[] = [];
    session.onMedia = (stream) => void from.push(stream.id);
    session.link.push(wire(8, on, fromHex("af01")));
    assert.deepEqual(from, heard === null ? [] : [heard], JSON.stringify([publishing, on]));
  }
});

Deno.test("session: a damaged conversation ends in a WireError or goes on, never otherwise", () => {
  const { command, media } = setUp();
  const conversation = concatBytes([
    command(0, "connect", 1, CONNECT, "alice", "secret"),
    command(0, "createStream", 2, null),
    command(1, "publish", 3, null, "local", "live"),
    media(18, 0, encodeAmf0(["@setDataFrame", "onMetaData", { width: 320 }])),
    media(8, 20, new Uint8Array(300)),
    media(22, 40, new Uint8Array(30)),
    command(0, "invite", 4, null, "sip:bob@host", "pcmu", "h264"),
    command(1, "play", 5, null, "remote", -2000),
    command(1, "pause", 6, null, true, 100),
    command(0, "deleteStream", 7, null, 1),
  ]);
  let broken = 0;
  let whole = 0;
  for (let seed = 0; seed < 1500; seed++) {
    const { session } = setUp();
    let bytes = mutate(conversation, seed);
    let events = 0;
    try {
      while (bytes.length > 0) {
        bytes = bytes.subarray(session.link.push(bytes));
        for (let event = session.next(); event !== undefined; event = session.next()) {
          events++;
          if (event.type === "publish" || event.type === "play") event.stream.started();
        }
        session.connectRequest();
      }
      whole++;
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      broken++;
    }
    assert.ok(events < 100);
  }
  assert.ok(broken > 100 && whole > 100, `${broken} broken, ${whole} whole`);
});

const CAPABILITIES: readonly (readonly [what: string, properties: AmfObject, asked: boolean])[] = [
  ["that understands it", { capsEx: 1 }, true],
  ["that understands more", { capsEx: 15, fourCcList: ["avc1"] }, true],
  ["that understands other things", { capsEx: 6 }, false],
  ["of old", {}, false],
  ["whose capsEx is no number", { capsEx: "1" }, false],
  ["with other FourCCs only", { fourCcList: ["*"] }, false],
];

for (const [what, properties, asked] of CAPABILITIES) {
  Deno.test(`session: a gateway that stops asks a client to connect again, one ${what}: ${asked}`, () => {
    const { sink, session, command } = setUp();
    session.link.push(command(0, "connect", 1, { ...CONNECT, ...properties }));
    session.connectRequest();
    session.admit({});
    sink.lines();
    session.status("NetConnection.Connect.Closed", "hung up");
    session.status("NetConnection.Connect.AppShutdown", "the gateway is stopping");
    const said = sink.lines().map((line) =>
      /"level":"(\w+)","code":"NetConnection\.Connect\.(\w+)"/.exec(line)
    );
    assert.deepEqual(said.map((found) => found?.slice(1).join(" ")), [
      "status Closed",
      ...(asked ? ["status ReconnectRequest"] : []),
      "error AppShutdown",
    ]);
  });
}

Deno.test("@setDataFrame is taken off, as a view; other data stays as it is", () => {
  const whole = encodeAmf0(["@setDataFrame", "onMetaData", { width: 320 }]);
  const body = withoutSetDataFrame(whole);
  assert.deepEqual(body, encodeAmf0(["onMetaData", { width: 320 }]));
  assert.equal(body.buffer, whole.buffer);
  for (const other of [encodeAmf0(["onMetaData", {}]), new Uint8Array(0), whole.subarray(0, 10)]) {
    assert.equal(withoutSetDataFrame(other), other);
  }
});

Deno.test("what is said of Enhanced RTMP survives AMF, and names every codec once", () => {
  const [read] = decodeAmf0(encodeAmf0([ENHANCED_RTMP]));
  assert.deepEqual(read, ENHANCED_RTMP);
  const { fourCcList, videoFourCcInfoMap, audioFourCcInfoMap } = ENHANCED_RTMP;
  assert.deepEqual(fourCcList, [...Object.keys(videoFourCcInfoMap!), ...Object.keys(audioFourCcInfoMap!)]);
});

Deno.test("capsEx is a number of bits, of which the first is reconnecting", () => {
  assert.deepEqual([0, 1, 2, 3, 15].map((capsEx) => understandsReconnect({ capsEx })), [
    false,
    true,
    false,
    true,
    true,
  ]);
  for (const capsEx of ["1", null, undefined, true, NaN]) {
    assert.equal(understandsReconnect({ capsEx }), false);
  }
});
