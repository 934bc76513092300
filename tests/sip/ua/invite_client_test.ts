// Tests of lib/sip/ua/invite_client.ts: outgoing attempts against a peer that does what the test says.

import assert from "node:assert/strict";
import type { SipRequest, SipResponse } from "../../../lib/sip/message/message.ts";
import { parseNameAddr } from "../../../lib/sip/message/name_addr.ts";
import { formatSipUri } from "../../../lib/sip/message/uri.ts";
import type { SipEndpoint } from "../../../lib/sip/ua/endpoint.ts";
import { MAX_REDIRECTS, NO_PROGRESS_MS, redirectsOf } from "../../../lib/sip/ua/invite_client.ts";
import type { UserAgent } from "../../../lib/sip/ua/user_agent.ts";
import { accepted, type Attempt, dial } from "../../support/sip_calls.ts";
import { responseTo, sipRequest } from "../../support/sip_messages.ts";
import { identity, type ScriptedPeer, sdp, sdpText, SipNetwork } from "../../support/sip_network.ts";

interface Scene {
  network: SipNetwork;
  endpoint: SipEndpoint;
  alice: UserAgent;
  peer: ScriptedPeer;
}

function scene(password: string | null = null): Scene {
  const network = new SipNetwork();
  const endpoint = network.endpoint("10.0.0.1");
  const alice = endpoint.createUserAgent(identity("sip:alice@10.0.0.9", password));
  return { network, endpoint, alice, peer: network.peer("10.0.0.9") };
}

async function dialed(
  password: string | null = null,
): Promise<Scene & { attempt: Attempt; invite: SipRequest }> {
  const set = scene(password);
  const attempt = dial(set.alice, "sip:peer@10.0.0.9");
  return { ...set, attempt, invite: await set.peer.request("INVITE") };
}

async function finish({ network, endpoint }: Scene): Promise<void> {
  await network.close(endpoint);
  await network.clock.advanceAsync(100);
  assert.equal(network.clock.pending, 0);
}

const told = (attempt: Attempt) =>
  attempt.steps.map((step) =>
    step.type === "accepted" || step.type === "offer"
      ? step.type
      : `${step.type} ${step.status} ${step.reason}`
  );

Deno.test("an INVITE says who calls, where to answer and what we can do", async () => {
  const set = await dialed();
  const { headers } = set.invite;
  assert.match(headers.get("From") ?? "", /^<sip:alice@10\.0\.0\.9>;tag=\w+$/);
  assert.match(headers.get("Contact") ?? "", /^<sip:alice@10\.0\.0\.1:5060;line=\w+>$/);
  assert.deepEqual(headers.all("Supported"), ["timer", "100rel"]);
  assert.ok(headers.all("Allow").includes("UPDATE"));
  assert.equal(headers.get("Session-Expires"), "1800");
  assert.equal(sdpText(set.invite), "offer");
  set.peer.answer(set.invite, 486);
  await finish(set);
});

Deno.test("ringing and early media are told, 100 is not; the answer is acknowledged each time it comes", async () => {
  const set = await dialed();
  const { network, peer, invite, attempt } = set;
  peer.answer(invite, 100);
  peer.answer(invite, 180);
  peer.answer(invite, 183, { body: sdp("early") });
  const answer = peer.answer(invite, 200, { body: sdp("answer") });
  const call = await accepted(network, attempt);
  const ack = await peer.request("ACK");
  assert.equal(ack.headers.get("CSeq"), "1 ACK");
  assert.equal(ack.uri.host, "10.0.0.9");
  assert.equal(ack.body.length, 0);
  assert.equal(sdpText(call.remoteBody), "answer");
  assert.deepEqual(told(attempt), ["progress 180 Ringing", "progress 183 Session Progress", "accepted"]);
  const early = attempt.steps[1];
  assert.equal(early?.type === "progress" ? sdpText(early.body) : null, "early");
  peer.send(answer, "10.0.0.1");
  peer.send(answer, "10.0.0.1");
  await peer.request("ACK");
  await peer.request("ACK");
  const bye = call.hangUp();
  peer.answer(await peer.request("BYE"), 200);
  await network.settled(bye);
  await finish(set);
});

Deno.test("the answer of a reliable 183 counts when the 200 has none", async () => {
  const set = await dialed();
  const { network, peer, invite, attempt } = set;
  peer.answer(invite, 183, { body: sdp("early answer"), headers: { Require: "100rel", RSeq: "1" } });
  peer.answer(await peer.request("PRACK"), 200);
  peer.answer(invite, 200);
  const call = await accepted(network, attempt);
  assert.equal(sdpText(call.remoteBody), "early answer");
  call.abandon("remote", "test over");
  await finish(set);
});

for (const [status, reason] of [[486, "Busy Here"], [302, "Moved Temporarily"], [603, "Decline"]] as const) {
  Deno.test(`${status} is told with its warning and acknowledged`, async () => {
    const set = await dialed();
    set.peer.answer(set.invite, status, { headers: { Warning: '399 peer "not now"' } });
    await set.peer.request("ACK");
    const [step] = set.attempt.steps;
    assert.ok(step?.type === "refused");
    const { redirects, ...told } = step;
    assert.deepEqual(told, { type: "refused", status, reason, warning: "not now" });
    assert.equal(redirects?.map(formatSipUri).join(), status === 302 ? "sip:peer@10.0.0.9:5060" : undefined);
    await finish(set);
  });
}

Deno.test("a challenge is answered: same call and tag, next CSeq; the ACK carries the credentials too", async () => {
  const set = await dialed("secret");
  const { network, peer, invite, attempt } = set;
  peer.answer(invite, 407, { headers: { "Proxy-Authenticate": 'Digest realm="r", nonce="n", qop="auth"' } });
  await peer.request("ACK");
  const again = await peer.request("INVITE");
  for (const name of ["Call-ID", "From"]) assert.equal(again.headers.get(name), invite.headers.get(name));
  assert.equal(again.headers.get("CSeq"), "2 INVITE");
  const credentials = again.headers.get("Proxy-Authorization");
  assert.match(credentials ?? "", /username="alice"/);
  peer.answer(again, 200, { body: sdp("answer") });
  const call = await accepted(network, attempt);
  const ack = await peer.request("ACK");
  assert.equal(ack.headers.get("Proxy-Authorization"), credentials);
  call.abandon("remote", "test over");
  await finish(set);
});

Deno.test("without a password a challenge is a refusal", async () => {
  const set = await dialed();
  set.peer.answer(set.invite, 401, { headers: { "WWW-Authenticate": 'Digest realm="r", nonce="n"' } });
  await set.network.until("the refusal", () => set.attempt.steps.length > 0);
  assert.deepEqual(told(set.attempt), ["refused 401 Unauthorized"]);
  await finish(set);
});

Deno.test("422 makes us offer a longer session interval", async () => {
  const set = await dialed();
  set.peer.answer(set.invite, 422, { headers: { "Min-SE": "3600" } });
  const again = await set.peer.request("INVITE");
  assert.equal(again.headers.get("Session-Expires"), "3600");
  assert.equal(again.headers.get("CSeq"), "2 INVITE");
  set.peer.answer(again, 486);
  await finish(set);
});

Deno.test("an abort is told at once, and its CANCEL waits for a 1xx", async () => {
  const set = await dialed();
  const { network, peer, invite, attempt } = set;
  attempt.abort.abort();
  await network.clock.advanceAsync(0);
  assert.deepEqual(told(attempt), ["refused 487 Request Terminated"]);
  await network.clock.advanceAsync(400);
  assert.equal(peer.received.length, 0);
  peer.answer(invite, 100);
  const cancel = await peer.request("CANCEL");
  assert.equal(cancel.headers.get("CSeq"), "1 CANCEL");
  peer.answer(cancel, 200);
  peer.answer(invite, 487);
  await peer.request("ACK");
  await finish(set);
});

Deno.test("a 200 that crosses the CANCEL gets ACK and BYE", async () => {
  const set = await dialed();
  const { peer, invite, attempt } = set;
  peer.answer(invite, 180);
  await set.network.clock.advanceAsync(20);
  attempt.abort.abort();
  peer.answer(invite, 200, { body: sdp("answer") });
  await peer.request("CANCEL");
  await peer.request("ACK");
  const bye = await peer.request("BYE");
  assert.equal(bye.headers.get("CSeq"), "2 BYE");
  peer.answer(bye, 200);
  assert.deepEqual(told(attempt), ["progress 180 Ringing", "refused 487 Request Terminated"]);
  await finish(set);
  assert.equal(set.endpoint.dialogCount, 0);
});

Deno.test("an abort before anything is sent sends nothing", async () => {
  const set = scene();
  const steps: string[] = [];
  for await (
    const step of set.alice.invite(parseNameAddr("sip:peer@10.0.0.9"), sdp("o"), AbortSignal.abort())
  ) {
    steps.push(step.type === "refused" ? `${step.status}` : step.type);
  }
  assert.deepEqual(steps, ["487"]);
  assert.equal(set.network.wire.length, 0);
  await finish(set);
});

Deno.test("leaving the loop cancels the attempt", async () => {
  const set = scene();
  const { network, peer } = set;
  const left = (async () => {
    const signal = new AbortController().signal;
    for await (const step of set.alice.invite(parseNameAddr("sip:peer@10.0.0.9"), sdp("o"), signal)) {
      if (step.type === "progress") return;
    }
  })();
  const invite = await peer.request("INVITE");
  peer.answer(invite, 180);
  await network.settled(left);
  peer.answer(await peer.request("CANCEL"), 200);
  peer.answer(invite, 487);
  await finish(set);
});

Deno.test("a peer that never answers is a 408 after 32 s", async () => {
  const set = await dialed();
  const fromMs = set.network.clock.now();
  await set.network.until("the refusal", () => set.attempt.steps.length > 0);
  assert.deepEqual(told(set.attempt), ["refused 408 Request timeout"]);
  assert.ok(Math.abs(set.network.clock.now() - fromMs - 32_000) < 50);
  await finish(set);
});

Deno.test("a peer that rings and falls silent is cancelled after three minutes", async () => {
  const set = await dialed();
  const { network, peer, invite, attempt } = set;
  peer.answer(invite, 180);
  await network.clock.advanceAsync(60_000);
  peer.answer(invite, 180);
  await network.clock.advanceAsync(NO_PROGRESS_MS - 1_000);
  assert.equal(attempt.steps.some((step) => step.type === "refused"), false);
  peer.answer(await peer.request("CANCEL"), 200);
  peer.answer(invite, 487);
  assert.equal(told(attempt).at(-1), "refused 408 Request timeout");
  await finish(set);
});

Deno.test("a name that does not resolve is a 503 that says so", async () => {
  const set = scene();
  const attempt = dial(set.alice, "sip:peer@nowhere.example");
  await set.network.until("the refusal", () => attempt.steps.length > 0);
  const [step] = attempt.steps;
  assert.ok(step?.type === "refused" && step.status === 503);
  assert.match(step.reason, /nowhere\.example/);
  await finish(set);
});

Deno.test("an outbound proxy gets the INVITE, with a loose route", async () => {
  const network = new SipNetwork();
  const proxy = parseNameAddr("<sip:10.0.0.8>").uri;
  const endpoint = network.endpoint("10.0.0.1", { outboundProxy: proxy });
  const alice = endpoint.createUserAgent(identity("sip:alice@example.com"));
  const peer = network.peer("10.0.0.8");
  const attempt = dial(alice, "sip:bob@far.example");
  const invite = await peer.request("INVITE");
  assert.equal(invite.headers.get("Route"), "<sip:10.0.0.8;lr>");
  assert.equal(invite.uri.host, "far.example");
  peer.answer(invite, 404);
  await network.until("the refusal", () => attempt.steps.length > 0);
  await network.close(endpoint);
});

/** What is wrong with a 2xx, and what the client hears of it. */
const UNUSABLE: [name: string, headers: Record<string, string>, told: RegExp][] = [
  ["a Contact without its closing bracket", { Contact: "<sip:peer@10.0.0.9" }, /its Contact cannot be read/],
  ["a Contact of another scheme", { Contact: "<http://10.0.0.9/>" }, /its Contact cannot be read/],
  [
    "a Contact with an address that is none",
    { Contact: "<sip:peer@[10.0.0.9>" },
    /its Contact cannot be read/,
  ],
  [
    "a Contact with a port that is none",
    { Contact: "<sip:peer@10.0.0.9:sip>" },
    /its Contact cannot be read/,
  ],
  ["a Contact that is only a name", { Contact: '"Bob"' }, /its Contact cannot be read/],
  ["a Record-Route that is no address", { "Record-Route": "<sip:" }, /its Record-Route cannot be read/],
  [
    "two Record-Routes, both bad",
    { "Record-Route": "<mailto:a@b>, <http://10.0.0.9>" },
    /Record-Route cannot be read/,
  ],
  ["an extension we do not know", { Require: "precondition" }, /it requires precondition/],
  ["two extensions, one known", { Require: "timer, sec-agree" }, /it requires sec-agree/],
];

for (const early of [false, true]) {
  for (const [name, headers, told] of UNUSABLE) {
    Deno.test(`unusable 2xx, ${name}${early ? ", after 180" : ""}: ACK, BYE, refused at once`, async () => {
      const set = await dialed();
      const { network, peer, invite, attempt } = set;
      if (early) peer.answer(invite, 180);
      const answer = peer.answer(invite, 200, { body: sdp("answer"), headers });
      const ack = await peer.request("ACK");
      assert.equal(ack.headers.get("CSeq"), "1 ACK");
      assert.match(ack.headers.get("To") ?? "", /;tag=peer-tag$/);
      const bye = await peer.request("BYE");
      assert.equal(bye.headers.get("Call-ID"), invite.headers.get("Call-ID"));
      const last = attempt.steps.at(-1);
      assert.ok(last?.type === "refused" && told.test(last.reason), JSON.stringify(last));
      peer.send(answer, "10.0.0.1"); // as it does until it has the ACK
      await peer.request("ACK");
      peer.answer(bye, 200);
      await network.clock.advanceAsync(1_000);
      assert.equal(peer.drop((message) => message.kind === "request" && message.method === "BYE"), 0);
      await finish(set);
    });
  }
}

/** What is odd about a 2xx that makes a call all the same. */
const ODD: [name: string, headers: Record<string, string>][] = [
  ["a To that cannot be read but for its tag", { To: "Bob & Co: <sip:>;tag=peer-tag" }],
  ["no blank where one belongs", { To: "<sip:peer@10.0.0.9>;tag=peer-tag" }],
  ["a timer and a reliable 1xx required", { Require: "timer, 100rel" }],
];

for (const [name, headers] of ODD) {
  Deno.test(`odd 2xx, ${name}: the call is up`, async () => {
    const set = await dialed();
    const { network, peer, invite, attempt } = set;
    peer.answer(invite, 200, { body: sdp("answer"), headers });
    const call = await accepted(network, attempt);
    await peer.request("ACK");
    const bye = call.hangUp();
    peer.answer(await peer.request("BYE"), 200);
    await network.settled(bye);
    await finish(set);
  });
}

Deno.test("a 2xx of another fork after an unusable one gets ACK and BYE too", async () => {
  const set = await dialed();
  const { peer, invite } = set;
  for (
    const [tag, Contact] of [["one", "<sip:"], ["two", "<sip:two@10.0.0.9>"], ["three", "<sip:"]] as const
  ) {
    peer.answer(invite, 200, { tag, body: sdp(tag), headers: { Contact } });
    assert.match((await peer.request("ACK")).headers.get("To") ?? "", new RegExp(`tag=${tag}`));
    const bye = await peer.request("BYE");
    assert.match(bye.headers.get("To") ?? "", new RegExp(`tag=${tag}`));
    peer.answer(bye, 200);
  }
  assert.equal(set.attempt.steps.filter((step) => step.type === "refused").length, 1);
  await finish(set);
});

Deno.test("a failure whose headers cannot be read ends the attempt", async () => {
  for (const headers of [{ To: "<sip:;tag=x" }, { From: "<sip:" }, { "Max-Forwards": "no" }]) {
    const set = await dialed();
    set.peer.answer(set.invite, 486, { headers });
    await set.peer.request("ACK");
    await set.network.until("the refusal", () => set.attempt.steps.length > 0);
    assert.deepEqual(told(set.attempt), ["refused 486 Busy Here"]);
    await finish(set);
  }
});

/** What happened before the peer hung up without an answer of its that arrived. */
const HUNG_UP: [name: string, before: (set: Scene & { invite: SipRequest }) => SipResponse | null][] = [
  ["after 180", ({ peer, invite }) => peer.answer(invite, 180)],
  ["after 183 with early media", ({ peer, invite }) => peer.answer(invite, 183, { body: sdp("early") })],
  [
    "after a reliable 183",
    ({ peer, invite }) =>
      peer.answer(invite, 183, { body: sdp("early"), headers: { Require: "100rel", RSeq: "1" } }),
  ],
  ["after 100 alone", ({ peer, invite }) => {
    peer.answer(invite, 100);
    return null;
  }],
  [
    "after 180 without a tag",
    ({ peer, invite }) => {
      peer.answer(invite, 180, { headers: { To: invite.headers.get("To") ?? "" } });
      return null;
    },
  ],
];

for (const [name, before] of HUNG_UP) {
  for (const late of [false, true]) {
    Deno.test(`BYE before the 2xx, ${name}${late ? ", which comes later" : ""}: the attempt ends at once`, async () => {
      const set = await dialed();
      const { network, peer, invite, attempt } = set;
      const ringing = before(set) ?? responseTo(invite, 200, "peer-tag");
      await network.clock.advanceAsync(50);
      const bye = peer.buildInDialog("BYE", invite, ringing, 1, null, {
        Reason: 'Q.850;cause=16;text="gone"',
      });
      peer.send(bye, "10.0.0.1");
      await peer.response(200, "BYE");
      const last = attempt.steps.at(-1);
      assert.ok(last?.type === "refused", JSON.stringify(last));
      assert.equal(`${last.status} ${last.reason}`, "487 Request Terminated: gone");
      const cancel = await peer.request("CANCEL");
      peer.answer(cancel, 200);
      if (late) {
        peer.answer(invite, 200, { body: sdp("too late") });
        await peer.request("ACK");
        await network.clock.advanceAsync(100);
        const [goodbye] = peer.received.filter((one) => one.kind === "request" && one.method === "BYE");
        if (goodbye?.kind === "request") peer.answer(goodbye, 200);
      } else {
        peer.answer(invite, 487);
        await peer.request("ACK");
      }
      await finish(set);
    });
  }
}

Deno.test("one fork hangs up, another goes on ringing and answers", async () => {
  const set = await dialed();
  const { network, peer, invite, attempt } = set;
  const one = peer.answer(invite, 180, { tag: "one" });
  peer.answer(invite, 180, { tag: "two" });
  await network.clock.advanceAsync(50);
  peer.send(peer.buildInDialog("BYE", invite, one, 1), "10.0.0.1");
  await peer.response(200, "BYE");
  peer.answer(invite, 200, { tag: "two", body: sdp("two") });
  const call = await accepted(network, attempt);
  assert.equal(sdpText(call.remoteBody), "two");
  call.abandon("remote", "test over");
  await finish(set);
});

/** A status and its Contacts, and where the call goes on. */
const REDIRECTS: [status: number, contacts: string[], uris: string[]][] = [
  [302, ["<sip:bob@192.0.2.1>"], ["sip:bob@192.0.2.1"]],
  [301, ["sip:bob@192.0.2.1:5070"], ["sip:bob@192.0.2.1:5070"]],
  [300, ["<sip:a@x>;q=0.2, <sip:b@x>;q=0.9", "<sip:c@x>;q=0.5"], ["sip:b@x", "sip:c@x", "sip:a@x"]],
  [302, ["<sip:a@x>;q=0.9", "<sip:b@x>"], ["sip:b@x", "sip:a@x"]],
  [302, ["<sip:a@x>;q=best", "<sip:b@x>;q=0.1"], ["sip:b@x", "sip:a@x"]],
  [302, ["<sip:a@x>", "<sip:a@x>;q=0.5"], ["sip:a@x"]],
  [302, ["<sip:bob:secret@x;method=BYE?Replaces=1>"], ["sip:bob@x"]],
  [302, ["<sip:", "<mailto:bob@x>", "*", "<sip:b@x>"], ["sip:b@x"]],
  [302, ["<tel:+4930123>", "<sips:bob@x>"], ["tel:+4930123", "sips:bob@x"]],
  [302, [], []],
  [305, ["<sip:proxy>"], []],
  [380, ["<sip:help@x>"], []],
  [404, ["<sip:bob@x>"], []],
  [302, Array.from({ length: 30 }, (_, n) => `<sip:b${n}@x>`), [
    "sip:b0@x",
    "sip:b1@x",
    "sip:b2@x",
    "sip:b3@x",
    "sip:b4@x",
  ]],
];

for (const [status, contacts, uris] of REDIRECTS) {
  Deno.test(`${status} with ${contacts.join(" ").slice(0, 60) || "no Contact"}`, () => {
    const response = responseTo(sipRequest("INVITE"), status, "t", { Contact: contacts });
    assert.deepEqual(redirectsOf(response).map(formatSipUri), uris);
    assert.ok(uris.length <= MAX_REDIRECTS);
  });
}
