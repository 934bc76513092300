import assert from "node:assert/strict";
import { answer, invited } from "../../lib/call/answer.ts";
import { type CallState, IDLE } from "../../lib/call/leg.ts";
import { settle } from "../support/fake_clock.ts";
import { registeredCall, ScriptedCall, ScriptedInvitation, ScriptedOwner } from "../support/gateway_fakes.ts";
import { sdp } from "../support/sip_network.ts";

const INVITED = 'invited("\\"Bob\\" <sip:bob@10.0.0.2>", "<sip:alice@10.0.0.1>")';
const CANCELLED = INVITED.replace("invited", "cancelled");

/** An invitation the client has been told of. */
function alerted(owner: ScriptedOwner, invitation = new ScriptedInvitation()): ScriptedInvitation {
  invited(owner, invitation);
  assert.deepEqual([owner.state.type, owner.link.take()], ["alerting", [INVITED]]);
  return invitation;
}

/** An invitation the client has accepted; 200 is out. */
async function answered(owner: ScriptedOwner, offer = sdp("bob"), codecs: string[] = []) {
  const invitation = alerted(owner, new ScriptedInvitation(offer));
  answer(owner, codecs);
  await settle();
  return invitation;
}

Deno.test("an INVITE rings and tells the client who calls whom, without tags", async () => {
  await using owner = new ScriptedOwner();
  const order: string[] = [];
  const invitation = new ScriptedInvitation();
  owner.link.onCall = (method) => order.push(`${method} after ${invitation.said.join()}`);
  invited(owner, invitation);
  assert.deepEqual(owner.link.take(), [INVITED]);
  assert.deepEqual(order, ["invited after 180"]);
});

const BUSY: CallState[] = [
  { type: "dialing", attempt: new AbortController(), registered: registeredCall() },
  { type: "alerting", invitation: new ScriptedInvitation(), registered: registeredCall() },
  { type: "answering", invitation: new ScriptedInvitation(), registered: registeredCall() },
];

for (const line of BUSY) {
  Deno.test(`an INVITE while ${line.type} hears 486 and the client nothing`, async () => {
    await using owner = new ScriptedOwner();
    owner.become(line);
    const invitation = new ScriptedInvitation();
    invited(owner, invitation);
    assert.deepEqual([invitation.said, owner.link.take()], [["486 Busy Here"], []]);
    assert.equal(owner.state, line);
  });
}

Deno.test("an offer that cannot work hears 488 with a Warning, and nobody is alerted", async () => {
  await using owner = new ScriptedOwner();
  const invitation = new ScriptedInvitation(sdp("impossible"));
  invited(owner, invitation);
  assert.deepEqual(invitation.said, [
    '488 Not Acceptable Here | 305 siprtmp "peer has \\"g729\\", gateway has speex"',
  ]);
  assert.deepEqual([owner.link.take(), owner.state], [[], IDLE]);
});

Deno.test("the caller's CANCEL is reported once and frees the call leg", async () => {
  await using owner = new ScriptedOwner();
  const invitation = alerted(owner);
  invitation.cancel();
  invitation.cancel();
  assert.deepEqual([owner.link.take(), owner.state], [[CANCELLED], IDLE]);
  assert.match(owner.log.at("info").join("; "), /call from .*; .* call from .* cancelled$/);
});

Deno.test("a CANCEL that overtakes the client's notice leaves no trace", async () => {
  await using owner = new ScriptedOwner();
  const invitation = new ScriptedInvitation();
  invitation.cancel();
  invited(owner, invitation);
  assert.deepEqual([owner.link.take(), invitation.said, owner.state], [[], [], IDLE]);
});

Deno.test("accept answers the offer, and accepted comes after the ACK", async () => {
  await using owner = new ScriptedOwner();
  owner.factory.prepare = (media) => media.report = ["pcmu", null];
  const invitation = await answered(owner, sdp("bob"), ["pcmu"]);
  assert.deepEqual(invitation.said, ["180", "200 answer to bob"]);
  assert.deepEqual(owner.factory.asked, ["10.0.0.1 pcmu"]);
  assert.deepEqual([owner.link.take(), owner.state.type], [[], "answering"]);
  const call = new ScriptedCall();
  invitation.confirm(call);
  await settle();
  assert.deepEqual([owner.link.take(), owner.state.type], [['accepted("pcmu", null)'], "talking"]);
  call.end("remote");
  await settle();
  assert.deepEqual([owner.link.take(), owner.factory.openCount], [["byed()"], 0]);
});

Deno.test("without an ACK the client hears byed", async () => {
  await using owner = new ScriptedOwner();
  const invitation = await answered(owner);
  invitation.fail("no ACK");
  await settle();
  assert.deepEqual([owner.link.take(), owner.state, owner.factory.openCount], [["byed()"], IDLE, 0]);
});

Deno.test("an offer nothing of which fits the client's list: 488 with a Warning, then byed", async () => {
  await using owner = new ScriptedOwner();
  const invitation = await answered(owner, sdp("bad"));
  assert.deepEqual(invitation.said, [
    "180",
    '488 Not Acceptable Here | 305 siprtmp "\\"bad\\" is bad"',
  ]);
  assert.deepEqual([owner.link.take(), owner.state, owner.factory.openCount], [["byed()"], IDLE, 0]);
});

Deno.test("a codec list with nothing usable: 488 with a Warning, then byed", async () => {
  await using owner = new ScriptedOwner();
  owner.factory.refusal = { type: "none", reason: "none of these codecs can be used: g729" };
  const invitation = await answered(owner);
  assert.match(invitation.said[1] ?? "", /^488 Not Acceptable Here \| 305 siprtmp ".*g729"$/);
  assert.deepEqual([owner.link.take(), owner.state], [["byed()"], IDLE]);
});

Deno.test("no RTP port, or too many calls by now: 503 with Retry-After, then byed", async () => {
  await using owner = new ScriptedOwner();
  owner.factory.refusal = { type: "failed", reason: "no port" };
  const invitation = await answered(owner);
  assert.deepEqual(invitation.said, ["180", "503 Service Unavailable | 10"]);
  assert.deepEqual([owner.link.take(), owner.state], [["byed()"], IDLE]);
});

Deno.test("an internal error while answering: 500, byed, logged, the call leg free", async () => {
  await using owner = new ScriptedOwner();
  owner.factory.prepare = (media) => media.bug = new Error("a bug");
  const invitation = await answered(owner);
  assert.deepEqual(invitation.said, ["180", "500 Server Internal Error"]);
  assert.deepEqual([owner.link.take(), owner.state, owner.factory.openCount], [["byed()"], IDLE, 0]);
  assert.ok(owner.log.at("error").some((line) => line.includes("a bug")));
});

Deno.test("an INVITE without offer gets ours in the 200, and its ACK settles the media", async () => {
  await using owner = new ScriptedOwner();
  owner.missed = true;
  owner.factory.prepare = (media) => media.report = ["speex", null];
  const invitation = alerted(owner, new ScriptedInvitation(null));
  answer(owner, ["wideband"]);
  await settle();
  assert.deepEqual(invitation.said, ["180", "200 our offer 1"]);
  const call = new ScriptedCall();
  call.remoteBody = sdp("answer in the ACK");
  invitation.confirm(call);
  await settle();
  assert.deepEqual(owner.factory.last.log, ["offer 1", "answer answer in the ACK", "player changed"]);
  assert.deepEqual(owner.link.take(), ['accepted("speex", null)']);
  call.end("remote");
  await settle();
});

Deno.test("what the caller sends between our 200 and its ACK is played, and nothing need be begun again", async () => {
  await using owner = new ScriptedOwner();
  const invitation = alerted(owner, new ScriptedInvitation(sdp("offer")));
  answer(owner, ["wideband"]);
  await settle();
  assert.equal(owner.state.type, "answering");
  owner.factory.last.toRtmp!.play(9, 20, Uint8Array.of(0x17, 1));
  assert.deepEqual(owner.played, ["9@20"]);
  const call = new ScriptedCall();
  invitation.confirm(call);
  await settle();
  assert.equal(owner.state.type, "talking");
  assert.ok(!owner.factory.last.log.includes("player changed"));
  call.end("remote");
  await settle();
});

for (const [what, body] of [["bad", sdp("bad")], ["no", null]] as const) {
  Deno.test(`an ACK with ${what} answer to our offer is hung up, and the client hears byed`, async () => {
    await using owner = new ScriptedOwner();
    const invitation = alerted(owner, new ScriptedInvitation(null));
    answer(owner, []);
    await settle();
    const call = new ScriptedCall();
    call.remoteBody = body;
    invitation.confirm(call);
    await settle();
    assert.deepEqual([owner.link.take(), call.hangUps, owner.state], [["byed()"], 1, IDLE]);
    assert.equal(owner.factory.openCount, 0);
  });
}

Deno.test("accept after the caller was faster: byed", async () => {
  await using owner = new ScriptedOwner();
  alerted(owner).cancel();
  owner.link.take();
  answer(owner, []);
  assert.deepEqual(owner.link.take(), ["byed()"]);
});

Deno.test("accept a second time does nothing", async () => {
  await using owner = new ScriptedOwner();
  const invitation = await answered(owner);
  answer(owner, []);
  await settle();
  assert.deepEqual([invitation.said, owner.link.take()], [["180", "200 answer to bob"], []]);
  invitation.fail("no ACK");
  await settle();
});

Deno.test("given up between our 200 and the ACK: BYE once it is there, no accepted, no byed", async () => {
  await using owner = new ScriptedOwner();
  const invitation = await answered(owner);
  owner.become(IDLE); // what the context does for `bye`
  const call = new ScriptedCall();
  invitation.confirm(call);
  await settle();
  assert.deepEqual([owner.link.take(), call.hangUps, owner.factory.openCount], [[], 1, 0]);
});

Deno.test("accept inside the invited callback works", async () => {
  await using owner = new ScriptedOwner();
  const invitation = new ScriptedInvitation();
  owner.link.onCall = (method) => method === "invited" && answer(owner, []);
  invited(owner, invitation);
  await settle();
  assert.deepEqual(invitation.said, ["180", "200 answer to bob"]);
  const call = new ScriptedCall();
  invitation.confirm(call);
  await settle();
  assert.deepEqual(owner.link.take(), [INVITED, "accepted()"]);
  call.end("remote");
  await settle();
});

/** What the caller says about itself, whether the client wants it, and how it is called. */
const MORE: [headers: Record<string, string>, wanted: boolean | undefined, told: string][] = [
  [{}, true, 'invited("\\"Bob\\" <sip:bob@10.0.0.2>", "<sip:alice@10.0.0.1>")'],
  [{ "X-Tenant": "7" }, undefined, 'invited("\\"Bob\\" <sip:bob@10.0.0.2>", "<sip:alice@10.0.0.1>")'],
  [{ "X-Tenant": "7" }, false, 'invited("\\"Bob\\" <sip:bob@10.0.0.2>", "<sip:alice@10.0.0.1>")'],
  [
    { "X-Tenant": "7" },
    true,
    'invited("\\"Bob\\" <sip:bob@10.0.0.2>", "<sip:alice@10.0.0.1>", {"X-Tenant":"7"})',
  ],
];

for (const [headers, wanted, told] of MORE) {
  Deno.test(`headers ${JSON.stringify(headers)}, wanted: ${wanted}`, async () => {
    await using owner = new ScriptedOwner();
    if (wanted !== undefined) Object.assign(owner.services, { tellsCallerHeaders: wanted });
    const invitation = new ScriptedInvitation();
    invitation.callerHeaders = headers;
    invited(owner, invitation);
    assert.deepEqual(owner.link.take(), [told]);
    invitation.cancel();
  });
}
