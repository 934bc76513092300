// Tests of lib/sip/ua/call.ts: two endpoints talk over a network in memory, good and bad.

import assert from "node:assert/strict";
import { textBody } from "../../../lib/sip/message/body.ts";
import { type Call, type CallEvent, MAX_CALL_EVENTS } from "../../../lib/sip/ua/call.ts";
import type { SipEndpoint } from "../../../lib/sip/ua/endpoint.ts";
import { accepted, collect, dial, establishedCall } from "../../support/sip_calls.ts";
import {
  identity,
  type ScriptedPeer,
  sdp,
  sdpText,
  SipNetwork,
  type SipNetworkOptions,
} from "../../support/sip_network.ts";

function texts(events: readonly CallEvent[]): string[] {
  return events.map((event) => {
    if (event.type === "ended") return `ended by ${event.by}: ${event.reason}`;
    return event.type === "offer" ? `offer ${sdpText(event.body)}` : event.type;
  });
}

Deno.test("a call carries messages and INFO both ways and ends once on each side", async () => {
  const network = new SipNetwork();
  const { caller, callee, endpoints } = await establishedCall(network);
  const atCaller = collect(caller.events());
  const atCallee = collect(callee.events());
  assert.equal(sdpText(caller.remoteBody), "answer");
  assert.equal(sdpText(callee.remoteBody), "offer");
  assert.equal(await network.settled(caller.message(textBody("hello"))), 200);
  const typing = { type: "application/im-iscomposing+xml", bytes: new Uint8Array(3) };
  assert.equal(await network.settled(caller.message(typing)), 415);
  assert.equal(
    await network.settled(callee.info({ type: "application/dtmf", bytes: new Uint8Array([53]) })),
    200,
  );
  const qsig = { type: "application/qsig", bytes: new Uint8Array(3) };
  assert.equal(await network.settled(callee.info(qsig)), 415);
  await network.settled(callee.hangUp());
  await network.until("both ends", () => atCaller.length === 2 && atCallee.length === 2);
  assert.deepEqual(texts(atCaller), ["info", "ended by remote: hung up"]);
  assert.deepEqual(texts(atCallee), ["message", "ended by local: hung up"]);
  assert.equal(network.wire.filter((line) => line.endsWith(" BYE")).length, 1);
  assert.deepEqual(endpoints.map((endpoint) => endpoint.dialogCount), [0, 0]);
  await network.close(...endpoints);
  assert.equal(network.clock.pending, 0);
});

Deno.test("hanging up from both sides at once ends both", async () => {
  const network = new SipNetwork();
  const { caller, callee, endpoints } = await establishedCall(network);
  await network.settled(Promise.all([caller.hangUp(), callee.hangUp(), caller[Symbol.asyncDispose]()]));
  assert.deepEqual([caller.ending?.by, callee.ending?.by], ["local", "local"]);
  await network.close(...endpoints);
});

Deno.test("an answer nobody reads is bounded: the sender of too much hears 503", async () => {
  const network = new SipNetwork();
  const { caller, endpoints } = await establishedCall(network);
  const statuses: number[] = [];
  for (let n = 0; n <= MAX_CALL_EVENTS; n++) {
    statuses.push(await network.settled(caller.message(textBody(`${n}`))));
  }
  assert.deepEqual([...new Set(statuses)], [200, 503]);
  assert.equal(statuses.filter((status) => status === 503).length, 1);
  await network.close(...endpoints);
});

Deno.test("hanging up waits 5 s for a peer that vanished", async () => {
  const network = new SipNetwork();
  const { caller, endpoints } = await establishedCall(network);
  network.options.loss = 1;
  const fromMs = network.clock.now();
  await network.settled(caller.hangUp());
  assert.ok(network.clock.now() - fromMs <= 5_010);
  await network.close(...endpoints);
});

Deno.test("a peer that forgot the call ends it: 481 to a request", async () => {
  const network = new SipNetwork();
  const { caller, callee, endpoints } = await establishedCall(network);
  callee.abandon("failure", "lost its memory");
  assert.equal(await network.settled(caller.message(textBody("hello?"))), 481);
  assert.equal(caller.ending?.by, "failure");
  assert.equal(await network.settled(caller.info(textBody("again"))), 481);
  await network.close(...endpoints);
});

for (
  const options of [{ loss: 0.3, seed: 7 }, { duplication: 0.6, seed: 3 }, {
    loss: 0.25,
    duplication: 0.4,
    seed: 11,
  }]
) {
  Deno.test(`calls survive a network with ${JSON.stringify(options)}`, () => throughBadNetwork(options));
}

async function throughBadNetwork(options: SipNetworkOptions): Promise<void> {
  const network = new SipNetwork(options);
  for (let round = 0; round < 5; round++) {
    const { caller, callee, endpoints } = await establishedCall(network);
    const events = collect(callee.events());
    assert.equal(await network.settled(caller.message(textBody("hello"))), 200);
    const reoffered = network.settled(caller.reoffer(sdp("second")));
    await network.until("the offer", () => events.some((event) => event.type === "offer"));
    for (const event of events) if (event.type === "offer") void event.answer(sdp("second answer"));
    const outcome = await reoffered;
    assert.equal(outcome.type, "accepted");
    await network.settled(caller.hangUp());
    await network.until("the end", () => events.at(-1)?.type === "ended");
    assert.equal(events.filter((event) => event.type === "message").length, 1);
    assert.equal(events.filter((event) => event.type === "offer").length, 1);
    await network.close(...endpoints);
    await network.clock.advanceAsync(100); // the last packets are still under way
    assert.equal(network.clock.pending, 0, "a timer was left behind");
  }
}

interface Scene {
  network: SipNetwork;
  endpoint: SipEndpoint;
  peer: ScriptedPeer;
  call: Call;
  events: CallEvent[];
}

async function offeredCall(): Promise<Scene> {
  const network = new SipNetwork();
  const endpoint = network.endpoint("10.0.0.1");
  const peer = network.peer("10.0.0.9");
  const attempt = dial(endpoint.createUserAgent(identity("sip:alice@10.0.0.1")), "sip:peer@10.0.0.9", null);
  const invite = await peer.request("INVITE");
  assert.equal(invite.body.length, 0);
  assert.deepEqual(
    invite.headers.all("Supported"),
    ["timer"],
    "a reliable 1xx could bring an offer too early",
  );
  peer.answer(invite, 200, { body: sdp("their offer") });
  const call = await accepted(network, attempt);
  return { network, endpoint, peer, call, events: collect(call.events()) };
}

async function finish({ network, endpoint }: Scene): Promise<void> {
  await network.close(endpoint);
  await network.clock.advanceAsync(100);
  assert.equal(network.clock.pending, 0);
}

async function offerEvent({ network, events }: Scene): Promise<Extract<CallEvent, { type: "offer" }>> {
  await network.until("the offer", () => events.length > 0);
  const [event] = events;
  assert.ok(event?.type === "offer");
  return event;
}

Deno.test("our answer goes into the ACK, and the call can be changed afterwards", async () => {
  const set = await offeredCall();
  const event = await offerEvent(set);
  assert.equal(sdpText(event.body), "their offer");
  assert.equal(sdpText(set.call.remoteBody), "their offer");
  assert.equal(await set.network.settled(event.answer(sdp("our answer"))), true);
  const ack = await set.peer.request("ACK");
  assert.equal(sdpText(ack), "our answer");
  assert.equal(await event.answer(sdp("again")), false);
  const outcome = set.call.reoffer(sdp("hold"));
  set.peer.answer(await set.peer.request("INVITE"), 200, { body: sdp("held") });
  assert.equal((await set.network.settled(outcome)).type, "accepted");
  set.call.abandon("remote", "test over");
  await finish(set);
});

Deno.test("a refused offer is acknowledged and the call hung up", async () => {
  const set = await offeredCall();
  (await offerEvent(set)).refuse(488, "Not Acceptable Here");
  assert.equal((await set.peer.request("ACK")).body.length, 0);
  set.peer.answer(await set.peer.request("BYE"), 200);
  assert.deepEqual(set.events.at(-1), { type: "ended", by: "failure", reason: "488 Not Acceptable Here" });
  await finish(set);
});

Deno.test("an owner that never answers loses the call after 10 s", async () => {
  const set = await offeredCall();
  await set.network.clock.advanceAsync(9_000);
  assert.equal(set.peer.received.some((message) => message.kind === "request"), false);
  set.peer.answer(await set.peer.request("BYE"), 200);
  await set.peer.request("ACK");
  assert.deepEqual(set.call.ending, { type: "ended", by: "failure", reason: "the offer was not answered" });
  await finish(set);
});

Deno.test("a 200 without the offer we asked for is acknowledged, hung up and told as 488", async () => {
  const network = new SipNetwork();
  const endpoint = network.endpoint("10.0.0.1");
  const peer = network.peer("10.0.0.9");
  const attempt = dial(endpoint.createUserAgent(identity("sip:alice@10.0.0.1")), "sip:peer@10.0.0.9", null);
  peer.answer(await peer.request("INVITE"), 200);
  await peer.request("ACK");
  peer.answer(await peer.request("BYE"), 200);
  const last = attempt.steps.at(-1);
  assert.ok(last?.type === "refused" && last.status === 488);
  await network.close(endpoint);
});
