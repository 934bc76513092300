import assert from "node:assert/strict";
import { silentLog } from "../../lib/base/log.ts";
import { answer, invited } from "../../lib/call/answer.ts";
import { dial } from "../../lib/call/dial.ts";
import {
  CallBroadcast,
  callPath,
  type CallState,
  domainOf,
  IDLE,
  statusText,
  UNAVAILABLE,
} from "../../lib/call/leg.ts";
import { defaultLiveLimits, LiveStreams } from "../../lib/live/streams.ts";
import type { SipBody } from "../../lib/sip/message/body.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import {
  registeredCall,
  ScriptedAgent,
  ScriptedCall,
  ScriptedInvitation,
  ScriptedOwner,
} from "../support/gateway_fakes.ts";
import { sdp } from "../support/sip_network.ts";

Deno.test("the state is compared by identity: an equal state is not the same state", async () => {
  await using owner = new ScriptedOwner();
  const first: CallState = { type: "dialing", attempt: new AbortController(), registered: registeredCall() };
  const lookalike: CallState = { ...first };
  assert.equal(owner.state, IDLE);
  assert.equal(owner.advance({ type: "idle" }, first), false);
  assert.equal(owner.advance(IDLE, first), true);
  assert.equal(owner.advance(IDLE, lookalike), false);
  assert.equal(owner.advance(lookalike, IDLE), false);
  assert.equal(owner.state, first);
  assert.equal(owner.advance(first, IDLE), true);
});

Deno.test("each state may be left once: of two who saw it, the second is late", async () => {
  await using owner = new ScriptedOwner();
  const a: CallState = { type: "dialing", attempt: new AbortController(), registered: registeredCall() };
  const b: CallState = { type: "dialing", attempt: new AbortController(), registered: registeredCall() };
  assert.deepEqual([owner.advance(IDLE, a), owner.advance(IDLE, b)], [true, false]);
  assert.equal(owner.state, a);
});

const DOMAINS: [aor: string, domain: string][] = [
  ["sip:alice@example.com", "example.com"],
  ["sip:alice@127.0.0.1:5070", "127.0.0.1:5070"],
  ["sip:alice@[2001:db8::1]:5070", "[2001:db8::1]:5070"],
];

for (const [aor, domain] of DOMAINS) {
  Deno.test(`numbers dialled by ${aor} are in ${domain}`, () => {
    assert.equal(domainOf(new ScriptedAgent(aor)), domain);
  });
}

const OUTCOMES: [status: number, phrase: string, told: string][] = [
  [486, "Busy Here", "486 Busy Here"],
  [408, "Request Timeout", "408 Request timeout"],
  [500, "", "500"],
];

for (const [status, phrase, told] of OUTCOMES) {
  Deno.test(`${status} "${phrase}" is told as "${told}"`, () => {
    assert.equal(statusText(status, phrase), told);
  });
}

Deno.test("hangUp(): an idle leg is left as it is", async () => {
  await using owner = new ScriptedOwner();
  owner.hangUp();
  assert.equal(owner.state.type, "idle");
});

Deno.test("an attempt is cancelled, and the client hears nothing more of it", async () => {
  await using owner = new ScriptedOwner();
  dial(owner, "sip:bob@10.0.0.2", ["pcmu"]);
  await settle();
  owner.hangUp();
  assert.equal(owner.state.type, "idle");
  assert.equal(owner.agent.invites[0]?.signal.aborted, true);
  await settle();
  assert.deepEqual(owner.link.take(), []);
  assert.equal(owner.factory.openCount, 0);
});

Deno.test("an invitation that rings is refused, in words of the caller's choice", async () => {
  await using owner = new ScriptedOwner();
  const [first, second] = [new ScriptedInvitation(), new ScriptedInvitation()];
  invited(owner, first);
  owner.hangUp();
  invited(owner, second);
  owner.hangUp(UNAVAILABLE);
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
  owner.hangUp();
  assert.equal(owner.state.type, "idle");
  owner.factory.last.hear(40);
  assert.deepEqual(owner.played, ["8@20"], "no tags after hangUp()");
  invitation.confirm(call);
  await settle();
  assert.equal(call.hangUps, 1);
});

Deno.test("a call is hung up; the call leg is free before the BYE is answered", async () => {
  await using owner = new ScriptedOwner();
  const [invitation, call] = [new ScriptedInvitation(), new ScriptedCall()];
  call.byeAnswer = Promise.withResolvers();
  invited(owner, invitation);
  answer(owner, ["pcmu"]);
  invitation.confirm(call);
  await settle();
  assert.equal(owner.state.type, "talking");
  owner.link.take();
  owner.hangUp();
  assert.deepEqual([owner.state.type, call.hangUps], ["idle", 1]);
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
  owner.hangUp();
  looking.resolve(sdp("their offer"));
  await settle();
  assert.deepEqual([owner.state.type, owner.factory.opened.length], ["idle", 0]);
  assert.deepEqual(invitation.said, ["180", "603 Decline"]);
});

function watch(streams: LiveStreams, name: string): { got: string[]; leave: () => void } {
  const got: string[] = [];
  const outcome = streams.play(`${callPath("alice@example.com")}/${name}`, {
    congestion: () => 0,
    media: (type, _timeMs, body) => {
      got.push(`${type}:${[...body].join()}`);
      return true;
    },
  });
  assert.ok(outcome.type === "playing");
  return { got, leave: () => outcome.subscription[Symbol.dispose]() };
}

Deno.test("near and far are played apart, under the address of the client, call after call", () => {
  const streams = new LiveStreams(defaultLiveLimits, { clock: new FakeClock(), log: silentLog });
  const [near, far] = [watch(streams, "near"), watch(streams, "far")];
  for (const call of [1, 2]) {
    using broadcast = new CallBroadcast(streams, "alice@example.com");
    assert.deepEqual(broadcast.refusals, []);
    broadcast.near(8, call, new Uint8Array([0x82, call]));
    broadcast.far(8, call, new Uint8Array([0x82, 10 * call]));
  }
  assert.deepEqual([near.got, far.got], [["8:130,1", "8:130,2"], ["8:130,10", "8:130,20"]]);
  near.leave();
  far.leave();
});

Deno.test("a stream name in use stays with its publisher, and the other direction is published all the same", () => {
  const streams = new LiveStreams(defaultLiveLimits, { clock: new FakeClock(), log: silentLog });
  const held = streams.publish(`${callPath("alice@example.com")}/far`);
  assert.ok(held.type === "publishing");
  const far = watch(streams, "far");
  using broadcast = new CallBroadcast(streams, "alice@example.com");
  assert.equal(broadcast.refusals.length, 1);
  assert.match(broadcast.refusals[0]!, /^far: /);
  broadcast.far(8, 0, new Uint8Array([1]));
  broadcast.near(8, 0, new Uint8Array([1]));
  assert.deepEqual(far.got, []);
  far.leave();
  held.publication[Symbol.dispose]();
});
