import assert from "node:assert/strict";
import {
  receivedMessage,
  receivedPagingMessage,
  sendMessage,
  sendPagingMessage,
} from "../../lib/call/messages.ts";
import { type SipBody, textBody } from "../../lib/sip/message/body.ts";
import { parseNameAddr } from "../../lib/sip/message/name_addr.ts";
import { DigitRoute } from "../../lib/call/dtmf.ts";
import { settle } from "../support/fake_clock.ts";
import {
  RecordingMedia,
  RecordingReply,
  registeredCall,
  ScriptedAgent,
  ScriptedCall,
  ScriptedOwner,
} from "../support/gateway_fakes.ts";

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
