// Tests of lib/sip/ua/early_calls.ts: forks, PRACK, requests inside early dialogs.

import assert from "node:assert/strict";
import type { SipRequest } from "../../../lib/sip/message/message.ts";
import { LateForks, MAX_EARLY_DIALOGS, MAX_REMEMBERED_INVITES } from "../../../lib/sip/ua/early_calls.ts";
import type { SipEndpoint } from "../../../lib/sip/ua/endpoint.ts";
import type { AgentContext } from "../../../lib/sip/ua/sip_core.ts";
import { RecordLog } from "../../support/record_log.ts";
import { accepted, type Attempt, dial } from "../../support/sip_calls.ts";
import { responseTo, sipRequest, targetAt } from "../../support/sip_messages.ts";
import { identity, type ScriptedPeer, sdp, sdpText, SipNetwork } from "../../support/sip_network.ts";

interface Scene {
  network: SipNetwork;
  endpoint: SipEndpoint;
  peer: ScriptedPeer;
  attempt: Attempt;
  invite: SipRequest;
}

async function dialed(): Promise<Scene> {
  const network = new SipNetwork();
  const endpoint = network.endpoint("10.0.0.1");
  const peer = network.peer("10.0.0.9");
  const attempt = dial(endpoint.createUserAgent(identity("sip:alice@10.0.0.1")), "sip:peer@10.0.0.9");
  return { network, endpoint, peer, attempt, invite: await peer.request("INVITE") };
}

async function finish({ network, endpoint }: Scene): Promise<void> {
  await network.close(endpoint);
  await network.clock.advanceAsync(100);
  assert.equal(endpoint.dialogCount, 0);
  assert.equal(network.clock.pending, 0);
}

const RELIABLE = { Require: "100rel", RSeq: "41" };

Deno.test("the first 2xx wins; other forks get ACK and BYE", async () => {
  const set = await dialed();
  const { network, peer, invite, attempt, endpoint } = set;
  peer.answer(invite, 180, { tag: "one" });
  peer.answer(invite, 183, { tag: "two", body: sdp("early two") });
  await network.until("two early dialogs", () => endpoint.dialogCount === 2);
  peer.answer(invite, 200, { tag: "two", body: sdp("two") });
  const call = await accepted(network, attempt);
  assert.equal(sdpText(call.remoteBody), "two");
  assert.match((await peer.request("ACK")).headers.get("To") ?? "", /tag=two/);
  assert.equal(endpoint.dialogCount, 1);
  peer.answer(invite, 200, { tag: "one", body: sdp("one") });
  assert.match((await peer.request("ACK")).headers.get("To") ?? "", /tag=one/);
  const bye = await peer.request("BYE");
  assert.match(bye.headers.get("To") ?? "", /tag=one/);
  peer.answer(bye, 200);
  assert.equal(call.ending, null);
  call.abandon("remote", "test over");
  await finish(set);
});

Deno.test("a reliable response is acknowledged once, in its dialog, and a repetition is silent", async () => {
  const set = await dialed();
  const { network, peer, invite, attempt } = set;
  const ringing = peer.answer(invite, 183, { body: sdp("early"), headers: RELIABLE });
  const prack = await peer.request("PRACK");
  assert.equal(prack.headers.get("RAck"), "41 1 INVITE");
  assert.equal(prack.headers.get("CSeq"), "2 PRACK");
  peer.answer(prack, 200);
  peer.send(ringing, "10.0.0.1");
  peer.answer(invite, 180, { headers: { ...RELIABLE, RSeq: "43" } });
  await network.clock.advanceAsync(200);
  assert.equal(peer.drop((message) => message.kind === "request" && message.method === "PRACK"), 0);
  peer.answer(invite, 180, { headers: { ...RELIABLE, RSeq: "42" } });
  const second = await peer.request("PRACK");
  assert.equal(second.headers.get("RAck"), "42 1 INVITE");
  assert.equal(second.headers.get("CSeq"), "3 PRACK");
  peer.answer(second, 200);
  assert.deepEqual(attempt.steps.map((step) => step.type === "progress" ? step.status : 0), [183, 180]);
  peer.answer(invite, 486);
  await finish(set);
});

Deno.test("each fork counts its reliable responses by itself", async () => {
  const set = await dialed();
  const { peer, invite } = set;
  for (const tag of ["one", "two"]) {
    peer.answer(invite, 180, { tag, headers: RELIABLE });
    const prack = await peer.request("PRACK");
    assert.match(prack.headers.get("To") ?? "", new RegExp(`tag=${tag}`));
    peer.answer(prack, 200);
  }
  peer.answer(invite, 486);
  await finish(set);
});

Deno.test("an UPDATE with an offer meets ours still open: 491; OPTIONS is answered, unknown dialogs are not", async () => {
  const set = await dialed();
  const { peer, invite } = set;
  const ringing = peer.answer(invite, 180);
  await set.network.until("the early dialog", () => set.endpoint.dialogCount === 1);
  peer.send(peer.buildInDialog("UPDATE", invite, ringing, 1, sdp("too soon")), "10.0.0.1");
  await peer.response(491, "UPDATE");
  peer.send(peer.buildInDialog("UPDATE", invite, ringing, 2), "10.0.0.1");
  await peer.response(200, "UPDATE");
  peer.send(peer.buildInDialog("OPTIONS", invite, ringing, 3), "10.0.0.1");
  await peer.response(200, "OPTIONS");
  const stranger = { ...ringing, headers: ringing.headers.clone() };
  stranger.headers.set("To", "<sip:peer@10.0.0.9>;tag=unknown");
  peer.send(peer.buildInDialog("UPDATE", invite, stranger, 4), "10.0.0.1");
  await peer.response(481, "UPDATE");
  peer.answer(invite, 486);
  await finish(set);
});

Deno.test("a flood of forks is bounded", async () => {
  const set = await dialed();
  const { network, peer, invite, endpoint } = set;
  for (let n = 0; n < MAX_EARLY_DIALOGS + 10; n++) peer.answer(invite, 180, { tag: `fork${n}` });
  await network.clock.advanceAsync(100);
  assert.equal(endpoint.dialogCount, MAX_EARLY_DIALOGS);
  peer.answer(invite, 486);
  await finish(set);
});

Deno.test("a fork that answers after the transaction is gone gets ACK and BYE; a response to nothing we sent gets nothing", async () => {
  const network = new SipNetwork();
  const endpoint = network.endpoint("10.0.0.1");
  const peer = network.peer("10.0.0.9");
  const attempt = dial(endpoint.createUserAgent(identity("sip:alice@10.0.0.1")), "sip:peer@10.0.0.9");
  const invite = await peer.request("INVITE");
  peer.answer(invite, 200, { tag: "one", body: sdp("one") });
  const call = await accepted(network, attempt);
  await peer.request("ACK");
  await network.clock.advanceAsync(70_000);
  peer.answer(invite, 200, { tag: "late", body: sdp("late") });
  assert.match((await peer.request("ACK")).headers.get("To") ?? "", /tag=late/);
  const bye = await peer.request("BYE");
  assert.match(bye.headers.get("To") ?? "", /tag=late/);
  peer.answer(bye, 200);
  assert.equal(call.ending, null);
  const stranger = { ...invite, headers: invite.headers.clone() };
  stranger.headers.set("Call-ID", "never-sent");
  peer.answer(stranger, 200, { tag: "x", body: sdp("x") });
  await network.clock.advanceAsync(1_000);
  assert.equal(peer.received.length, 0);
  call.abandon("remote", "test over");
  await network.close(endpoint);
});

Deno.test("memory is bounded: the oldest INVITE is forgotten", () => {
  const log = new RecordLog();
  const forks = new LateForks(log);
  const agent: Partial<AgentContext> = { log };
  for (let n = 0; n <= MAX_REMEMBERED_INVITES; n++) {
    forks.remember(agent as AgentContext, sipRequest("INVITE", { "Call-ID": `call-${n}` }), targetAt());
  }
  const oldest = sipRequest("INVITE", { "Call-ID": "call-0" });
  forks.decline(responseTo(oldest, 200));
  assert.match(log.lines.join("\n"), /unknown INVITE/);
});
