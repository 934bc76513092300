// Answers to: lib/gateway/apps/line_member.ts; with the line it belongs to in shared_line_test.ts.

import assert from "node:assert/strict";
import { LineMember } from "../../../lib/gateway/apps/line_member.ts";
import { InvitationFork } from "../../../lib/gateway/apps/invitation_fork.ts";
import type { AcceptOutcome } from "../../../lib/sip/ua/invitation.ts";
import { parseNameAddr } from "../../../lib/sip/message/name_addr.ts";
import type { RegisterOutcome } from "../../../lib/sip/ua/registration.ts";
import { MAX_INVITATIONS } from "../../../lib/sip/ua/user_agent.ts";
import { settle } from "../../support/fake_clock.ts";
import { ScriptedAgent, ScriptedInvitation } from "../../support/gateway_fakes.ts";
import { collect, identity, sdp } from "../../support/sip_network.ts";

class Bench {
  readonly agent = new ScriptedAgent();
  readonly registered = Promise.withResolvers<RegisterOutcome>();
  readonly late: Promise<AcceptOutcome>[] = [];
  left = 0;
  readonly member = new LineMember(identity("sip:alice@example.com", "secret"), this.agent, {
    register: () => this.registered.promise,
    hangUpLater: (accepting) => void this.late.push(accepting),
    leave: () => {
      this.left += 1;
      return Promise.resolve();
    },
  });

  offer(): ScriptedInvitation {
    const invitation = new ScriptedInvitation();
    this.member.offer(new InvitationFork(invitation).takeLeg());
    return invitation;
  }
}

const forever = (): AbortSignal => new AbortController().signal;

Deno.test("line_member: calls beyond its room are refused in its name", () => {
  const bench = new Bench();
  const invitations = Array.from({ length: MAX_INVITATIONS + 2 }, () => bench.offer());
  assert.deepEqual(invitations.map(({ said }) => said.join()).slice(-3), [
    "",
    "486 Busy Here",
    "486 Busy Here",
  ]);
});

Deno.test("line_member: its end refuses what it was offered, cancels what it tries, and is one end", async () => {
  const bench = new Bench();
  const waiting = bench.offer();
  const registering = bench.member.register(forever());
  const steps = collect(bench.member.invite(parseNameAddr("<sip:bob@10.0.0.2>"), null, forever()));
  const streams = [
    collect(bench.member.invitations()),
    collect(bench.member.registrations()),
    collect(bench.member.messages()),
  ];
  await settle();
  await Promise.all([bench.member[Symbol.asyncDispose](), bench.member[Symbol.asyncDispose]()]);
  assert.deepEqual(waiting.said, ["480 Temporarily Unavailable"]);
  assert.deepEqual(await registering, { type: "refused", status: 487, reason: "given up" });
  await settle();
  assert.deepEqual(steps.map((step) => step.type), ["refused"]);
  assert.equal(streams[0]!.length, 1, "what was waiting is still handed over, refused");
  assert.deepEqual([bench.left, bench.agent.disposed], [1, false], "the user agent is the line's");
});

Deno.test("line_member: an answer on its way when it leaves is handed to the line", async () => {
  const bench = new Bench();
  const invitation = bench.offer();
  const { value: leg } = await bench.member.invitations().next();
  assert.ok(leg);
  const accepted = leg.accept(sdp("a"));
  await bench.member[Symbol.asyncDispose]();
  assert.deepEqual(await accepted, { type: "failed", reason: "the client has left" });
  assert.equal(bench.late.length, 1);
  invitation.fail("no ACK");
  assert.deepEqual(await bench.late[0], { type: "failed", reason: "no ACK" });
});

Deno.test("line_member: an answer that is settled is not the line's any more", async () => {
  const bench = new Bench();
  const invitation = bench.offer();
  const { value: leg } = await bench.member.invitations().next();
  const accepted = leg!.accept(sdp("a"));
  invitation.fail("no ACK");
  await accepted;
  await settle();
  await bench.member[Symbol.asyncDispose]();
  assert.equal(bench.late.length, 0);
});
