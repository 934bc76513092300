// Tests of lib/sip/ua/endpoint.ts: who gets which request, what nobody gets, and real sockets on loopback.

import assert from "node:assert/strict";
import { systemClock } from "../../../lib/base/clock.ts";
import { systemRandom } from "../../../lib/base/random.ts";
import { systemDns } from "../../../lib/net/dns.ts";
import { AddressPolicy } from "../../../lib/net/route.ts";
import { UdpSocket } from "../../../lib/net/udp.ts";
import { textBody } from "../../../lib/sip/message/body.ts";
import { parseNameAddr } from "../../../lib/sip/message/name_addr.ts";
import { SipEndpoint } from "../../../lib/sip/ua/endpoint.ts";
import type { DialogRecord } from "../../../lib/sip/ua/worker_events.ts";
import type { UserAgent } from "../../../lib/sip/ua/user_agent.ts";
import { RecordLog } from "../../support/record_log.ts";
import { calleeScene, finish, talking } from "../../support/sip_callee.ts";
import { collect, identity, sdp, sdpText, SipNetwork } from "../../support/sip_network.ts";

Deno.test("requests that are for nobody get the status that says why", async () => {
  const scene = calleeScene();
  const { peer, bob } = scene;
  const stranger = { To: "<sip:bob@10.0.0.2>;tag=stranger" };
  const table: [string, string, Record<string, string>, number][] = [
    ["INVITE", "sip:nobody@10.0.0.2", {}, 404],
    ["MESSAGE", "sip:nobody@10.0.0.2", {}, 480],
    ["INVITE", "sip:nobody@10.0.0.2", { "Max-Forwards": "0" }, 483],
    ["INVITE", "sip:bob@10.0.0.2;line=old", {}, 480],
    ["INVITE", "sips:bob@10.0.0.2", {}, 416],
    ["INVITE", "sip:bob@10.0.0.2", { Require: "gruu" }, 420],
    ["BYE", "sip:bob@10.0.0.2", stranger, 481],
    ["UPDATE", "sip:bob@10.0.0.2", stranger, 481],
    ["PRACK", "sip:bob@10.0.0.2", stranger, 481],
    ["BYE", "sip:bob@10.0.0.2", {}, 481],
    ["INFO", "sip:bob@10.0.0.2", {}, 481],
    ["SUBSCRIBE", "sip:bob@10.0.0.2", {}, 405],
    ["REGISTER", "sip:10.0.0.2", {}, 405],
    ["DANCE", "sip:bob@10.0.0.2", {}, 501],
    ["CANCEL", "sip:bob@10.0.0.2", {}, 481],
    ["OPTIONS", "sip:10.0.0.2", {}, 200],
    ["OPTIONS", `sip:x@10.0.0.2;line=${bob.line}`, {}, 200],
    ["OPTIONS", "sip:bob@10.0.0.2", { "Max-Forwards": "0" }, 200],
  ];
  for (const [index, [method, uri, headers, status]] of table.entries()) {
    peer.send(peer.build(method, uri, { "Call-ID": `c${index}`, ...headers }), "10.0.0.2");
    const response = await peer.response(status, method);
    assert.equal(response.headers.get("Call-ID"), `c${index}`);
    if (status === 405 || status === 501) assert.ok(response.headers.has("Allow"));
  }
  await finish(scene);
});

Deno.test("overload: new calls and pings get 503 with Retry-After, everything else goes on", async () => {
  let overloaded = true;
  const asked: string[] = [];
  const refuseNew = (method: string): number | null => {
    asked.push(method);
    return overloaded ? 9 : null;
  };
  const scene = calleeScene({ refuseNew });
  const { peer } = scene;
  const table: [string, string, number, string | null][] = [
    ["INVITE", "sip:bob@10.0.0.2", 503, "9"],
    ["OPTIONS", "sip:bob@10.0.0.2", 503, "9"],
    ["OPTIONS", "sip:10.0.0.2", 503, "9"],
    ["INVITE", "sip:nobody@10.0.0.2", 404, null],
    ["MESSAGE", "sip:bob@10.0.0.2", 200, null],
    ["BYE", "sip:bob@10.0.0.2", 481, null],
  ];
  const ask = async (method: string, uri: string, status: number, id: string): Promise<string | null> => {
    peer.send(peer.build(method, uri, { "Call-ID": id }), "10.0.0.2");
    return (await peer.response(status, method)).headers.get("Retry-After");
  };
  for (const [index, [method, uri, status, retryAfter]] of table.entries()) {
    assert.equal(await ask(method, uri, status, `o${index}`), retryAfter);
  }
  assert.deepEqual(asked, ["INVITE", "OPTIONS", "OPTIONS"]);
  overloaded = false;
  assert.equal(await ask("OPTIONS", "sip:10.0.0.2", 200, "again"), null);
  await finish(scene);
});

Deno.test("overload: calls there are go on, with OPTIONS and BYE inside them", async () => {
  let overloaded = false;
  const scene = await talking({}, { refuseNew: () => overloaded ? 9 : null });
  overloaded = true;
  const { peer, invite, answer } = scene;
  for (const [sequence, method] of [[2, "OPTIONS"], [3, "BYE"]] as const) {
    peer.send(peer.buildAsCaller(method, invite, answer, sequence, null), "10.0.0.2");
    await peer.response(200, method);
  }
  await finish(scene);
});

Deno.test("an INVITE that came by two ways is merged: 482", async () => {
  const scene = calleeScene();
  const { peer } = scene;
  for (let way = 0; way < 2; way++) {
    peer.send(peer.build("INVITE", "sip:bob@10.0.0.2", { "Call-ID": "same" }, sdp("o")), "10.0.0.2");
  }
  await peer.response(482, "INVITE");
  await finish(scene);
});

Deno.test("a bug in our own code is a 500 to one sender, and the endpoint goes on", async () => {
  const scene = calleeScene();
  const { peer, bob, network } = scene;
  const original = bob.receive;
  bob.receive = () => {
    throw new Error("our bug");
  };
  peer.send(peer.build("OPTIONS", "sip:bob@10.0.0.2", { "Call-ID": "c1" }), "10.0.0.2");
  await peer.response(500);
  assert.ok(network.log.at("error").some((line) => line.includes("our bug")));
  bob.receive = original;
  peer.send(peer.build("OPTIONS", "sip:bob@10.0.0.2", { "Call-ID": "c2" }), "10.0.0.2");
  await peer.response(200);
  await finish(scene);
});

function openLoopback(log: RecordLog, bind = "127.0.0.1"): SipEndpoint {
  return SipEndpoint.open({
    bind,
    port: 0,
    portFallback: false,
    addresses: new AddressPolicy({ bind, advertise: null }),
    outboundProxy: null,
    userAgent: "siprtmp-test",
    expiresSeconds: 60,
  }, { clock: systemClock, log, random: systemRandom, dns: systemDns });
}

async function answerOne(agent: UserAgent): Promise<string> {
  for await (const invitation of agent.invitations()) {
    invitation.ring();
    const outcome = await invitation.accept(sdp("answer"));
    assert.ok(outcome.type === "confirmed", JSON.stringify(outcome));
    for await (const event of outcome.call.events()) {
      if (event.type === "offer") void event.answer(sdp("held"));
      if (event.type === "ended") return `${sdpText(invitation.offer)}, ended by ${event.by}`;
    }
  }
  return "nobody called";
}

for (
  const [name, bind, params] of [
    ["UDP", "127.0.0.1", ""],
    ["TCP", "127.0.0.1", ";transport=tcp"],
    ["UDP over IPv6", "::1", ""],
  ] as const
) {
  Deno.test(`a call over ${name} on loopback: ring, answer, hold, message, hang up`, async () => {
    const log = new RecordLog("debug");
    await using callee = openLoopback(log, bind);
    await using caller = openLoopback(log, bind);
    const host = bind.includes(":") ? `[${bind}]` : bind;
    const bob = callee.createUserAgent(identity(`sip:bob@${host}:${callee.port}`));
    const alice = caller.createUserAgent(identity(`sip:alice@${host}:${caller.port}`));
    const inbox = collect(bob.messages());
    const answered = answerOne(bob);
    const to = parseNameAddr(`sip:bob@${host}:${callee.port}${params}`);
    const never = new AbortController().signal;
    assert.equal((await alice.request("MESSAGE", to, textBody("hello"), never)).status, 200);
    assert.equal((await alice.request("OPTIONS", to, null, never)).status, 200);
    assert.equal(inbox.length, 1);
    const statuses: (number | string)[] = [];
    for await (const step of alice.invite(to, sdp("offer"), never)) {
      statuses.push(step.type === "accepted" || step.type === "offer" ? step.type : step.status);
      if (step.type !== "accepted") continue;
      const held = await step.call.reoffer(sdp("hold"));
      assert.ok(held.type === "accepted");
      assert.equal(sdpText(held.body), "held");
      assert.equal(await step.call.message(textBody("in the call")), 200);
      await step.call.hangUp();
    }
    assert.deepEqual(statuses, [180, "accepted"]);
    assert.equal(await answered, "offer, ended by remote");
    assert.deepEqual(log.at("error"), []);
    assert.deepEqual([callee.dialogCount, caller.dialogCount], [0, 0]);
  });
}

Deno.test("an offer too large for a datagram goes by TCP by itself", async () => {
  const log = new RecordLog("debug");
  await using callee = openLoopback(log);
  await using caller = openLoopback(log);
  const bob = callee.createUserAgent(identity(`sip:bob@127.0.0.1:${callee.port}`));
  const alice = caller.createUserAgent(identity(`sip:alice@127.0.0.1:${caller.port}`));
  const answered = answerOne(bob);
  const large = "x".repeat(3_000);
  const to = parseNameAddr(`sip:bob@127.0.0.1:${callee.port}`);
  for await (const step of alice.invite(to, sdp(large), new AbortController().signal)) {
    if (step.type === "accepted") await step.call.hangUp();
  }
  assert.equal(await answered, `${large}, ended by remote`);
});

Deno.test("rubbish on the port harms nobody", async () => {
  const log = new RecordLog("debug");
  await using callee = openLoopback(log);
  await using caller = openLoopback(log);
  callee.createUserAgent(identity(`sip:bob@127.0.0.1:${callee.port}`));
  const alice = caller.createUserAgent(identity("sip:alice@127.0.0.1"));
  using socket = UdpSocket.bind({ hostname: "127.0.0.1", port: 0 });
  const to = { hostname: "127.0.0.1", port: callee.port };
  for (const text of ["", "\r\n\r\n", "INVITE", "SIP/2.0 200\r\n\r\n", "x".repeat(5_000)]) {
    socket.send(new TextEncoder().encode(text), to);
  }
  const there = parseNameAddr(`sip:bob@127.0.0.1:${callee.port}`);
  const outcome = await alice.request("OPTIONS", there, null, new AbortController().signal);
  assert.equal(outcome.status, 200);
  assert.deepEqual(log.at("error"), []);
});

Deno.test("a network in memory names the port it was opened at", async () => {
  const network = new SipNetwork();
  const endpoint = network.endpoint("10.0.0.1");
  assert.equal(endpoint.port, 5060);
  await network.close(endpoint);
});

Deno.test("a scan of ten thousand requests makes no transaction, and bob is called through it", async () => {
  const scene = calleeScene();
  const { network, endpoint, peer, bob } = scene;
  for (let i = 0; i < 10_000; i++) {
    const method = ["REGISTER", "OPTIONS", "INVITE"][i % 3]!;
    peer.send(peer.build(method, `sip:${1000 + i}@10.0.0.2`, { "Call-ID": `scan${i}` }), "10.0.0.2");
  }
  await network.clock.advanceAsync(1_000);
  assert.equal(endpoint.transactionCount, 0);
  const invitations = collect(bob.invitations());
  peer.send(peer.build("INVITE", "sip:bob@10.0.0.2", {}, sdp("o")), "10.0.0.2");
  await network.until("bob is called", () => invitations.length === 1);
  await finish(scene);
});

const RECORD: DialogRecord = {
  id: "x",
  callId: "call-7",
  localText: "<sip:alice@10.0.0.1>;tag=ours",
  remoteText: "<sip:bob@10.0.0.2>;tag=theirs",
  localContact: "<sip:alice@10.0.0.1:5060;line=1.abc>",
  routes: ["<sip:10.0.0.3;lr>"],
  remoteTarget: "sip:bob@10.0.0.2:5070",
  localCSeq: 41,
  fallback: { transport: "udp", endpoint: { hostname: "10.0.0.2", port: 5060 } },
};

Deno.test("orphans: each gets a BYE along its route, with a CSeq that is new to the peer; answers are counted", async () => {
  const network = new SipNetwork();
  const [endpoint, proxy, direct] = [
    network.endpoint("10.0.0.1"),
    network.peer("10.0.0.3"),
    network.peer("10.0.0.2", 5070),
  ];
  const ending = endpoint.hangUpOrphans([
    RECORD,
    { ...RECORD, callId: "call-8", routes: [] },
    { ...RECORD, callId: "call-9", routes: ["<not an address"] },
  ]);
  const routed = await proxy.request("BYE");
  assert.equal(routed.headers.get("Call-ID"), "call-7");
  assert.equal(routed.headers.get("From"), RECORD.localText);
  assert.equal(routed.headers.get("To"), RECORD.remoteText);
  assert.equal(routed.headers.get("Route"), "<sip:10.0.0.3;lr>");
  assert.equal(routed.headers.get("CSeq"), "1042 BYE");
  assert.match(routed.headers.get("Reason") ?? "", /^SIP\s*;cause=500/);
  proxy.answer(routed, 200);
  const straight = await direct.request("BYE");
  assert.equal(straight.headers.get("Call-ID"), "call-8");
  direct.answer(straight, 481);
  assert.equal(await network.settled(ending), 1);
  assert.equal(network.log.at("warn").length, 1);
  assert.match(network.log.at("warn")[0] ?? "", /orphaned call cannot be hung up/);
  await network.close(endpoint);
});
