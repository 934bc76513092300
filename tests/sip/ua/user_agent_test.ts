// Tests of lib/sip/ua/user_agent.ts: messages, OPTIONS, bounds, and a polite, bounded end.

import assert from "node:assert/strict";
import { TargetPolicy } from "../../../lib/gateway/access/target_policy.ts";
import { parseNetwork } from "../../../lib/net/endpoint.ts";
import { bodyText, textBody } from "../../../lib/sip/message/body.ts";
import type { SipRequest } from "../../../lib/sip/message/message.ts";
import { parseNameAddr } from "../../../lib/sip/message/name_addr.ts";
import { GOODBYE_MS, MAX_INVITATIONS, MAX_MESSAGES, type UserAgent } from "../../../lib/sip/ua/user_agent.ts";
import { parseSipUri } from "../../../lib/sip/message/uri.ts";
import { acknowledge, calleeScene, finish } from "../../support/sip_callee.ts";
import { accepted, dial, establishedCall, nextInvitation, pair } from "../../support/sip_calls.ts";
import { collect, identity, sdp, SipNetwork } from "../../support/sip_network.ts";

const forever = (): AbortSignal => new AbortController().signal;

Deno.test("a text travels outside calls and is answered with 200", async () => {
  const network = new SipNetwork();
  const { alice, bob, endpoints } = pair(network);
  const inbox = collect(bob.messages());
  const to = parseNameAddr("sip:bob@10.0.0.2");
  const outcome = await network.settled(alice.request("MESSAGE", to, textBody("čau"), forever()));
  assert.deepEqual(outcome, { status: 200, reason: "OK" });
  const [message] = inbox;
  assert.ok(message);
  assert.equal(message.from.uri.user, "alice");
  assert.equal(message.to.uri.user, "bob");
  assert.equal(bodyText(message.body), "čau");
  await network.close(...endpoints);
});

Deno.test("a challenged MESSAGE is sent again with credentials; no Contact in it", async () => {
  const network = new SipNetwork();
  const endpoint = network.endpoint("10.0.0.1");
  const alice = endpoint.createUserAgent(identity("sip:alice@10.0.0.9", "secret"));
  const peer = network.peer("10.0.0.9");
  const outcome = alice.request("MESSAGE", parseNameAddr("sip:bob@10.0.0.9"), textBody("hi"), forever());
  const first = await peer.request("MESSAGE");
  assert.equal(first.headers.has("Contact"), false);
  peer.answer(first, 407, { headers: { "Proxy-Authenticate": 'Digest realm="r", nonce="n", qop="auth"' } });
  const second = await peer.request("MESSAGE");
  assert.ok(second.headers.has("Proxy-Authorization"));
  assert.equal(second.headers.get("From"), first.headers.get("From"));
  peer.answer(second, 202);
  assert.equal((await network.settled(outcome)).status, 202);
  await network.close(endpoint);
});

Deno.test("OPTIONS is answered with what we can do", async () => {
  const scene = calleeScene();
  scene.peer.send(scene.peer.build("OPTIONS", "sip:bob@10.0.0.2", {}), "10.0.0.2");
  const response = await scene.peer.response(200);
  assert.ok(response.headers.all("Allow").includes("INVITE"));
  assert.deepEqual(response.headers.all("Supported"), ["timer", "100rel"]);
  assert.ok(response.headers.all("Accept").includes("application/sdp"));
  await finish(scene);
});

Deno.test("unreachable, silent and given-up requests have a status too", async () => {
  const network = new SipNetwork();
  const endpoint = network.endpoint("10.0.0.1");
  const alice = endpoint.createUserAgent(identity("sip:alice@10.0.0.1"));
  const ask = (uri: string, signal = forever()) =>
    network.settled(alice.request("OPTIONS", parseNameAddr(uri), null, signal));
  assert.equal((await ask("sip:x@nowhere.example")).status, 503);
  assert.equal((await ask("sip:x@10.0.0.77")).status, 408);
  assert.equal((await ask("sip:x@10.0.0.77", AbortSignal.abort())).status, 487);
  await network.close(endpoint);
});

Deno.test("route() tells target and address, through the proxy if there is one", async () => {
  const network = new SipNetwork();
  network.names.set("far.example", ["10.0.0.9"]);
  const endpoint = network.endpoint("10.0.0.1");
  const alice = endpoint.createUserAgent(identity("sip:alice@10.0.0.1"));
  const direct = await alice.route(parseSipUri("sip:bob@far.example"));
  assert.deepEqual(direct, {
    targets: [{ transport: "udp", endpoint: { hostname: "10.0.0.9", port: 5060 } }],
    localAddress: "10.0.0.1",
  });
  const nowhere = await alice.route(parseSipUri("sip:bob@nowhere.example"));
  assert.ok("type" in nowhere && nowhere.type === "unreachable");
  await network.close(endpoint);
  const behind = network.endpoint("10.0.0.1", {
    outboundProxy: parseSipUri("sip:10.0.0.8:5070;transport=tcp"),
  });
  const proxied = await behind.createUserAgent(identity("sip:a@x")).route(
    parseSipUri("sip:bob@nowhere.example"),
  );
  assert.ok(!("type" in proxied));
  assert.deepEqual(proxied.targets[0], { transport: "tcp", endpoint: { hostname: "10.0.0.8", port: 5070 } });
  await network.close(behind);
});

Deno.test("callers too many hear 486, senders too many 503", async () => {
  const scene = calleeScene();
  const { peer, network } = scene;
  for (let n = 0; n <= MAX_INVITATIONS; n++) {
    peer.send(peer.build("INVITE", "sip:bob@10.0.0.2", { "Call-ID": `i${n}` }, sdp("o")), "10.0.0.2");
  }
  const busy = await peer.response(486);
  assert.equal(busy.headers.get("Call-ID"), `i${MAX_INVITATIONS}`);
  for (let n = 0; n <= MAX_MESSAGES; n++) {
    peer.send(peer.build("MESSAGE", "sip:bob@10.0.0.2", { "Call-ID": `m${n}` }, textBody("x")), "10.0.0.2");
  }
  const full = await peer.response(503);
  assert.equal(full.headers.get("Call-ID"), `m${MAX_MESSAGES}`);
  const closing = network.close(scene.endpoint);
  for (let n = 0; n < MAX_INVITATIONS; n++) await peer.response(480, "INVITE");
  await closing;
});

Deno.test("a MESSAGE that is no text is 415 and reaches nobody", async () => {
  const scene = calleeScene();
  const typing = { type: "application/im-iscomposing+xml", bytes: new Uint8Array(3) };
  for (let n = 0; n <= MAX_MESSAGES; n++) {
    scene.peer.send(
      scene.peer.build("MESSAGE", "sip:bob@10.0.0.2", { "Call-ID": `t${n}` }, typing),
      "10.0.0.2",
    );
    await scene.peer.response(415);
  }
  scene.peer.send(scene.peer.build("MESSAGE", "sip:bob@10.0.0.2", {}, textBody("x")), "10.0.0.2");
  await scene.peer.response(200); // no place was taken by those
  await finish(scene);
});

Deno.test("an INVITE without Contact, as of RFC 2543, is taken", async () => {
  const scene = calleeScene();
  const invite = scene.peer.build("INVITE", "sip:bob@10.0.0.2", {}, sdp("o"));
  invite.headers.delete("Contact");
  scene.peer.send(invite, "10.0.0.2");
  await scene.peer.response(100, "INVITE");
  const ended = finish(scene);
  await scene.peer.response(480, "INVITE");
  await ended;
});

Deno.test("the end hangs up, cancels, refuses and waits 2 s at most for a dead network", async () => {
  for (const dead of [false, true]) {
    const network = new SipNetwork();
    const { endpoints, alice, callee } = await establishedCall(network);
    const ringing = network.peer("10.0.0.9");
    const attempt = dial(alice, "sip:peer@10.0.0.9");
    ringing.answer(await ringing.request("INVITE"), 180);
    const caller = network.peer("10.0.0.8");
    caller.send(caller.build("INVITE", "sip:alice@10.0.0.1", {}, sdp("o")), "10.0.0.1");
    const invitation = await nextInvitation(network, alice);
    if (dead) network.options.loss = 1;
    const fromMs = network.clock.now();
    await network.close(alice);
    assert.ok(network.clock.now() - fromMs <= GOODBYE_MS + 10);
    assert.equal(attempt.steps.at(-1)?.type, "refused");
    assert.equal((await invitation.accept(sdp("late"))).type, "failed");
    if (!dead) {
      assert.equal(callee.ending?.by, "remote");
      await ringing.request("CANCEL");
      await caller.response(480, "INVITE");
    }
    await network.close(...endpoints);
    await network.clock.advanceAsync(100);
    assert.equal(network.clock.pending, 0, "timers were left behind");
  }
});

Deno.test("generators end with the user agent, and nothing new is taken", async () => {
  const scene = calleeScene();
  const ended: string[] = [];
  const watch = async (name: string, generator: AsyncGenerator<unknown, void, void>) => {
    for await (const _ of generator);
    ended.push(name);
  };
  const watching = [
    watch("invitations", scene.bob.invitations()),
    watch("messages", scene.bob.messages()),
    watch("registrations", scene.bob.registrations()),
  ];
  await scene.network.close(scene.bob);
  await Promise.all(watching);
  assert.equal(ended.length, 3);
  scene.peer.send(scene.peer.build("MESSAGE", "sip:bob@10.0.0.2", {}, textBody("x")), "10.0.0.2");
  await scene.peer.response(480);
  await finish(scene);
});

Deno.test("a call in both directions through one endpoint: two users, one port", async () => {
  const network = new SipNetwork();
  const endpoint = network.endpoint("10.0.0.1");
  const alice = endpoint.createUserAgent(identity("sip:alice@10.0.0.1"));
  const bob = endpoint.createUserAgent(identity("sip:bob@10.0.0.1"));
  const attempt = dial(alice, "sip:bob@10.0.0.1");
  const invitation = await nextInvitation(network, bob);
  invitation.ring();
  const outcome = await network.settled(invitation.accept(sdp("answer")));
  assert.ok(outcome.type === "confirmed");
  const call = await accepted(network, attempt);
  assert.equal(endpoint.dialogCount, 2);
  await network.settled(outcome.call.hangUp());
  assert.equal(call.ending?.by, "remote");
  await network.close(endpoint);
});

Deno.test("a hundred calls in turn leave nothing behind", async () => {
  const scene = calleeScene();
  const { network, peer, bob, endpoint } = scene;
  for (let n = 0; n < 100; n++) {
    const invite = peer.build("INVITE", "sip:bob@10.0.0.2", { "Call-ID": `c${n}` }, sdp("o"));
    peer.send(invite, "10.0.0.2");
    const invitation = await nextInvitation(network, bob);
    const accepting = invitation.accept(sdp("a"));
    const answer = await peer.response(200, "INVITE");
    acknowledge(peer, invite, answer);
    const outcome = await network.settled(accepting);
    assert.ok(outcome.type === "confirmed");
    peer.send(peer.buildAsCaller("BYE", invite, answer, 2), "10.0.0.2");
    await peer.response(200, "BYE");
  }
  assert.equal(endpoint.dialogCount, 0);
  await network.clock.advanceAsync(40_000);
  assert.equal(endpoint.transactionCount, 0);
  assert.equal(network.clock.pending, 0);
  await finish(scene);
});

Deno.test("lines of a user are told apart by domain and port", async () => {
  const network = new SipNetwork();
  const endpoint = network.endpoint("10.0.0.1");
  const alice = endpoint.createUserAgent(identity("sip:alice@10.0.0.9:5070", "secret"));
  const registrar = network.peer("10.0.0.9", 5070);
  const outcome = alice.register(new AbortController().signal);
  const request = await registrar.request("REGISTER");
  registrar.answer(request, 200, { headers: { Contact: request.headers.get("Contact") ?? "" } });
  assert.equal((await network.settled(outcome)).type, "registered");
  assert.match(network.log.at("info").join("\n"), / alice@10\.0\.0\.9:5070: registered for 180 s/);
  const closing = network.close(endpoint);
  registrar.answer(await registrar.request("REGISTER"), 200);
  await closing;
});

Deno.test("where a user's requests may go depends on who named the place", async () => {
  const network = new SipNetwork();
  const guard = new TargetPolicy({ allowed: [parseNetwork("127.0.0.7")!], open: [] });
  const endpoint = network.endpoint("10.0.0.1", { guard });
  const remote = { askedBy: "203.0.113.5" };
  const client = endpoint.createUserAgent({ ...identity("sip:alice@127.0.0.1", "secret"), ...remote });
  const { signal } = new AbortController();
  const statusOf = async (agent: UserAgent, uri: string, caller = {}): Promise<number> => {
    const asked = agent.request("MESSAGE", parseNameAddr(uri), textBody("x"), signal, caller);
    const { status } = await network.settled(asked);
    const hop = await agent.route(parseSipUri(uri), caller);
    assert.equal("type" in hop && hop.status === 403, status === 403, uri);
    const attempt = collect(agent.invite(parseNameAddr(uri), sdp("offer"), signal, caller));
    await network.until("the attempt to end", () => attempt.length > 0);
    const step = attempt.at(-1);
    assert.equal(step?.type === "refused" && step.status === 403, status === 403, uri);
    return status;
  };
  network.clock.advance(0);
  for (
    const uri of ["sip:x@127.0.0.1:22;transport=tcp", "sip:x@169.254.169.254", "sip:x@[::1]", "sip:x@0.0.0.0"]
  ) {
    assert.equal(await statusOf(client, uri), 403, uri);
  }
  const registering = await network.settled(client.register(signal));
  assert.ok(
    registering.type === "refused" && registering.status === 403 &&
      /--allowed-targets/.test(registering.reason),
  );
  // An account's own servers are its owner's choice, whoever calls from it; other places are the client's.
  const account = endpoint.createUserAgent(identity("sip:desk@127.0.0.1:5070"));
  const own = network.peer("127.0.0.1", 5070);
  const reached = account.request(
    "MESSAGE",
    parseNameAddr("sip:x@127.0.0.1:5070"),
    textBody("x"),
    signal,
    remote,
  );
  own.answer(await own.request("MESSAGE"), 200);
  assert.equal((await network.settled(reached)).status, 200);
  assert.equal(await statusOf(account, "sip:x@127.0.0.1:5071", remote), 403);
  assert.equal(await statusOf(account, "sip:x@127.0.0.1:22;transport=tcp", remote), 403);
  await network.close(endpoint);
});

Deno.test("what route() has found is what the call takes: SRV of equal weight, two interfaces", async () => {
  const network = new SipNetwork();
  const hosts = ["10.0.0.8", "10.0.0.9"];
  hosts.forEach((host, n) => network.names.set(`s${n}.pbx.example`, [host]));
  const srv = (name: string) =>
    Promise.resolve(
      name.startsWith("_sip._udp")
        ? hosts.map((_, n) => ({ target: `s${n}.pbx.example`, port: 5060, priority: 1, weight: 50 }))
        : [],
    );
  const endpoint = network.endpoint("10.0.0.1", {
    addresses: { addressFor: ({ hostname }) => hostname === "10.0.0.8" ? "198.51.100.8" : "198.51.100.9" },
  }, { dns: { ...network.dns, srv } });
  const alice = endpoint.createUserAgent(identity("sip:alice@10.0.0.1"));
  const peers = new Map(hosts.map((host) => [host, network.peer(host)]));
  const taken = new Set<string>();
  for (let n = 0; n < 20; n++) {
    const hop = await alice.route(parseSipUri("sip:bob@pbx.example"));
    assert.ok(!("type" in hop));
    const { hostname } = hop.targets[0].endpoint;
    taken.add(hostname);
    const to = parseNameAddr("sip:bob@pbx.example");
    const steps = collect(alice.invite(to, sdp("offer"), new AbortController().signal, { hop }));
    const peer = peers.get(hostname)!;
    const invite = await peer.request("INVITE");
    assert.match(invite.headers.get("Contact") ?? "", new RegExp(`@${hop.localAddress}:5060`));
    peer.send(peer.answer(invite, 486), "10.0.0.1"); // the interfaces exist in our words only
    await peer.request("ACK");
    await network.until("the refusal", () => steps.length > 0);
  }
  assert.equal(taken.size, 2, "both were chosen at some time");
  await network.close(endpoint);
});

Deno.test("a silent first server: a call goes to the next after 4 s, and what it answers too late gets ACK and BYE", async () => {
  const network = new SipNetwork();
  network.names.set("pbx.example", ["10.0.0.8", "10.0.0.9"]);
  const endpoint = network.endpoint("10.0.0.1");
  const alice = endpoint.createUserAgent(identity("sip:alice@10.0.0.1"));
  const [first, second] = ["10.0.0.8", "10.0.0.9"].map((host) => network.peer(host));
  const notices: string[] = [];
  const signal = new AbortController().signal;
  const steps = collect(
    alice.invite(parseNameAddr("sip:bob@pbx.example"), sdp("offer"), signal, {
      onFailover: ({ from, to }) => void notices.push(`${from.endpoint.hostname} ${to.endpoint.hostname}`),
    }),
  );
  const silent = await first!.request("INVITE");
  const invite = await second!.request("INVITE");
  assert.ok(network.clock.now() < 5_000);
  assert.deepEqual(notices, ["10.0.0.8 10.0.0.9"]);
  second!.answer(invite, 200, { body: sdp("answer") });
  await second!.request("ACK");
  await network.until("the call", () => steps.at(-1)?.type === "accepted");
  const late = first!.answer(silent, 200, { tag: "late", body: sdp("late") });
  assert.match((await first!.request("ACK")).headers.get("To") ?? "", /tag=late/);
  first!.answer(await first!.request("BYE"), 200);
  first!.send(late, "10.0.0.1");
  await first!.request("ACK");
  const last = steps.at(-1);
  assert.ok(last?.type === "accepted" && last.call.ending === null);
  // The next call does not wait for it.
  const fromMs = network.clock.now();
  const next = collect(alice.invite(parseNameAddr("sip:bob@pbx.example"), sdp("offer"), signal));
  // It answered in the end, so it is asked first again; when it stays silent it is the last to be asked.
  await network.until(
    "the third INVITE",
    () => network.wire.filter((line) => / INVITE$/.test(line)).length > 2,
  );
  assert.ok(network.clock.now() - fromMs < 1_000 && next.length === 0);
  last.call.abandon("remote", "test over");
  await network.close(endpoint);
});

Deno.test("a call has the headers and the From user of its caller, also when it is asked for a password", async () => {
  const network = new SipNetwork();
  const endpoint = network.endpoint("10.0.0.1");
  const alice = endpoint.createUserAgent(identity("sip:alice@10.0.0.9", "secret"));
  const peer = network.peer("10.0.0.9");
  const fields = { fromUser: "+4930123", headers: [["X-Tenant", "7"], ["Privacy", "id"]] as const };
  const { signal } = new AbortController();
  const steps = collect(alice.invite(parseNameAddr("sip:bob@10.0.0.9"), sdp("offer"), signal, fields));
  const check = (invite: SipRequest): void => {
    assert.match(invite.headers.get("From") ?? "", /^<sip:\+4930123@10\.0\.0\.9>;tag=/);
    assert.deepEqual([invite.headers.get("X-Tenant"), invite.headers.get("Privacy")], ["7", "id"]);
    assert.match(invite.headers.get("Contact") ?? "", /^<sip:alice@10\.0\.0\.1/); // where it is reached
  };
  const first = await peer.request("INVITE");
  check(first);
  peer.answer(first, 401, { headers: { "WWW-Authenticate": 'Digest realm="r", nonce="n", qop="auth"' } });
  await peer.request("ACK");
  const second = await peer.request("INVITE");
  check(second);
  assert.match(second.headers.get("Authorization") ?? "", /username="alice"/);
  peer.answer(second, 486);
  await network.until("the refusal", () => steps.length > 0);
  await network.close(endpoint);
});
