import assert from "node:assert/strict";
import { DigitRoute } from "../../lib/call/dtmf.ts";
import { IDLE } from "../../lib/call/leg.ts";
import {
  receivedMessage,
  receivedPagingMessage,
  sendMessage,
  sendPagingMessage,
  talk,
} from "../../lib/call/talk.ts";
import { type SipBody, textBody } from "../../lib/sip/message/body.ts";
import { formatDtmfRelay, formatPictureFastUpdate } from "../../lib/sip/message/info_bodies.ts";
import { parseNameAddr } from "../../lib/sip/message/name_addr.ts";
import { settle } from "../support/fake_clock.ts";
import {
  RecordingMedia,
  RecordingReply,
  registeredCall,
  ScriptedAgent,
  ScriptedCall,
  ScriptedOwner,
} from "../support/gateway_fakes.ts";
import { sdp } from "../support/sip_network.ts";

/** A call that has just been set up. */
async function talking(owner: ScriptedOwner) {
  const dialing = { type: "dialing", attempt: new AbortController(), registered: registeredCall() } as const;
  owner.become(dialing);
  const call = new ScriptedCall();
  const media = new RecordingMedia();
  owner.scope.spawn("talk", () => talk(owner, dialing, { call: call.call, media, report: [] }));
  await settle();
  assert.deepEqual([owner.link.take(), owner.state.type], [["accepted()"], "talking"]);
  return { call, media };
}

for (
  const [by, told] of [["remote", ["byed()"]], ["failure", ["byed()"]], ["local", []]] as const
) {
  Deno.test(`an end by ${by}: ${told.join() || "no callback"}, the call leg free, media gone, one log line`, async () => {
    await using owner = new ScriptedOwner();
    const { call, media } = await talking(owner);
    owner.clock.advance(2500);
    call.end(by, "because");
    await settle();
    assert.deepEqual([owner.link.take(), owner.state, media.disposed], [[...told], IDLE, true]);
    assert.deepEqual(owner.log.at("info").filter((line) => line.includes("ended")), [
      `info call call ended: 2.5 s, ${by}: because; nothing`,
    ]);
  });
}

Deno.test("the client can call again inside byed", async () => {
  await using owner = new ScriptedOwner();
  const { call } = await talking(owner);
  const states: string[] = [];
  owner.link.onCall = () => states.push(owner.state.type);
  call.end("remote");
  await settle();
  assert.deepEqual(states, ["idle"]);
});

Deno.test("media fall silent when we hang up, not when the BYE is answered", async () => {
  await using owner = new ScriptedOwner();
  const { call, media } = await talking(owner);
  call.byeAnswer = Promise.withResolvers<void>();
  const hungUp = call.hangUp();
  await settle();
  assert.deepEqual([media.disposed, owner.state, owner.scope.size], [true, IDLE, 1]);
  call.byeAnswer.resolve();
  await hungUp;
  await settle();
  assert.equal(owner.scope.size, 0);
});

Deno.test("a call leg that was given up meanwhile: BYE and nothing else", async () => {
  await using owner = new ScriptedOwner();
  const call = new ScriptedCall();
  const media = new RecordingMedia();
  await talk(owner, { type: "dialing", attempt: new AbortController(), registered: registeredCall() }, {
    call: call.call,
    media,
    report: [],
  });
  assert.deepEqual([owner.link.take(), call.hangUps, media.disposed], [[], 1, true]);
});

Deno.test("what arrives is played, and a DTMF key is told with its length", async () => {
  await using owner = new ScriptedOwner();
  const { call, media } = await talking(owner);
  media.hear(40);
  media.onDigit?.("5", 160);
  assert.deepEqual([owner.played, owner.link.take()], [["8@40"], ['receivedDTMF("5", 160)']]);
  call.end("remote");
  await settle();
});

Deno.test("renewed offers are answered, and a hold is told once for each change", async () => {
  await using owner = new ScriptedOwner();
  const { call } = await talking(owner);
  const steps: [offer: string, said: string[], told: string[]][] = [
    ["session refresh", ["answer answer to session refresh"], []],
    ["on hold", ["answer answer to on hold"], ["holded(true)"]],
    ["on hold, refreshed", ["answer answer to on hold, refreshed"], []],
    ["bad", ["488 Not Acceptable Here"], []],
    ["back", ["answer answer to back"], ["holded(false)"]],
    ["back, refreshed", ["answer answer to back, refreshed"], []],
  ];
  for (const [offer, said, told] of steps) {
    const reply = call.offer(sdp(offer));
    await settle();
    assert.deepEqual([reply, owner.link.take()], [said, told], offer);
  }
  call.end("remote");
  await settle();
});

Deno.test("a re-INVITE without offer gets ours, and the hold of its late answer is told", async () => {
  await using owner = new ScriptedOwner();
  const { call, media } = await talking(owner);
  const said = call.offer(null);
  await settle();
  assert.deepEqual(said, ["answer our offer 1"]);
  call.emit({ type: "answer", body: sdp("on hold, late") });
  await settle();
  assert.deepEqual([owner.link.take(), media.log.at(-1)], [["holded(true)"], "answer on hold, late"]);
  call.emit({ type: "answer", body: sdp("bad") });
  await settle();
  assert.deepEqual(owner.link.take(), []);
  assert.ok(owner.log.at("warn").some((line) => line.includes("SDP answer not usable")));
  call.end("remote");
  await settle();
});

Deno.test("a text message is told, other content is not", async () => {
  await using owner = new ScriptedOwner();
  const { call } = await talking(owner);
  call.emit({ type: "message", body: textBody("grüß dich") });
  call.emit({ type: "message", body: { type: "application/im-iscomposing+xml", bytes: new Uint8Array(9) } });
  call.emit({ type: "info", body: { type: "application/dtmf-relay", bytes: new Uint8Array(9) } });
  await settle();
  assert.deepEqual(owner.link.take(), ['receivedMessage("grüß dich")']);
  call.end("remote");
  await settle();
});

Deno.test("an internal error in a call hangs up, tells byed and is logged", async () => {
  await using owner = new ScriptedOwner();
  const { call, media } = await talking(owner);
  media.bug = new Error("a bug");
  call.offer(sdp("anything"));
  await settle();
  assert.deepEqual([owner.link.take(), call.hangUps, owner.state, media.disposed], [
    ["byed()"],
    1,
    IDLE,
    true,
  ]);
  assert.ok(owner.log.at("error").some((line) => line.includes("a bug")));
});

Deno.test("INFO: a DTMF key is told, a key-frame request reaches the media, other content is ignored", async () => {
  await using owner = new ScriptedOwner();
  const { call, media } = await talking(owner);
  call.emit({ type: "info", body: formatDtmfRelay({ digit: "7", durationMs: 120 }) });
  call.emit({ type: "info", body: formatPictureFastUpdate() });
  call.emit({ type: "info", body: { type: "application/x-nothing", bytes: new Uint8Array(3) } });
  await settle();
  assert.deepEqual(owner.link.take(), ['receivedDTMF("7", 120)']);
  assert.deepEqual(media.log, ["key frame requested"]);
  call.end("remote");
});

Deno.test("the decoder configuration published before the call is given to its media first", async () => {
  await using owner = new ScriptedOwner();
  owner.put({ type: 9, timeMs: 40, body: Uint8Array.fromHex("170000000001420020") });
  const { call, media } = await talking(owner);
  assert.deepEqual(media.log, ["9@40"]);
  media.onKeyFrameWanted?.();
  assert.equal(owner.keyFramesWanted, 1);
  call.end("remote");
});

Deno.test("a key that comes in the media and in INFO is told once", async () => {
  await using owner = new ScriptedOwner();
  const { call, media } = await talking(owner);
  media.onDigit?.("7", 160);
  call.emit({ type: "info", body: formatDtmfRelay({ digit: "7", durationMs: 160 }) });
  call.emit({ type: "info", body: formatDtmfRelay({ digit: "8", durationMs: 160 }) });
  await settle();
  assert.deepEqual(owner.link.take(), ['receivedDTMF("7", 160)', 'receivedDTMF("8", 160)']);
  call.end("remote");
});

Deno.test("INFO that is not understood does nothing, the call goes on", async () => {
  await using owner = new ScriptedOwner();
  const { call } = await talking(owner);
  for (let i = 0; i < 5; i++) {
    call.emit({ type: "info", body: { type: "application/dtmf-relay", bytes: new Uint8Array(i) } });
  }
  call.emit({ type: "info", body: formatDtmfRelay({ digit: "1", durationMs: 100 }) });
  await settle();
  assert.deepEqual(owner.link.take(), ['receivedDTMF("1", 100)']);
  assert.deepEqual(owner.log.at("warn"), []);
  call.end("remote");
});

Deno.test("key frames are asked for by INFO one at a time, and no more once that was refused", async () => {
  await using owner = new ScriptedOwner();
  const { call, media } = await talking(owner);
  media.onPictureWanted?.();
  media.onPictureWanted?.();
  assert.equal(call.infos.length, 1);
  await settle();
  call.infoStatus = 405;
  media.onPictureWanted?.();
  assert.equal(call.infos.length, 1, "not so soon");
  owner.clock.advance(1000);
  media.onPictureWanted?.();
  await settle();
  owner.clock.advance(1000);
  media.onPictureWanted?.();
  await settle();
  assert.equal(call.infos.length, 2);
  assert.ok(call.infos.every((info) => info.startsWith("application/media_control+xml")));
  call.end("remote");
});

Deno.test("DTMF of the client take the way of the settings; what waits at the end is told", async () => {
  await using owner = new ScriptedOwner();
  owner.shared.config = { ...owner.shared.config, dtmf: "info" };
  const { call, media } = await talking(owner);
  const line = owner.state;
  assert.ok(line.type === "talking");
  const told: (string | null)[] = [];
  line.digits.send("12", 100, (problem) => void told.push(problem));
  await settle();
  assert.deepEqual(call.infos, ["application/dtmf-relay Signal=1\r\nDuration=100\r\n"]);
  assert.deepEqual(media.log, []);
  call.end("remote");
  await settle();
  assert.deepEqual(told, ["the call is over"]);
});

Deno.test("what the publisher could do better is told to it", async () => {
  await using owner = new ScriptedOwner();
  const { call, media } = await talking(owner);
  media.onPublisherWarning?.("NetStream.Publish.BFrames", "B frames", "warning");
  assert.deepEqual(owner.troubles, ["NetStream.Publish.BFrames"]);
  call.end("remote");
});

Deno.test("media that do not come: the client is told, then the call ends with byed", async () => {
  await using owner = new ScriptedOwner();
  const { call, media } = await talking(owner);
  media.watched!.quiet("no audio from 203.0.113.9:4000 for 5 s; its SDP said 10.99.0.5, a private address");
  assert.deepEqual(owner.link.take(), [
    'trouble("NetStream.Call.NoAudio", "no audio from 203.0.113.9:4000 for 5 s; its SDP said 10.99.0.5, a private address")',
  ]);
  assert.match(owner.log.at("warn").join(), /no audio from 203\.0\.113\.9:4000 for 5 s/);
  media.watched!.dead("no RTP from 203.0.113.9:4000 for 30 s", 30);
  await settle();
  assert.deepEqual(call.failures, ["no RTP from 203.0.113.9:4000 for 30 s"]);
  assert.deepEqual(owner.link.take(), [
    'trouble("NetStream.Call.MediaTimeout", "the call ends: no RTP from 203.0.113.9:4000 for 30 s")',
    "byed()",
  ]);
  assert.deepEqual([owner.state, media.disposed], [IDLE, true]);
});

for (const publishedAs of [undefined, "alice@example.com"]) {
  Deno.test(`a call ${publishedAs === undefined ? "is not" : "is"} published for players`, async () => {
    await using owner = new ScriptedOwner();
    if (publishedAs !== undefined) Object.assign(owner.services, { publishedAs });
    const { call } = await talking(owner);
    const names = ["near", "far"].filter((name) => owner.shared.streams.find(`calls/${publishedAs}/${name}`));
    assert.deepEqual(names, publishedAs === undefined ? [] : ["near", "far"]);
    call.end("remote");
    await settle();
    assert.equal(owner.shared.streams.usage.publishers, 0);
  });
}

const OUTCOMES: [status: number, reason: string, answer: string][] = [
  [200, "OK", "result(true)"],
  [202, "Accepted", "result(true)"],
  [405, "Method Not Allowed", 'error("405 Method Not Allowed")'],
  [408, "Request Timeout", 'error("408 Request Timeout")'],
  [481, "Call/Transaction Does Not Exist", 'error("481 Call/Transaction Does Not Exist")'],
];

for (const [status, reason, expected] of OUTCOMES) {
  Deno.test(`a message answered with ${status} gives ${expected}, in a call and outside`, async () => {
    await using owner = new ScriptedOwner();
    const [inCall, outside] = [new RecordingReply(), new RecordingReply()];
    const call = new ScriptedCall();
    call.messageStatus = status;
    const media = new RecordingMedia();
    const digits = new DigitRoute({
      ...owner,
      info: () => Promise.resolve(200),
      media,
      mode: "rtp",
      spawn() {},
    });
    owner.become({
      type: "talking",
      call: call.call,
      media,
      digits,
      broadcast: null,
      registered: registeredCall(),
    });
    owner.agent.requestOutcome = { status, reason };
    sendMessage(owner, "hello", inCall);
    sendPagingMessage(owner, "bob@h.example", "hello", outside);
    await settle();
    assert.deepEqual([inCall.answers, outside.answers], [[expected], [expected]]);
    assert.deepEqual([call.messages, owner.agent.requests], [["hello"], ["MESSAGE bob@h.example hello"]]);
  });
}

Deno.test("a bare number is messaged in the client's own domain and port", async () => {
  await using owner = new ScriptedOwner(new ScriptedAgent("sip:alice@10.0.0.9:5080"));
  sendPagingMessage(owner, "7140", "hi", new RecordingReply());
  await settle();
  assert.deepEqual(owner.agent.requests, ["MESSAGE 7140@10.0.0.9 hi"]);
});

Deno.test("a message to nobody is an error of the RPC", async () => {
  await using owner = new ScriptedOwner();
  const reply = new RecordingReply();
  sendPagingMessage(owner, "mailto:bob@h.example", "hi", reply);
  assert.deepEqual([reply.answers, owner.agent.requests], [['error("invalid dest URI")'], []]);
});

const BODIES: [body: SipBody, told: string | null][] = [
  [textBody("hi"), '"hi"'],
  [{ type: "text/html; charset=utf-8", bytes: textBody("<b>hi</b>").bytes }, '"<b>hi</b>"'],
  [{ type: "TEXT/PLAIN", bytes: new Uint8Array([0xff, 0x41]) }, '"\ufffdA"'],
  [{ type: "application/im-iscomposing+xml", bytes: textBody("<x/>").bytes }, null],
  [{ type: "application/octet-stream", bytes: new Uint8Array(3) }, null],
];

for (const [body, told] of BODIES) {
  Deno.test(`a message of type ${body.type} is ${told === null ? "left out" : `told as ${told}`}`, async () => {
    await using owner = new ScriptedOwner();
    receivedMessage(owner, body);
    receivedPagingMessage(owner, { from: parseNameAddr('"Bob" <sip:bob@h.example>;tag=7'), body });
    const from = '"\\"Bob\\" <sip:bob@h.example>"';
    assert.deepEqual(
      owner.link.take(),
      told === null ? [] : [`receivedMessage(${told})`, `receivedPagingMessage(${from}, ${told})`],
    );
  });
}

Deno.test("a message to a target that may not be called is refused, and nothing is sent", async () => {
  await using owner = new ScriptedOwner();
  const reply = new RecordingReply();
  owner.shared.access = {
    ...owner.shared.access,
    mayDial: ({ user }) => ({ type: "refused", reason: `not to ${user}` }),
  };
  sendPagingMessage(owner, "bob@h.example", "hello", reply);
  await settle();
  assert.deepEqual(reply.answers, ['error("403 Forbidden: blocked by this gateway, not to bob")']);
  assert.deepEqual(owner.agent.requests, []);
});
