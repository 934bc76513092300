// Tests of lib/sip/ua/incoming_offer.ts: re-INVITE and UPDATE from a peer that does what the test says.

import assert from "node:assert/strict";
import type { SipResponse } from "../../../lib/sip/message/message.ts";
import type { CallEvent } from "../../../lib/sip/ua/call.ts";
import { MAX_GLARE_RETRIES, OfferState, REINVITE_WAIT_MS } from "../../../lib/sip/ua/incoming_offer.ts";
import { acknowledge, finish, talking, type TalkingScene } from "../../support/sip_callee.ts";
import { establishedCall } from "../../support/sip_calls.ts";
import { sdp, sdpText, SipNetwork } from "../../support/sip_network.ts";

type Offer = Extract<CallEvent, { type: "offer" }>;

function send(
  scene: TalkingScene,
  method: string,
  sequence: number,
  body: ReturnType<typeof sdp> | null,
  headers: Record<string, string> = {},
) {
  const { peer, invite, answer } = scene;
  const request = peer.buildAsCaller(method, invite, answer, sequence, body, headers);
  peer.send(request, "10.0.0.2");
  return request;
}

async function nextOffer(scene: TalkingScene): Promise<Offer> {
  await scene.network.until("an offer", () => scene.events.some((event) => event.type === "offer"));
  const at = scene.events.findIndex((event) => event.type === "offer");
  const [event] = scene.events.splice(at, 1);
  assert.ok(event?.type === "offer");
  return event;
}

async function end(scene: TalkingScene): Promise<void> {
  scene.call.abandon("remote", "test over");
  await finish(scene);
}

Deno.test("a re-INVITE is answered, acknowledged, and moves the peer's target", async () => {
  const scene = await talking();
  const { peer, network, call } = scene;
  const reinvite = send(scene, "INVITE", 2, sdp("hold"), { Contact: "<sip:peer@10.0.0.9:5066>" });
  const offer = await nextOffer(scene);
  assert.equal(sdpText(offer.body), "hold");
  const confirmed = offer.answer(sdp("held"));
  const answer = await peer.response(200, "INVITE");
  assert.equal(sdpText(answer), "held");
  assert.equal(answer.headers.get("Contact"), scene.answer.headers.get("Contact"));
  acknowledge(peer, reinvite, answer);
  assert.equal(await network.settled(confirmed), true);
  assert.equal(sdpText(call.remoteBody), "hold");
  const moved = network.peer("10.0.0.9", 5066);
  const bye = call.hangUp();
  moved.answer(await moved.request("BYE"), 200);
  await network.settled(bye);
  await finish(scene);
});

Deno.test("an UPDATE is answered without an ACK", async () => {
  const scene = await talking();
  send(scene, "UPDATE", 2, sdp("update"));
  const offer = await nextOffer(scene);
  assert.equal(await scene.network.settled(offer.answer(sdp("updated"))), true);
  assert.equal(sdpText(await scene.peer.response(200, "UPDATE")), "updated");
  await end(scene);
});

Deno.test("an UPDATE without a body only refreshes: answered at once, nobody is asked", async () => {
  const scene = await talking({ Supported: "timer", "Session-Expires": "90" });
  for (let sequence = 2; sequence < 6; sequence++) {
    await scene.network.clock.advanceAsync(45_000);
    send(scene, "UPDATE", sequence, null, { Supported: "timer", "Session-Expires": "90;refresher=uac" });
    const answer = await scene.peer.response(200, "UPDATE");
    assert.equal(answer.headers.get("Session-Expires"), "90;refresher=uac");
  }
  assert.equal(scene.events.length, 0);
  await end(scene);
});

Deno.test("a refused offer keeps the session as it was", async () => {
  const scene = await talking();
  send(scene, "INVITE", 2, sdp("video only"));
  const offer = await nextOffer(scene);
  offer.refuse(488, "Not Acceptable Here");
  offer.refuse(500, "again");
  await scene.peer.response(488, "INVITE");
  assert.equal(await offer.answer(sdp("late")), false);
  assert.equal(sdpText(scene.call.remoteBody), "offer");
  assert.equal(scene.call.ending, null);
  await end(scene);
});

Deno.test("a re-INVITE without a body gets our offer, and its answer comes as an event", async () => {
  const scene = await talking();
  const reinvite = send(scene, "INVITE", 2, null);
  const offer = await nextOffer(scene);
  assert.equal(offer.body, null);
  const confirmed = offer.answer(sdp("our offer"));
  acknowledge(scene.peer, reinvite, await scene.peer.response(200, "INVITE"), sdp("their answer"));
  assert.equal(await scene.network.settled(confirmed), true);
  const [event] = scene.events;
  assert.ok(event?.type === "answer");
  assert.equal(sdpText(event.body), "their answer");
  await end(scene);
});

Deno.test("a second offer while the first is open: 500 with Retry-After", async () => {
  const scene = await talking();
  send(scene, "INVITE", 2, sdp("first"));
  const offer = await nextOffer(scene);
  send(scene, "UPDATE", 3, sdp("second"));
  const refusal = await scene.peer.response(500, "UPDATE");
  assert.match(refusal.headers.get("Retry-After") ?? "", /^([1-9]|10)$/);
  offer.refuse(488, "Not Acceptable Here");
  await end(scene);
});

Deno.test("an offer while ours is open: 491", async () => {
  const scene = await talking();
  const ours = scene.call.reoffer(sdp("ours"));
  const reinvite = await scene.peer.request("INVITE");
  send(scene, "INVITE", 2, sdp("theirs"));
  await scene.peer.response(491, "INVITE");
  scene.peer.answer(reinvite, 200, { tag: "peer-from", body: sdp("fine") });
  assert.equal((await scene.network.settled(ours)).type, "accepted");
  await end(scene);
});

Deno.test("old requests of the dialog are 500, unknown methods 405, a broken body 415", async () => {
  const scene = await talking();
  send(scene, "OPTIONS", 5, null);
  await scene.peer.response(200, "OPTIONS");
  send(scene, "INFO", 4, null);
  await scene.peer.response(500, "INFO");
  send(scene, "REFER", 6, null);
  await scene.peer.response(405, "REFER");
  send(scene, "INVITE", 7, { type: "application/isup", bytes: new Uint8Array([1]) });
  await scene.peer.response(415, "INVITE");
  send(scene, "PRACK", 8, null, { RAck: "1 1 INVITE" });
  await scene.peer.response(481, "PRACK");
  send(scene, "UPDATE", 9, null, { Supported: "timer", "Session-Expires": "10" });
  await scene.peer.response(422, "UPDATE");
  assert.equal(scene.events.length, 0);
  await end(scene);
});

Deno.test("an owner that never answers costs the peer a 504, not the call", async () => {
  const scene = await talking();
  send(scene, "INVITE", 2, sdp("anyone?"));
  const offer = await nextOffer(scene);
  await scene.peer.response(504, "INVITE");
  assert.equal(await offer.answer(sdp("late")), false);
  assert.equal(scene.call.ending, null);
  await end(scene);
});

Deno.test("a cancelled re-INVITE is 487 and its answer goes nowhere", async () => {
  const scene = await talking();
  const reinvite = send(scene, "INVITE", 2, sdp("never mind"));
  const offer = await nextOffer(scene);
  const headers = {
    Via: reinvite.headers.get("Via") ?? "",
    "Call-ID": reinvite.headers.get("Call-ID") ?? "",
  };
  scene.peer.send(
    scene.peer.build("CANCEL", "sip:bob@10.0.0.2", { ...headers, CSeq: "2 CANCEL" }),
    "10.0.0.2",
  );
  await scene.peer.response(200, "CANCEL");
  await scene.peer.response(487, "INVITE");
  assert.equal(await offer.answer(sdp("late")), false);
  await end(scene);
});

Deno.test("a BYE while an offer is open: 487 to the offer, and the call ends", async () => {
  const scene = await talking();
  send(scene, "INVITE", 2, sdp("hold"));
  const offer = await nextOffer(scene);
  send(scene, "BYE", 3, null);
  await scene.peer.response(200, "BYE");
  await scene.peer.response(487, "INVITE");
  assert.equal(await offer.answer(sdp("late")), false);
  await finish(scene);
});

Deno.test("no ACK for our answer ends the call", async () => {
  const scene = await talking();
  send(scene, "INVITE", 2, sdp("hold"));
  const confirmed = (await nextOffer(scene)).answer(sdp("held"));
  assert.equal(await scene.network.settled(confirmed), false);
  const bye = await scene.peer.request("BYE");
  scene.peer.answer(bye, 200);
  assert.equal(scene.call.ending?.by, "failure");
  await finish(scene);
});

Deno.test("a 200 to a re-INVITE is not repeated after its ACK, whose branch is its own (defect 5)", async () => {
  const scene = await talking();
  const reinvite = send(scene, "INVITE", 2, sdp("hold"));
  const confirmed = (await nextOffer(scene)).answer(sdp("held"));
  const answer: SipResponse = await scene.peer.response(200, "INVITE");
  acknowledge(scene.peer, reinvite, answer);
  assert.equal(await scene.network.settled(confirmed), true);
  scene.peer.drop(() => true);
  await scene.network.clock.advanceAsync(40_000);
  assert.equal(scene.peer.received.length, 0);
  await end(scene);
});

function state(weOffer: boolean): OfferState {
  return new OfferState({ localBody: null, remoteBody: null, weOffer });
}

Deno.test("a call starts with the offer of its INVITE under way", () => {
  assert.deepEqual([state(true).offering, state(true).answering], [true, false]);
  assert.deepEqual([state(false).offering, state(false).answering], [false, true]);
});

Deno.test("nobody offers while an offer is open on either side", () => {
  const ours = state(true);
  assert.equal(ours.beginOffering(), false);
  ours.endOffering();
  ours.beginAnswering();
  assert.equal(ours.beginOffering(), false);
  ours.endAnswering();
  assert.equal(ours.beginOffering(), true);
  assert.equal(ours.beginOffering(), false);
});

Deno.test("those who wait are called once, when both sides are idle", () => {
  const turns = state(false);
  const called: string[] = [];
  turns.onIdle(() => called.push("first"));
  const second = turns.onIdle(() => called.push("second"));
  turns.onIdle(() => called.push("third"));
  second[Symbol.dispose]();
  turns.endOffering();
  assert.deepEqual(called, []);
  turns.endAnswering();
  assert.deepEqual(called, ["first", "third"]);
  turns.endAnswering();
  assert.deepEqual(called, ["first", "third"]);
});

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
