// Tests of lib/sip/ua/invitation.ts: incoming calls from a peer that does what the test says.

import assert from "node:assert/strict";
import { INVITATION_MS, RING_REPEAT_MS } from "../../../lib/sip/ua/invitation.ts";
import { sdp, sdpText } from "../../support/sip_network.ts";
import { acknowledge, calleeScene, finish, invited, talking } from "../../support/sip_callee.ts";

Deno.test("100 at once, 180 when rung, 200 when accepted, confirmed by the ACK", async () => {
  const scene = await invited({
    "From": '"Carol" <sip:carol@10.0.0.9>;tag=c1',
    "Record-Route": "<sip:10.0.0.8;lr>",
  });
  const { peer, invite, invitation } = scene;
  assert.equal(invitation.id, "call@10.0.0.9");
  assert.equal(invitation.from.displayName, "Carol");
  assert.equal(invitation.to.uri.user, "bob");
  assert.equal(sdpText(invitation.offer), "offer");
  assert.deepEqual(invitation.source, {
    localAddress: "10.0.0.2",
    remote: { hostname: "10.0.0.9", port: 5060 },
  });
  invitation.ring();
  const ringing = await peer.response(180);
  assert.equal(ringing.headers.get("Record-Route"), "<sip:10.0.0.8;lr>");
  assert.match(ringing.headers.get("Contact") ?? "", /^<sip:bob@10\.0\.0\.2:5060;line=\w+>$/);
  const accepted = invitation.accept(sdp("answer"));
  const answer = await peer.response(200, "INVITE");
  assert.equal(answer.headers.get("To"), ringing.headers.get("To"));
  assert.equal(answer.headers.get("Record-Route"), "<sip:10.0.0.8;lr>");
  assert.ok(answer.headers.all("Allow").includes("UPDATE"));
  assert.equal(sdpText(answer), "answer");
  acknowledge(peer, invite, answer);
  const outcome = await scene.network.settled(accepted);
  assert.ok(outcome.type === "confirmed");
  assert.equal(outcome.call.id, invitation.id);
  assert.equal(sdpText(outcome.call.remoteBody), "offer");
  assert.equal((await invitation.accept(sdp("again"))).type, "failed");
  outcome.call.abandon("remote", "test over");
  await finish(scene);
});

Deno.test("early media goes out in a 183", async () => {
  const scene = await invited();
  scene.invitation.ring(sdp("early"), 183);
  assert.equal(sdpText(await scene.peer.response(183)), "early");
  scene.invitation.refuse(486, "Busy Here");
  await finish(scene);
});

Deno.test("a refusal carries its headers, once", async () => {
  const scene = await invited();
  scene.invitation.refuse(488, "Not Acceptable Here", { Warning: '399 siprtmp "no codec"' });
  scene.invitation.refuse(486, "Busy Here");
  const response = await scene.peer.response(488);
  assert.equal(response.headers.get("Warning"), '399 siprtmp "no codec"');
  assert.equal((await scene.invitation.accept(sdp("late"))).type, "failed");
  const ack = scene.peer.build("ACK", "sip:bob@10.0.0.2", {
    Via: scene.invite.headers.get("Via") ?? "",
    To: response.headers.get("To") ?? "",
  });
  scene.peer.send(ack, "10.0.0.2");
  await finish(scene);
  assert.equal(scene.invitation.cancelled.aborted, false);
});

Deno.test("a CANCEL ends the invitation: 200, 487, and the signal", async () => {
  const scene = await invited();
  const { peer, invite, invitation, network } = scene;
  invitation.ring();
  const cancel = peer.build("CANCEL", "sip:bob@10.0.0.2", { Via: invite.headers.get("Via") ?? "" });
  peer.send(cancel, "10.0.0.2");
  await peer.response(200, "CANCEL");
  await peer.response(487, "INVITE");
  assert.equal(invitation.cancelled.aborted, true);
  invitation.ring();
  invitation.refuse(486, "Busy Here");
  assert.deepEqual(await network.settled(invitation.accept(sdp("late"))), {
    type: "failed",
    reason: "the invitation is over",
  });
  await finish(scene);
});

Deno.test("a BYE before the answer is 200, and 487 to the INVITE", async () => {
  const scene = await invited();
  const { peer, invite, invitation } = scene;
  invitation.ring();
  const ringing = await peer.response(180);
  peer.send(peer.buildAsCaller("BYE", invite, ringing, 2), "10.0.0.2");
  await peer.response(200, "BYE");
  await peer.response(487, "INVITE");
  assert.equal(invitation.cancelled.aborted, true);
  await finish(scene);
});

Deno.test("a BYE instead of the ACK fails the acceptance", async () => {
  const scene = await invited();
  const { peer, invite, invitation, network } = scene;
  const accepted = invitation.accept(sdp("answer"));
  const answer = await peer.response(200, "INVITE");
  peer.send(peer.buildAsCaller("BYE", invite, answer, 2), "10.0.0.2");
  assert.deepEqual(await network.settled(accepted), {
    type: "failed",
    reason: "the caller hung up: hung up",
  });
  assert.equal(invitation.cancelled.aborted, false);
  await finish(scene);
});

Deno.test("without an ACK the 200 is repeated for 32 s, then BYE and failure", async () => {
  const scene = await invited();
  const { peer, invitation, network } = scene;
  const accepted = invitation.accept(sdp("answer"));
  const outcome = await network.settled(accepted);
  assert.deepEqual(outcome, { type: "failed", reason: "the caller did not acknowledge our answer" });
  const repetitions = peer.drop((message) => message.kind === "response" && message.status === 200);
  assert.ok(repetitions >= 8, `${repetitions} repetitions`);
  peer.answer(await peer.request("BYE"), 200);
  await finish(scene);
});

Deno.test("an INVITE without offer gets ours, and the answer comes in the ACK", async () => {
  const scene = await invited({}, null);
  const { peer, invite, invitation, network } = scene;
  assert.equal(invitation.offer, null);
  const accepted = invitation.accept(sdp("our offer"));
  const answer = await peer.response(200, "INVITE");
  assert.equal(sdpText(answer), "our offer");
  acknowledge(peer, invite, answer, sdp("their answer"));
  const outcome = await network.settled(accepted);
  assert.ok(outcome.type === "confirmed");
  assert.equal(sdpText(outcome.call.remoteBody), "their answer");
  outcome.call.abandon("remote", "test over");
  await finish(scene);
});

Deno.test("an ACK that does not answer our offer ends the call", async () => {
  const scene = await invited({}, null);
  const { peer, invite, invitation, network } = scene;
  const accepted = invitation.accept(sdp("our offer"));
  acknowledge(peer, invite, await peer.response(200, "INVITE"));
  assert.equal((await network.settled(accepted)).type, "failed");
  peer.answer(await peer.request("BYE"), 200);
  await finish(scene);
});

Deno.test("required 100rel: ringing is repeated until its PRACK, and a 200 waits for it", async () => {
  const scene = await invited({ Require: "100rel" });
  const { peer, invite, invitation, network } = scene;
  invitation.ring(sdp("early answer"), 183);
  const ringing = await peer.response(183);
  assert.equal(ringing.headers.get("Require"), "100rel");
  const rseq = ringing.headers.get("RSeq") ?? "";
  await peer.response(183);
  const accepted = invitation.accept(sdp("early answer"));
  await network.clock.advanceAsync(100);
  assert.equal(peer.received.some((message) => message.kind === "response" && message.status === 200), false);
  const prack = (rack: string, sequence: number) =>
    peer.send(peer.buildAsCaller("PRACK", invite, ringing, sequence, null, { RAck: rack }), "10.0.0.2");
  prack("1 99 INVITE", 2);
  await peer.response(481, "PRACK");
  prack(`${rseq} 1 INVITE`, 3);
  await peer.response(200, "PRACK");
  const answer = await peer.response(200, "INVITE");
  acknowledge(peer, invite, answer);
  const outcome = await network.settled(accepted);
  assert.ok(outcome.type === "confirmed");
  outcome.call.abandon("remote", "test over");
  await finish(scene);
});

Deno.test("required 100rel without any PRACK ends in 504", async () => {
  const scene = await invited({ Require: "100rel" });
  scene.invitation.ring();
  await scene.peer.response(504, "INVITE");
  assert.equal(scene.invitation.cancelled.aborted, true);
  await finish(scene);
});

Deno.test("required 100rel without an offer: no ringing that would have to bring one", async () => {
  const scene = await invited({ Require: "100rel" }, null);
  scene.invitation.ring();
  await scene.network.clock.advanceAsync(1_000);
  assert.equal(
    scene.peer.received.some((message) => message.kind === "response" && message.status === 180),
    false,
  );
  scene.invitation.refuse(486, "Busy Here");
  await finish(scene);
});

Deno.test("a caller that only supports 100rel gets ordinary ringing, repeated each minute", async () => {
  const scene = await invited({ Supported: "100rel" });
  scene.invitation.ring();
  const ringing = await scene.peer.response(180);
  assert.equal(ringing.headers.has("RSeq"), false);
  await scene.network.clock.advanceAsync(RING_REPEAT_MS - 1_000);
  assert.equal(scene.peer.drop((message) => message.kind === "response" && message.status === 180), 0);
  await scene.peer.response(180);
  scene.invitation.refuse(486, "Busy Here");
  await finish(scene);
});

Deno.test("nobody waits for ever: the caller's Expires, else five minutes", async () => {
  for (const [headers, waitMs] of [[{ Expires: "10" }, 10_000], [{}, INVITATION_MS]] as const) {
    const scene = await invited(headers);
    const fromMs = scene.network.clock.now();
    await scene.peer.response(480, "INVITE", waitMs + 1_000);
    assert.ok(Math.abs(scene.network.clock.now() - fromMs - waitMs) < 100);
    assert.equal(scene.invitation.cancelled.aborted, true);
    await finish(scene);
  }
});

Deno.test("the session timer of the caller is agreed to and ends a call nobody refreshes", async () => {
  const scene = await talking({ Supported: "timer", "Session-Expires": "90" });
  assert.equal(scene.answer.headers.get("Session-Expires"), "90;refresher=uac");
  assert.equal(scene.answer.headers.get("Require"), "timer");
  await scene.network.clock.advanceAsync(59_000);
  assert.equal(scene.events.length, 0);
  scene.peer.answer(await scene.peer.request("BYE"), 200);
  assert.equal(scene.events.at(-1)?.type, "ended");
  assert.equal(scene.call.ending?.by, "failure");
  await finish(scene);
});

Deno.test("an INVITE we cannot take is refused before anybody hears of it", async () => {
  const scene = calleeScene();
  const table: [Record<string, string>, string, number][] = [
    [{ "Content-Type": "application/isup" }, "", 415],
    [{ Supported: "timer", "Session-Expires": "30" }, "", 422],
    [{ Require: "precondition" }, "", 420],
  ];
  for (const [index, [headers, , status]] of table.entries()) {
    const unique = { ...headers, "Call-ID": `c${index}` };
    scene.peer.send(scene.peer.build("INVITE", "sip:bob@10.0.0.2", unique, sdp("o")), "10.0.0.2");
    const response = await scene.peer.response(status);
    if (status === 422) assert.equal(response.headers.get("Min-SE"), "90");
  }
  await finish(scene);
});
