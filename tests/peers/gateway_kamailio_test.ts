// The gateway's users behind a real registrar and proxy with digest: Kamailio.

import assert from "node:assert/strict";
import { RtmpRefused } from "../../lib/rtmp/client.ts";
import { startKamailio } from "../support/kamailio.ts";
import { hasPeer } from "../support/peers.ts";
import { RtmpPhone, speak } from "../support/rtmp_phone.ts";
import { startGateway, type TestGateway } from "../support/test_gateway.ts";

const ignore = !hasPeer("kamailio");

const bodies = (list: readonly Uint8Array[]) => list.map((body) => [...body].join(","));
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

function user(
  running: TestGateway,
  name: string,
  kamailioPort: number,
  more: { answers?: string[]; echo?: boolean } = {},
) {
  return RtmpPhone.connect({
    url: running.url(`${name}@127.0.0.1:${kamailioPort}`),
    login: name,
    password: `${name}-secret`,
    ...more,
  });
}

Deno.test({ name: "a wrong password is one rejection with the registrar's answer", ignore }, async () => {
  await using kamailio = await startKamailio();
  await using running = await startGateway();
  const refused = RtmpPhone.connect({
    url: running.url(`alice@127.0.0.1:${kamailio.port}`),
    login: "alice",
    password: "wrong",
  });
  await assert.rejects(
    refused,
    (error) => error instanceof RtmpRefused && error.description === "401 Unauthorized",
  );
  assert.doesNotMatch(running.lines(), /wrong/);
  assert.doesNotMatch(running.lines(), /response="[0-9a-f]{32}"/);
});

Deno.test({
  name:
    "FAQ 2 (which servers): two gateways' users call each other through Kamailio: Speex passes byte for byte",
  ignore,
}, async () => {
  await using kamailio = await startKamailio();
  await using one = await startGateway();
  await using two = await startGateway({ "rtp-ports": "20000-30000" });
  await using alice = await user(one, "alice", kamailio.port);
  await using bob = await user(two, "bob", kamailio.port, { answers: [], echo: true });
  alice.client.send("invite", "bob");
  assert.deepEqual(await alice.expect("ringing"), ["180 Ringing"]);
  assert.deepEqual(await alice.expect("accepted"), []);
  assert.match(String((await bob.expect("invited"))[0]), /<sip:alice@127\.0\.0\.1:\d+>/);
  await bob.expect("accepted");
  const { SampleSource } = await import("../../lib/codecs/sample.ts");
  const source = new SampleSource("speex");
  const sent: Uint8Array[] = [];
  for (let i = 0; i < 100; i++) {
    const body = new Uint8Array([0xb2, ...source.next()]);
    sent.push(body);
    alice.speaking.send(8, i * 20, body);
    await pause(20);
  }
  await pause(300);
  assert.deepEqual(bodies(bob.audio), bodies(sent), "bob heard alice");
  assert.deepEqual(bodies(alice.audio), bodies(sent), "and alice her echo");
  alice.client.send("bye");
  await bob.expect("byed");
});

Deno.test(
  { name: "hold and resume reach the other user once each, by re-INVITE through the proxy", ignore },
  async () => {
    await using kamailio = await startKamailio();
    await using running = await startGateway();
    await using alice = await user(running, "alice", kamailio.port);
    await using bob = await user(running, "bob", kamailio.port, { answers: ["pcmu", "dtmf"] });
    alice.client.send("invite", "bob", "pcmu", "dtmf");
    await alice.expect("accepted");
    await bob.expect("accepted");
    alice.client.send("hold", true);
    assert.deepEqual(await bob.expect("holded"), [true]);
    await pause(100);
    const silent = alice.audio.length;
    await speak(bob.speaking, { tag: 0x82, count: 20, size: 160 });
    await pause(100);
    assert.equal(alice.audio.length, silent, "nothing is heard of a held party");
    alice.client.send("hold", false);
    assert.deepEqual(await bob.expect("holded"), [false]);
    await pause(100);
    const sent = await speak(bob.speaking, { tag: 0x82, count: 20, size: 160 });
    await pause(200);
    assert.equal(alice.audio.length - silent, sent.length);
    bob.client.send("bye");
    await alice.expect("byed");
  },
);

Deno.test({ name: "DTMF and messages cross, in the call and outside", ignore }, async () => {
  await using kamailio = await startKamailio();
  await using running = await startGateway();
  await using alice = await user(running, "alice", kamailio.port);
  await using bob = await user(running, "bob", kamailio.port, { answers: ["pcmu", "dtmf"] });
  alice.client.send("sendPagingMessage", "bob", "grüße, 你好");
  const [from, text] = await bob.expect("receivedPagingMessage");
  assert.match(String(from), /alice/);
  assert.equal(text, "grüße, 你好");
  alice.client.send("invite", "bob", "pcmu", "dtmf");
  await alice.expect("accepted");
  await bob.expect("accepted");
  await alice.client.call("sendMessage", "in the call");
  assert.deepEqual(await bob.expect("receivedMessage"), ["in the call"]);
  bob.client.send("sendDTMF", "5#");
  assert.equal((await alice.expect("receivedDTMF"))[0], "5");
  assert.equal((await alice.expect("receivedDTMF"))[0], "#");
});

Deno.test({ name: "who leaves is unregistered: the next call to them gets 404", ignore }, async () => {
  await using kamailio = await startKamailio();
  await using running = await startGateway();
  await using alice = await user(running, "alice", kamailio.port);
  {
    await using bob = await user(running, "bob", kamailio.port, { answers: ["pcmu"] });
    alice.client.send("invite", "bob", "pcmu");
    await alice.expect("accepted");
    alice.client.send("bye");
    await bob.expect("byed");
  }
  await pause(300);
  alice.client.send("invite", "bob", "pcmu");
  assert.deepEqual(await alice.expect("rejected"), ["404 Not Found"]);
});
