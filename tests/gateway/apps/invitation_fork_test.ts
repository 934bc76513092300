// Answers to: lib/gateway/apps/invitation_fork.ts.

import assert from "node:assert/strict";
import fc from "fast-check";
import { type ForkLeg, InvitationFork } from "../../../lib/gateway/apps/invitation_fork.ts";
import { ScriptedCall, ScriptedInvitation } from "../../support/gateway_fakes.ts";
import { sdp } from "../../support/sip_network.ts";

class Scene {
  readonly invitation = new ScriptedInvitation();
  readonly legs: ForkLeg[];
  readonly cancelled: number[] = [];
  readonly over: number[] = [];

  constructor(clients: number) {
    const fork = new InvitationFork(this.invitation);
    this.legs = Array.from({ length: clients }, () => fork.takeLeg());
    for (const [index, leg] of this.legs.entries()) {
      leg.cancelled.addEventListener("abort", () => this.cancelled.push(index));
      leg.onOver = () => void this.over.push(index);
    }
  }

  get said(): string[] {
    return this.invitation.said;
  }
}

Deno.test("fork: each client sees the same call", () => {
  const { invitation, legs } = new Scene(2);
  for (const leg of legs) {
    assert.deepEqual([leg.id, leg.from, leg.to, leg.offer, leg.source], [
      invitation.id,
      invitation.from,
      invitation.to,
      invitation.offer,
      invitation.source,
    ]);
  }
});

Deno.test("fork: all ring, the first to accept has the call, the others hear that it was cancelled", async () => {
  const scene = new Scene(3);
  for (const leg of scene.legs) leg.ring();
  assert.deepEqual(scene.said, ["180"], "the caller hears one ringing");
  const accepted = scene.legs[1]!.accept(sdp("b"));
  assert.deepEqual([scene.said, scene.cancelled, scene.over], [["180", "200 b"], [0, 2], [0, 2]]);
  const call = new ScriptedCall();
  scene.invitation.confirm(call);
  assert.deepEqual(await accepted, { type: "confirmed", call: call.call });
  assert.deepEqual(await scene.legs[0]!.accept(sdp("a")), {
    type: "failed",
    reason: "another client of this address has answered",
  });
  scene.legs[2]!.refuse(603, "Decline");
  scene.legs[2]!.ring();
  assert.deepEqual(scene.said, ["180", "200 b"]);
  assert.deepEqual(scene.over, [0, 2, 1], "each once");
});

const REFUSALS: [said: [client: number, status: number][], toCaller: string[]][] = [
  [[[0, 486]], []],
  [[[0, 486], [1, 480]], []],
  [[[0, 486], [1, 480], [2, 488]], ["486 r486 | w486"]],
  [[[0, 503], [1, 500], [2, 404]], ["404 r404 | w404"]],
  [[[0, 503], [1, 302], [2, 404]], ["302 r302 | w302"]],
  [[[0, 486], [0, 480], [0, 480]], []],
  [[[0, 486], [1, 603]], ["603 r603 | w603"]],
  [[[0, 603], [1, 486]], ["603 r603 | w603"]],
];

for (const [said, toCaller] of REFUSALS) {
  Deno.test(`fork: of three clients ${JSON.stringify(said)} gives the caller ${toCaller.join() || "nothing yet"}`, () => {
    const scene = new Scene(3);
    for (const [client, status] of said) {
      scene.legs[client]!.refuse(status, `r${status}`, { Warning: `w${status}` });
    }
    assert.deepEqual(scene.said, toCaller);
    const decliners = said.filter(([, status]) => status >= 600).length;
    if (decliners > 0) {
      assert.equal(
        scene.cancelled.length,
        3 - said.findIndex(([, status]) => status >= 600) - 1,
      );
    } else assert.deepEqual(scene.cancelled, []);
  });
}

Deno.test("fork: after some have refused the others may still accept", () => {
  const scene = new Scene(3);
  scene.legs[0]!.refuse(486, "Busy Here");
  scene.legs[1]!.refuse(480, "Temporarily Unavailable");
  void scene.legs[2]!.accept(sdp("c"));
  assert.deepEqual([scene.said, scene.cancelled], [["200 c"], []]);
});

Deno.test("fork: who has refused cannot accept", async () => {
  const scene = new Scene(2);
  scene.legs[0]!.refuse(486, "Busy Here");
  assert.deepEqual(await scene.legs[0]!.accept(sdp("a")), {
    type: "failed",
    reason: "the invitation is over",
  });
  assert.deepEqual(scene.said, []);
});

Deno.test("fork: the caller's CANCEL reaches all who have not refused; nothing more is said", async () => {
  const scene = new Scene(3);
  scene.legs[0]!.refuse(486, "Busy Here");
  scene.invitation.cancel();
  assert.deepEqual(scene.cancelled, [1, 2]);
  scene.legs[1]!.refuse(603, "Decline");
  scene.legs[2]!.ring();
  assert.equal((await scene.legs[2]!.accept(sdp("c"))).type, "failed");
  assert.deepEqual(scene.said, []);
});

Deno.test("fork: one that was cancelled before it was offered", () => {
  const invitation = new ScriptedInvitation();
  invitation.cancel();
  const leg = new InvitationFork(invitation).takeLeg();
  assert.equal(leg.cancelled.aborted, true);
});

Deno.test("fork: a session description with the ringing goes through after a plain ringing", () => {
  const scene = new Scene(2);
  scene.legs[0]!.ring();
  scene.legs[1]!.ring(sdp("early"), 183);
  assert.deepEqual(scene.said, ["180", "180"]);
});

Deno.test("fork: a client that leaves before it answered is out; one that leaves before the ACK gives its call back", async () => {
  const scene = new Scene(2);
  assert.equal(scene.legs[0]!.leave(), null);
  const accepted = scene.legs[1]!.accept(sdp("b"));
  const abandoned = scene.legs[1]!.leave();
  assert.ok(abandoned);
  assert.deepEqual(await accepted, { type: "failed", reason: "the client has left" });
  const call = new ScriptedCall();
  scene.invitation.confirm(call);
  assert.deepEqual(await abandoned, { type: "confirmed", call: call.call });
  assert.deepEqual(scene.said, ["200 b"]);
});

Deno.test("fork: whatever the clients do, the caller hears one answer at most, and each client one end", () => {
  const action = fc.record({
    client: fc.nat(3),
    what: fc.constantFrom("ring", "accept", "486", "603", "leave", "cancel"),
  });
  fc.assert(
    fc.property(fc.array(action, { maxLength: 12 }), (actions) => {
      const scene = new Scene(4);
      for (const { client, what } of actions) {
        const leg = scene.legs[client]!;
        if (what === "ring") leg.ring();
        else if (what === "accept") void leg.accept(sdp("x"));
        else if (what === "leave") void leg.leave();
        else if (what === "cancel") scene.invitation.cancel();
        else leg.refuse(Number(what), "r");
      }
      const finals = scene.said.filter((text) => text !== "180");
      assert.ok(finals.length <= 1, finals.join());
      assert.equal(new Set(scene.cancelled).size, scene.cancelled.length);
    }),
    { numRuns: 500 },
  );
});
