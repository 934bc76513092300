// The rules of behaviour.md 1.4 and 1.5, over real SIP messages on a network in memory.

import assert from "node:assert/strict";
import type { RegisterOutcome } from "../../lib/sip/ua/registration.ts";
import { textBody } from "../../lib/sip/message/body.ts";
import { Context } from "../../lib/gateway/context.ts";
import { RecordingStream, ScriptedOwner } from "../support/gateway_fakes.ts";
import { GatewayPhone, PHONE_HOST, PHONE_URI } from "../support/gateway_phone.ts";
import { identity, type ScriptedPeer, sdp, sdpText, SipNetwork } from "../support/sip_network.ts";

const BOB = "10.0.0.2";
const DIAL = `sip:bob@${BOB}`;
const INVITED = `invited("<sip:peer@${BOB}>", "<${PHONE_URI}>")`;

interface Scene {
  readonly network: SipNetwork;
  readonly bob: ScriptedPeer;
  readonly alice: GatewayPhone;
}

/** Runs with alice and bob; afterwards alice leaves without a trace. */
function scene(name: string, run: (scene: Scene) => Promise<void>, options = {}): void {
  Deno.test(name, async () => {
    const network = new SipNetwork();
    const bob = network.peer(BOB);
    const alice = new GatewayPhone(network, options);
    try {
      await run({ network, bob, alice });
    } finally {
      answerGoodbyes(bob);
      await alice.leave();
    }
  });
}

/** From now on bob answers BYE, CANCEL and REGISTER by himself. */
function answerGoodbyes(bob: ScriptedPeer): void {
  bob.onMessage = (message) => {
    if (message.kind !== "request" || !/^(BYE|CANCEL|REGISTER)$/.test(message.method)) return false;
    bob.answer(message, 200);
    return true;
  };
}

/** Bob calls alice. */
function callAlice(bob: ScriptedPeer, offer: string | null = "bob", parts: Record<string, string> = {}) {
  const invite = bob.build("INVITE", PHONE_URI, parts, offer === null ? null : sdp(offer));
  bob.send(invite, PHONE_HOST);
  return invite;
}

/** Bob has called, alice has answered, the ACK is there. */
async function answeredCall({ network, bob, alice }: Scene) {
  const invite = callAlice(bob);
  await alice.told(1);
  alice.rpc("accept");
  const ok = await bob.response(200, "INVITE");
  bob.send(bob.buildAsCaller("ACK", invite, ok, 1), PHONE_HOST);
  assert.deepEqual(await alice.told(1), ["accepted()"]);
  assert.equal(network.wire.at(-1), `${BOB} > ${PHONE_HOST} ACK`);
  return { invite, ok };
}

// ---- 1.4 connect and register

scene("without a password nothing is registered", async ({ network, alice }) => {
  assert.deepEqual(await alice.context.register(new AbortController().signal), { type: "not needed" });
  assert.deepEqual(network.wire, []);
});

const withPassword = { password: "secret", aor: `sip:alice@${BOB}` };

/** Alice registers at bob's, who answers. */
async function register({ network, bob, alice }: Scene, status: number, reason: string) {
  const outcome = alice.context.register(new AbortController().signal);
  const request = await bob.request("REGISTER");
  bob.answer(request, status, { reason, headers: { Contact: request.headers.get("Contact") ?? "" } });
  return await network.settled<RegisterOutcome | { type: "not needed" }>(outcome);
}

scene("a registrar that says no gives its status and phrase", async (scene) => {
  assert.deepEqual(await register(scene, 403, "Not you"), {
    type: "refused",
    status: 403,
    reason: "Not you",
  });
}, withPassword);

scene(
  "a registrar that does not answer is given up after 32 s with 408 (1.11 #25)",
  async ({ network, alice }) => {
    const outcome = await network.settled(alice.context.register(new AbortController().signal));
    assert.ok(outcome.type === "refused" && outcome.status === 408);
    assert.ok(network.clock.now() <= 33_000);
  },
  withPassword,
);

scene("a lost registration is told, and its recovery", async (scene) => {
  const { bob, alice } = scene;
  assert.equal((await register(scene, 200, "OK")).type, "registered");
  bob.answer(await bob.request("REGISTER", 200_000), 503, { reason: "Overloaded" });
  assert.deepEqual(await alice.told(1), ['unregistered("503 Overloaded")']);
  const again = await bob.request("REGISTER", 200_000);
  bob.answer(again, 200, { headers: { Contact: again.headers.get("Contact") ?? "" } });
  assert.deepEqual(await alice.told(1), ["registered(180)"]);
}, withPassword);

scene("leaving while registered unregisters", async (scene) => {
  const { network, bob, alice } = scene;
  await register(scene, 200, "OK");
  const left = alice.leave();
  const goodbye = await bob.request("REGISTER");
  assert.equal(goodbye.headers.get("Expires"), "0");
  bob.answer(goodbye, 200);
  await network.settled(left);
}, withPassword);

// ---- 1.4 invite

scene(
  "invite: empty result at once, ringing for each 180 and 183, accepted when answered",
  async ({ bob, alice }) => {
    assert.deepEqual(alice.rpc("invite", DIAL).answers, ["result()"]);
    const invite = await bob.request("INVITE");
    assert.equal(sdpText(invite), "our offer 1");
    bob.answer(invite, 100);
    bob.answer(invite, 180);
    bob.answer(invite, 183);
    assert.deepEqual(await alice.told(2), ['ringing("180 Ringing")', 'ringing("183 Session Progress")']);
    bob.answer(invite, 200, { body: sdp("bob") });
    assert.deepEqual(await alice.told(1), ["accepted()"]);
    await bob.request("ACK");
  },
);

scene("invite with a codec list is told what was agreed", async ({ bob, alice }) => {
  alice.factory.prepare = (media) => media.report = ["pcmu", null];
  alice.rpc("invite", DIAL, "pcmu", null, "dtmf");
  assert.deepEqual(alice.factory.asked, []);
  bob.answer(await bob.request("INVITE"), 200, { body: sdp("bob") });
  assert.deepEqual(await alice.told(1), ['accepted("pcmu", null)']);
  assert.deepEqual(alice.factory.asked, [`${PHONE_HOST} pcmu,dtmf`]);
  await bob.request("ACK");
});

for (
  const [status, reason] of [[486, "Busy Here"], [305, "Use Proxy"], [480, "Gone fishing"], [
    600,
    "Busy",
  ]] as const
) {
  scene(`invite refused: rejected("${status} ${reason}")`, async ({ bob, alice }) => {
    alice.rpc("invite", DIAL);
    bob.answer(await bob.request("INVITE"), status, { reason });
    assert.deepEqual(await alice.told(1), [`rejected("${status} ${reason}")`]);
    await bob.request("ACK");
  });
}

scene('invite unanswered for 32 s: rejected("408 Request timeout")', async ({ network, alice }) => {
  const fromMs = network.clock.now();
  alice.rpc("invite", DIAL);
  assert.deepEqual(await alice.told(1), ['rejected("408 Request timeout")']);
  assert.ok(network.clock.now() - fromMs <= 32_100);
});

scene("invite to a name that does not resolve: rejected with 503", async ({ alice }) => {
  alice.rpc("invite", "sip:bob@nowhere.invalid");
  const [told] = await alice.told(1);
  assert.match(told ?? "", /^rejected\("503 .*nowhere\.invalid/);
});

scene(
  'a second invite: rejected("Already in an active or pending call"), the first goes on',
  async ({ bob, alice }) => {
    alice.rpc("invite", DIAL);
    const invite = await bob.request("INVITE");
    assert.deepEqual(alice.rpc("invite", "sip:carol@10.0.0.3").answers, ["result()"]);
    assert.deepEqual(await alice.told(1), ['rejected("Already in an active or pending call")']);
    bob.answer(invite, 200, { body: sdp("bob") });
    assert.deepEqual(await alice.told(1), ["accepted()"]);
    await bob.request("ACK");
    alice.rpc("invite", "sip:carol@10.0.0.3");
    assert.deepEqual(await alice.told(1), ['rejected("Already in an active or pending call")']);
  },
);

scene(
  'invite to "mailto:x": rejected("invalid dest URI"), and the next one works',
  async ({ bob, alice }) => {
    alice.rpc("invite", "mailto:x");
    assert.deepEqual(await alice.told(1), ['rejected("invalid dest URI")']);
    await alice.callBob(bob);
  },
);

scene(
  "an unknown RPC and a bad argument are errors of the RPC, and nothing else happens",
  async ({ network, alice }) => {
    assert.match(alice.rpc("register").answers[0] ?? "", /^error\("there is no command register"\)$/);
    assert.match(alice.rpc("invite").answers[0] ?? "", /^error\("invite: /);
    assert.match(alice.rpc("hold", 1).answers[0] ?? "", /^error\("hold: /);
    await network.clock.advanceAsync(1000);
    assert.deepEqual([alice.link.take(), network.wire], [[], []]);
  },
);

// ---- 1.4 bye

scene(
  "bye while dialing: CANCEL once a 1xx is there, no callback, the call leg free at once",
  async ({ network, bob, alice }) => {
    alice.rpc("invite", DIAL);
    const invite = await bob.request("INVITE");
    assert.deepEqual(alice.rpc("bye").answers, ["result()"]);
    await network.clock.advanceAsync(100);
    assert.equal(bob.drop((message) => message.kind === "request" && message.method === "CANCEL"), 0);
    bob.answer(invite, 180);
    const cancel = await bob.request("CANCEL");
    bob.answer(cancel, 200);
    bob.answer(invite, 487);
    await bob.request("ACK");
    assert.deepEqual([alice.link.take(), alice.context.leg.state.type, alice.factory.openCount], [
      [],
      "idle",
      0,
    ]);
    await alice.callBob(bob);
  },
);

scene(
  "bye while dialing, and a 200 that crosses the CANCEL: ACK and BYE, no callback",
  async ({ network, bob, alice }) => {
    alice.rpc("invite", DIAL);
    const invite = await bob.request("INVITE");
    bob.answer(invite, 180);
    await alice.told(1);
    alice.rpc("bye");
    bob.answer(invite, 200, { body: sdp("bob") });
    bob.answer(await bob.request("CANCEL"), 200);
    await bob.request("ACK");
    bob.answer(await bob.request("BYE"), 200);
    await network.clock.advanceAsync(1000);
    assert.deepEqual(alice.link.take(), []);
  },
);

scene("bye in a call: BYE, no callback, the next call at once", async ({ bob, alice }) => {
  await alice.callBob(bob);
  alice.rpc("bye");
  const bye = await bob.request("BYE");
  assert.deepEqual([alice.context.leg.state.type, alice.factory.openCount], ["idle", 0]);
  bob.answer(bye, 200);
  assert.deepEqual(alice.link.take(), []);
  await alice.callBob(bob);
});

scene(
  "bye and invite in one breath: the old call is hung up, the new one dialled",
  async ({ bob, alice }) => {
    await alice.callBob(bob);
    alice.rpc("bye");
    alice.rpc("invite", DIAL);
    bob.answer(await bob.request("BYE"), 200);
    bob.answer(await bob.request("INVITE"), 200, { body: sdp("bob"), tag: "second" });
    assert.deepEqual(await alice.told(1), ["accepted()"]);
    await bob.request("ACK");
    assert.equal(alice.factory.openCount, 1);
  },
);

scene("bye inside accepted", async ({ network, bob, alice }) => {
  alice.link.onCall = (method) => method === "accepted" && alice.rpc("bye");
  alice.rpc("invite", DIAL);
  bob.answer(await bob.request("INVITE"), 200, { body: sdp("bob") });
  await bob.request("ACK");
  bob.answer(await bob.request("BYE"), 200);
  await network.clock.advanceAsync(1000);
  assert.deepEqual([alice.link.take(), alice.context.leg.state.type], [["accepted()"], "idle"]);
});

scene("bye inside ringing", async ({ network, bob, alice }) => {
  alice.link.onCall = (method) => method === "ringing" && alice.rpc("bye");
  alice.rpc("invite", DIAL);
  const invite = await bob.request("INVITE");
  bob.answer(invite, 180);
  bob.answer(await bob.request("CANCEL"), 200);
  bob.answer(invite, 487);
  await network.clock.advanceAsync(1000);
  assert.deepEqual(alice.link.take(), ['ringing("180 Ringing")']);
});

scene("leaving inside ringing", async ({ network, bob, alice }) => {
  const left: Promise<void>[] = [];
  alice.link.onCall = () => void left.push(alice.context[Symbol.asyncDispose]());
  alice.rpc("invite", DIAL);
  const invite = await bob.request("INVITE");
  bob.answer(invite, 180);
  bob.answer(await bob.request("CANCEL"), 200);
  bob.answer(invite, 487);
  await network.settled(Promise.all(left));
  assert.deepEqual(alice.link.take(), ['ringing("180 Ringing")']);
});

scene("leaving inside invited", async ({ network, bob, alice }) => {
  const left: Promise<void>[] = [];
  alice.link.onCall = () => void left.push(alice.context[Symbol.asyncDispose]());
  callAlice(bob);
  await bob.response(480, "INVITE");
  await network.settled(Promise.all(left));
  assert.deepEqual(alice.link.take(), [INVITED]);
});

scene("bye without a call does nothing", async ({ network, alice }) => {
  assert.deepEqual(alice.rpc("bye").answers, ["result()"]);
  await network.clock.advanceAsync(1000);
  assert.deepEqual([alice.link.take(), network.wire], [[], []]);
});

scene("bye while alerted declines", async ({ bob, alice }) => {
  callAlice(bob);
  await alice.told(1);
  alice.rpc("bye");
  assert.equal((await bob.response(603, "INVITE")).reason, "Decline");
});

scene("bye between our 200 and the ACK: BYE after the ACK, no callback", async ({ network, bob, alice }) => {
  const invite = callAlice(bob);
  await alice.told(1);
  alice.rpc("accept");
  const ok = await bob.response(200, "INVITE");
  alice.rpc("bye");
  await network.clock.advanceAsync(100);
  assert.equal(bob.drop((message) => message.kind === "request"), 0);
  bob.send(bob.buildAsCaller("ACK", invite, ok, 1), PHONE_HOST);
  bob.answer(await bob.request("BYE"), 200);
  await network.clock.advanceAsync(1000);
  assert.deepEqual(alice.link.take(), []);
});

// ---- 1.4 accept and reject, 1.5 invited and cancelled

scene("called: 100 and 180 at once, invited with both addresses, accepted after the ACK", async (scene) => {
  const { bob, alice } = scene;
  const invite = callAlice(bob);
  await bob.response(100, "INVITE");
  await bob.response(180, "INVITE");
  assert.deepEqual(await alice.told(1), [INVITED]);
  assert.deepEqual(alice.rpc("accept", "pcmu").answers, ["result()"]);
  const ok = await bob.response(200, "INVITE");
  assert.equal(sdpText(ok), "answer to bob");
  assert.deepEqual(alice.link.take(), []);
  bob.send(bob.buildAsCaller("ACK", invite, ok, 1), PHONE_HOST);
  assert.deepEqual(await alice.told(1), ["accepted()"]);
  assert.deepEqual(alice.factory.asked, [`${PHONE_HOST} pcmu`]);
});

scene("a call without offer: ours in the 200, theirs in the ACK", async ({ bob, alice }) => {
  const invite = callAlice(bob, null);
  await alice.told(1);
  alice.rpc("accept");
  const ok = await bob.response(200, "INVITE");
  assert.equal(sdpText(ok), "our offer 1");
  bob.send(bob.buildAsCaller("ACK", invite, ok, 1, sdp("late answer")), PHONE_HOST);
  assert.deepEqual(await alice.told(1), ["accepted()"]);
  assert.deepEqual(alice.factory.last.log, ["offer 1", "answer late answer"]);
});

scene(
  "who begins to play between our 200 and the ACK has missed what came before: it begins again",
  async (scene) => {
    const { bob, alice } = scene;
    const invite = callAlice(bob);
    await alice.told(1);
    alice.rpc("accept");
    const ok = await bob.response(200, "INVITE");
    const media = alice.factory.last;
    media.hear(20); // nobody plays
    const player = new RecordingStream();
    alice.play(player);
    media.hear(40);
    bob.send(bob.buildAsCaller("ACK", invite, ok, 1), PHONE_HOST);
    assert.deepEqual(await alice.told(1), ["accepted()"]);
    assert.deepEqual(player.events, ["started", "8@40 00"]);
    assert.equal(media.log.at(-1), "player changed");
  },
);

scene(
  "a call without offer whose ACK brings none: BYE to them, byed to the client",
  async ({ bob, alice }) => {
    const invite = callAlice(bob, null);
    await alice.told(1);
    alice.rpc("accept");
    const ok = await bob.response(200, "INVITE");
    bob.send(bob.buildAsCaller("ACK", invite, ok, 1), PHONE_HOST);
    await bob.request("BYE");
    assert.deepEqual(await alice.told(1), ["byed()"]);
  },
);

scene("no ACK to our 200: byed after 32 s, and a BYE", async ({ bob, alice }) => {
  callAlice(bob);
  await alice.told(1);
  alice.rpc("accept");
  assert.deepEqual(await alice.told(1), ["byed()"]);
  await bob.request("BYE");
});

scene("an offer that cannot work: 488 with a Warning before anybody is alerted", async ({ bob, alice }) => {
  callAlice(bob, "impossible");
  const refusal = await bob.response(488, "INVITE");
  assert.match(
    refusal.headers.get("Warning") ?? "",
    /^305 siprtmp "peer has \\"g729\\", gateway has speex"$/,
  );
  assert.deepEqual(alice.link.take(), []);
  assert.equal(bob.drop((message) => message.kind === "response" && message.status === 180), 0);
});

scene("accept with a list that does not fit: 488 with a Warning, then byed", async ({ bob, alice }) => {
  callAlice(bob, "bad");
  await alice.told(1);
  alice.rpc("accept", "pcma");
  const refusal = await bob.response(488, "INVITE");
  assert.match(refusal.headers.get("Warning") ?? "", /^305 siprtmp /);
  assert.deepEqual(await alice.told(1), ["byed()"]);
});

const REJECTS: [args: string[], status: number, reason: string][] = [
  [["486 Busy Here"], 486, "Busy Here"],
  [["486"], 486, "Busy Here"],
  [["404"], 404, "Not Found"],
  [["480 Gone fishing"], 480, "Gone fishing"],
  [["no time"], 603, "no time"],
  [["Decline"], 603, "Decline"],
  [[], 603, "Decline"],
  [[""], 603, "Decline"],
];

for (const [args, status, reason] of REJECTS) {
  scene(
    `reject(${JSON.stringify(args).slice(1, -1)}) says ${status} ${reason}, no callback`,
    async ({ bob, alice }) => {
      callAlice(bob);
      await alice.told(1);
      assert.deepEqual(alice.rpc("reject", ...args).answers, ["result()"]);
      assert.equal((await bob.response(status, "INVITE")).reason, reason);
      assert.deepEqual([alice.link.take(), alice.context.leg.state.type], [[], "idle"]);
    },
  );
}

scene("reject without an invitation does nothing, also in a call", async ({ network, bob, alice }) => {
  alice.rpc("reject");
  await alice.callBob(bob);
  alice.rpc("reject", "486 Busy Here");
  await network.clock.advanceAsync(1000);
  assert.deepEqual([alice.link.take(), alice.context.leg.state.type], [[], "talking"]);
});

scene("accept in a call does nothing to it", async ({ network, bob, alice }) => {
  await alice.callBob(bob);
  alice.rpc("accept");
  await network.clock.advanceAsync(1000);
  assert.deepEqual([alice.link.take(), alice.context.leg.state.type], [[], "talking"]);
});

scene("the caller's CANCEL: 200 and 487 to him, cancelled to the client", async ({ bob, alice }) => {
  const invite = callAlice(bob);
  await alice.told(1);
  const cancel = bob.build("CANCEL", PHONE_URI, {
    "Via": invite.headers.get("Via") ?? "",
    "CSeq": "1 CANCEL",
  });
  bob.send(cancel, PHONE_HOST);
  await bob.response(200, "CANCEL");
  await bob.response(487, "INVITE");
  assert.deepEqual(await alice.told(1), [INVITED.replace("invited", "cancelled")]);
  alice.rpc("accept");
  assert.deepEqual(await alice.told(1), ["byed()"]);
});

// ---- 1.11 #11: a second caller

for (const state of ["dialing", "alerting", "answering", "talking"] as const) {
  scene(`a caller while ${state} hears 486, the client nothing, the first call goes on`, async (scene) => {
    const { network, bob, alice } = scene;
    if (state === "dialing") {
      alice.rpc("invite", DIAL);
      await bob.request("INVITE");
    } else if (state === "talking") await alice.callBob(bob);
    else {
      callAlice(bob);
      await alice.told(1);
      if (state === "answering") alice.rpc("accept");
    }
    const carol = network.peer("10.0.0.3");
    callAlice(carol);
    await carol.response(486, "INVITE");
    assert.deepEqual([alice.link.take(), alice.context.leg.state.type], [[], state]);
  });
}

// ---- 1.5 byed, holded; 1.4 hold

scene("their BYE: 200 to them, byed to the client, media gone", async (scene) => {
  const { bob, alice } = scene;
  const { invite, ok } = await answeredCall(scene);
  bob.send(bob.buildAsCaller("BYE", invite, ok, 2), PHONE_HOST);
  await bob.response(200, "BYE");
  assert.deepEqual([await alice.told(1), alice.factory.openCount], [["byed()"], 0]);
});

scene("their hold and their return: 200 each, holded once for each change", async ({ bob, alice }) => {
  const { invite, response } = await alice.callBob(bob);
  let sequence = 1;
  const renew = async (offer: string): Promise<string | null> => {
    const again = bob.buildInDialog("INVITE", invite, response, ++sequence, sdp(offer));
    bob.send(again, PHONE_HOST);
    const ok = await bob.response(200, "INVITE");
    bob.send(bob.buildInDialog("ACK", invite, response, sequence), PHONE_HOST);
    return sdpText(ok);
  };
  assert.equal(await renew("on hold"), "answer to on hold");
  assert.deepEqual(await alice.told(1), ["holded(true)"]);
  await renew("on hold again");
  assert.equal(await renew("back"), "answer to back");
  assert.deepEqual(await alice.told(1), ["holded(false)"]);
  await renew("back again");
  assert.deepEqual(alice.link.take(), []);
});

scene("their hold by UPDATE", async ({ bob, alice }) => {
  const { invite, response } = await alice.callBob(bob);
  bob.send(bob.buildInDialog("UPDATE", invite, response, 2, sdp("on hold")), PHONE_HOST);
  assert.equal(sdpText(await bob.response(200, "UPDATE")), "answer to on hold");
  assert.deepEqual(await alice.told(1), ["holded(true)"]);
});

scene("a re-INVITE without offer: ours in the 200, theirs in the ACK", async ({ bob, alice }) => {
  const { invite, response } = await alice.callBob(bob);
  bob.send(bob.buildInDialog("INVITE", invite, response, 2), PHONE_HOST);
  assert.equal(sdpText(await bob.response(200, "INVITE")), "our offer 2");
  bob.send(bob.buildInDialog("ACK", invite, response, 2, sdp("on hold")), PHONE_HOST);
  assert.deepEqual(await alice.told(1), ["holded(true)"]);
});

scene("a re-INVITE that cannot work: 488, and the call goes on as it was", async ({ bob, alice }) => {
  const { invite, response } = await alice.callBob(bob);
  bob.send(bob.buildInDialog("INVITE", invite, response, 2, sdp("bad")), PHONE_HOST);
  await bob.response(488, "INVITE");
  assert.deepEqual([alice.link.take(), alice.context.leg.state.type], [[], "talking"]);
});

scene("hold and back: a re-INVITE each, no callback", async ({ network, bob, alice }) => {
  await alice.callBob(bob);
  for (const on of [true, false]) {
    assert.deepEqual(alice.rpc("hold", on).answers, ["result()"]);
    const renewed = await bob.request("INVITE");
    bob.answer(renewed, 200, { body: sdp(`bob after ${on}`) });
    await bob.request("ACK");
    await network.clock.advanceAsync(10);
    assert.deepEqual(alice.factory.last.log.slice(-3), [
      `hold ${on}`,
      `offer ${on ? 2 : 3}`,
      `answer bob after ${on}`,
    ]);
  }
  assert.deepEqual(alice.link.take(), []);
});

scene("a hold they refuse is taken back, and the call goes on", async ({ network, bob, alice }) => {
  await alice.callBob(bob);
  alice.rpc("hold", true);
  bob.answer(await bob.request("INVITE"), 488);
  await bob.request("ACK");
  await network.clock.advanceAsync(10);
  assert.deepEqual(alice.factory.last.log.slice(-3), ["hold true", "offer 2", "hold false"]);
  assert.deepEqual([alice.link.take(), alice.context.leg.state.type], [[], "talking"]);
});

scene("bye while a hold is under way", async ({ network, bob, alice }) => {
  await alice.callBob(bob);
  alice.rpc("hold", true);
  const renewed = await bob.request("INVITE");
  alice.rpc("bye");
  bob.answer(await bob.request("BYE"), 200);
  bob.answer(renewed, 200, { body: sdp("too late") });
  await network.clock.advanceAsync(1000);
  assert.ok(!alice.factory.last.log.includes("answer too late"));
  assert.deepEqual(alice.link.take(), []);
});

scene("hold without a call does nothing", async ({ network, alice }) => {
  assert.deepEqual(alice.rpc("hold", true).answers, ["result()"]);
  await network.clock.advanceAsync(1000);
  assert.deepEqual(network.wire, []);
});

// ---- 1.4 sendDTMF, 1.5 messages

scene("sendDTMF: events, else INFO; an error without a call or when they take neither", async ({
  network,
  bob,
  alice,
}) => {
  assert.deepEqual(alice.rpc("sendDTMF", "5").answers, ['error("there is no call")']);
  await alice.callBob(bob);
  assert.deepEqual(alice.rpc("sendDTMF", "5").answers, ["result()"]);
  assert.deepEqual(alice.rpc("sendDTMF", "12#", 200).answers, ["result()"]);
  assert.deepEqual(alice.factory.last.log.slice(-2), ["digits 5 160", "digits 12# 200"]);
  alice.factory.last.takesDigits = false;
  const neither = 'error("the remote party takes no DTMF: 405 Method Not Allowed")';
  for (const [status, answer] of [[200, "result()"], [405, neither]] as const) {
    const reply = alice.rpc("sendDTMF", "7");
    const info = await bob.request("INFO");
    assert.equal(new TextDecoder().decode(info.body), "Signal=7\r\nDuration=160\r\n");
    bob.answer(info, status);
    await network.until("the answer", () => reply.answers.length > 0);
    assert.deepEqual(reply.answers, [answer]);
  }
  assert.deepEqual(alice.rpc("sendDTMF", "8").answers, [neither], "it is not asked again");
});

scene("sendMessage and receivedMessage, inside the call", async ({ network, bob, alice }) => {
  assert.deepEqual(alice.rpc("sendMessage", "hello?").answers, ['error("there is no call")']);
  const { invite, response } = await alice.callBob(bob);
  for (const [status, answer] of [[200, "result(true)"], [405, 'error("405 Method Not Allowed")']] as const) {
    const reply = alice.rpc("sendMessage", "grüß dich");
    const message = await bob.request("MESSAGE");
    assert.equal(new TextDecoder().decode(message.body), "grüß dich");
    bob.answer(message, status);
    await network.until("the answer", () => reply.answers.length > 0);
    assert.deepEqual(reply.answers, [answer]);
  }
  bob.send(bob.buildInDialog("MESSAGE", invite, response, 2, textBody("hi alice")), PHONE_HOST);
  await bob.response(200, "MESSAGE");
  assert.deepEqual(await alice.told(1), ['receivedMessage("hi alice")']);
});

scene("sendPagingMessage and receivedPagingMessage, outside of calls", async ({ network, bob, alice }) => {
  const reply = alice.rpc("sendPagingMessage", DIAL, "hello");
  bob.answer(await bob.request("MESSAGE"), 202);
  await network.until("the answer", () => reply.answers.length > 0);
  assert.deepEqual(reply.answers, ["result(true)"]);
  bob.send(bob.build("MESSAGE", PHONE_URI, {}, textBody("hi")), PHONE_HOST);
  await bob.response(200, "MESSAGE");
  assert.deepEqual(await alice.told(1), [`receivedPagingMessage("<sip:peer@${BOB}>", "hi")`]);
});

scene(
  "who sends more than the remote party answers is told so, and can still hang up",
  async ({ network, bob, alice }) => {
    await alice.callBob(bob);
    const replies = Array.from({ length: 100 }, () => alice.rpc("sendMessage", "spam"));
    const refused = replies.filter(({ answers }) => /too many commands/.test(answers[0] ?? ""));
    assert.ok(refused.length > 30 && refused.length < 60, `${refused.length} refused`);
    assert.deepEqual(alice.rpc("bye").answers, ["result()"]);
    bob.answer(await bob.request("BYE"), 200);
    await network.clock.advanceAsync(40_000);
    assert.ok(replies.every(({ answers }) => answers.length === 1), "each was answered once");
  },
);

// ---- streams of the client

scene(
  "what arrives goes to the stream that plays, from when it plays, and only to the latest",
  async ({ bob, alice }) => {
    await alice.callBob(bob);
    const media = alice.factory.last;
    const [first, second] = [new RecordingStream(), new RecordingStream()];
    media.hear(20);
    alice.play(first);
    media.hear(40);
    alice.play(second);
    media.hear(60);
    alice.ended(first, "play");
    media.hear(80);
    alice.ended(second, "play");
    media.hear(100);
    assert.deepEqual(first.events, ["started", "8@40 00"]);
    assert.deepEqual(second.events, ["started", "8@60 00", "8@80 00"]);
  },
);

scene("play before the call works, too", async ({ bob, alice }) => {
  const stream = new RecordingStream();
  alice.play(stream);
  assert.deepEqual(stream.events, ["started"]);
  await alice.callBob(bob);
  alice.factory.last.hear(20);
  assert.deepEqual(stream.events, ["started", "8@20 00"]);
});

scene(
  "what the latest publisher sends goes out, and the media know of the change",
  async ({ bob, alice }) => {
    const [first, second] = [new RecordingStream(), new RecordingStream()];
    alice.publish(first);
    alice.send(first, 20);
    await alice.callBob(bob);
    alice.send(first, 40);
    alice.publish(second);
    alice.send(first, 60);
    alice.send(second, 0);
    alice.ended(second, "publish");
    alice.send(second, 20);
    assert.deepEqual(alice.factory.last.log.slice(2), ["8@40", "publisher changed", "8@0"]);
    assert.deepEqual([first.events, second.events], [["started"], ["started"]]);
  },
);

// ---- dialling by URL

const byUrl = { dialByUrl: DIAL };

scene("dialled by URL: the first audio starts the call with its codec", async ({ network, bob, alice }) => {
  const stream = new RecordingStream();
  alice.publish(stream);
  await network.clock.advanceAsync(1000);
  assert.deepEqual(network.wire, []);
  alice.send(stream, 0, [0x82]); // no audio in it yet
  alice.send(stream, 0, [0x17, 0, 0], 9);
  alice.send(stream, 20, [0x82, 0xff]);
  alice.send(stream, 40, [0x82, 0xff]);
  bob.answer(await bob.request("INVITE"), 200, { body: sdp("bob") });
  await bob.request("ACK");
  const told = await alice.told(2);
  assert.deepEqual([told, alice.factory.asked], [[`dialing("${DIAL}")`, "accepted()"], [
    `${PHONE_HOST} pcmu`,
  ]]);
}, byUrl);

scene("dialled by URL: a player starts the call with all it can play", async ({ bob, alice }) => {
  alice.play(new RecordingStream());
  bob.answer(await bob.request("INVITE"), 486);
  assert.deepEqual(await alice.told(2), [`dialing("${DIAL}")`, 'rejected("486 Busy Here")']);
  assert.deepEqual(alice.factory.asked, [`${PHONE_HOST} pcmu,pcma,wideband`]);
}, byUrl);

scene(
  "dialled by URL with audio that cannot be passed on: rejected, nothing dialled",
  async ({ network, alice }) => {
    const stream = new RecordingStream();
    alice.publish(stream);
    alice.send(stream, 0, [0x2f, 1, 2]);
    alice.send(stream, 20, [0x2f, 1, 2]);
    await network.clock.advanceAsync(1000);
    assert.deepEqual([alice.link.take(), network.wire], [['rejected("488 Not Acceptable Here")'], []]);
    assert.match(stream.events[1] ?? "", /error NetStream\.Publish\.UnsupportedCodec .*AAC/);
  },
  byUrl,
);

scene("a program that dialled by URL cannot answer: callers hear 480", async ({ bob, alice }) => {
  callAlice(bob);
  await bob.response(480, "INVITE");
  assert.deepEqual(alice.link.take(), []);
}, byUrl);

// ---- leaving in every state

scene("leaving while dialing: CANCEL", async ({ network, bob, alice }) => {
  alice.rpc("invite", DIAL);
  const invite = await bob.request("INVITE");
  bob.answer(invite, 180);
  await alice.told(1);
  const left = alice.leave();
  bob.answer(await bob.request("CANCEL"), 200);
  bob.answer(invite, 487);
  await network.settled(left);
});

scene("leaving while the way is still looked for: nothing is sent", async ({ network, alice }) => {
  alice.rpc("invite", DIAL);
  const disposed = alice.context[Symbol.asyncDispose]();
  await network.settled(disposed);
  assert.deepEqual(network.wire, []);
});

scene("leaving while alerted: 480", async ({ network, bob, alice }) => {
  callAlice(bob);
  await alice.told(1);
  const left = alice.leave();
  await bob.response(480, "INVITE");
  await network.settled(left);
});

scene("leaving while answering: BYE, since the 200 is out", async ({ network, bob, alice }) => {
  callAlice(bob);
  await alice.told(1);
  alice.rpc("accept");
  await bob.response(200, "INVITE");
  const left = alice.leave();
  bob.answer(await bob.request("BYE"), 200);
  await network.settled(left);
});

scene("leaving in a call: BYE, no callback", async ({ network, bob, alice }) => {
  await alice.callBob(bob);
  const left = alice.leave();
  bob.answer(await bob.request("BYE"), 200);
  await network.settled(left);
  assert.deepEqual(alice.link.take(), []);
});

scene(
  "leaving in a call with a remote party that is dead: BYE at once, over after 5 s",
  async ({ network, bob, alice }) => {
    await alice.callBob(bob);
    const fromMs = network.clock.now();
    await network.settled(alice.context[Symbol.asyncDispose]());
    assert.ok(network.clock.now() - fromMs <= 5_010);
    await bob.request("BYE");
  },
);

scene("leaving right after bye", async ({ network, bob, alice }) => {
  await alice.callBob(bob);
  alice.rpc("bye");
  const left = alice.leave();
  bob.answer(await bob.request("BYE"), 200);
  await network.settled(left);
});

Deno.test("a silent registrar with a successor: the client is told, and connected 4 s later", async () => {
  const network = new SipNetwork();
  network.names.set("pbx.example", ["10.0.0.98", "10.0.0.99"]);
  const registrar = network.peer("10.0.0.99");
  const endpoint = network.endpoint("10.0.0.1");
  const agent = endpoint.createUserAgent(identity("sip:alice@pbx.example", "secret"));
  await using owner = new ScriptedOwner();
  const context = new Context({ link: owner.link, agent, services: owner.services });
  const registering = context.register(new AbortController().signal);
  registrar.answer(await registrar.request("REGISTER"), 200);
  assert.equal((await network.settled(registering)).type, "registered");
  const [told, ...more] = owner.link.take();
  assert.match(
    told ?? "",
    /^onStatus\(.*NetConnection\.Connect\.Trying.*10\.0\.0\.98:5060 failed \(no answer for 4 s\)/,
  );
  assert.deepEqual(more, []);
  const leaving = context[Symbol.asyncDispose]();
  registrar.answer(await registrar.request("REGISTER"), 200);
  await network.settled(leaving);
  await network.close(endpoint);
});
