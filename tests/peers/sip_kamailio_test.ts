// The SIP user agent with a real registrar and proxy: Kamailio on loopback.

import assert from "node:assert/strict";
import { bodyText, textBody } from "../../lib/sip/message/body.ts";
import { parseNameAddr } from "../../lib/sip/message/name_addr.ts";
import { parseSipUri } from "../../lib/sip/message/uri.ts";
import type { UserAgent } from "../../lib/sip/ua/user_agent.ts";
import { startKamailio } from "../support/kamailio.ts";
import { hasPeer } from "../support/peers.ts";
import { RecordLog } from "../support/record_log.ts";
import { answerCalls, openLoopback } from "../support/sip_loopback.ts";
import { collect, identity, sdp } from "../support/sip_network.ts";

const ignore = !hasPeer("kamailio");
const never = (): AbortSignal => new AbortController().signal;

async function call(alice: UserAgent, to: string): Promise<string[]> {
  const told: string[] = [];
  for await (const step of alice.invite(parseNameAddr(to), sdp("offer"), never())) {
    told.push(step.type === "accepted" || step.type === "offer" ? step.type : `${step.status}`);
    if (step.type !== "accepted") continue;
    const held = await step.call.reoffer(sdp("hold"));
    told.push(`hold ${held.type}`);
    told.push(`message ${await step.call.message(textBody("inside"))}`);
    await step.call.hangUp();
  }
  return told;
}

for (const transport of ["udp", "tcp"]) {
  Deno.test(
    { name: `two users register and call each other through Kamailio over ${transport}`, ignore },
    async () => {
      await using kamailio = await startKamailio();
      const log = new RecordLog("debug");
      const happened: string[] = [];
      {
        await using endpoint = openLoopback(log);
        const aor = (user: string) => `sip:${user}@127.0.0.1:${kamailio.port};transport=${transport}`;
        const alice = endpoint.createUserAgent(identity(aor("alice"), "alice-secret"));
        const bob = endpoint.createUserAgent(identity(aor("bob"), "bob-secret"));
        for (const agent of [alice, bob]) {
          assert.deepEqual(await agent.register(never()), { type: "registered", expiresSeconds: 60 });
        }
        const inbox = collect(bob.messages());
        const answering = answerCalls(bob, happened);
        const sent = await alice.request("MESSAGE", parseNameAddr(aor("bob")), textBody("paging ✓"), never());
        assert.equal(sent.status, 200, log.lines.join("\n"));
        assert.deepEqual(inbox.map((message) => bodyText(message.body)), ["paging ✓"]);
        for (let round = 0; round < 2; round++) {
          assert.deepEqual(await call(alice, aor("bob")), [
            "180",
            "accepted",
            "hold accepted",
            "message 200",
          ]);
        }
        await bob[Symbol.asyncDispose]();
        await answering;
        assert.equal((await alice.request("OPTIONS", parseNameAddr(aor("bob")), null, never())).status, 404);
      }
      const once = ["confirmed", "offer hold", "message", "ended by remote"];
      assert.deepEqual(happened, [...once, ...once]);
      assert.deepEqual(log.at("error"), []);
    },
  );
}

Deno.test({ name: "a wrong password is refused by Kamailio and tried once", ignore }, async () => {
  await using kamailio = await startKamailio();
  const log = new RecordLog("debug");
  await using endpoint = openLoopback(log);
  const mallory = endpoint.createUserAgent(identity(`sip:mallory@127.0.0.1:${kamailio.port}`, "wrong"));
  const outcome = await mallory.register(never());
  assert.ok(outcome.type === "refused" && outcome.status === 401);
  assert.equal(log.lines.filter((line) => line.includes("REGISTER sip:")).length, 2);
});

Deno.test({ name: "a refresh is taken without another challenge", ignore }, async () => {
  await using kamailio = await startKamailio();
  const log = new RecordLog("debug");
  await using endpoint = openLoopback(log, { expiresSeconds: 2 });
  const alice = endpoint.createUserAgent(identity(`sip:alice@127.0.0.1:${kamailio.port}`, "alice-secret"));
  assert.equal((await alice.register(never())).type, "registered");
  const registers = () => log.lines.filter((line) => line.includes("REGISTER sip:")).length;
  for (let waited = 0; registers() < 4 && waited < 60; waited++) {
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const refusals = log.lines.filter((line) => line.includes(": 401 ")).length;
  assert.ok(registers() >= 4, log.lines.join("\n"));
  assert.equal(refusals, 1, log.lines.join("\n"));
});

Deno.test({ name: "Kamailio as outbound proxy of a user of another domain", ignore }, async () => {
  await using kamailio = await startKamailio();
  const log = new RecordLog("debug");
  const proxy = parseSipUri(`sip:127.0.0.1:${kamailio.port}`);
  await using endpoint = openLoopback(log, { outboundProxy: proxy });
  const bob = endpoint.createUserAgent(identity("sip:bob@pbx.example", "bob-secret"));
  assert.equal((await bob.register(never())).type, "registered", log.lines.join("\n"));
});
