// Tests of lib/sip/ua/call_dialog.ts: where requests of a dialog go, and what they carry.

import assert from "node:assert/strict";
import { TargetPolicy } from "../../../lib/gateway/access/target_policy.ts";
import { endedByBye } from "../../../lib/sip/ua/call_dialog.ts";
import { finish, invited } from "../../support/sip_callee.ts";
import { accepted, dial } from "../../support/sip_calls.ts";
import { sipRequest } from "../../support/sip_messages.ts";
import { identity, sdp, SipNetwork } from "../../support/sip_network.ts";

Deno.test("requests follow a loose record route, ACK included", async () => {
  const network = new SipNetwork();
  const endpoint = network.endpoint("10.0.0.1");
  const alice = endpoint.createUserAgent(identity("sip:alice@10.0.0.1"));
  const peer = network.peer("10.0.0.9");
  const proxy = network.peer("10.0.0.8");
  const attempt = dial(alice, "sip:peer@10.0.0.9");
  const invite = await peer.request("INVITE");
  peer.answer(invite, 200, {
    body: sdp("answer"),
    headers: { "Record-Route": "<sip:10.0.0.7;lr>, <sip:10.0.0.8;lr>", Contact: "<sip:deep@192.168.1.1>" },
  });
  const call = await accepted(network, attempt);
  const ack = await proxy.request("ACK");
  assert.equal(ack.uri.host, "192.168.1.1");
  assert.deepEqual(ack.headers.all("Route"), ["<sip:10.0.0.8;lr>", "<sip:10.0.0.7;lr>"]);
  const hungUp = call.hangUp();
  const bye = await proxy.request("BYE");
  assert.equal(bye.headers.get("User-Agent"), "siprtmp-test");
  proxy.answer(bye, 200);
  await network.settled(hungUp);
  await network.close(endpoint);
});

Deno.test("a strict router takes the Request-URI, and the target goes to the end of the route", async () => {
  const network = new SipNetwork();
  const endpoint = network.endpoint("10.0.0.1");
  const alice = endpoint.createUserAgent(identity("sip:alice@10.0.0.1"));
  const peer = network.peer("10.0.0.9");
  const strict = network.peer("10.0.0.8");
  const attempt = dial(alice, "sip:peer@10.0.0.9");
  const headers = { "Record-Route": "<sip:10.0.0.8>", Contact: "<sip:deep@10.0.0.9>" };
  peer.answer(await peer.request("INVITE"), 200, { body: sdp("answer"), headers });
  const call = await accepted(network, attempt);
  const ack = await strict.request("ACK");
  assert.equal(ack.uri.host, "10.0.0.8");
  assert.deepEqual(ack.headers.all("Route"), ["<sip:deep@10.0.0.9>"]);
  call.abandon("remote", "test over");
  await network.close(endpoint);
});

Deno.test("a Contact that does not resolve leaves the way the call came", async () => {
  const scene = await invited({ Contact: "<sip:peer@no-such-name.example>" });
  void scene.invitation.accept(sdp("answer"));
  const answer = await scene.peer.response(200, "INVITE");
  const ack = scene.peer.buildAsCaller("ACK", scene.invite, answer, 1);
  scene.peer.send(ack, "10.0.0.2");
  await scene.network.clock.advanceAsync(50);
  const closing = scene.network.close(scene.endpoint);
  const bye = await scene.peer.request("BYE");
  assert.equal(bye.uri.host, "no-such-name.example");
  scene.peer.answer(bye, 200);
  await closing;
  await finish(scene);
});

Deno.test("a challenged BYE is sent again with credentials", async () => {
  const network = new SipNetwork();
  const endpoint = network.endpoint("10.0.0.1");
  const alice = endpoint.createUserAgent(identity("sip:alice@10.0.0.9", "secret"));
  const peer = network.peer("10.0.0.9");
  const attempt = dial(alice, "sip:peer@10.0.0.9");
  peer.answer(await peer.request("INVITE"), 200, { body: sdp("answer") });
  const call = await accepted(network, attempt);
  const hungUp = call.hangUp();
  const bye = await peer.request("BYE");
  peer.answer(bye, 407, { headers: { "Proxy-Authenticate": 'Digest realm="r", nonce="n", qop="auth"' } });
  const again = await peer.request("BYE");
  assert.equal(again.headers.get("CSeq"), "3 BYE");
  assert.ok(again.headers.has("Proxy-Authorization"));
  peer.answer(again, 200);
  await network.settled(hungUp);
  await network.close(endpoint);
  assert.equal(endpoint.dialogCount, 0);
});

/** What a peer at 10.0.0.9 may not have us send to. */
const guard = new TargetPolicy({ allowed: [], open: [] });
const FORBIDDEN: readonly (readonly [what: string, headers: Record<string, string>])[] = [
  ["a Contact on this machine", { Contact: "<sip:FLUSHALL@127.0.0.1:6379;transport=tcp>" }],
  ["in IPv6", { Contact: "<sip:x@[::1]>" }],
  ["mapped", { Contact: "<sip:x@[::ffff:127.0.0.1]:80>" }],
  ["by name", { Contact: "<sip:x@localhost:80;transport=tcp>" }],
  ["by maddr", { Contact: "<sip:x@10.0.0.9;maddr=169.254.169.254>" }],
  ["the metadata service", { Contact: "<sip:x@169.254.169.254:80;transport=tcp>" }],
  ["a Record-Route", { Contact: "<sip:x@10.0.0.9>", "Record-Route": "<sip:127.0.0.1:22;transport=tcp;lr>" }],
];

for (const [what, headers] of FORBIDDEN) {
  Deno.test(`requests of a dialog do not go where the peer may not send us: ${what}`, async () => {
    const scene = await invited(headers, sdp("offer"), { guard });
    scene.network.names.set("localhost", ["127.0.0.1"]);
    const reached: string[] = [];
    for (const host of ["127.0.0.1", "169.254.169.254"]) {
      scene.network.peer(host).onMessage = (message) => reached.push(`${host} ${message.kind}`) > 0;
    }
    void scene.invitation.accept(sdp("answer"));
    const answer = await scene.peer.response(200, "INVITE");
    scene.peer.send(scene.peer.buildAsCaller("ACK", scene.invite, answer, 1), "10.0.0.2");
    await scene.network.clock.advanceAsync(50);
    const closing = scene.network.close(scene.endpoint);
    scene.peer.answer(await scene.peer.request("BYE"), 200); // to where the call came from
    await closing;
    assert.deepEqual(reached, []);
    assert.match(
      scene.network.log.at("warn").join("\n"),
      /--allowed-targets opens it; using the address the call/,
    );
    await finish(scene);
  });
}

Deno.test("the reason of a BYE is its text, else its cause, else a plain word", () => {
  const table: [string | null, string][] = [
    ['Q.850;cause=16;text="Normal \\"clearing\\""', 'Normal "clearing"'],
    ["Q.850;cause=31", "Q.850 cause 31"],
    ['SIP;text="";cause=200', "SIP cause 200"],
    ["nonsense", "hung up"],
    [null, "hung up"],
  ];
  for (const [header, reason] of table) {
    const ended = endedByBye(sipRequest("BYE", header === null ? {} : { Reason: header }));
    assert.deepEqual(ended, { type: "ended", by: "remote", reason });
  }
});
