// Tests of lib/sip/ua/outgoing_offer.ts: re-INVITE and UPDATE of ours to a peer that does what the test says.

import assert from "node:assert/strict";
import type { CallEvent } from "../../../lib/sip/ua/call.ts";
import { MAX_GLARE_RETRIES, REINVITE_WAIT_MS } from "../../../lib/sip/ua/outgoing_offer.ts";
import { establishedCall } from "../../support/sip_calls.ts";
import { sdp, sdpText, SipNetwork } from "../../support/sip_network.ts";
import { finish, talking, type TalkingScene } from "../../support/sip_callee.ts";

async function end(scene: TalkingScene): Promise<void> {
  scene.call.abandon("remote", "test over");
  await finish(scene);
}

Deno.test("a re-INVITE carries the offer and is acknowledged", async () => {
  const scene = await talking();
  const { peer, network, call } = scene;
  const outcome = call.reoffer(sdp("hold"));
  const reinvite = await peer.request("INVITE");
  assert.equal(sdpText(reinvite), "hold");
  assert.equal(reinvite.headers.get("CSeq"), "1 INVITE");
  peer.answer(reinvite, 200, { tag: "peer-from", body: sdp("held") });
  assert.equal((await peer.request("ACK")).headers.get("CSeq"), "1 ACK");
  const settled = await network.settled(outcome);
  assert.ok(settled.type === "accepted");
  assert.equal(sdpText(settled.body), "held");
  assert.equal(sdpText(call.remoteBody), "held");
  await end(scene);
});

Deno.test("a refusal changes nothing", async () => {
  const scene = await talking();
  const outcome = scene.call.reoffer(sdp("hold"));
  scene.peer.answer(await scene.peer.request("INVITE"), 488, { tag: "peer-from" });
  assert.deepEqual(await scene.network.settled(outcome), {
    type: "refused",
    status: 488,
    reason: "Not Acceptable Here",
  });
  assert.equal(sdpText(scene.call.remoteBody), "offer");
  assert.equal(scene.call.ending, null);
  await end(scene);
});

Deno.test("491 is tried again after a while, as often as is bearable", async () => {
  const scene = await talking();
  const outcome = scene.call.reoffer(sdp("hold"));
  for (let n = 0; n < MAX_GLARE_RETRIES; n++) {
    scene.peer.answer(await scene.peer.request("INVITE"), 491, { tag: "peer-from" });
  }
  scene.peer.answer(await scene.peer.request("INVITE"), 200, { tag: "peer-from", body: sdp("held") });
  assert.equal((await scene.network.settled(outcome)).type, "accepted");
  const again = scene.call.reoffer(sdp("resume"));
  for (let n = 0; n <= MAX_GLARE_RETRIES; n++) {
    scene.peer.answer(await scene.peer.request("INVITE"), 491, { tag: "peer-from" });
  }
  const refused = await scene.network.settled(again);
  assert.ok(refused.type === "refused" && refused.status === 491);
  await end(scene);
});

Deno.test("offers of both sides at the same moment both get through", async () => {
  const network = new SipNetwork();
  const { caller, callee, endpoints } = await establishedCall(network);
  for (const call of [caller, callee]) answerAll(call.events());
  const outcomes = await network.settled(
    Promise.all([caller.reoffer(sdp("from caller")), callee.reoffer(sdp("from callee"))]),
  );
  assert.deepEqual(outcomes.map((outcome) => outcome.type), ["accepted", "accepted"]);
  assert.ok(network.wire.some((line) => line.endsWith(" 491")), "they did not meet");
  await network.close(...endpoints);
});

function answerAll(events: AsyncGenerator<CallEvent, void, void>): void {
  void (async () => {
    for await (const event of events) {
      if (event.type === "offer") void event.answer(sdp("fine"));
    }
  })();
}

Deno.test("offers of ours wait for each other", async () => {
  const scene = await talking();
  const outcomes = Promise.all([scene.call.reoffer(sdp("one")), scene.call.reoffer(sdp("two"))]);
  for (const [text, sequence] of [["one", 1], ["two", 2]] as const) {
    const reinvite = await scene.peer.request("INVITE");
    assert.equal(sdpText(reinvite), text);
    assert.equal(reinvite.headers.get("CSeq"), `${sequence} INVITE`);
    scene.peer.answer(reinvite, 200, { tag: "peer-from", body: sdp("fine") });
  }
  assert.equal((await scene.network.settled(outcomes)).length, 2);
  await end(scene);
});

Deno.test("481 ends the call, and so does silence", async () => {
  const gone = await talking();
  const refused = gone.call.reoffer(sdp("hold"));
  gone.peer.answer(await gone.peer.request("INVITE"), 481, { tag: "peer-from" });
  assert.equal((await gone.network.settled(refused)).type, "refused");
  assert.equal(gone.call.ending?.by, "failure");
  gone.peer.answer(await gone.peer.request("BYE"), 481);
  await finish(gone);
  const silent = await talking();
  const unanswered = silent.call.reoffer(sdp("hold"));
  assert.equal((await silent.network.settled(unanswered)).type, "refused");
  assert.equal(silent.call.ending?.by, "failure");
  await finish(silent);
});

Deno.test("a re-INVITE nobody decides is cancelled", async () => {
  const scene = await talking();
  const outcome = scene.call.reoffer(sdp("hold"));
  const reinvite = await scene.peer.request("INVITE");
  scene.peer.answer(reinvite, 180, { tag: "peer-from" });
  await scene.network.clock.advanceAsync(REINVITE_WAIT_MS);
  scene.peer.answer(await scene.peer.request("CANCEL"), 200);
  scene.peer.answer(reinvite, 487, { tag: "peer-from" });
  const settled = await scene.network.settled(outcome);
  assert.ok(settled.type === "refused" && settled.status === 487);
  assert.equal(scene.call.ending, null);
  await end(scene);
});

Deno.test("hanging up ends a re-INVITE under way, and its late 200 is still acknowledged", async () => {
  const scene = await talking();
  const outcome = scene.call.reoffer(sdp("hold"));
  const reinvite = await scene.peer.request("INVITE");
  const bye = scene.call.hangUp();
  scene.peer.answer(await scene.peer.request("BYE"), 200);
  assert.equal((await scene.network.settled(outcome)).type, "refused");
  scene.peer.answer(reinvite, 200, { tag: "peer-from", body: sdp("held") });
  await scene.peer.request("ACK");
  await scene.network.settled(bye);
  assert.equal((await scene.call.reoffer(sdp("after the end"))).type, "refused");
  await finish(scene);
});

Deno.test("UPDATE is used when asked for and allowed, re-INVITE otherwise", async () => {
  const scene = await talking({ Allow: "INVITE, ACK, BYE, UPDATE" });
  const outcome = scene.call.reoffer(sdp("by update"), "UPDATE");
  scene.peer.answer(await scene.peer.request("UPDATE"), 200, { tag: "peer-from", body: sdp("fine") });
  assert.equal((await scene.network.settled(outcome)).type, "accepted");
  await end(scene);
  const old = await talking();
  const fallback = old.call.reoffer(sdp("by invite"), "UPDATE");
  old.peer.answer(await old.peer.request("INVITE"), 488, { tag: "peer-from" });
  await old.network.settled(fallback);
  await end(old);
});

Deno.test("we refresh the session by UPDATE, or by the offer in force", async () => {
  const headers = { Supported: "timer", "Session-Expires": "100;refresher=uas" };
  const scene = await talking({ ...headers, Allow: "INVITE, UPDATE" });
  for (let n = 0; n < 3; n++) {
    await scene.network.clock.advanceAsync(49_000);
    const update = await scene.peer.request("UPDATE");
    assert.equal(update.body.length, 0);
    assert.equal(update.headers.get("Session-Expires"), "100;refresher=uac");
    scene.peer.answer(update, 200, { tag: "peer-from", headers: { "Session-Expires": "100;refresher=uac" } });
  }
  await end(scene);
  const plain = await talking(headers);
  await plain.network.clock.advanceAsync(49_000);
  const reinvite = await plain.peer.request("INVITE");
  assert.equal(sdpText(reinvite), "answer");
  plain.peer.answer(reinvite, 200, {
    tag: "peer-from",
    body: sdp("offer"),
    headers: { "Session-Expires": "100;refresher=uac" },
  });
  await plain.peer.request("ACK");
  await end(plain);
});

Deno.test("a refresh that fails is tried again until the session expires, then BYE", async () => {
  const headers = { Supported: "timer", "Session-Expires": "120;refresher=uas", Allow: "UPDATE" };
  const scene = await talking(headers);
  for (let n = 0; n < 2; n++) {
    scene.peer.answer(await scene.peer.request("UPDATE", 70_000), 500, { tag: "peer-from" });
  }
  scene.peer.onMessage = (message) => {
    if (message.kind === "request" && message.method === "UPDATE") scene.peer.answer(message, 500);
    return message.kind === "request" && message.method === "UPDATE";
  };
  scene.peer.answer(await scene.peer.request("BYE", 60_000), 200);
  assert.equal(scene.call.ending?.by, "failure");
  await finish(scene);
});
