import assert from "node:assert/strict";
import { dial } from "../../lib/call/outgoing.ts";
import { answer, invited } from "../../lib/call/incoming.ts";
import { hangUp, UNAVAILABLE } from "../../lib/call/hang_up.ts";
import type { SipBody } from "../../lib/sip/message/body.ts";
import { settle } from "../support/fake_clock.ts";
import { sdp } from "../support/sip_network.ts";
import { ScriptedCall, ScriptedInvitation, ScriptedOwner } from "../support/gateway_fakes.ts";

Deno.test("an idle line is left as it is", async () => {
  await using owner = new ScriptedOwner();
  hangUp(owner);
  assert.equal(owner.line.state, "idle");
});

Deno.test("an attempt is cancelled, and the client hears nothing more of it", async () => {
  await using owner = new ScriptedOwner();
  dial(owner, "sip:bob@10.0.0.2", ["pcmu"]);
  await settle();
  hangUp(owner);
  assert.equal(owner.line.state, "idle");
  assert.equal(owner.agent.invites[0]?.signal.aborted, true);
  await settle();
  assert.deepEqual(owner.link.take(), []);
  assert.equal(owner.factory.openCount, 0);
});

Deno.test("an invitation that rings is refused, in words of the caller's choice", async () => {
  await using owner = new ScriptedOwner();
  const [first, second] = [new ScriptedInvitation(), new ScriptedInvitation()];
  invited(owner, first);
  hangUp(owner);
  invited(owner, second);
  hangUp(owner, UNAVAILABLE);
  assert.deepEqual([first.said, second.said], [["180", "603 Decline"], [
    "180",
    "480 Temporarily Unavailable",
  ]]);
});

Deno.test("between our answer and the ACK: the BYE goes when the call is there", async () => {
  await using owner = new ScriptedOwner();
  const [invitation, call] = [new ScriptedInvitation(), new ScriptedCall()];
  invited(owner, invitation);
  answer(owner, ["pcmu"]);
  await settle();
  owner.factory.last.hear(20);
  hangUp(owner);
  assert.equal(owner.line.state, "idle");
  owner.factory.last.hear(40);
  assert.deepEqual(owner.played, ["8@20"], "who was hung up on is not heard");
  invitation.confirm(call);
  await settle();
  assert.equal(call.hangUps, 1);
});

Deno.test("a call is hung up; the line is free before the BYE is answered", async () => {
  await using owner = new ScriptedOwner();
  const [invitation, call] = [new ScriptedInvitation(), new ScriptedCall()];
  call.byeAnswer = Promise.withResolvers();
  invited(owner, invitation);
  answer(owner, ["pcmu"]);
  invitation.confirm(call);
  await settle();
  assert.equal(owner.line.state, "talking");
  owner.link.take();
  hangUp(owner);
  assert.deepEqual([owner.line.state, call.hangUps], ["idle", 1]);
  call.byeAnswer.resolve();
  await settle();
  assert.deepEqual(owner.link.take(), []);
});

Deno.test("while the names of an offer are looked up: declined, nothing is opened", async () => {
  await using owner = new ScriptedOwner();
  const invitation = new ScriptedInvitation();
  const looking = Promise.withResolvers<SipBody>();
  owner.factory.withAddresses = () => looking.promise;
  invited(owner, invitation);
  answer(owner, ["pcmu"]);
  hangUp(owner);
  looking.resolve(sdp("their offer"));
  await settle();
  assert.deepEqual([owner.line.state, owner.factory.opened.length], ["idle", 0]);
  assert.deepEqual(invitation.said, ["180", "603 Decline"]);
});
