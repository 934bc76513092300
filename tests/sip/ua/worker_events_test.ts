// What a SIP port tells the others of its process.

import assert from "node:assert/strict";
import { parseNameAddr } from "../../../lib/sip/message/name_addr.ts";
import type { InviteProgress } from "../../../lib/sip/ua/user_agent.ts";
import { identity, sdp, SipNetwork } from "../../support/sip_network.ts";
import { RecordingWorkerEvents } from "../../support/worker_events.ts";

Deno.test("worker events: hear of each user agent; its line begins with what tells whose it is", async () => {
  const network = new SipNetwork();
  const workerEvents = new RecordingWorkerEvents("3.");
  const endpoint = network.endpoint("10.0.0.1", {}, { workerEvents });
  const alice = endpoint.createUserAgent(identity("sip:alice@Example.com"));
  const bob = endpoint.createUserAgent(identity("sip:bob@example.com"));
  assert.match(alice.line, /^3\.[a-z0-9]{10}$/);
  assert.deepEqual([...workerEvents.agents.values()], [
    { line: alice.line, user: "alice", host: "Example.com", port: null, ownsAddress: false },
    { line: bob.line, user: "bob", host: "example.com", port: null, ownsAddress: false },
  ]);
  await network.settled(alice[Symbol.asyncDispose]());
  assert.deepEqual([...workerEvents.agents.keys()], [bob.line]);
  await network.close(endpoint);
  assert.equal(workerEvents.agents.size, 0);
});

Deno.test("worker events: hear of a call when it is established, when its peer moves, and of its end", async () => {
  const network = new SipNetwork();
  const workerEvents = new RecordingWorkerEvents();
  const endpoint = network.endpoint("10.0.0.1", {}, { workerEvents });
  const peer = network.peer("10.0.0.2");
  const alice = endpoint.createUserAgent(identity("sip:alice@10.0.0.1"));
  const steps: InviteProgress[] = [];
  const calling = (async () => {
    const to = parseNameAddr("sip:peer@10.0.0.2");
    for await (const step of alice.invite(to, sdp("alice"), new AbortController().signal)) steps.push(step);
  })();
  const invite = await peer.request("INVITE");
  peer.answer(invite, 180);
  await network.until("ringing", () => steps.length > 0);
  assert.equal(workerEvents.dialogs.size, 0, "an early dialog needs no BYE");
  peer.answer(invite, 200, { body: sdp("peer") });
  await peer.request("ACK");
  await network.settled(calling);
  const [record] = workerEvents.dialogs.values();
  assert.equal(record?.callId, invite.headers.get("Call-ID"));
  assert.equal(record?.remoteTarget, "sip:peer@10.0.0.2:5060");

  const tag = /;tag=(\S+)/.exec(invite.headers.get("From") ?? "")?.[1];
  const update = peer.build("UPDATE", `sip:alice@10.0.0.1;line=${alice.line}`, {
    "From": "<sip:peer@10.0.0.2>;tag=peer-tag",
    "To": `<sip:alice@10.0.0.1>;tag=${tag}`,
    "Call-ID": invite.headers.get("Call-ID") ?? "",
    "Contact": "<sip:peer@10.0.0.2:5099>",
  });
  peer.send(update, "10.0.0.1");
  await peer.response(200, "UPDATE");
  assert.equal([...workerEvents.dialogs.values()][0]?.remoteTarget, "sip:peer@10.0.0.2:5099");

  const closing = network.close(endpoint);
  await network.until("BYE on its way", () => workerEvents.dialogs.size === 0);
  await closing;
});
