// Who may offer when while an INVITE of ours has no 2xx: the patterns of RFC 6337 section 2.2, and what breaks them.

import assert from "node:assert/strict";
import type { OfferEvent } from "../../../lib/sip/ua/call.ts";
import type { SipEndpoint } from "../../../lib/sip/ua/endpoint.ts";
import type { SipRequest, SipResponse } from "../../../lib/sip/message/message.ts";
import { accepted, type Attempt, dial, nextInvitation } from "../../support/sip_calls.ts";
import { collect, identity, type ScriptedPeer, sdp, sdpText, SipNetwork } from "../../support/sip_network.ts";

interface Scene {
  readonly network: SipNetwork;
  readonly endpoint: SipEndpoint;
  readonly peer: ScriptedPeer;
  readonly attempt: Attempt;
  readonly invite: SipRequest;
}

async function dialled(): Promise<Scene> {
  const network = new SipNetwork();
  const endpoint = network.endpoint("10.0.0.1");
  const peer = network.peer("10.0.0.9");
  const attempt = dial(endpoint.createUserAgent(identity("sip:alice@10.0.0.1")), "sip:peer@10.0.0.9");
  return { network, endpoint, peer, attempt, invite: await peer.request("INVITE") };
}

const ALLOW = { Allow: "INVITE, ACK, BYE, CANCEL, UPDATE, PRACK" };

/** A reliable 1xx with a description, or without, and its PRACK. */
async function reliably(set: Scene, rseq: number, text: string | null, status = 183): Promise<SipResponse> {
  const headers = { ...ALLOW, Require: "100rel", RSeq: `${rseq}` };
  const response = set.peer.answer(set.invite, status, {
    headers,
    ...(text !== null && { body: sdp(text) }),
  });
  set.peer.answer(await set.peer.request("PRACK"), 200);
  return response;
}

/** An offer of the peer by UPDATE; the answer of ours is `ours`. */
async function updated(set: Scene, early: SipResponse, sequence: number, text: string): Promise<void> {
  const before = offersOf(set).length;
  set.peer.send(set.peer.buildInDialog("UPDATE", set.invite, early, sequence, sdp(text)), "10.0.0.1");
  await set.network.until("the offer", () => offersOf(set).length > before);
  const offer = offersOf(set).at(-1)!;
  assert.equal(sdpText(offer.body), text);
  void offer.answer(sdp(`to ${text}`));
  assert.equal(sdpText(await set.peer.response(200, "UPDATE")), `to ${text}`);
}

const offersOf = ({ attempt }: Scene): OfferEvent[] =>
  attempt.steps.flatMap((step) => step.type === "offer" ? [step.offer] : []);

/** Each row: what the peer does before its 2xx, what that carries, and the description in force afterwards. */
const ROWS: {
  name: string;
  early: (set: Scene) => Promise<unknown> | unknown;
  answer: string | null;
  inForce: string;
}[] = [
  { name: "pattern 1: offer in INVITE, answer in 2xx", early: () => {}, answer: "2xx", inForce: "2xx" },
  {
    name: "an unreliable 183 previews the answer of the 2xx",
    early: ({ peer, invite }) => peer.answer(invite, 183, { body: sdp("preview") }),
    answer: "2xx",
    inForce: "2xx",
  },
  {
    name: "an unreliable 183 has what the 2xx leaves out",
    early: ({ peer, invite }) => peer.answer(invite, 183, { body: sdp("preview") }),
    answer: null,
    inForce: "preview",
  },
  {
    name: "two unreliable 183: the later one counts",
    early: ({ peer, invite }) => {
      peer.answer(invite, 183, { body: sdp("one") });
      peer.answer(invite, 183, { body: sdp("two") });
    },
    answer: null,
    inForce: "two",
  },
  {
    name: "pattern 3: answer in a reliable 183",
    early: (set) => reliably(set, 1, "183"),
    answer: null,
    inForce: "183",
  },
  {
    name: "pattern 3, and the 2xx repeats it: ignored",
    early: (set) => reliably(set, 1, "183"),
    answer: "2xx",
    inForce: "183",
  },
  {
    name: "pattern 3 in the second reliable response",
    early: async (set) => {
      await reliably(set, 1, null, 180);
      await reliably(set, 2, "183");
    },
    answer: null,
    inForce: "183",
  },
  {
    name: "pattern 3 twice: the second description is ignored",
    early: async (set) => {
      await reliably(set, 1, "one");
      await reliably(set, 2, "two");
    },
    answer: null,
    inForce: "one",
  },
  {
    name: "pattern 6: UPDATE with an offer after an answered reliable 183",
    early: async (set) => await updated(set, await reliably(set, 1, "183"), 1, "update"),
    answer: null,
    inForce: "update",
  },
  {
    name: "pattern 6 twice",
    early: async (set) => {
      const early = await reliably(set, 1, "183");
      await updated(set, early, 1, "update one");
      await updated(set, early, 2, "update two");
    },
    answer: null,
    inForce: "update two",
  },
  {
    name: "pattern 6, and the 2xx has the old description: ignored",
    early: async (set) => await updated(set, await reliably(set, 1, "183"), 1, "update"),
    answer: "183",
    inForce: "update",
  },
  {
    name: "pattern 6, then a reliable 180 without one",
    early: async (set) => {
      await updated(set, await reliably(set, 1, "183"), 1, "update");
      await reliably(set, 2, null, 180);
    },
    answer: null,
    inForce: "update",
  },
  {
    name: "UPDATE without an offer, before and after the answer",
    early: async (set) => {
      const ringing = await reliably(set, 1, null, 180);
      set.peer.send(set.peer.buildInDialog("UPDATE", set.invite, ringing, 1), "10.0.0.1");
      await set.peer.response(200, "UPDATE");
      await reliably(set, 2, "183");
      set.peer.send(set.peer.buildInDialog("UPDATE", set.invite, ringing, 2), "10.0.0.1");
      await set.peer.response(200, "UPDATE");
    },
    answer: null,
    inForce: "183",
  },
];

for (const { name, early, answer, inForce } of ROWS) {
  Deno.test(`RFC 6337, we call: ${name}`, async () => {
    const set = await dialled();
    const { network, peer, invite, attempt, endpoint } = set;
    await early(set);
    await network.clock.advanceAsync(50);
    peer.answer(invite, 200, answer === null ? {} : { body: sdp(answer) });
    const call = await accepted(network, attempt);
    assert.equal((await peer.request("ACK")).body.length, 0);
    assert.equal(sdpText(call.remoteBody), inForce);
    // From now on the call takes offers itself.
    const events = collect(call.events());
    const offers = offersOf(set).length;
    peer.send(peer.buildInDialog("INVITE", invite, peer.answer(invite, 200), 20, sdp("later")), "10.0.0.1");
    await network.until("the offer", () => events.length > 0);
    assert.equal(events[0]?.type === "offer" && sdpText(events[0].body), "later");
    assert.equal(offersOf(set).length, offers);
    call.abandon("remote", "test over");
    await network.close(endpoint);
  });
}

/** Requests that come when the turn is not theirs, and how they are answered. */
const REFUSED: {
  name: string;
  early: (set: Scene) => Promise<SipResponse> | SipResponse;
  method: "UPDATE" | "INVITE";
  status: number;
}[] = [
  {
    name: "UPDATE with an offer before our own is answered",
    early: ({ peer, invite }) => peer.answer(invite, 180),
    method: "UPDATE",
    status: 491,
  },
  {
    name: "UPDATE with an offer after an unreliable 183, which is no answer",
    early: ({ peer, invite }) => peer.answer(invite, 183, { body: sdp("preview") }),
    method: "UPDATE",
    status: 491,
  },
  {
    name: "UPDATE with an offer after a reliable 180 without a description",
    early: (set) => reliably(set, 1, null, 180),
    method: "UPDATE",
    status: 491,
  },
  {
    name: "re-INVITE while our INVITE has no 2xx, although its offer is answered",
    early: (set) => reliably(set, 1, "183"),
    method: "INVITE",
    status: 491,
  },
  {
    name: "re-INVITE while nothing is answered",
    early: ({ peer, invite }) => peer.answer(invite, 180),
    method: "INVITE",
    status: 491,
  },
];

for (const { name, early, method, status } of REFUSED) {
  Deno.test(`RFC 6337, we call: ${name}: ${status}`, async () => {
    const set = await dialled();
    const { network, peer, invite, attempt, endpoint } = set;
    const response = await early(set);
    await network.clock.advanceAsync(50);
    peer.send(peer.buildInDialog(method, invite, response, 1, sdp("too soon")), "10.0.0.1");
    await peer.response(status, method);
    assert.equal(offersOf(set).length, 0);
    peer.answer(invite, 200, { body: sdp("answer") });
    (await accepted(network, attempt)).abandon("remote", "test over");
    await network.close(endpoint);
  });
}

Deno.test("RFC 6337, we call: a second UPDATE before the first is answered: 500 with Retry-After", async () => {
  const set = await dialled();
  const { network, peer, invite, endpoint } = set;
  const early = await reliably(set, 1, "183");
  peer.send(peer.buildInDialog("UPDATE", invite, early, 1, sdp("one")), "10.0.0.1");
  await network.until("the offer", () => offersOf(set).length === 1);
  peer.send(peer.buildInDialog("UPDATE", invite, early, 2, sdp("two")), "10.0.0.1");
  const retry = Number((await peer.response(500, "UPDATE")).headers.get("Retry-After"));
  assert.ok(retry >= 0 && retry <= 10, `Retry-After ${retry}`);
  void offersOf(set)[0]!.answer(sdp("ours"));
  await peer.response(200, "UPDATE");
  peer.answer(invite, 486);
  await peer.request("ACK");
  await network.close(endpoint);
});

Deno.test("RFC 6337, we call: an UPDATE that is refused leaves what was agreed; one nobody answers is 504", async () => {
  const set = await dialled();
  const { network, peer, invite, attempt, endpoint } = set;
  const early = await reliably(set, 1, "183");
  peer.send(peer.buildInDialog("UPDATE", invite, early, 1, sdp("refused")), "10.0.0.1");
  await network.until("the offer", () => offersOf(set).length === 1);
  offersOf(set)[0]!.refuse(488, "Not Acceptable Here");
  await peer.response(488, "UPDATE");
  peer.send(peer.buildInDialog("UPDATE", invite, early, 2, sdp("unanswered")), "10.0.0.1");
  await peer.response(504, "UPDATE");
  peer.answer(invite, 200);
  const call = await accepted(network, attempt);
  assert.equal(sdpText(call.remoteBody), "183");
  call.abandon("remote", "test over");
  await network.close(endpoint);
});

Deno.test("RFC 6337, we call: an UPDATE that waits when the attempt ends gets 487", async () => {
  const set = await dialled();
  const { network, peer, invite, endpoint } = set;
  const early = await reliably(set, 1, "183");
  peer.send(peer.buildInDialog("UPDATE", invite, early, 1, sdp("late")), "10.0.0.1");
  await network.until("the offer", () => offersOf(set).length === 1);
  peer.answer(invite, 603);
  await peer.response(487, "UPDATE");
  await network.close(endpoint);
});

Deno.test("RFC 6337 pattern 2: offer in the 2xx, answer in the ACK", async () => {
  const network = new SipNetwork();
  const endpoint = network.endpoint("10.0.0.1");
  const peer = network.peer("10.0.0.9");
  const attempt = dial(endpoint.createUserAgent(identity("sip:alice@10.0.0.1")), "sip:peer@10.0.0.9", null);
  const invite = await peer.request("INVITE");
  peer.answer(invite, 200, { body: sdp("their offer") });
  const call = await accepted(network, attempt);
  const events = collect(call.events());
  await network.until("the offer", () => events.length > 0);
  assert.ok(events[0]?.type === "offer");
  void events[0].answer(sdp("our answer"));
  assert.equal(sdpText(await peer.request("ACK")), "our answer");
  call.abandon("remote", "test over");
  await network.close(endpoint);
});

Deno.test("a re-INVITE that crosses an UPDATE of ours is 491, and the other way round ours is sent again", async () => {
  const set = await dialled();
  const { network, peer, invite, attempt, endpoint } = set;
  const ok = peer.answer(invite, 200, { body: sdp("answer"), headers: ALLOW });
  const call = await accepted(network, attempt);
  await peer.request("ACK");
  const ours = call.reoffer(sdp("ours"), "UPDATE");
  const update = await peer.request("UPDATE");
  peer.send(peer.buildInDialog("INVITE", invite, ok, 1, sdp("theirs")), "10.0.0.1");
  await peer.response(491, "INVITE");
  peer.answer(update, 491);
  const again = await peer.request("UPDATE");
  peer.answer(again, 200, { body: sdp("yes") });
  assert.equal((await network.settled(ours)).type, "accepted");
  call.abandon("remote", "test over");
  await network.close(endpoint);
});

/** The caller is the peer: what it may do before our 2xx. */
const CALLED: { name: string; method: string; body: boolean; status: number; retryAfter: boolean }[] = [
  {
    name: "UPDATE with an offer while its own is open",
    method: "UPDATE",
    body: true,
    status: 500,
    retryAfter: true,
  },
  { name: "re-INVITE while its own is open", method: "INVITE", body: true, status: 500, retryAfter: true },
  { name: "UPDATE without an offer", method: "UPDATE", body: false, status: 200, retryAfter: false },
  { name: "PRACK for nothing", method: "PRACK", body: false, status: 481, retryAfter: false },
];

for (const { name, method, body, status, retryAfter } of CALLED) {
  Deno.test(`RFC 6337, we are called: ${name}: ${status}`, async () => {
    const network = new SipNetwork();
    const endpoint = network.endpoint("10.0.0.1");
    const peer = network.peer("10.0.0.9");
    const alice = endpoint.createUserAgent(identity("sip:alice@10.0.0.1"));
    const invite = peer.build("INVITE", "sip:alice@10.0.0.1", {}, sdp("offer"));
    peer.send(invite, "10.0.0.1");
    const invitation = await nextInvitation(network, alice);
    invitation.ring();
    const ringing = await peer.response(180, "INVITE");
    const early = peer.buildAsCaller(method, invite, ringing, 2, body ? sdp("other") : null);
    peer.send(early, "10.0.0.1");
    const response = await peer.response(status, method);
    assert.equal(response.headers.has("Retry-After"), retryAfter);
    invitation.refuse(486, "Busy Here");
    await network.close(endpoint);
  });
}

Deno.test("RFC 6337 pattern 5, we are called: a PRACK with an offer while that of the INVITE is open is 491, and counts", async () => {
  const network = new SipNetwork();
  const endpoint = network.endpoint("10.0.0.1");
  const peer = network.peer("10.0.0.9");
  const alice = endpoint.createUserAgent(identity("sip:alice@10.0.0.1"));
  const invite = peer.build("INVITE", "sip:alice@10.0.0.1", { Require: "100rel" }, sdp("offer"));
  peer.send(invite, "10.0.0.1");
  const invitation = await nextInvitation(network, alice);
  invitation.ring();
  const ringing = await peer.response(180, "INVITE");
  const RAck = `${ringing.headers.get("RSeq")} 1 INVITE`;
  peer.send(peer.buildAsCaller("PRACK", invite, ringing, 2, sdp("other"), { RAck }), "10.0.0.1");
  await peer.response(491, "PRACK");
  await network.clock.advanceAsync(5_000);
  assert.equal(peer.drop((message) => message.kind === "response" && message.status === 180), 0);
  invitation.refuse(486, "Busy Here");
  await peer.response(486, "INVITE");
  await network.close(endpoint);
});
