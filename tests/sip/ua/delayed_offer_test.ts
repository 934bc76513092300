// Tests of lib/sip/ua/delayed_offer.ts: the far end offers in its 200, we answer in the ACK.

import assert from "node:assert/strict";
import type { SipEndpoint } from "../../../lib/sip/ua/endpoint.ts";
import type { Call, CallEvent } from "../../../lib/sip/ua/call.ts";
import { accepted, collect, dial } from "../../support/sip_calls.ts";
import { identity, type ScriptedPeer, sdp, sdpText, SipNetwork } from "../../support/sip_network.ts";

interface Scene {
  network: SipNetwork;
  endpoint: SipEndpoint;
  peer: ScriptedPeer;
  call: Call;
  events: CallEvent[];
}

async function offeredCall(): Promise<Scene> {
  const network = new SipNetwork();
  const endpoint = network.endpoint("10.0.0.1");
  const peer = network.peer("10.0.0.9");
  const attempt = dial(endpoint.createUserAgent(identity("sip:alice@10.0.0.1")), "sip:peer@10.0.0.9", null);
  const invite = await peer.request("INVITE");
  assert.equal(invite.body.length, 0);
  assert.deepEqual(
    invite.headers.all("Supported"),
    ["timer"],
    "a reliable 1xx could bring an offer too early",
  );
  peer.answer(invite, 200, { body: sdp("their offer") });
  const call = await accepted(network, attempt);
  return { network, endpoint, peer, call, events: collect(call.events()) };
}

async function finish({ network, endpoint }: Scene): Promise<void> {
  await network.close(endpoint);
  await network.clock.advanceAsync(100);
  assert.equal(network.clock.pending, 0);
}

async function offerEvent({ network, events }: Scene): Promise<Extract<CallEvent, { type: "offer" }>> {
  await network.until("the offer", () => events.length > 0);
  const [event] = events;
  assert.ok(event?.type === "offer");
  return event;
}

Deno.test("our answer goes into the ACK, and the call can be changed afterwards", async () => {
  const set = await offeredCall();
  const event = await offerEvent(set);
  assert.equal(sdpText(event.body), "their offer");
  assert.equal(sdpText(set.call.remoteBody), "their offer");
  assert.equal(await set.network.settled(event.answer(sdp("our answer"))), true);
  const ack = await set.peer.request("ACK");
  assert.equal(sdpText(ack), "our answer");
  assert.equal(await event.answer(sdp("again")), false);
  const outcome = set.call.reoffer(sdp("hold"));
  set.peer.answer(await set.peer.request("INVITE"), 200, { body: sdp("held") });
  assert.equal((await set.network.settled(outcome)).type, "accepted");
  set.call.abandon("remote", "test over");
  await finish(set);
});

Deno.test("a refused offer is acknowledged and the call hung up", async () => {
  const set = await offeredCall();
  (await offerEvent(set)).refuse(488, "Not Acceptable Here");
  assert.equal((await set.peer.request("ACK")).body.length, 0);
  set.peer.answer(await set.peer.request("BYE"), 200);
  assert.deepEqual(set.events.at(-1), { type: "ended", by: "failure", reason: "488 Not Acceptable Here" });
  await finish(set);
});

Deno.test("an owner that never answers loses the call after 10 s", async () => {
  const set = await offeredCall();
  await set.network.clock.advanceAsync(9_000);
  assert.equal(set.peer.received.some((message) => message.kind === "request"), false);
  set.peer.answer(await set.peer.request("BYE"), 200);
  await set.peer.request("ACK");
  assert.deepEqual(set.call.ending, { type: "ended", by: "failure", reason: "the offer was not answered" });
  await finish(set);
});

Deno.test("a 200 without the offer we asked for is acknowledged, hung up and told as 488", async () => {
  const network = new SipNetwork();
  const endpoint = network.endpoint("10.0.0.1");
  const peer = network.peer("10.0.0.9");
  const attempt = dial(endpoint.createUserAgent(identity("sip:alice@10.0.0.1")), "sip:peer@10.0.0.9", null);
  peer.answer(await peer.request("INVITE"), 200);
  await peer.request("ACK");
  peer.answer(await peer.request("BYE"), 200);
  const last = attempt.steps.at(-1);
  assert.ok(last?.type === "refused" && last.status === 488);
  await network.close(endpoint);
});
